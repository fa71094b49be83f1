"""Load balancing against published numbers: section 12 of docs/background/engine-semantics.md.

Sources of the numbers: Envoy's documentation (priority.rst, panic_threshold.rst, degraded.rst, locality_weight.rst) and its unit
tests (load_balancer_impl_base_test.cc, round_robin_lb_test.cc, least_request_lb_test.cc, locality_wrr_test.cc,
ring_hash_lb_test.cc, maglev_lb_test.cc). Where the documentation's rounding is not the code's, the code's numbers are here.
"""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import replace
from typing import Any

import pytest
from builders import MS, client, cluster, fleet, model, poisson, records, replay, retry, shape, station, to

from gwsim.engine.codes import Counter, Flag
from gwsim.engine.draws import below, draw64, fold
from gwsim.engine.hashing import xxh64
from gwsim.engine.reference import Options, run
from gwsim.engine.reference.edf import Edf
from gwsim.engine.reference.hosts import HostSet
from gwsim.engine.reference.load_balancing import POLICIES, Balancer, LeastRequest, RoundRobin, policy_of
from gwsim.engine.reference.priorities import Loads
from gwsim.engine.reference.tables import MaglevTable, Ring
from gwsim.scenario.model import HashRule, Host, Placement, SimCluster
from gwsim.topology import LbPolicy, SlowStart

ALL = Options(records=10_000)
S = 10**9


def loads(rows: list[tuple[int, ...]], threshold: int = 50) -> Loads:
    """From (hosts, healthy[, degraded]) a priority."""
    return Loads([r[0] for r in rows], [r[1] for r in rows], [r[2] if len(r) > 2 else 0 for r in rows], threshold)


# --- priorities ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("healthy", "traffic"), [
    ((100, 100), [100, 0]), ((72, 100), [100, 0]), ((71, 100), [99, 1]), ((50, 100), [70, 30]), ((25, 100), [35, 65]),
    ((0, 100), [0, 100]), ((72, 72), [100, 0]), ((71, 71), [99, 1]), ((50, 50), [70, 30]), ((25, 25), [50, 50]),
    ((100, 100, 100), [100, 0, 0]), ((72, 72, 100), [100, 0, 0]), ((71, 71, 100), [99, 1, 0]),
    ((50, 50, 100), [70, 30, 0]), ((25, 100, 100), [35, 65, 0]), ((25, 25, 100), [35, 35, 30]), ((25, 25, 20), [37, 35, 28]),
])
def test_load_moves_to_lower_priorities(healthy: tuple[int, ...], traffic: list[int]) -> None:
    """priority.rst; panic is off, as it is behind Istio once outlier detection is configured."""
    assert loads([(100, good) for good in healthy], threshold=0).healthy == traffic


@pytest.mark.parametrize(("rows", "traffic", "panic"), [
    ([(100, 72), (100, 72)], [100, 0], [False, False]), ([(100, 71), (100, 71)], [99, 1], [False, False]),
    ([(100, 50), (100, 60)], [70, 30], [False, False]), ([(100, 25), (100, 100)], [35, 65], [False, False]),
    ([(100, 25), (100, 25)], [50, 50], [True, True]), ([(100, 5), (100, 65)], [8, 92], [True, False]),
    ([(5, 0), (5, 0)], [50, 50], [True, True]), ([(2, 0), (8, 0)], [20, 80], [True, True]),
])
def test_panic(rows: list[tuple[int, int]], traffic: list[int], panic: list[bool]) -> None:
    """panic_threshold.rst."""
    got = loads(list(rows))
    assert (got.healthy, got.panic) == (traffic, panic)


@pytest.mark.parametrize(("healthy", "degraded", "to_healthy", "to_degraded"), [
    (100, 0, 100, 0), (71, 0, 100, 0), (71, 29, 99, 1), (25, 65, 35, 65), (5, 0, 100, 0),
])
def test_degraded_hosts_take_the_rest(healthy: int, degraded: int, to_healthy: int, to_degraded: int) -> None:
    """degraded.rst."""
    got = loads([(100, healthy, degraded)], threshold=0)
    assert (got.healthy, got.degraded) == ([to_healthy], [to_degraded])


