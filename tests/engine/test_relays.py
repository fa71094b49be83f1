"""Relays: chains of proxies, by hand, by theory and by identities."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import (
    MS,
    US,
    client,
    cluster,
    derived,
    downstream,
    exponential,
    fleet,
    local,
    model,
    poisson,
    records,
    relay,
    replay,
    retry,
    shape,
    station,
    to,
    upstream,
    visits,
)
from chained import chained

from gwsim.engine import schema
from gwsim.engine.codes import Component, Counter, Flag, Visit
from gwsim.engine.reference import Options, run
from gwsim.engine.schema import (
    ANSWER_RESET,
    ANSWER_TIMEOUT,
    ANSWER_UPSTREAM,
    HANDSHAKE_FULL,
    HANDSHAKE_RESUMED,
    RawRun,
    differences,
)
from gwsim.errors import UsageError
from gwsim.scenario.model import CallOut, Change, Connection, Lifecycle, Model, Outcome, Relay

ALL = Options(records=10**6, trace=10**6, digest=True)
FIRST_COMPONENT = schema.RECORD_FIELDS.index("client_network_ns")


def two_proxies(tls: Any = None, offers_ticket: float = 0.0, arrivals: Any = None, **breakers: int) -> Model:
    """Section 20's worked example: client, sidecar A, gateway B, backend; one worker each."""
    costs = downstream(accept_s=5 * US, client_hello_full_s=40 * US, client_hello_resumed_s=15 * US, finished_full_s=8 * US, read_s=10 * US, write_down_s=4 * US)
    up = upstream(write_up_s=4 * US, read_up_s=6 * US, up_connected_s=3 * US, up_tls_s=20 * US)
    loop = {"wakeup_s": 10 * US, "iteration_s": 2 * US}
    return replace(
        model(
            client(arrivals or replay(0.0), shape(to(0)), rtt_s=2 * US, costs=costs),
            derived("hop", 1, shape(to(1)), costs=costs, connection=Connection(tls=tls, offers_ticket=offers_ticket)),
            clusters=(cluster(0, name="gateway", costs=up, **breakers), cluster(1, name="backend", costs=up)),
            stations=(relay(1), station(30 * US, name="b1", zone="b")),
            fleets=(fleet(**loop), fleet(name="gw2", **loop)),
            duration_s=1e-3,
        ),
        network=replace(model().network, same_zone_rtt_s=20 * US, cross_zone_rtt_s=10 * US),
    )


def spent(record: Any) -> dict[str, float]:
    """The components of a record that are not nothing, microseconds."""
    return {c.name: ns / 1000 for c in Component if (ns := getattr(record, f"{c.name.lower()}_ns"))}


# --- by hand -------------------------------------------------------------------------------------------------


