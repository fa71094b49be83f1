"""Draws the figures of docs/scenarios: what each scenario gives for values of the field that decides it, beside what its header derives.

    python scenarios/figures.py [NAME ...]

Runs are those of the reference engine, two replications each where nothing else is said.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gwsim import costs
from gwsim.engine.codes import Component
from gwsim.planning.cases import run_case
from gwsim.planning.preparation import Given, prepare
from gwsim.results.histograms import Floats
from gwsim.results.intervals import Estimate
from gwsim.results.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HERE = Path(__file__).resolve().parent
FIGURES = HERE.parent / "docs" / "figures" / "scenarios"
PROFILE = costs.load()
REPLICATIONS = {"one-connection": 8, "scale-in": 1, "eastwest-bottleneck": 24}
OPENING_US = 1e6 * (PROFILE.si("connections.up_connect_us") + PROFILE.si("connections.up_attach_us"))
"""Of a connection to a backend: none stands yet, so each first request opens one."""
UNLOCATED = "DestinationRule/shop/payments:spec.trafficPolicy.loadBalancer.localityLbSetting.enabled=false"
ONE_POD = "gateway.istio-ingressgateway"


class Case(NamedTuple):
    """A value of the field: how it is called, the settings it takes, and what is derived (None: nothing is)."""

    label: str
    settings: tuple[str, ...]
    derived: float | None


class Figure(NamedTuple):
    """What is drawn of a scenario."""

    name: str
    axis: str
    measure: Callable[[Results], Estimate | float]
    factor: float
    cases: Sequence[Case]
    duration: str = "8s"


class Lines(NamedTuple):
    """What is drawn of a scenario over time: a line a case, and beside it, dashed, a second quantity."""

    name: str
    axis: str
    measure: Callable[[Results], Floats]
    beside: Callable[[Results], Floats] | None
    cases: Sequence[Case]
    duration: str = ""


def field(name: str) -> str:
    """The field that decides a scenario, as its header names it."""
    lines = (HERE / name / "scenario.yaml").read_text(encoding="utf-8").splitlines()
    return next(line.split(": ", 1)[1] for line in lines if line.startswith("# Decides: "))


def brief(path: str, most: int = 90) -> str:
    """A field's path, without its middle where it is too long for a figure."""
    whole, _, inner = path.partition(":")
    return path if len(path) <= most else f"{whole}: … {'.'.join(inner.split('.')[-2:])}"


def cases(name: str, *values: tuple[str, float | None]) -> list[Case]:
    """Cases of the deciding field."""
    return [Case(value, (f"{field(name)}={value}",), derived) for value, derived in values]


def injected(results: Results, component: Component) -> float:
    """Mean time of a request in a component, seconds."""
    return next(one for one in results.total.splits if one.band == "mean").parts_s[component]


def v2(results: Results) -> float:
    """Share of the route `stable` that goes to v2."""
    return sum(one.share.value or 0.0 for one in results.route("stable").clusters if "v2" in one.name)


def late_errors(results: Results) -> float:
    """Share of errors in the last fifth of the run."""
    late = results.timeline.edges_s[:-1] >= 0.8 * results.labels.duration_s
    return float(results.timeline.errors.value[late].mean())


def first_gaps(limit_s: float) -> float:
    """Cuts a second of 200 sockets in their first 1200 s, with messages 30 s apart on average: the renewal function of the first gap that long."""
    if not limit_s:
        return 0.0
    x = limit_s / 30.0
    mean_s = 30.0 * math.expm1(x)
    squared = (math.exp(2 * x) - 2 * x * math.exp(x) - 1) / math.expm1(x) ** 2
    return 200 * (1200 / mean_s - (1 - squared) / 2) / 1200


def busiest(results: Results) -> float:
    """Share of the CPU that the busiest worker has, on average over replications."""
    used = [raw.worker_window_cpu for raw in results.raws]
    return float(sum(one.max() / one.sum() for one in used) / len(used))