UNIT_ROWS: list[tuple[list[tuple[int, ...]], int, list[int], list[int], list[bool]]] = [
    ([(1, 1), (1, 1)], 50, [100, 0], [0, 0], [False] * 2),
    ([(2, 1), (2, 1)], 50, [70, 30], [0, 0], [False] * 2),
    ([(4, 1), (2, 2)], 50, [35, 65], [0, 0], [False] * 2),
    ([(4, 1), (4, 1)], 50, [50, 50], [0, 0], [True] * 2),
    ([(1, 0), (1, 0)], 50, [50, 50], [0, 0], [True] * 2),
    ([(1, 0), (2, 0)], 50, [34, 66], [0, 0], [True] * 2),
    ([(2, 1), (2, 1), (2, 1)], 50, [70, 30, 0], [0] * 3, [False] * 3),
    ([(4, 1), (2, 2), (2, 1)], 50, [35, 65, 0], [0] * 3, [False] * 3),
    ([(4, 1), (4, 1), (4, 1)], 50, [35, 35, 30], [0] * 3, [False] * 3),
    ([(5, 1), (5, 1), (5, 1)], 50, [34, 33, 33], [0] * 3, [True] * 3),
    ([(5, 0), (5, 0), (5, 5)], 50, [0, 0, 100], [0] * 3, [False] * 3),
    ([(5, 0), (5, 0), (5, 4)], 50, [0, 0, 100], [0] * 3, [False] * 3),
    ([(5, 0), (5, 0), (5, 2)], 50, [34, 33, 33], [0] * 3, [True] * 3),
    ([(5, 0), (3, 0), (2, 0)], 50, [50, 30, 20], [0] * 3, [True] * 3),
    ([(5, 0), (6, 2), (3, 1)], 50, [37, 42, 21], [0] * 3, [True] * 3),
    ([(5, 0), (5, 0, 2), (5, 0, 1)], 0, [0] * 3, [0, 67, 33], [False] * 3),
    ([(5, 0), (5, 0, 2), (5, 0, 1)], 50, [34, 33, 33], [0] * 3, [True] * 3),
    ([(0, 0), (6, 0), (3, 0)], 50, [0, 67, 33], [0] * 3, [True] * 3),
]


@pytest.mark.parametrize("row", UNIT_ROWS, ids=str)
def test_envoys_unit_tests(row: tuple[list[tuple[int, ...]], int, list[int], list[int], list[bool]]) -> None:
    """load_balancer_impl_base_test.cc, the rows without excluded hosts and weighted health."""
    hosts, threshold, healthy, degraded, panic = row
    got = loads(hosts, threshold)
    assert (got.healthy, got.degraded) == (healthy, degraded)
    if all(panic) or sum(n > 0 for n, *_ in hosts) == len(hosts):
        assert all(panic) == all(got.panic)


def test_mixed_degraded_priorities() -> None:
    """load_balancer_impl_base_test.cc: degraded hosts of one priority, healthy ones of the next."""
    first = loads([(5, 0, 5), (5, 2, 2), (5, 2)])
    assert first.healthy == [0, 56, 44]
    second = loads([(5, 0, 1), (5, 0, 5), (5, 1)])
    assert (second.healthy, second.degraded) == ([0, 0, 28], [28, 44, 0])


# --- schedulers ----------------------------------------------------------------------------------------------


def balancer(kind: type[Balancer], weights: tuple[int, ...], seed: int = 0, now: int = 0, **slow: Any) -> Balancer:
    """A worker's balancer over hosts of these weights, with a seed of one's own choice."""
    joined = slow.pop("joined", ())
    hosts = tuple(Host(key=f"h{i}", weight=w, joined_s=0.0 if i in joined else None) for i, w in enumerate(weights))
    sim = replace(cluster(*range(len(weights))), hosts=hosts)
    sim = replace(sim, cluster=replace(sim.cluster, slow_start=SlowStart(**slow) if slow else None))
    made = kind(HostSet(sim, "", (), [0] * len(weights)), 1, lambda counter: None)
    made.seed = seed
    made.refresh(0, now)
    return made


