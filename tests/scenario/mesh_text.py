"""A mesh with an egress gateway and a scenario whose client is a workload of it; tests change both line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwsim import scenario
from gwsim.diagnostics import Collector, Finding, Level
from gwsim.errors import InputError
from gwsim.scenario import Resolved

SCENARIO = """\
apiVersion: gwsim/v1
clusters:
  east: {config: [mesh.yaml], zones: [a, b], node: {cpus: 8}}
clients:
  orders:
    from: shop/orders
    arrivals: {poisson: 100rps}
    mix:
      - {name: quote, host: api.partner.com, path: /v1/quote}
backends:
  api.partner.com: {service_time: 20ms, rtt: 30ms}
run: {duration: 2s, replications: 1}
"""
GATEWAY = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: egress, namespace: gates}
spec: {selector: {istio: egress}, ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: egress, namespace: gates}
spec:
  replicas: 2
  selector: {matchLabels: {istio: egress}}
  template:
    metadata: {labels: {istio: egress}, annotations: {inject.istio.io/templates: gateway}}
    spec: {containers: [{name: istio-proxy, image: auto}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: shop}
spec:
  selector: {istio: egress}
  servers:
    - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [api.partner.com], tls: {mode: ISTIO_MUTUAL}}
"""
PARTNER = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner, namespace: shop}
spec:
  hosts: [api.partner.com]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: https, protocol: HTTPS}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: to-egress, namespace: shop}
spec:
  host: egress.gates.svc.cluster.local
  subsets: [{name: partner, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: api.partner.com}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: partner, namespace: shop}
spec:
  host: api.partner.com
  trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE, sni: api.partner.com}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: partner, namespace: shop}
spec:
  hosts: [api.partner.com]
  gateways: [mesh, egress]
  http:
    - name: to-gateway
      match: [{gateways: [mesh], port: 80}]
      route: [{destination: {host: egress.gates.svc.cluster.local, subset: partner, port: {number: 443}}}]
      retries: {attempts: 1, retryOn: 5xx}
    - name: to-partner
      match: [{gateways: [egress], port: 443}]
      route: [{destination: {host: api.partner.com, port: {number: 443}}}]
      timeout: 2s
"""


def workload(name: str, replicas: int = 2) -> str:
    """A Service and its Deployment in the shop."""
    return f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shop}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: {name}, image: "{name}:1"}}]}}
"""


MESH = "---\n".join((GATEWAY, PARTNER, workload("orders", 4)))


def resolved(folder: Path, text: str = SCENARIO, mesh: str = MESH, *set_: str) -> Resolved:
    """The scenario with this configuration, resolved."""
    (folder / "scenario.yaml").write_text(text, encoding="utf-8")
    (folder / "mesh.yaml").write_text(mesh, encoding="utf-8")
    project = scenario.open_project(folder, set_=set_)
    return scenario.resolve(project.loaded, project.topology, collector=Collector())


def refused(folder: Path, text: str = SCENARIO, mesh: str = MESH, *set_: str) -> Finding:
    """The only error that the scenario is refused for."""
    with pytest.raises(InputError) as caught:
        resolved(folder, text, mesh, *set_)
    assert caught.value.exit_code == 2
    errors = [one for one in caught.value.findings if one.level is Level.ERROR]
    assert len(errors) == 1, errors
    return errors[0]


def changed(text: str, *changes: tuple[str, str]) -> str:
    """A text with others replaced; each must be there."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text