def partner_calls(results: Results) -> float:
    """Attempts at the partner for an order."""
    partner = next(one for one in results.classes if one.label == "to-partner")
    return partner.requests * (1 + (partner.gateway_retries.value or 0.0)) / results.total.requests


def larger_half(connections: int) -> float:
    """E[max(B, c - B)] / c for B binomial(c, 1/2)."""
    c = connections
    return sum(math.comb(c, k) * max(k, c - k) for k in range(c + 1)) / 2**c / c


def storm(handshake_us: float, workers: int) -> float:
    """Seconds until the last of 2,000 clients is served."""
    each = handshake_us + 24 + 12 + 46.5 + 81 + OPENING_US
    n = 2000 / workers
    return (n + 1.03 * math.sqrt(n * (1 - 1 / workers))) * each * 1e-6


def weights(name: str, path: str, v2_weight: int) -> Case:
    """A canary's weights."""
    whole = field(name)
    other = whole.partition(":")[0] + ":" + path
    return Case(f"{v2_weight} %", (f"{whole}={v2_weight}", f"{other}={100 - v2_weight}"), v2_weight / 100)


def figures() -> list[Figure | Lines]:
    """All of them."""
    return [*first(), *of_filters(), *of_pods(), *of_egress(), *of_clusters()]


def of_egress() -> list[Figure | Lines]:
    """Through the egress gateway, and past it."""
    fresh = f"{field('egress-mutual').rpartition('.tls')[0]}.connectionPool.http.maxRequestsPerConnection"
    base, signature = 838.0, 1e6 * PROFILE.si("tls.client.rsa2048.mutual_extra_us")
    return [
        Figure("egress-bypass", "requests past the egress gateway, % of billing's", past_the_gateway, 100,
               cases("egress-bypass", ("ALLOW_ANY", 0.25), ("REGISTRY_ONLY", 0.0)), "4s"),
        Figure("egress-mutual", "CPU of the egress gateway per call, µs", lambda r: r.select(gateway="istio-egressgateway").work.cpu_us_per_request, 1,
               [*cases("egress-mutual", ("SIMPLE", None), ("MUTUAL", base + signature)), Case("MUTUAL, kept", (f"{field('egress-mutual')}=MUTUAL", f"{fresh}=0"), None)], "3s"),
        Figure("egress-authorization", "calls refused, %", lambda r: r.total.errors, 100,
               [Case(account, (f"{field('egress-authorization')}=cluster.local/ns/shop/sa/{account}",), part) for account, part in (("billing", 0.6), ("default", 0.4))]
               + [Case("*", (f'{field("egress-authorization")}="*"',), 0.0)], "4s"),
        Figure("egress-wildcard", "calls through the egress gateway, %", through_the_gateway, 100,
               [Case("*.partner.com", (), 1.0), *cases("egress-wildcard", ("eu.partner.com", 1 / 3))], "4s"),
        Figure("egress-database", "a query at the median, ms", lambda r: r.total.client_latency.p50, 1e3,
               [Case("gateway", (), None), Case("sidecar alone", (f"{field('egress-database')}={{host: db.vendor.example, port: {{number: 5432}}}}",), None)], "3s"),
        Figure("egress-connect", "a call with a connection of its own, at the median, ms", lambda r: r.total.client_latency.p50, 1e3,
               [Case("tunnel", (), 0.1816), Case("straight", (f'{field("egress-connect")}=""',), 0.1416)], "5s"),
        Figure("egress-outage", "calls that time out", timed_out, 1, cases("egress-outage", *((f"{t}s", 100.0 * (4 - t)) for t in (1, 2, 3)), ("5s", 0.0)), ""),
    ]