def picks(one: Balancer, count: int, now: int = 0) -> list[int]:
    return [one.pick(0, 0, now, None) for _ in range(count)]


def test_weighted_round_robin_sequences() -> None:
    """round_robin_lb_test.cc."""
    one = balancer(RoundRobin, (1, 2))
    assert picks(one, 6) == [1, 0, 1, 1, 0, 1]
    one.hosts.weights[:] = [2, 1]
    assert picks(one, 8) == [1, 0, 0, 1, 0, 0, 1, 0]
    assert picks(balancer(RoundRobin, (2, 1, 3)), 12) == [2, 0, 2, 1, 0, 2, 2, 0, 2, 1, 0, 2]
    assert picks(balancer(RoundRobin, (1, 4)), 10) == [1, 1, 1, 0, 1, 1, 1, 1, 0, 1]
    assert picks(balancer(RoundRobin, (1, 2), seed=1), 6) == [0, 1, 1, 0, 1, 1]


def test_weighted_least_request_sequences() -> None:
    """least_request_lb_test.cc: a weight is divided by the active requests plus one, when its entry is put back."""
    one = balancer(LeastRequest, (1, 2))
    assert picks(one, 6) == [1, 0, 1, 1, 0, 1]
    one.active[:] = [0, 1]
    assert picks(one, 5) == [1, 0, 1, 0, 1]
    one.active[:] = [1, 0]
    assert picks(one, 10) == [0, 1, 1, 1, 0, 1, 1, 1, 1, 0]
    assert LeastRequest.weight(balancer_with(4, weight=2), 0, 0) == 0.4


def balancer_with(active: int, weight: int) -> Any:
    one = balancer(LeastRequest, (weight, 1))
    one.active[0] = active
    return one


def test_slow_start_sequences() -> None:
    """round_robin_lb_test.cc, least_request_lb_test.cc: host 1 is new."""
    def ramp(seconds: int, count: int, kind: type[Balancer] = RoundRobin, **slow: Any) -> list[int]:
        one = balancer(kind, (1, 1), now=seconds * S, joined=(1,), **({"window_s": 60.0} | slow))
        return picks(one, count, seconds * S)

    assert ramp(12, 5) == [0, 0, 0, 0, 1]
    assert ramp(20, 3) == [0, 0, 1]
    assert ramp(6, 4, aggression=2.0) == [0, 0, 0, 1]
    assert ramp(26, 8, aggression=2.0) == [0, 1, 0, 0, 1, 0, 1, 0]
    assert ramp(12, 7, min_weight_percent=35.0) == [0, 0, 1, 0, 0, 0, 1]
    assert ramp(30, 7, min_weight_percent=35.0) == [0, 1, 0, 0, 1, 0, 0]


def test_slow_start_ends() -> None:
    """After the window all are equal, and round robin turns without a scheduler."""
    one = balancer(RoundRobin, (1, 1), now=60 * S, joined=(1,), window_s=60.0)
    assert picks(one, 4, 60 * S) in ([0, 1, 0, 1], [1, 0, 1, 0])


def test_locality_sequences() -> None:
    """locality_wrr_test.cc."""
    weights = {0: 1.0, 1: 2.0}
    edf = Edf([0, 1], lambda g, now: weights[g], 0, 0)
    assert [edf.pick(0) for _ in range(6)] == [1, 0, 1, 1, 0, 1]
    edf = Edf([0, 1, 2], lambda g, now: (1.0, 6.0, 3.0)[g], 0, 0)
    assert sorted(Tally(edf.pick(0) for _ in range(10)).items()) == [(0, 1), (1, 6), (2, 3)]