def test_the_worked_example() -> None:
    raw = run(two_proxies(), 0, ALL)
    assert [(v.worker, v.visit, v.start_ns // 1000, v.end_ns // 1000, v.source) for v in visits(raw)] == [
        (0, "READ", 13, 23, 0), (0, "WRITE_UP", 25, 29, 0),
        (1, "READ", 51, 61, 1), (1, "WRITE_UP", 63, 67, 1), (1, "READ_UP", 119, 125, 1), (1, "WRITE_DOWN", 127, 131, 1),
        (0, "READ_UP", 153, 159, 0), (0, "WRITE_DOWN", 161, 165, 0),
    ]
    web, hop = records(raw)
    assert (web.start_ns, web.end_ns, hop.start_ns, hop.end_ns) == (0, 166_000, 29_000, 141_000)
    assert spent(web) == {"CLIENT_NETWORK": 2, "WORKER_QUEUE": 28, "PROXY_CPU": 24, "NEXT_HOP": 112}
    assert spent(hop) == {"CLIENT_NETWORK": 20, "WORKER_QUEUE": 28, "PROXY_CPU": 24, "UPSTREAM_NETWORK": 10, "UPSTREAM_SERVICE": 30}
    assert raw.requests[0] == 1
    assert raw.station_jobs.tolist() == [1, 1]
    assert (web.upstream_ns, hop.upstream_ns) == (112_000, 40_000)


def test_the_worked_example_with_a_handshake() -> None:
    raw = run(two_proxies("1.3", max_connections=0), 0, ALL)
    assert [(v.worker, v.visit, v.start_ns // 1000, v.end_ns // 1000, v.source) for v in visits(raw)] == [
        (0, "READ", 13, 23, 0), (0, "UP_CONNECTED", 55, 58, 0),
        (1, "ACCEPT", 65, 70, 0), (1, "CLIENT_HELLO", 72, 112, 0),
        (0, "UP_TLS", 134, 154, 0), (0, "WRITE_UP", 156, 160, 0),
        (1, "READ", 176, 194, 0), (1, "WRITE_UP", 196, 200, 1), (1, "READ_UP", 252, 258, 1), (1, "WRITE_DOWN", 260, 264, 1),
        (0, "READ_UP", 286, 292, 0), (0, "WRITE_DOWN", 294, 298, 0),
    ]
    web, hop = records(raw)
    assert spent(web) == {"CLIENT_NETWORK": 2, "POOL_WAIT": 111, "PROXY_CPU": 44, "WORKER_QUEUE": 28, "NEXT_HOP": 114}
    assert (hop.start_ns, hop.end_ns, hop.handshake) == (160_000, 274_000, HANDSHAKE_FULL)
    assert raw.worker_connections.tolist() == [0, 1]


@pytest.mark.parametrize(("offers", "kinds"), [(1.0, [HANDSHAKE_FULL, HANDSHAKE_RESUMED]), (0.0, [HANDSHAKE_FULL, HANDSHAKE_FULL])])
def test_a_pod_known_to_the_pool_resumes(offers: float, kinds: list[int]) -> None:
    m = two_proxies("1.3", offers, replay(0.0, 0.5 * MS), max_connections=0)
    gateway = replace(m.clusters[0], cluster=replace(m.clusters[0].cluster, max_requests_per_connection=1))
    raw = run(replace(m, clusters=(gateway, m.clusters[1])), 0, ALL)
    assert [r.handshake for r in records(raw) if r.source == 1] == kinds
    hellos = [round((v.end_ns - v.start_ns) / 1000) for v in visits(raw) if v.visit == "CLIENT_HELLO"]
    assert hellos == [40, 15 if offers else 40]
    assert raw.worker_visits[1, Visit.CLOSE] == 1  # the first connection had taken its one request


# --- by theory -----------------------------------------------------------------------------------------------


def test_two_proxies_that_cost_nothing_are_a_longer_way() -> None:
    """M/D/1 behind one proxy and behind two: every request takes the round trip between the proxies more, and no more."""
    web = client(poisson(300.0))
    one = model(web, clusters=(cluster(0, http=2),), stations=(station(2 * MS, concurrency=1),))
    two = replace(
        one,
        clients=(replace(web, mix=(shape(to(1)),)), derived("hop", 1, shape(to(0)))),
        clusters=(one.clusters[0], cluster(1, name="next", http=2)),
        stations=(*one.stations, replace(relay(1, name="b1"), zone="far")),
        fleets=(fleet(), fleet(name="gw2")), network=replace(one.network, rtt_s={("a", "far"): 4 * MS}),
    )
    before = {r.number: r for r in records(run(one, 0, ALL))}
    after = {r.number: r for r in records(run(two, 0, ALL)) if r.source == 0}
    assert len(before) > 200
    for number, r in before.items():
        assert after[number].end_ns - after[number].start_ns == r.end_ns - r.start_ns + 4 * 10**6
    assert max(r.upstream_queue_ns for r in before.values()) > 2 * 10**6


def test_a_chain_adds_its_ways_exactly() -> None:
    """Five proxies that cost nothing, 1 ms from one to the next."""
    n = 5
    clients = (client(replay(0.0), shape(to(1))), *(derived(f"hop{i}", i, shape(to(i + 1 if i < n - 1 else 0))) for i in range(1, n)))
    m = model(
        *clients,
        clusters=tuple(cluster(i, name=f"c{i}") for i in range(n)),
        stations=(station(7 * MS), *(relay(i, name=f"b{i}", classes=n) for i in range(1, n))),
        fleets=tuple(fleet(name=f"gw{i}") for i in range(n)),
        rtt_s=1 * MS,
    )
    raw = run(m, 0, ALL)
    assert [r.end_ns - r.start_ns for r in records(raw)] == [12 * 10**6 + 2, 12 * 10**6, 11 * 10**6, 10 * 10**6, 9 * 10**6]


# --- failures ------------------------------------------------------------------------------------------------


def test_retries_at_every_layer_multiply() -> None:
    """Two retries at each of three proxies: 27 jobs for one request."""
    policy = retry(2, base_interval_s=1e-3, max_interval_s=1e-3)
    n = 3
    clients = (
        client(replay(0.0), shape(to(1, policy=policy))),
        derived("hop1", 1, shape(to(2, policy=policy))), derived("hop2", 2, shape(to(0, policy=policy))),
    )
    m = model(
        *clients, clusters=tuple(cluster(i, name=f"c{i}") for i in range(n)),
        stations=(station(errors=((1.0, 503),)), relay(1, name="b1"), relay(2, name="b2")), fleets=tuple(fleet(name=f"gw{i}") for i in range(n)),
    )
    raw = run(m, 0, ALL)
    assert raw.station_jobs.tolist() == [27, 3, 9]
    assert raw.cluster_counters[:, Counter.UPSTREAM_RQ_RETRY].tolist() == [18, 2, 6]
    assert raw.offered.tolist() == [1, 3, 9]
    web = records(raw)[0]
    assert (web.status, web.answer, web.gateway_attempts) == (503, ANSWER_UPSTREAM, 3)
    assert web.flags & Flag.URX


@pytest.mark.parametrize("http", [1, 2])
def test_a_time_out_at_the_first_proxy_ends_the_request_at_the_second(http: int) -> None:
    m = model(
        client(replay(0.0, 20 * MS, 90 * MS), shape(to(1, timeout_s=5 * MS))), derived("hop", 1, shape(to(0))),
        clusters=(cluster(0, name="backend"), cluster(1, name="next", http=http)),
        stations=(station(50 * MS), relay(1, name="b1")), fleets=(fleet(), fleet(name="gw2")), rtt_s=2 * MS, duration_s=0.1,
    )
    raw = run(m, 0, ALL)
    web, _, _, hop, _, _ = records(raw)
    assert (web.status, web.flags, web.end_ns - web.start_ns) == (504, Flag.UT, 5 * 10**6 + 2)
    assert web.next_hop_ns == 5 * 10**6
    assert (hop.status, hop.flags, hop.answer, hop.end_ns) == (0, Flag.DC, ANSWER_TIMEOUT, 5 * 10**6 + 1)
    assert raw.gw_flags[1, int(Flag.DC).bit_length() - 1] == 2
    assert raw.cluster_counters[1, Counter.UPSTREAM_RQ_TIMEOUT] == 3
    destroyed = raw.cluster_counters[:, Counter.UPSTREAM_CX_DESTROY]
    assert destroyed.tolist() == ([2, 3] if http == 1 else [2, 0])  # B closes its own to the backend, A's link only over HTTP/1.1
    kind = "CLOSE" if http == 1 else "READ"
    assert [v.start_ns // 10**6 for v in visits(raw) if v.worker == 1 and v.visit == kind][http - 1 :: http] == [6, 26]


def test_a_local_reply_goes_through_the_chain() -> None:
    """What the second proxy answers is what the first one reads and hands on, byte for byte."""
    outcome = replace(local(404, "NR"), local_bytes=900)
    m = model(
        client(replay(0.0), shape(to(0), down=5000)), derived("hop", 1, shape(outcome)),
        clusters=(cluster(0, costs=upstream(read_up_byte_s=1e-6)),), stations=(relay(1),), fleets=(fleet(), fleet(name="gw2")),
    )
    raw = run(m, 0, ALL)
    web, hop = records(raw)
    assert (hop.status, hop.flags, hop.response_bytes) == (404, Flag.NR, 900)
    assert (web.status, web.flags, web.response_bytes, web.answer) == (404, 0, 900, ANSWER_UPSTREAM)
    assert [v.cost_ns for v in visits(raw) if v.visit == "READ_UP"] == [900_000]
    assert raw.cluster_counters[0, Counter.UPSTREAM_RQ_4XX] == 1


def test_outlier_detection_drains_links_to_the_next_proxy() -> None:
    from gwsim.topology import OutlierDetection

    m = model(
        client(poisson(500.0), shape(to(0))), derived("hop", 1, shape(local(503))),
        clusters=(cluster(0, 1),), stations=(relay(1, pod=0), relay(1, name="b1", pod=1)),
        fleets=(fleet(workers=3), fleet(2, name="gw2")), duration_s=0.2,
    )
    detection = OutlierDetection(consecutive_5xx=5, interval_s=0.05, base_ejection_time_s=0.02, max_ejection_percent=100)
    k = m.clusters[0]
    raw = run(replace(m, clusters=(replace(k, cluster=replace(k.cluster, outlier_detection=detection)),)), 0, ALL)
    ejected = raw.cluster_counters[0, Counter.OUTLIER_EJECTIONS_ENFORCED_TOTAL]
    assert ejected >= 2
    assert raw.worker_visits[3:, Visit.CLOSE].sum() == raw.cluster_counters[0, Counter.UPSTREAM_CX_DESTROY] >= 2


def test_a_proxy_that_takes_long_to_shake_hands_is_given_up() -> None:
    m = two_proxies("1.3", arrivals=replay(0.0, 40 * MS), max_connections=0)
    gateway = replace(m.clusters[0], cluster=replace(m.clusters[0].cluster, connect_timeout_s=2 * MS))
    slow = replace(m.clients[1], costs=replace(m.clients[1].costs, client_hello_full_s=10 * MS))
    raw = run(replace(m, clients=(m.clients[0], slow), clusters=(gateway, m.clusters[1]), run=replace(m.run, duration_s=0.1)), 0, ALL)
    assert raw.cluster_counters[0, Counter.UPSTREAM_CX_CONNECT_TIMEOUT] == 2
    web = records(raw)[0]
    assert (web.status, web.flags, web.gateway_attempts) == (503, Flag.UF, 1)
    assert [v.visit for v in visits(raw) if v.worker == 1][:3] == ["ACCEPT", "CLIENT_HELLO", "CLOSE"]
    assert raw.offered.tolist() == [2, 0]


def test_a_pod_that_is_killed_ends_what_it_had_sent_on() -> None:
    """The proxy behind it hears so half a round trip later, the client after its own."""
    m = model(
        client(replay(0.0, 50 * MS), shape(to(1)), rtt_s=4 * MS), derived("hop", 1, shape(to(0))),
        clusters=(cluster(0, name="backend"), cluster(1, name="next")), stations=(station(20 * MS), relay(1, name="b1")),
        fleets=(fleet(lifecycle=Lifecycle(initial=1, start_s=1.0, deregister_s=1.0, drain_s=1.0, changes=(Change(at_s=10 * MS, kind="kill"),))), fleet(name="gw2")),
        rtt_s=2 * MS, duration_s=0.1,
    )
    raw = run(m, 0, ALL)
    web, _, hop = records(raw)
    assert (web.status, web.answer, web.end_ns) == (0, ANSWER_RESET, 12 * 10**6)
    assert (hop.status, hop.flags, hop.answer, hop.end_ns) == (0, Flag.DC, ANSWER_TIMEOUT, 10 * 10**6)
    assert [(v.visit, v.start_ns) for v in visits(raw) if v.worker == 1][-1] == ("CLOSE", 11 * 10**6)
    assert raw.gw_flags[1, int(Flag.DC).bit_length() - 1] == 1


# --- load balancing ------------------------------------------------------------------------------------------


def test_links_are_spread_by_the_load_balancer_or_go_to_their_pod() -> None:
    def streams(pod: int | None) -> list[int]:
        m = model(
            client(poisson(2000.0), shape(to(0))), derived("hop", 1, shape(local(200))),
            stations=(relay(1, pod=pod),), fleets=(fleet(4, 4), fleet(3, name="gw2", front="round_robin")), duration_s=0.5,
        )
        by_pod: list[int] = run(m, 0).worker_streams[16:].tolist()
        return by_pod

    assert all(n > 0 for n in streams(None))
    assert [n > 0 for n in streams(1)] == [False, True, False]


# --- identities ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [s for s in range(30) if s != 9])
def test_identities(seed: int) -> None:
    m = chained(seed)
    raw = run(m, 0, ALL)
    roots = sum(not c.name.startswith(("relay", "call")) for c in m.clients)
    source = raw.records[:, schema.RECORD_FIELDS.index("source")]
    assert raw.area == raw.sojourn
    assert raw.requests == (source < roots).sum() + raw.in_flight
    latency = raw.records[:, schema.RECORD_FIELDS.index("end_ns")] - raw.records[:, schema.RECORD_FIELDS.index("start_ns")]
    components = raw.records[:, FIRST_COMPONENT:]
    assert (components >= 0).all()
    assert (components.sum(axis=1) == latency).all()
    assert (raw.latency_sum == raw.component_sum.sum(axis=1)).all()
    assert (raw.finished <= raw.offered).all()
    assert (raw.station_errors <= raw.station_jobs - raw.station_rejected).all()
    if not any(shape_.outcome.tcp for c in m.clients for shape_ in c.mix):  # UPSTREAM_RQ_TOTAL counts their connections
        assert raw.station_jobs.sum() <= raw.cluster_counters[:, Counter.UPSTREAM_RQ_TOTAL].sum()
    workers_add_up(m, raw)


def patient(m: Model) -> Model:
    """The model without time-outs of any kind."""

    def wait(outcome: Outcome) -> Outcome:
        policy = None if outcome.retry is None else replace(outcome.retry, per_try_timeout_s=None)
        return replace(outcome, timeout_s=0.0, retry=policy, idle_timeout_s=0.0, max_duration_s=0.0)

    clients = tuple(replace(c, timeout_s=None, mix=tuple(replace(s, outcome=wait(s.outcome)) for s in c.mix)) for c in m.clients)
    return replace(m, clients=clients, run=replace(m.run, max_in_flight=10**6))


@pytest.mark.parametrize("seed", range(1, 16, 2))
def test_nothing_is_left_when_nobody_gives_up(seed: int) -> None:
    """Every request that was made for another has ended before it, all the way down, and its caller was told."""
    m = patient(chained(seed, frozenset()))
    raw = run(m, 0, ALL)
    assert (raw.finished == raw.offered).all()
    assert (raw.gw_flags[:, int(Flag.DC).bit_length() - 1] == 0).all()


def workers_add_up(m: Model, raw: RawRun) -> None:
    """CPU of every worker is that of its visits, wake-ups and iterations; visits do not overlap."""
    costs = [(f.wakeup_s, f.iteration_s) for f in m.fleets for pod in f.pods for _ in range(pod.workers)]
    for w, (wakeup_s, iteration_s) in enumerate(costs):
        other = round(wakeup_s * 1e9) * raw.worker_wakeups[w] + round(iteration_s * 1e9) * raw.worker_iterations[w]
        assert raw.worker_cpu[w] == raw.worker_visit_ns[w] + other
        of = raw.trace[raw.trace[:, 1] == w]
        assert raw.worker_visit_ns[w] == of[:, 7].sum()
        assert (of[1:, 0] >= of[:-1, 0] + of[:-1, 7]).all()


def test_what_a_relay_takes_is_the_next_hop_of_its_caller() -> None:
    """Without failures: NEXT_HOP of a request is the latency of what it became at the next proxy, for every one."""
    m = model(
        client(poisson(400.0), shape(to(0))), derived("hop", 1, shape(to(1)), costs=downstream(read_s=500 * US)),
        clusters=(cluster(0), cluster(1, name="backend")),
        stations=(relay(1), station(exponential(2 * MS), name="b1", concurrency=2)),
        fleets=(fleet(2, 2, iteration_s=20 * US), fleet(name="gw2", wakeup_s=50 * US)), rtt_s=0.5 * MS,
    )
    raw = run(m, 0, ALL)
    latencies = np.sort([r.end_ns - r.start_ns for r in records(raw) if r.source == 1])
    hops = np.sort([r.next_hop_ns for r in records(raw) if r.source == 0])
    assert len(hops) > 300
    assert np.isin(hops, latencies).all()
    assert raw.component_sum[0, Component.NEXT_HOP] == raw.latency_sum[1]
    assert raw.finished[0] == raw.finished[1] == raw.offered[1]


def test_runs_with_chains_are_deterministic() -> None:
    m = chained(2)
    assert not differences(run(m, 0, ALL), run(m, 0, ALL))
    assert differences(run(m, 0, ALL), run(m, 1, ALL))


# --- what is not allowed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: replace(m, clients=(m.clients[0], replace(m.clients[1], arrivals=poisson(1.0)))), "no arrivals of its own"),
        (lambda m: replace(m, clients=(m.clients[0], replace(m.clients[1], own_pod=True, arrivals=poisson(1.0)))), "no arrivals of its own"),
        (lambda m: replace(m, clients=(m.clients[0], replace(m.clients[1], connection=Connection(tls="1.2")))), "TLS 1.3"),
        (lambda m: replace(m, stations=(replace(m.stations[0], concurrency=1), m.stations[1])), "stands for a proxy"),
        (lambda m: replace(m, stations=(replace(m.stations[0], keepalive_s=1.0), m.stations[1])), "stands for a proxy"),
        (lambda m: replace(m, stations=(m.stations[0], replace(m.stations[1], calls=((CallOut(client=1, shape=0),),)))), "not both"),
        (lambda m: replace(m, stations=(replace(m.stations[0], relay=Relay(client=1, pod=7, shapes={(0, 0): 0})), m.stations[1])), "no pod 7"),
        (lambda m: replace(m, stations=(replace(m.stations[0], relay=Relay(client=1, pod=0, shapes={})), m.stations[1])), "no shape for requests"),
        (lambda m: replace(m, stations=(replace(m.stations[0], relay=Relay(client=1, pod=0, shapes={(0, 0): 3})), m.stations[1])), "only 1 shapes"),
        (
            lambda m: replace(m, fleets=(m.fleets[0], replace(m.fleets[1], lifecycle=Lifecycle(initial=1, start_s=1.0, deregister_s=1.0, drain_s=1.0, changes=(Change(at_s=0.1, kind="add"),))))),
            "come and go",
        ),
    ],
)
def test_what_is_not_allowed(change: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run(change(two_proxies()), 0)