def of_clusters() -> list[Figure | Lines]:
    """Between clusters and tiers."""
    nodes = "clients.orders.arrivals.poisson=200rps"
    return [
        Figure("two-tiers", "connections at each inner pod", lambda r: inner_connections(r) / 2, 1,
               cases("two-tiers", *((str(n), 2.0 * n) for n in (1, 2, 4, 8))), "2s"),
        Figure("cluster-failover", "calls that leave the cluster, %", to_the_other_cluster, 100,
               [*cases("cluster-failover", ("true", 0.0), ("false", 0.5)),
                Case("true, home fails", ("backends.east/payments.shop.faults=[{from: 0s, for: 60s, errors: {503: 100%}}]",), 1.0)], "4s"),
        Figure("eastwest-bottleneck", "work of the busiest of four workers, %", lambda r: busiest_of(r, "istio-eastwestgateway"), 100,
               [Case(str(n), (f"{field('eastwest-bottleneck')}={n}", nodes, "run.warmup=100ms"), busiest_of_many(2 * n, 4)) for n in (2, 4, 8, 16)], "1s"),
        Figure("vm-to-service", "a call at the median, ms", lambda r: r.total.client_latency.p50, 1e3,
               cases("vm-to-service", ("net-vm", None), ("net-west", None)), "3s"),
        Figure("three-clusters", "a call at the median, after the failure, ms", lambda r: r.route("default").client_latency.p50, 1e3,
               [*cases("three-clusters", ("us-west", 40.9e-3), ("eu-north", 90.9e-3)), Case("no locality", (UNLOCATED,), 40.9e-3)], ""),
        Figure("service-to-vm", "calls that go to the data centre, %", lambda r: to_backend(r, "198.51.100.7"), 100,
               cases("service-to-vm", *((str(n), n / (n + 1)) for n in (1, 2, 3, 9))), "8s"),
        Figure("primary-remote", "99 % of the proxies have it after, ms", lambda r: r.total.client_latency.p99, 1e3,
               cases("primary-remote", ("250m", None), ("500m", 0.315), ("1", 0.157 + 0.031), ("2", 0.0785 + 0.031)), ""),
    ]


def to_backend(results: Results, name: str) -> float:
    """Share of the requests to backends that go to the pod of this name."""
    rates = {one.name: one.requests_per_s.value or 0.0 for one in results.backends}
    return sum(rate for pod, rate in rates.items() if pod.endswith(name)) / sum(rates.values())


def past_the_gateway(results: Results) -> float:
    """Share of billing's requests that leave from its sidecar."""
    made = [one for one in results.classes if one.client == "billing"]
    return sum(one.requests for one in made if one.route == "allow_any") / sum(one.requests for one in made)


def through_the_gateway(results: Results) -> float:
    """Share of the calls that come to the egress gateway."""
    return sum(one.requests for one in results.classes if one.gateway.endswith("istio-egressgateway")) / results.total.requests


def timed_out(results: Results) -> float:
    """Requests of a replication that the gateway gave up."""
    return next((one.count for one in results.total.statuses if one.name == "504"), 0) / results.replications


def inner_connections(results: Results) -> float:
    """Connections from the edge to the inner gateway."""
    return next(one for one in results.clusters if one.name.startswith("outbound|80||inner")).counters["upstream_cx_total"] / results.replications


def to_the_other_cluster(results: Results) -> float:
    """Share of the calls that come through the east-west gateway."""
    return sum(one.requests for one in results.classes if one.gateway.endswith("istio-eastwestgateway")) / results.total.requests


def busiest_of(results: Results, gateway: str) -> float:
    """Share of a gateway's CPU that its busiest worker has, on average over replications."""
    workers = [at for at, one in enumerate(results.workers) if one.gateway.endswith(gateway)]
    used = [raw.worker_window_cpu[workers] for raw in results.raws]
    return float(sum(one.max() / one.sum() for one in used) / len(used))


def busiest_of_many(connections: int, workers: int) -> float:
    """E[max] / c of a multinomial of c connections over equal workers."""
    below = 0.0
    for most in range(connections):
        row = np.ones(1)
        part = np.array([1 / math.factorial(i) for i in range(most + 1)])
        for _ in range(workers):
            row = np.convolve(row, part)[: connections + 1]
        if len(row) > connections:
            below += row[connections] * math.factorial(connections) / workers**connections
    return (connections - below) / connections