def test_a_seed_is_as_many_picks() -> None:
    """Whatever the seed, the scheduler goes on as if that many picks had been made."""
    def weight(entry: int, now: int) -> float:
        return (1.0, 2.0, 5.0)[entry]

    long = Edf([0, 1, 2], weight, 0, 0)
    sequence = [long.pick(0) for _ in range(60)]
    for seed in (8, 16, 24):
        later = Edf([0, 1, 2], weight, seed, 0)
        assert Tally(later.pick(0) for _ in range(24)) == Tally(sequence[:24]) == {0: 3, 1: 6, 2: 15}


# --- localities ----------------------------------------------------------------------------------------------


def placed(groups: list[int], weights: tuple[int, ...], unhealthy: set[int] = frozenset()) -> HostSet:  # type: ignore[assignment]
    hosts = tuple(Host(key=f"h{i}", health="unhealthy" if i in unhealthy else "healthy") for i in range(len(groups)))
    placement = Placement(priorities=(0,) * len(groups), groups=tuple(groups), group_weights=weights)
    sim = replace(cluster(*range(len(groups)), lb=LbPolicy.RANDOM), hosts=hosts, placements={"v": placement})
    sim = replace(sim, cluster=replace(sim.cluster, panic_threshold_percent=0.0))
    return HostSet(sim, "v", (), [0] * len(groups))


@pytest.mark.parametrize(("healthy", "share"), [(100, 33.33), (70, 32.89), (69, 32.57), (50, 25.93), (25, 14.89), (0, 0.0)])
def test_localities_by_health(healthy: int, share: float) -> None:
    """locality_weight.rst: X and Y weigh 1:2, Y is healthy; the printed percentages are rounded from these."""
    hosts = placed([0] * 100 + [1] * 100, (1, 2), set(range(healthy, 100)))
    weights = hosts.effective_weights(0, hosts.healthy[0])
    assert 100.0 * weights.get(0, 0.0) / sum(weights.values()) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(("healthy", "counts"), [(5, (33, 67)), (4, (33, 67)), (3, (29, 71)), (2, (22, 78)), (1, (12, 88)), (0, (0, 100))])
def test_localities_by_health_in_picks(healthy: int, counts: tuple[int, int]) -> None:
    """load_balancer_impl_test: zone A has 5 hosts and weight 1, zone B one host and weight 2; 100 picks."""
    hosts = placed([0] * 5 + [1], (1, 2), set(range(healthy, 5)))
    one = policy_of(LbPolicy.RANDOM)(hosts, 3, lambda counter: None)
    got = Tally(one.pick(key, 0, 0, None) == 5 for key in range(100))
    assert abs(got[True] - counts[1]) <= 1


# --- consistent hashing --------------------------------------------------------------------------------------

SIX = tuple((port, f"127.0.0.1:{port}", 1.0 / 6.0) for port in range(90, 96))


def test_ring_of_envoys_unit_test() -> None:
    ring = Ring(SIX, 12)
    assert list(zip(ring.hosts, ring.hashes, strict=True)) == [
        (94, 833437586790550860), (92, 928266305478181108), (90, 1033482794131418490), (95, 3551244743356806947),
        (93, 3851675632748031481), (91, 5583722120771150861), (91, 6311230543546372928), (93, 7700377290971790572),
        (95, 13144177310400110813), (92, 13444792449719432967), (94, 15516499411664133160), (90, 16117243373044804889),
    ]
    assert [ring.host(x, 0) for x in (0, 2**64 - 1, 3551244743356806947, 3551244743356806948)] == [94, 94, 95, 93]
    assert [ring.host(0, t) for t in range(3)] == [94, 92, 90]


def maglev_of(size: int, *weights: tuple[int, float]) -> list[int]:
    return MaglevTable(tuple((port, f"127.0.0.1:{port}", w) for port, w in weights), size).slots


