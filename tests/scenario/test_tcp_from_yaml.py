"""Byte streams, from the YAML to the run: TCP gateways, TLS that passes, TLS that ends at the gateway before TCP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gwsim import scenario
from gwsim.diagnostics import Collector
from gwsim.engine import reference
from gwsim.engine.codes import Counter, Flag
from gwsim.errors import InputError
from gwsim.results import Results
from gwsim.scenario import Resolved

CONFIG = """\
apiVersion: v1
kind: Service
metadata: {name: gw, namespace: data}
spec: {selector: {istio: gw}, ports: [{name: tcp-db, port: 5432}, {name: tls, port: 443}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gw, namespace: data}
spec:
  replicas: 2
  selector: {matchLabels: {istio: gw}}
  template:
    metadata: {labels: {istio: gw}, annotations: {inject.istio.io/templates: gateway}}
    spec: {containers: [{name: istio-proxy, image: auto}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: data}
spec:
  selector: {istio: gw}
  servers:
    - port: {number: 5432, name: tcp-db, protocol: TCP}
      hosts: ["*"]
    - port: {number: 443, name: tls, protocol: TLS}
      hosts: [db.example]
      tls: {mode: PASSTHROUGH, credentialName: db}
---
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: data}
type: kubernetes.io/tls
stringData: {tls.crt: "", tls.key: ""}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db, namespace: data}
spec:
  hosts: ["*"]
  gateways: [gw]
  tcp: [{route: [{destination: {host: db, port: {number: 5432}}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: named, namespace: data}
spec:
  hosts: [db.example]
  gateways: [gw]
  tls: [{match: [{port: 443, sniHosts: [db.example]}], route: [{destination: {host: db, port: {number: 5432}}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {selector: {app: db}, ports: [{name: tcp-db, port: 5432}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: data}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: db, ports: [{containerPort: 5432}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db, namespace: data}
spec: {host: db, trafficPolicy: {connectionPool: {tcp: {maxConnections: 100}}}}
"""

SCENARIO = """\
apiVersion: gwsim/v1
question: "Do queries get through?"
clusters:
  east: {config: [istio.yaml], node: {cpus: 2}}
clients:
  app:
    target: east/Service/data/gw:5432
    arrivals: {poisson: 200rps}
    connection: {count: 20}
    rtt: 1ms
    timeout: 1s
    mix: [{name: query, request_size: 500B, response_size: 8KB}]
backends:
  east/db.data: {service_time: 5ms}
run: {duration: 2s, warmup: 0s, replications: 1, seed: 1}
"""
POOL = "DestinationRule/data/db:spec.trafficPolicy.connectionPool.tcp"
THROUGH = ("run.start=cold", "clients.app.target=east/Service/data/gw:443", "clients.app.sni=db.example", "clients.app.connection.requests=1")
Resolve = Callable[..., Resolved]


@pytest.fixture
def resolve(tmp_path: Path) -> Resolve:
    """Resolves the scenario above, with settings."""
    (tmp_path / "istio.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "scenario.yaml").write_text(SCENARIO, encoding="utf-8")

    def resolved(*set_: str) -> Resolved:
        opened = scenario.open_project(tmp_path, set_=set_)
        return scenario.resolve(opened.loaded, opened.topology, collector=Collector())

    return resolved


def figures(resolved: Resolved) -> Results:
    return Results.of(resolved, [reference.run(resolved.model, 0)])


def test_a_tcp_gateway(resolve: Resolve) -> None:
    """Queries are exchanges on connections of their own upstream; nothing of it is left out."""
    resolved = resolve()
    assert [finding.message for finding in resolved.findings] == []
    outcome = resolved.model.clients[0].mix[0].outcome
    assert (outcome.tcp, outcome.passthrough, outcome.idle_timeout_s, outcome.max_duration_s) == (True, False, 3600.0, 0.0)
    assert resolved.model.clients[0].connection.tls is None
    assert resolved.classes[0].tcp
    raw = reference.run(resolved.model, 0)
    assert raw.good.sum() == raw.finished.sum() > 300
    assert raw.cluster_counters[0, Counter.UPSTREAM_CX_TOTAL] == 20
    assert raw.cluster_counters[0, Counter.UPSTREAM_RQ_COMPLETED] == 0


def test_tls_that_passes(resolve: Resolve) -> None:
    """The server name chooses the chain; the handshake is the backend's, at its price."""
    resolved = resolve(*THROUGH, "backends.east/db.data.tls_handshake=3ms")
    client = resolved.model.clients[0]
    assert (client.connection.tls, client.mix[0].outcome.tcp, client.mix[0].outcome.passthrough) == ("1.3", True, True)
    assert {one.tls_hello_s for one in resolved.model.stations} == {0.003}
    setup = figures(resolved).total.client_latency.mean.value or 0.0
    cheaper = figures(resolve(*THROUGH, "backends.east/db.data.tls_handshake=0s")).total.client_latency.mean.value or 0.0
    assert setup - cheaper == pytest.approx(3e-3, rel=0.05)


def test_looking_at_the_server_name_has_its_price(resolve: Resolve) -> None:
    """Nothing is opened, but every hello is read to choose the chain: 140 us in the profile, and none for plaintext."""
    assert resolve(*THROUGH).model.clients[0].costs.client_hello_full_s == pytest.approx(140e-6)
    assert resolve().model.clients[0].costs.client_hello_full_s == 0.0


def test_the_price_of_a_handshake_comes_from_the_cost_profile(resolve: Resolve) -> None:
    assert resolve(*THROUGH).model.stations[0].tls_hello_s > 0.0005
    assert resolve(*THROUGH, "costs.speed=2").model.stations[0].tls_hello_s < 0.0006


def test_tls_that_ends_at_the_gateway_before_tcp(resolve: Resolve) -> None:
    """The gateway opens it and hands plaintext on: a route of `tcp`, which its Gateway server asks for."""
    resolved = resolve(*THROUGH, "Gateway/data/gw:spec.servers[1].tls.mode=SIMPLE")
    outcome = resolved.model.clients[0].mix[0].outcome
    assert (outcome.tcp, outcome.passthrough, resolved.model.clients[0].connection.tls) == (True, False, "1.3")
    assert reference.run(resolved.model, 0).good.sum() > 300


@pytest.mark.parametrize(("setting", "flag"), [
    (POOL + ".maxConnections=5", Flag.UO),
    (POOL + ".maxConnectionDuration=100ms", Flag.DT),
])  # fmt: skip
def test_what_the_destination_rule_limits(resolve: Resolve, setting: str, flag: Flag) -> None:
    busy = "backends.east/db.data.service_time=50ms"
    raw = reference.run(resolve(setting, busy).model, 0)
    assert raw.gw_flags[0, flag.bit_length() - 1] > 0
    assert reference.run(resolve(busy).model, 0).gw_flags[0].sum() == 0


def test_an_idle_time_out_cuts_off_long_queries(resolve: Resolve) -> None:
    """tcp.idleTimeout counts while the database works."""
    slow = "backends.east/db.data.service_time=300ms"
    assert figures(resolve(slow, POOL + ".idleTimeout=200ms")).total.errors.value == pytest.approx(1.0)
    assert figures(resolve(slow, POOL + ".idleTimeout=400ms")).total.errors.value == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("name", ["host: db", "path: /query", "method: POST", "headers: {a: b}"])
def test_http_means_nothing_to_a_tcp_port(resolve: Resolve, name: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(f"clients.app.mix=[{{name: query, {name}}}]")
    text = str(caught.value) + " ".join(str(one.help) for one in getattr(caught.value, "findings", ()))
    assert f"reads no HTTP, so {name.partition(':')[0]} means nothing" in text
    assert "request_size and response_size" in text


def test_an_http_port_needs_a_host(resolve: Resolve) -> None:
    with pytest.raises(InputError, match="speaks HTTP, but the entry has no host"):
        resolve("Gateway/data/gw:spec.servers[0].port.protocol=HTTP")


def test_sizes_are_assumed_where_none_are_given(resolve: Resolve) -> None:
    resolved = resolve("clients.app.mix=[{}]")
    assert resolved.model.clients[0].mix[0].name == "exchange"
    assert any("requests are lognormal" in text for text in resolved.assumptions)


def test_connections_are_spread_over_the_pods(resolve: Resolve) -> None:
    """Istio's least request counts connections: 20 of them on 2 database pods, whatever they carry."""
    jobs = reference.run(resolve().model, 0).station_jobs
    assert min(jobs) > 0.35 * sum(jobs)