def of_pods() -> list[Figure | Lines]:
    """Gateway pods that come and go."""
    drain = field("scale-in")
    return [
        Figure("grpc-replicas", "work of the new pods in 30 s, %", of_new_pods, 100,
               [*cases("grpc-replicas", ("3600s", 0.0), *((f"{age}s", 2 / 3 * (20 - age / 2) / 30) for age in (16, 8, 4))),
                Case("50 requests", ("clients.peer.connection.requests=50",), 2 / 3 * 16 / 30)], ""),
        Lines("scale-in", "failed requests per second (pods: dashed)", failed_rps, pods_over_time,
              [Case("drain 5 s", (), None), Case("drain 35 s", (f'{drain}="terminationDrainDuration: 35s"',), None)]),
        Figure("external-traffic-policy", "requests of the busiest pod, times its share", busiest_pod, 1,
               [*cases("external-traffic-policy", ("Local", 4 / 3), ("Cluster", 1.0)), Case("Local, 4 nodes", ("gateway.istio-ingressgateway.nodes=4",), 1.0)], "8s"),
        Figure("zone-failover", "failed requests", failed, 1, cases("zone-failover", ("5", 5.0), ("20", 20.0), ("0", 360.0)), ""),
        Figure("two-gateways", "requests served by reviews, %", by_reviews, 100,
               [Case("2026", (), 0.0), Case("2025", (f"{field('two-gateways')}=2025-01-01T00:00:00Z",), 0.3),
                Case("2026, /old", ("VirtualService/team-a/shop:spec.http[0].match[0].uri.prefix=/old",), 0.3)], "4s"),
    ]


def busiest_pod(results: Results) -> float:
    """Requests of the pod that gets the most, over the mean of the pods."""
    rates = [one.requests_per_s.value or 0.0 for one in results.pods]
    return max(rates) / (sum(rates) / len(rates))


def erlang_loss(c: int, a: float) -> float:
    """Erlang's B: what c places lose of a load of a."""
    lost = 1.0
    for k in range(1, c + 1):
        lost = a * lost / (k + a * lost)
    return lost


def failed(results: Results) -> float:
    """Failed requests of a replication."""
    return (results.total.errors.value or 0.0) * results.total.requests / results.replications


def by_reviews(results: Results) -> float:
    """Share of the requests that the reviews service got."""
    return sum(one.count for one in results.total.clusters if "reviews" in one.name) / results.total.requests


def of_new_pods(results: Results) -> float:
    """Share of the CPU that the pods beyond the first two have."""
    cores = [one.cpu_cores.value or 0.0 for one in results.pods]
    return sum(cores[2:]) / sum(cores)


def failed_rps(results: Results) -> Floats:
    """Failed requests per second, by time bin."""
    return np.nan_to_num(results.timeline.errors.value * results.timeline.served_rps.value)


def pods_over_time(results: Results) -> Floats:
    """Gateway pods, by time bin."""
    return next(iter(results.timeline.pods.values())).value


def of_filters() -> list[Figure]:
    """What filters and observability add."""
    limit = field("global-rate-limit").rpartition(".")[0]
    traces = "Telemetry/istio-system/mesh:spec.tracing[0].randomSamplingPercentage"
    script = "EnvoyFilter/api/operation-name:spec.workloadSelector.labels.gateway=none"
    return [
        Figure("global-rate-limit", "errors (refused with 429, or failed with 500), %", lambda r: r.total.errors, 100,
               [Case(f"{label}{', 5 ms' if s == '0.005' else ''}", (f"{field('global-rate-limit')}={deny}", f"{limit}.timeout={s}s"),
                     0.25 * (1 - late(float(s))) + (late(float(s)) if deny == "true" else 0.0))
                for s in ("0.02", "0.005") for label, deny in (("open", "false"), ("closed", "true"))]),
        Figure("graphql-gateway", "gateway CPU per query, µs", lambda r: r.select(shape="query").work.cpu_us_per_request, 1,
               [Case("api", (), None), *cases("graphql-gateway", ("none", None)), Case("none, no script", (f"{field('graphql-gateway')}=none", script), None)]),
        Figure("observability-cost", "gateway CPU per request, µs", lambda r: r.total.work.cpu_us_per_request, 1,
               [*cases("observability-cost", ("false", None), ("true", None)), Case("false, all traced", (f"{traces}=100",), None)]),
    ]