def test_maglev_of_envoys_unit_test() -> None:
    assert MaglevTable(SIX, 7).slots == [92, 94, 90, 91, 95, 90, 93]
    assert maglev_of(17, (90, 1 / 3), (91, 2 / 3)) == [91, 90, 90, 91, 90, 91, 91, 90, 91, 91, 91, 91, 91, 90, 91, 90, 91]
    assert sorted(Tally(maglev_of(65537, (90, 1 / 3), (91, 2 / 3))).values()) == [21846, 43691]
    assert maglev_of(17, (90, 0.5), (91, 0.5)) == [91, 90, 90, 91, 90, 91, 91, 90, 90, 91, 90, 91, 90, 90, 91, 90, 91]
    assert maglev_of(17, (90, 0.8), (91, 0.2)) == [91, 90, 90, 90, 90, 90, 91, 90, 90, 91, 90, 91, 90, 90, 90, 90, 90]


def test_hashes_of_texts() -> None:
    """Test vectors of xxHash."""
    assert xxh64("") == 0xEF46DB3751D8E999
    assert xxh64("abc") == 0x44BC2CF5AD770999
    assert xxh64("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1


# --- in a run ------------------------------------------------------------------------------------------------


def hashed(policy: LbPolicy, rule: HashRule | None, unhealthy: set[int] = frozenset(), count: int = 400) -> Any:  # type: ignore[assignment]
    outcome = replace(to(0), hash=(rule,) if rule else ())
    hosts = tuple(Host(key=f"10.0.0.{i}:80", health="unhealthy" if i in unhealthy else "healthy") for i in range(4))
    sim = replace(cluster(*range(4), lb=policy), hosts=hosts)
    sim = replace(sim, cluster=replace(sim.cluster, ring_size=1021))
    stations = tuple(station(name=f"b{i}") for i in range(4))
    web = client(replay(*(i * MS for i in range(count))), shape(outcome))
    return run(model(web, clusters=(sim,), stations=stations, fleets=(fleet(2, 2),)), 0, ALL)


@pytest.mark.parametrize("policy", [LbPolicy.RING_HASH, LbPolicy.MAGLEV])
def test_a_fixed_hash_goes_to_one_host(policy: LbPolicy) -> None:
    """Whatever the worker and the pod."""
    raw = hashed(policy, HashRule(kind="fixed", text="alice"))
    assert len({r.station for r in records(raw)}) == 1
    assert len({r.worker for r in records(raw)}) == 4


@pytest.mark.parametrize("policy", [LbPolicy.RING_HASH, LbPolicy.MAGLEV])
def test_users_stay_with_their_hosts(policy: LbPolicy) -> None:
    """A host that is out moves its own users only."""
    before = hashed(policy, HashRule(kind="user", users=50))
    after = hashed(policy, HashRule(kind="user", users=50), {2})
    pairs = [(a.station, b.station) for a, b in zip(records(before), records(after), strict=True)]
    assert len({a for a, _ in pairs}) == 4
    moved = [pair for pair in pairs if pair[0] != pair[1]]
    assert all(b != 2 for _, b in pairs)
    elsewhere = sum(a != 2 for a, _ in moved) / len(pairs)
    assert elsewhere < 0.15  # a ring gets more points, a Maglev table fills in another order


def test_without_a_hash_requests_go_anywhere() -> None:
    assert min(Tally(r.station for r in records(hashed(LbPolicy.RING_HASH, None))).values()) > 60


def test_failover_and_its_counter() -> None:
    """Half of priority 0 is healthy: 70 % stay; a priority in panic uses all its hosts, and that is counted."""
    hosts = tuple(Host(key=f"h{i}", health="unhealthy" if i in (0, 4) else "healthy") for i in range(6))
    placement = Placement(priorities=(0, 0, 1, 1, 1, 1), groups=(0, 0, 1, 1, 1, 1))
    sim = replace(cluster(*range(6), lb=LbPolicy.RANDOM), hosts=hosts, placements={"near": placement})
    one = fleet()
    seen = replace(one, pods=tuple(replace(pod, view="near") for pod in one.pods))
    stations = tuple(station(name=f"b{i}") for i in range(6))
    web = client(poisson(4000.0))
    raw = run(model(web, clusters=(sim,), stations=stations, fleets=(seen,)), 0, ALL)
    share = Tally(r.station for r in records(raw))
    total = sum(share.values())
    assert set(share) == {1, 2, 3, 5}
    assert share[1] / total == pytest.approx(0.70, abs=0.03)
    assert raw.cluster_counters[0, Counter.LB_HEALTHY_PANIC] == 0
    blind = run(model(web, clusters=(sim,), stations=stations), 0, ALL)
    assert set(Tally(r.station for r in records(blind))) == {1, 2, 3, 5}


def test_no_host_left_is_uh() -> None:
    """All unhealthy: with panic (50 %) all are used; without it the gateway answers 503 UH, also on a retry."""
    hosts = tuple(Host(key=f"h{i}", health="unhealthy") for i in range(2))
    sim = replace(cluster(0, 1), hosts=hosts)
    stations = (station(), station(name="b1"))
    web = client(replay(0.0, 1 * MS), shape(to(0, policy=retry(2))))
    raw = run(model(web, clusters=(sim,), stations=stations), 0, ALL)
    assert [r.status for r in records(raw)] == [200, 200]
    assert raw.cluster_counters[0, Counter.LB_HEALTHY_PANIC] == 2
    calm = replace(sim, cluster=replace(sim.cluster, panic_threshold_percent=0.0))
    raw = run(model(web, clusters=(calm,), stations=stations), 0, ALL)
    assert [(r.status, r.flags, r.gateway_attempts) for r in records(raw)] == [(503, Flag.UH, 0)] * 2
    assert raw.cluster_counters[0, Counter.UPSTREAM_CX_NONE_HEALTHY] == 2
    assert raw.cluster_counters[0, Counter.UPSTREAM_CX_TOTAL] == 0


def test_weights_in_a_run() -> None:
    """Round robin in proportion to the weights, smoothly, on every worker."""
    hosts = (Host(key="a", weight=1), Host(key="b", weight=3))
    sim: SimCluster = replace(cluster(0, 1), hosts=hosts)
    web = client(replay(*(i * MS for i in range(400))))
    raw = run(model(web, clusters=(sim,), stations=(station(), station(name="b1"))), 0, ALL)
    sequence = [r.station for r in records(raw)]
    assert abs(sequence.count(1) - 300) <= 1
    assert all(sequence[i : i + 4].count(1) >= 2 for i in range(len(sequence) - 4))


# --- the plain policies --------------------------------------------------------------------------------------


def test_least_request_takes_the_less_busy_candidate() -> None:
    one = balancer(LeastRequest, (1,) * 5)
    one.active[:] = [3, 1, 4, 1, 5]
    for key in range(200):
        a, b = (below(draw64(key, 7, i), 5) for i in range(2))
        assert one.pick(key, 0, 0, None) == (b if one.active[b] < one.active[a] else a)


def test_the_busier_of_two_gets_a_quarter() -> None:
    """Candidates are drawn with replacement."""
    one = balancer(LeastRequest, (1, 1))
    one.active[:] = [0, 9]
    assert Tally(one.pick(fold(3, key), 0, 0, None) for key in range(4000))[1] == pytest.approx(1000, abs=110)


def test_more_candidates_find_the_least_busy_one() -> None:
    one = balancer(LeastRequest, (1,) * 4)
    one.candidates = 40
    one.active[:] = [3, 1, 4, 0]
    assert {one.pick(fold(5, key), 0, 0, None) for key in range(100)} == {3}


def test_random_is_uniform() -> None:
    one = balancer(policy_of(LbPolicy.RANDOM), (1, 1, 1, 5))
    tally = Tally(one.pick(fold(7, key), 0, 0, None) for key in range(4000))
    assert all(abs(n - 1000) < 110 for n in tally.values())


def test_every_policy_of_a_gateway_is_there() -> None:
    assert set(POLICIES) == set(LbPolicy) - {LbPolicy.ORIGINAL_DST}
