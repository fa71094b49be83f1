"""Short ways to a topology from a YAML snippet."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from gwsim.diagnostics import CODES, Collector
from gwsim.resources import read_text
from gwsim.topology import Cluster, Decision, Proxy, Request, Topology, choose
from gwsim.topology.from_istio import from_istio

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: app}
spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 8000}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: app}
spec: {selector: {app: cart}, ports: [{name: http, port: 80}, {name: grpc-api, port: 90}]}
---
"""

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: app}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
---
"""


@dataclass
class Built:
    """A topology with what was found on the way; `proxy` is its first gateway."""

    topology: Topology
    findings: tuple[Any, ...]

    @property
    def proxy(self) -> Proxy:
        return self.topology.proxies[0]

    @property
    def names(self) -> list[str]:
        """Symbolic names of the findings of level warning and above."""
        return [CODES[one.code].name for one in self.findings if one.level.value != "info"]

    @property
    def notes(self) -> list[str]:
        return [CODES[one.code].name for one in self.findings if one.level.value == "info"]

    def get(self, path: str = "/", *, port: int = 80, host: str = "shop.example", **more: Any) -> Decision:
        return choose(self.proxy, port, Request(host=host, path=path, **more))

    def cluster(self, name: str) -> Cluster:
        return self.proxy.clusters[name]


def build(*texts: str, refused: bool = False, **options: Any) -> Built:
    """Read (what is `refused` too), build, and keep the findings of the build alone."""
    text = "\n---\n".join(textwrap.dedent(one) for one in texts)
    resources = read_text(text, "config.yaml", collector=Collector() if refused else None)
    collector = Collector()
    topology = from_istio(resources, collector=collector, **options)
    return Built(topology, collector.findings)


def routes(http: str, *, hosts: str = '["*"]', name: str = "shop", more: str = "", created: str = "") -> str:
    """A VirtualService on the Gateway above with these HTTP rules."""
    stamp = f', creationTimestamp: "{created}"' if created else ""
    body = textwrap.indent(textwrap.dedent(http).strip(), "  ")
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: app{stamp}}}
spec:
  hosts: {hosts}
  gateways: [public]
{more}
  http:
{body}
"""


TO_SHOP = "route: [{destination: {host: shop, port: {number: 80}}}]"
SHOP = "outbound|80||shop.app.svc.cluster.local"