def late(timeout_s: float) -> float:
    """Share of checks that take longer than the time-out: exponential, 5 ms, and half a millisecond on the way."""
    return math.exp(-(timeout_s - 0.0005) / 0.005)


def first() -> list[Figure]:
    """Those of ingress."""
    mesh = (HERE / "api-gateway" / "istio" / "authorization.yaml").read_text(encoding="utf-8").split("mesh: |\n")[1].split("---")[0]
    opened = mesh.replace("failOpen: false", "failOpen: true")
    rsa, ecdsa = (PROFILE.si(f"tls.handshake.{kind}.tls13_full_us") * 1e6 for kind in ("rsa2048", "p256"))
    return [
        Figure("tls-termination", "gateway CPU per request, µs", lambda r: r.total.work.cpu_us_per_request, 1,
               [*cases("tls-termination", ("SIMPLE", None), ("MUTUAL", None)), Case("SIMPLE, RSA", ("Gateway/shop/shop:spec.servers[0].tls.credentialName=shop-rsa",), None)]),
        Figure("tls-passthrough", "gateway CPU per connection, µs", lambda r: r.total.work.cpu_us_per_request, 1,
               [*cases("tls-passthrough", ("PASSTHROUGH", 831), ("SIMPLE", 924)),
                Case("SIMPLE, RSA", (f"{field('tls-passthrough')}=SIMPLE", "Gateway/shop/shop:spec.servers[0].tls.credentialName=shop-rsa"), 1612)], "5s"),
        Figure("egress-passthrough", "a call at the median, ms", lambda r: r.select(client="orders").client_latency.p50, 1e3,
               [Case("gateway", (), 0.1135), Case("sidecar alone", (f"{field('egress-passthrough')}={{host: api.partner.com, port: {{number: 443}}}}",), 0.1117)], "4s"),
        Figure("tcp-gateway", "connections refused, %", lambda r: r.total.errors, 100,
               cases("tcp-gateway", *((str(n), erlang_loss(n, 20.48)) for n in (10, 20, 30, 40)))),
        Figure("tcp-scale-out", "work of the new pods in 30 s, %", of_new_pods, 100,
               [Case("none", (), 0.0), *cases("tcp-scale-out", *((f"{s}s", (30 - max(5, s)) / 60) for s in (20, 10, 5)))], ""),
        Figure("websocket", "sockets cut per second", lambda r: r.streams[0].cut_per_s, 1,
               [*cases("websocket", *((f"{s}s", first_gaps(s)) for s in (0, 45, 60, 120))), Case("60s, ping 30s", ("clients.sockets.mix[0].stream.ping=30s",), 0.0)], ""),
        Figure("grpc-streams", "subscriptions refused, %", lambda r: r.total.errors, 100,
               cases("grpc-streams", *((str(n), erlang_loss(n, 1100)) for n in (900, 1024, 1100, 1280))), ""),
        Figure("reconnect-storm", "last client served after, s", lambda r: r.total.client_latency.p99, 1,
               [*cases("reconnect-storm", ("shop-rsa", storm(rsa, 4)), ("shop-ecdsa", storm(ecdsa, 4))), Case("shop-rsa, 4 pods", (f"{ONE_POD}.replicas=4",), storm(rsa, 8))], ""),
        Figure("canary", "stable requests served by v2, %", v2, 100, [weights("canary", "spec.http[1].route[0].weight", w) for w in (10, 25, 50)]),
        Figure("canary-gateway-api", "stable requests served by v2, %", v2, 100, [weights("canary-gateway-api", "spec.rules[0].backendRefs[0].weight", w) for w in (10, 25, 50)]),
        Figure("max-connections", "requests served per second", lambda r: r.throughput.good_rps, 1,
               cases("max-connections", *((str(n), min(2 * n / 0.1005, 600)) for n in (8, 16, 24, 46)))),
        Figure("default-retries", "attempts beyond the first per cart request, %", lambda r: r.route("cart").gateway_retries, 100,
               [Case("default", (), 1 / 3), *cases("default-retries", ("{attempts: 0}", 0.0), ("{attempts: 1}", 1 / 3))]),
        Figure("retry-storm", "errors in the last fifth, %", late_errors, 100, [Case("no budget", (), None), *cases("retry-storm", ("10%", 0.0), ("20%", 0.0))], ""),
        Figure("config-update", "requests that fail, %", lambda r: r.total.errors, 100,
               cases("config-update", *((f"{s}s", max(6 - s, 0) / 10) for s in (2, 4, 5, 7))), "10s"),
        Figure("backend-rollout", "requests that fail, %", lambda r: r.total.errors, 100,
               cases("backend-rollout", *((str(s), max(3 - s, 0) / 22) for s in (1, 2, 3, 5))), "22s"),
        Figure("one-connection", "CPU of the busier worker, % of the pod's", busiest, 100,
               [*cases("one-connection", *((str(n), larger_half(n)) for n in (1, 4, 16, 64))), Case("2, exact", (f"{field('one-connection')}=2", f"{ONE_POD}.balance=exact"), 0.5)], "2s"),
        Figure("local-rate-limit", "requests passed per second", lambda r: r.throughput.good_rps, 1,
               [*cases("local-rate-limit", ("30", 60), ("60", 120)), Case("60, 4 pods", (f"{ONE_POD}.replicas=4",), 240)]),
        Figure("authorization", "requests refused, %", lambda r: r.total.errors, 100, cases("authorization", ("DENY", 0.3), ("AUDIT", 0.0))),
        Figure("fault-injection", "injected delay per request, s", lambda r: injected(r, Component.INJECTED_DELAY), 1,
               cases("fault-injection", *((str(p), 2 * p / 100) for p in (0, 10, 25, 50)))),
        Figure("api-gateway", "requests refused, %", lambda r: r.total.errors, 100,
               [Case("failOpen: false", (), 0.03), Case("failOpen: true", (f"{field('api-gateway')}={json.dumps(opened)}",), 0.0)]),
        Figure("autoscaler-target", "gateway pods", lambda r: float(r.fleets[0].pods), 1,
               cases("autoscaler-target", *((str(t), float(math.ceil(0.155 / (t / 1000)))) for t in (80, 60, 40, 20))), "4s"),
        Figure("cpu-limit", "p99 at the client, ms", lambda r: r.total.client_latency.p99, 1e3, cases("cpu-limit", ("500m", None), ("1", None), ("4", None))),
        Figure("sizing", "workers busy, %", lambda r: r.fleets[0].utilisation, 100, cases("sizing", *((str(n), (0.25 * 1.5 + 0.35 * 0.048) / n) for n in (1, 2, 4))), "3s"),
        Figure("egress-http", "a call at the median, ms", lambda r: r.total.client_latency.p50, 1e3,
               [Case("gateway", (), 0.05005 + 0.0004 + 2 * 0.000146 + 247e-6), Case("sidecar alone", (f"{field('egress-http')}={{host: api.partner.com, port: {{number: 443}}}}",), 0.05005 + 0.000146 + 119.5e-6),
                Case("gateway, new connections", ("DestinationRule/shop/partner:spec.trafficPolicy.portLevelSettings[0].connectionPool.http.maxRequestsPerConnection=1",), 0.11005 + 0.0004 + 2 * 0.000146 + 777e-6)], "3s"),
        Figure("egress-nat", "calls answered per second", lambda r: r.throughput.good_rps, 1,
               [Case(f"{n} ports", (f"nat.cloud.ports={n}",), min(2 * n / 30.17, 10.0)) for n in (32, 64, 128, 256)], "120s"),
        Figure("order-journey", "calls of the partner for an order", partner_calls, 1, cases("order-journey", ("{attempts: 2, retryOn: 5xx}", 27.0), ("{attempts: 1, retryOn: 5xx}", 18.0), ("{attempts: 0}", 9.0)), "6s"),
        Figure("pull-request", "requests that fail, %", lambda r: r.total.errors, 100,
               cases("pull-request", *((f"{ms}ms", beyond(ms)) for ms in (1000, 100, 60, 40)))),
    ]


