"""Results from counts: figures, splits, bottleneck, verdicts, identities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic import model, raw_run, replications, resolved, with_run

from gwsim.engine.codes import Counter
from gwsim.errors import InternalError, UsageError
from gwsim.results import Quality, Results, Status
from gwsim.results.frames import FRAMES
from gwsim.results.labels import as_plain, from_plain
from gwsim.results.parts import Limit
from gwsim.topology import CircuitBreakers


@pytest.fixture(scope="module")
def results() -> Results:
    of = model(duration_s=20.0)
    return Results.of(resolved(of), replications(of, 5, 20_000, errors={0: 200}))


def test_throughput(results: Results) -> None:
    assert results.throughput.offered_rps.value == pytest.approx(2010.0, rel=0.001)
    assert results.throughput.served_rps.value == pytest.approx(2010.0, rel=0.001)
    assert results.throughput.good_rps.value == pytest.approx(2000.0, rel=0.001)
    assert results.throughput.response_bytes_per_s.value == pytest.approx(2e6)
    assert results.throughput.connections_per_s.value == pytest.approx(200.0)
    assert results.total.requests == 5 * 40_200


def test_latencies_are_those_that_were_put_in(results: Results) -> None:
    rng = np.random.default_rng(1)
    everything = np.concatenate([rng.exponential(0.01, 20_000) for _ in range(5 * 2)])
    latency = results.total.client_latency
    assert latency.count == 200_000
    assert latency.mean.value == pytest.approx(everything.mean(), rel=1e-6)
    for percent in (50.0, 90.0, 95.0, 99.0, 99.9, 99.95):
        truth = float(np.percentile(everything, percent))
        assert latency.percentile(percent).value == pytest.approx(truth, rel=2e-3)
    assert latency.p99.quality is Quality.OK
    assert latency.p999.quality is Quality.TOO_SHORT
    assert latency.above(0.01).value == pytest.approx(float((everything > 0.01).mean()), abs=1e-3)


def test_errors_by_status_and_flag(results: Results) -> None:
    cart, checkout = results.route("cart"), results.route("checkout")
    assert cart.errors.value == pytest.approx(200 / 20_200)
    assert [(one.name, one.count) for one in cart.statuses] == [("200", 100_000), ("503", 1000)]
    assert [one.name for one in cart.flags] == ["UO"]
    assert cart.local_replies.value == pytest.approx(200 / 20_200)
    assert (checkout.errors.value, checkout.errors.quality) == (0.0, Quality.NONE_SEEN)
    assert checkout.flags == ()
    assert results.total.gateway_retries.value == pytest.approx(0.05)


def test_splits_add_up_exactly(results: Results) -> None:
    for group in (results.total, *results.routes, *results.classes, *results.clients):
        assert [split.band for split in group.splits] == ["mean", "median", "tail"]
        for split in group.splits:
            assert sum(split.parts_s.values()) == pytest.approx(split.total_s, rel=1e-12)
            assert sum(split.shares.values()) == pytest.approx(1.0)
            assert split.from_s <= split.total_s <= split.to_s
        whole, median, tail = group.splits
        assert whole.count == group.client_latency.count
        assert whole.total_s == pytest.approx(group.client_latency.mean.value)
        p50, p99 = group.client_latency.p50.value, group.client_latency.p99.value
        assert p50 is not None and p99 is not None
        assert median.from_s <= p50 <= median.to_s
        assert tail.from_s <= p99 <= tail.total_s
        assert 0.01 <= tail.count / whole.count <= 0.02


def test_groups(results: Results) -> None:
    assert [one.route for one in results.routes] == ["cart", "checkout"]
    assert [(one.client, one.route) for one in results.clients] == [("web", "")]
    assert [one.shape for one in results.classes] == ["cart-shape", "checkout-shape"]
    assert results.select(gateway="ingress").requests == results.total.requests
    assert results.select(route="cart-shape").requests == results.route("cart").requests
    with pytest.raises(UsageError, match=r"no route 'chekout'.*did you mean checkout"):
        results.route("chekout")
    with pytest.raises(UsageError, match="together"):
        results.select(shape="cart-shape", route="checkout")


def test_machines(results: Results) -> None:
    first, second = results.workers
    assert first.utilisation.value == pytest.approx(0.5)
    assert second.utilisation.value == pytest.approx(0.25)
    assert first.cpu_us_per_request.value == pytest.approx(10e6 / 20_100)
    assert first.visits["read"] == 20_100
    fleet = results.fleets[0]
    assert fleet.cpu_cores.value == pytest.approx(0.75)
    assert fleet.busiest_worker.value == pytest.approx(0.5)
    assert fleet.cores_per_1000_rps.value == pytest.approx(1000 * 15 / 40_200)
    assert fleet.of_request.quality is Quality.NO_DATA
    assert [pod.cpu_cores.value for pod in results.pods] == [pytest.approx(0.5), pytest.approx(0.25)]


def test_clusters_and_backends(results: Results) -> None:
    cluster = results.clusters[0]
    assert cluster.counters["upstream_rq_total"] == 200_000
    assert cluster.overflow.value == pytest.approx(200 / 40_200)
    assert cluster.latency.mean.value == pytest.approx(0.01, rel=0.01)
    assert cluster.in_use.value == pytest.approx(2000 * 0.01 / 2, rel=0.01)
    backend = results.backends[0]
    assert backend.utilisation.value == pytest.approx(40_000 * 0.01 / 20 / 4)
    assert backend.service_s.value == pytest.approx(0.01)


def test_cpu_as_a_share_of_the_request_and_as_a_range() -> None:
    of = model(duration_s=20.0)
    raws = replications(of, 3, 2000)
    found = Results.of(resolved(of, cpu_request_cores=0.5, cpu_range=(0.5, 2.0)), raws).fleets[0]
    assert found.of_request.value == pytest.approx(0.75)
    assert (found.cpu_cores_range.low, found.cpu_cores_range.high) == (pytest.approx(0.375), pytest.approx(1.5))
    assert Results.of(resolved(of), raws).fleets[0].cpu_cores_range.exact


def test_bottleneck_names_the_nearest_limit() -> None:
    of = model(duration_s=20.0, concurrency=100)
    found = Results.of(resolved(of), replications(of, 3, 2000, busy=0.8)).bottleneck
    assert found.first is not None
    assert (found.first.kind, found.first.name) == ("worker", "gw-0/0")
    assert found.first.headroom == pytest.approx(1.25)
    assert "80 % busy" in found.sentence and "1.25 times" in found.sentence
    tight = model(duration_s=20.0, concurrency=100, breakers=CircuitBreakers(max_connections=4))
    pool = Results.of(resolved(tight), replications(tight, 3, 2000, errors={0: 200}, busy=0.3)).bottleneck.first
    assert pool is not None
    assert pool.kind == "pool" and pool.exhausted > 0.04
    assert "max_connections" in pool.text


def test_full_backends_come_before_the_pool_that_they_fill() -> None:
    """Two servers of a pod are all busy; with twenty it is the pool itself."""
    def first(concurrency: int) -> Limit | None:
        tight = model(duration_s=20.0, concurrency=concurrency, breakers=CircuitBreakers(max_connections=4))
        return Results.of(resolved(tight), replications(tight, 3, 2000, errors={0: 200}, busy=0.3)).bottleneck.first

    full, roomy = first(2), first(20)
    assert full is not None and full.kind == "backend" and full.exhausted > 0.04
    assert "servers are 100 % busy, so the pool before it overflows" in full.text
    assert roomy is not None and roomy.kind == "pool"


def test_verdicts() -> None:
    of = model(duration_s=20.0)
    fine = Results.of(resolved(of), replications(of, 5, 20_000))
    assert fine.verdict.status is Status.FINE
    short = Results.of(resolved(of), replications(of, 5, 500))
    assert short.verdict.status is Status.TOO_SHORT and "run.duration" in short.verdict.sentence
    growing = Results.of(resolved(of), replications(of, 5, 5000, growth_rps=10.0))
    assert growing.verdict.status is Status.SATURATED and not growing.verdict.meaningful
    timeline = with_run(of, kind="timeline")
    assert Results.of(resolved(timeline), replications(timeline, 5, 500, growth_rps=10.0)).verdict.status is Status.FINE
    nothing = Results.of(resolved(of), replications(of, 3, 0))
    assert nothing.verdict.status is Status.NO_DATA
    assert nothing.total.client_latency.p99.value is None


def test_a_saturated_run_serves_less_than_is_offered() -> None:
    of = model(duration_s=20.0)
    found = Results.of(resolved(of), replications(of, 5, 5000, growth_rps=100.0))
    assert found.throughput.served_rps.value == pytest.approx(400.0)
    assert found.total.offered_rps.value == pytest.approx(500.0)
    assert found.total.served_rps.value == pytest.approx(400.0)
    assert sum(one.served_rps.value or 0 for one in found.routes) == pytest.approx(400.0)


def test_a_full_system_is_saturated() -> None:
    of = model(duration_s=20.0)
    raws = replications(of, 3, 5000)
    raws[1].saturated[0] = 1
    raws[1].stop_ns[0] = 10_000_000_000
    assert Results.of(resolved(of), raws).verdict.status is Status.SATURATED


def test_timeline(results: Results) -> None:
    line = results.timeline
    assert len(line.edges_s) == 201 and line.edges_s[-1] == pytest.approx(20.0)
    assert line.offered_rps.value == pytest.approx(np.full(200, 2010.0), rel=0.001)
    assert line.in_system.value == pytest.approx(np.full(200, 50.0), abs=3.0)
    assert line.mean_latency_s.value == pytest.approx(np.full(200, 0.01), rel=0.3)
    assert line.p50_latency_s.value == pytest.approx(np.full(200, 0.0069), rel=0.4)
    assert ((line.p99_latency_s.low < line.p99_latency_s.value) & (line.p99_latency_s.value < line.p99_latency_s.high)).all()
    assert line.cpu_cores["istio-system/ingress"].value == pytest.approx(np.full(200, 0.75))


def test_the_window_starts_at_the_cut() -> None:
    of = model(duration_s=20.0, warmup_s=5.0)
    found = Results.of(resolved(of), replications(of, 3, 15_000))
    assert found.throughput.offered_rps.value == pytest.approx(2000.0, rel=0.01)
    assert found.total.offered_rps.value == pytest.approx(2000.0)


@pytest.mark.parametrize(
    ("field", "text"),
    [("worker_cpu", "visits"), ("component_sum", "components"), ("status", "statuses"), ("covered", "covered"),
     ("area", "requests in the system"), ("offered", "offered"), ("gw_hist", "gateway"), ("anatomy_count", "anatomy")],
)
def test_a_broken_identity_is_a_fault(field: str, text: str) -> None:
    of = model(duration_s=20.0)
    raws = replications(of, 3, 500)
    getattr(raws[2], field).flat[0] += 1
    with pytest.raises(InternalError, match=f"replication 2: .*{text}"):
        Results.of(resolved(of), raws)


def test_digest() -> None:
    of = model(duration_s=20.0)
    raws = replications(of, 3, 500)
    digest = Results.of(resolved(of), raws).digest
    raws[0].events[0] = 99
    assert Results.of(resolved(of), raws).digest == digest
    assert Results.of(resolved(of), raws[::-1]).digest != digest
    raws[0].cluster_counters[0, Counter.UPSTREAM_RQ_RETRY] += 1
    assert Results.of(resolved(of), raws).digest != digest


def test_one_replication_gives_values_without_intervals() -> None:
    of = model(duration_s=20.0)
    found = Results.of(resolved(of), replications(of, 1, 5000))
    assert found.total.client_latency.p99.quality is Quality.ONE_RUN
    assert found.total.client_latency.p99.low is None
    assert found.verdict.status is Status.TOO_SHORT


def test_frames_have_units_in_their_columns(results: Results) -> None:
    for name in FRAMES:
        frame = results.frame(name)
        assert len(frame) or name in ("records", "ports", "streams")
    routes = results.frame("routes")
    assert {"p99_ms", "p99_low_ms", "p99_high_ms", "errors_pct", "served_rps"} <= set(routes.columns)
    assert routes.loc[0, "p99_ms"] == pytest.approx(1e3 * (results.route("cart").client_latency.p99.value or 0))
    parts = results.frame("components")
    cart = parts[(parts.route == "cart") & (parts.band == "mean")]
    assert cart.time_ms.sum() == pytest.approx(1e3 * (results.route("cart").client_latency.mean.value or 0))
    assert len(results.frame("timeseries")) == 200
    assert set(results.frame("samples").kind) == {"samples"}
    with pytest.raises(UsageError, match="did you mean routes"):
        results.frame("route")


def test_labels_survive_being_plain(results: Results) -> None:
    assert from_plain(as_plain(results.labels)) == results.labels


def test_classes_without_traffic_have_no_figures() -> None:
    of = model(duration_s=20.0)
    runs = [raw_run(of, {0: np.full(500, 0.01), 1: np.array([])}, seed=r) for r in range(3)]
    found = Results.of(replace(resolved(of), name="one"), runs).route("checkout")
    assert found.requests == 0 and found.splits == () and found.errors.value is None
