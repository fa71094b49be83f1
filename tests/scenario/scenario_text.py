"""A small configuration and scenario that tests change line by line, and how they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwsim import scenario
from gwsim.diagnostics import Finding
from gwsim.errors import InputError
from gwsim.scenario import LoadedScenario

REPOSITORY = Path(__file__).parents[2]

SCENARIO = """\
apiVersion: gwsim/v1
question: "Does the canary hold?"
istio: {version: "1.30"}
clusters:
  east: {config: [istio/], network: net1, zones: [a, b, c], node: {cpus: 8}}
assume_exists: [Gateway/platform/public]
clients:
  web:
    target: east/Service/istio-system/istio-ingressgateway:443
    sni: shop.example
    arrivals: {poisson: 2000rps}
    connection: {http: 2, requests: 6, tls: "1.3", offers_ticket: 40%}
    rtt: {lognormal: {median: 40ms, p95: 162ms}}
    timeout: 10s
    mix:
      - {name: checkout, method: POST, host: shop.example, path: /checkout, weight: 30}
      - {name: cart, host: shop.example, path: /cart, weight: 70}
backends:
  east/checkout.shop: {service_time: {lognormal: {median: 12ms, p99: 80ms}}, concurrency: 32}
run: {kind: steady, duration: 60s, replications: 10, seed: 1}
budgets:
  - gateway.latency{route="checkout"} p(99) < 250ms
  - errors{route="checkout"} rate < 0.1%
"""

ISTIO = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: [shop.example]
      tls: {mode: SIMPLE, credentialName: shop-cert}
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: [shop.example]
---
apiVersion: v1
kind: Secret
metadata: {name: shop-cert, namespace: istio-system}
type: kubernetes.io/tls
stringData: {tls.crt: "", tls.key: ""}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [shop]
  http:
    - name: checkout
      match: [{uri: {prefix: /checkout}}]
      route:
        - {destination: {host: checkout, subset: v1}, weight: 90}
        - {destination: {host: checkout, subset: v2}, weight: 10}
      timeout: 3s
      retries: {attempts: 1, perTryTimeout: 1s, retryOn: "503"}
    - name: gone
      match: [{uri: {exact: /gone}}]
      route:
        - {destination: {host: nowhere.shop.svc.cluster.local, port: {number: 80}}}
    - name: moved
      match: [{uri: {exact: /moved}}]
      redirect: {uri: /cart}
    - name: cart
      match: [{uri: {prefix: /cart}}]
      route:
        - {destination: {host: cart}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: checkout, namespace: shop}
spec:
  host: checkout
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
"""

WORKLOAD = """\
---
apiVersion: v1
kind: Service
metadata: {{name: {app}, namespace: shop}}
spec:
  selector: {{app: {app}}}
  ports: [{{name: http, port: 8080}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {app}-v1, namespace: shop}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: {app}, version: v1}}}}
  template:
    metadata: {{labels: {{app: {app}, version: v1}}}}
    spec: {{containers: [{{name: app, image: "{app}:v1"}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {app}-v2, namespace: shop}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {app}, version: v2}}}}
  template:
    metadata: {{labels: {{app: {app}, version: v2}}}}
    spec: {{containers: [{{name: app, image: "{app}:v2"}}]}}
"""


def changed(*changes: tuple[str, str]) -> str:
    """The scenario with texts replaced; each must be there."""
    text = SCENARIO
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def read(text: str, *set_: str) -> LoadedScenario:
    """A scenario of a text."""
    return scenario.load_text(text, "s.yaml", set_=set_)


def refused(text: str, *set_: str) -> list[Finding]:
    """The errors for which a scenario is refused; it must be."""
    with pytest.raises(InputError) as caught:
        read(text, *set_)
    assert caught.value.exit_code == 2
    assert caught.value.findings
    return list(caught.value.findings)


def one(findings: list[Finding]) -> Finding:
    """The only finding."""
    assert len(findings) == 1, findings
    return findings[0]