def beyond(timeout_ms: float) -> float:
    """Share of service times above the time-out, less 0.6 ms on the way."""
    return 0.5 * math.erfc(math.log((timeout_ms - 0.6) / 10) / (math.log(6) / 2.3263) / math.sqrt(2))


def simulated(name: str, case: Case, duration: str) -> Results:
    """The results of a case."""
    given = Given(paths=(str(HERE / name),), settings=case.settings, replications=REPLICATIONS.get(name, 2), duration=duration or None)
    return run_case(prepare(given), engine="reference", workers=1).results


def draw(figure: Figure | Lines) -> None:
    """One figure as SVG, the same bytes for the same numbers."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": figure.name, "svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif"})
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(6.4, 2.9), layout="constrained")
    ax = drawing.subplots()
    if isinstance(figure, Lines):
        draw_lines(ax, figure)
    else:
        draw_bars(ax, figure)
    ax.set_title(figure.axis, loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    FIGURES.mkdir(parents=True, exist_ok=True)
    drawing.savefig(FIGURES / f"{figure.name}.svg", metadata={"Date": None, "Creator": None})


def draw_lines(ax: Axes, figure: Lines) -> None:
    """A line a case over the time of the run."""
    for case, color in zip(figure.cases, ("#4c78a8", "#f58518", "#54a24b"), strict=False):
        results = simulated(figure.name, case, figure.duration)
        at = results.timeline.edges_s[:-1]
        shown = at < results.labels.duration_s
        ax.step(at[shown], figure.measure(results)[shown], where="post", color=color, label=case.label)
        if figure.beside is not None:
            ax.step(at[shown], figure.beside(results)[shown], where="post", color=color, linestyle="--", linewidth=1)
    ax.legend(frameon=False, loc="upper right", fontsize=9)
    ax.set_ylim(0, ax.get_ylim()[1] * 1.25)
    ax.set_xlabel("seconds", fontsize=8)


def draw_bars(ax: Axes, figure: Figure) -> None:
    """A bar a case with its interval, and a mark at what is derived."""
    top = 0.0
    for x, case in enumerate(figure.cases):
        got = figure.measure(simulated(figure.name, case, figure.duration))
        value = (got.value or 0.0) if isinstance(got, Estimate) else got
        low, high = (got.low, got.high) if isinstance(got, Estimate) else (None, None)
        ax.bar(x, value * figure.factor, width=0.5, color="#4c78a8", label="simulated" if x == 0 else None)
        if low is not None and high is not None:
            ax.errorbar(x, value * figure.factor, yerr=[[(value - low) * figure.factor], [(high - value) * figure.factor]], color="#222", capsize=4)
        if case.derived is not None:
            ax.plot([x - 0.36, x + 0.36], [case.derived * figure.factor] * 2, color="#e45756", linewidth=2.2)
        shown = value * figure.factor
        ax.annotate(f"{shown:,.0f}" if shown >= 1000 else f"{shown:.3g}", (x, value * figure.factor), ha="center", va="bottom", xytext=(17, 2), textcoords="offset points")
        top = max(top, value * figure.factor, (case.derived or 0.0) * figure.factor, (high or 0.0) * figure.factor)
    if any(case.derived is not None for case in figure.cases):
        ax.plot([], [], color="#e45756", linewidth=2.2, label="derived")
        ax.legend(frameon=False, loc="upper right", fontsize=9)
    ax.set_xticks(range(len(figure.cases)), [case.label for case in figure.cases])
    ax.set_ylim(0, (top or 1.0) * 1.5)
    ax.set_xlabel(brief(field(figure.name)), fontsize=8)


def main(names: Sequence[str]) -> None:
    """Draw those named, or all."""
    for figure in figures():
        if not names or figure.name in names:
            draw(figure)
            print(figure.name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
