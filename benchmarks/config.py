"""Time of reading and compiling a large configuration, and of one route lookup.

    python -m benchmarks.config [--services 5000] [--lookups 20000] [--deployments]

5,000 VirtualServices with 10,000 routes, a Service and a DestinationRule each, on one gateway: what `gwsim run` and
`gwsim route` do before anything is simulated. Prints one JSON object; times are seconds of processor time, so that a
busy machine does not change them, with the wall clock beside.
"""

from __future__ import annotations

import argparse
import json
import platform
import time

from gwsim.diagnostics import Collector
from gwsim.resources import read_text
from gwsim.topology import Request, choose
from gwsim.topology.from_istio import from_istio

GATEWAY = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
"""
SERVICE = """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: shop-{n}
  namespace: team-{team}
spec:
  hosts: ["shop-{n}.example"]
  gateways: [istio-system/public]
  http:
  - match:
    - uri: {{prefix: /api/v{n}}}
      headers: {{x-canary: {{exact: "true"}}}}
    route:
    - destination: {{host: shop-{n}, subset: v2, port: {{number: 80}}}}
    timeout: 2s
  - route:
    - destination: {{host: shop-{n}, subset: v1, port: {{number: 80}}}}
      weight: 90
    - destination: {{host: shop-{n}, subset: v2, port: {{number: 80}}}}
      weight: 10
    timeout: 5s
    retries: {{attempts: 2, perTryTimeout: 1s, retryOn: "5xx,reset"}}
---
apiVersion: v1
kind: Service
metadata: {{name: shop-{n}, namespace: team-{team}}}
spec: {{selector: {{app: shop-{n}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop-{n}, namespace: team-{team}}}
spec:
  host: shop-{n}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
"""


DEPLOYMENT = """---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shop-{n}-{version}, namespace: team-{team}}}
spec:
  selector: {{matchLabels: {{app: shop-{n}, version: {version}}}}}
  template:
    metadata: {{labels: {{app: shop-{n}, version: {version}}}}}
    spec: {{containers: [{{name: app, image: "shop:{n}", ports: [{{containerPort: 8080}}]}}]}}
"""


def text_of(services: int, deployments: bool = False) -> str:
    """The configuration as one YAML text; with `deployments`, the two that each Service selects too."""
    if deployments:
        both = "".join(DEPLOYMENT.format(n=n, team=n % 50, version=version) for n in range(services) for version in ("v1", "v2"))
        return text_of(services) + both
    return GATEWAY + "".join(SERVICE.format(n=n, team=n % 50) for n in range(services))


def measure(services: int, lookups: int, deployments: bool = False) -> dict[str, object]:
    """Read, build, choose a route once on every virtual host (which lays out its table), then for every request."""
    text = text_of(services, deployments)
    began = time.process_time()
    wall = time.perf_counter()
    resources = read_text(text, "config.yaml")
    read_s = time.process_time() - began
    began = time.process_time()
    topology = from_istio(resources, collector=Collector())
    build_s = time.process_time() - began
    wall_s = time.perf_counter() - wall
    proxy = topology.proxies[0]
    requests = [
        Request(host=f"shop-{n % services}.example", path=f"/api/v{n % services}/items/{n}", headers={"x-canary": "true"} if n % 2 else {})
        for n in range(lookups)
    ]
    began = time.process_time()
    first = {choose(proxy, 80, one).outcome for one in requests[:services]}
    tables_s = time.process_time() - began
    began = time.process_time()
    outcomes = {choose(proxy, 80, one).outcome for one in requests}
    lookup_s = time.process_time() - began
    assert outcomes == first == {"forward"}
    routes = sum(
        len(host.routes)
        for listener in proxy.listeners
        for chain in listener.filter_chains
        for host in chain.filter.route_config.virtual_hosts  # type: ignore[union-attr]
    )
    return {
        "virtual_services": services,
        "routes": routes,
        "clusters": len(proxy.clusters),
        "megabytes_of_yaml": round(len(text) / 1e6, 1),
        "read_s": round(read_s, 2),
        "build_s": round(build_s, 2),
        "read_and_build_s": round(read_s + build_s, 2),
        "read_and_build_wall_s": round(wall_s, 2),
        "first_lookup_of_every_virtual_host_us": round(tables_s / services * 1e6, 2),
        "lookups": lookups,
        "lookup_us": round(lookup_s / lookups * 1e6, 2),
        "python": platform.python_version(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=5000)
    parser.add_argument("--lookups", type=int, default=20_000)
    parser.add_argument("--deployments", action="store_true", help="with two Deployments behind every Service")
    given = parser.parse_args()
    print(json.dumps(measure(given.services, given.lookups, given.deployments), indent=2))


if __name__ == "__main__":
    main()
