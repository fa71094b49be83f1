"""What must hold in every run of the reference engine, whatever the model: identities and metamorphic relations."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from builders import (
    MS,
    US,
    client,
    cluster,
    downstream,
    fleet,
    local,
    model,
    poisson,
    records,
    retry,
    shape,
    station,
    to,
    upstream,
)
from generate import generate, is_lattice

from gwsim.engine import schema
from gwsim.engine.codes import N_COMPONENTS, Counter, Flag
from gwsim.engine.draws import ns
from gwsim.engine.features import Feature
from gwsim.engine.reference import Options, run
from gwsim.engine.schema import RawRun, differences
from gwsim.scenario.model import (
    Bursts,
    ClosedLoop,
    Connection,
    Distribution,
    Model,
    Paced,
    Poisson,
    Replay,
)

ALL = Options(records=10**6, trace=10**6, digest=True)
SEEDS = range(60)
EVERYTHING = frozenset(Feature)
FIRST_COMPONENT = schema.RECORD_FIELDS.index("client_network_ns")


@pytest.mark.parametrize("seed", SEEDS)
def test_identities(seed: int) -> None:
    m = generate(seed, EVERYTHING)
    raw = run(m, 0, ALL)
    requests_add_up(raw)
    workers_add_up(m, raw)
    stations_add_up(raw)
    classes_add_up(m, raw)
    clusters_add_up(m, raw)


def requests_add_up(raw: RawRun) -> None:
    """Little's law and the components of every record, exactly."""
    assert raw.area == raw.sojourn
    assert raw.requests == len(raw.records) + raw.in_flight
    latency = raw.records[:, schema.RECORD_FIELDS.index("end_ns")] - raw.records[:, schema.RECORD_FIELDS.index("start_ns")]
    components = raw.records[:, FIRST_COMPONENT:]
    assert components.shape[1] == N_COMPONENTS
    assert (components >= 0).all()
    assert (components.sum(axis=1) == latency).all()
    assert (raw.records[:, schema.RECORD_FIELDS.index("failed_ns")] <= latency).all()


def workers_add_up(m: Model, raw: RawRun) -> None:
    """CPU = visits + W * wake-ups + I * iterations; visits never overlap; the trace agrees with the counters."""
    w = 0
    for f, fl in enumerate(m.fleets):
        first = w
        for pod in fl.pods:
            for _ in range(pod.workers):
                other = ns(fl.wakeup_s) * raw.worker_wakeups[w] + ns(fl.iteration_s) * raw.worker_iterations[w]
                assert raw.worker_cpu[w] == raw.worker_visit_ns[w] + other
                visits = raw.trace[raw.trace[:, 1] == w]
                assert raw.worker_visit_ns[w] == visits[:, 7].sum()
                assert (np.bincount(visits[:, 2], minlength=raw.worker_visits.shape[1]) == raw.worker_visits[w]).all()
                assert (visits[1:, 0] >= visits[:-1, 0] + visits[:-1, 7]).all()
                w += 1
        assert raw.fleet_bin_cpu[f].sum() <= raw.worker_cpu[first:w].sum()
        assert raw.fleet_bin_cpu[f].sum() >= raw.worker_window_cpu[first:w].sum()


def stations_add_up(raw: RawRun) -> None:
    served = raw.station_jobs - raw.station_rejected
    assert (raw.station_errors <= served).all()
    assert (raw.station_window_busy <= raw.station_busy).all()


def classes_add_up(m: Model, raw: RawRun) -> None:
    assert (raw.finished == raw.status.sum(axis=1)).all()
    assert (raw.finished == raw.handshakes.sum(axis=1)).all()
    assert (raw.finished <= raw.offered).all()
    if not raw.saturated[0]:
        short = np.setdiff1d(np.arange(len(raw.offered)), m.long_classes())  # long streams may be open at the end
        assert (raw.finished[short] == raw.offered[short]).all()
    assert (raw.latency_sum == raw.component_sum.sum(axis=1)).all()
    assert (raw.covered == raw.latency_hist.sum(axis=1)).all()
    assert (raw.covered[:, None] == raw.component_hist.sum(axis=2)).all()
    assert (raw.covered == raw.anatomy_count.sum(axis=1)).all()
    assert (raw.component_sum == raw.anatomy_sum.sum(axis=1)).all()
    assert (raw.gw_streams == raw.gw_status.sum(axis=1)).all()
    assert (raw.gw_hist.sum(axis=1) == raw.overhead_hist.sum(axis=1)).all()
    assert (raw.client_attempts >= raw.finished).all()
    assert raw.bin_arrivals.sum() <= raw.requests[0]
    assert raw.bin_finished.sum() <= len(raw.records)
    assert raw.bin_area.sum() <= raw.area[0]


def clusters_add_up(m: Model, raw: RawRun) -> None:
    """Relations between Envoy's counters; byte streams count no requests upstream."""
    streams = any(s.outcome.tcp for client in m.clients for s in client.mix)
    for k in range(len(m.clusters)):
        c = {counter: int(raw.cluster_counters[k, counter]) for counter in Counter}
        classes = c[Counter.UPSTREAM_RQ_2XX] + c[Counter.UPSTREAM_RQ_4XX] + c[Counter.UPSTREAM_RQ_5XX]
        upgraded = any(s.long is not None and s.long.websocket for client in m.clients for s in client.mix)  # 101 is in none of them
        assert c[Counter.UPSTREAM_RQ_COMPLETED] == classes or (upgraded and c[Counter.UPSTREAM_RQ_COMPLETED] > classes)
        assert c[Counter.UPSTREAM_RQ_COMPLETED] <= c[Counter.UPSTREAM_RQ_TOTAL]
        assert c[Counter.UPSTREAM_RQ_RETRY_SUCCESS] <= c[Counter.UPSTREAM_RQ_RETRY]
        assert c[Counter.UPSTREAM_RQ_CANCELLED] <= c[Counter.UPSTREAM_RQ_PENDING_TOTAL]
        assert c[Counter.UPSTREAM_CX_DESTROY] <= c[Counter.UPSTREAM_CX_TOTAL]
        if not streams:
            assert raw.cluster_hist[k].sum() <= c[Counter.UPSTREAM_RQ_COMPLETED]
    if m.clusters and not streams:
        assert raw.station_jobs.sum() <= raw.cluster_counters[:, Counter.UPSTREAM_RQ_TOTAL].sum()


def test_the_reference_engine_stands_alone() -> None:
    """It shares neither code nor arrays with the compiled engine: behaviour that both had would prove nothing."""
    code = (
        "import sys, gwsim.engine.reference\n"
        "print([m for m in sys.modules if m.startswith(('numba', 'gwsim.engine.compiled', 'gwsim.engine.lowering'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_runs_are_deterministic_and_replications_differ() -> None:
    m = generate(1)
    assert not differences(run(m, 0, ALL), run(m, 0, ALL))
    assert differences(run(m, 0, ALL), run(m, 1, ALL))


def test_what_is_kept_changes_nothing_else() -> None:
    m = generate(5)
    assert set(differences(run(m, 0, ALL), run(m, 0))) == {"records", "trace", "digest"}
    first = run(m, 0, Options(records=7, trace=9))
    assert (first.records == run(m, 0, ALL).records[:7]).all()
    assert (first.trace == run(m, 0, ALL).trace[:9]).all()


def test_the_generator_covers_everything() -> None:
    """Arrival kinds, flags, counters and visits all occur in the seeds above."""
    seen: set[Any] = set()
    flags = 0
    counters: Any = 0
    visits: Any = 0
    for seed in SEEDS:
        m = generate(seed, EVERYTHING)
        seen |= {type(c.arrivals) for c in m.clients} | {(c.connection.http, c.connection.tls) for c in m.clients}
        raw = run(m, 0)
        counters = counters + raw.cluster_counters.sum(axis=0)
        visits = visits + raw.worker_visits.sum(axis=0)
        for bit, n in enumerate(raw.gw_flags.sum(axis=0)):
            flags |= (1 << bit) if n else 0
    assert {Poisson, Paced, Bursts, Replay, ClosedLoop} <= seen
    assert {(http, tls) for http in (1, 2) for tls in (None, "1.2", "1.3")} <= seen
    assert flags & (Flag.UH | Flag.UT | Flag.UO | Flag.URX | Flag.NR | Flag.NC | Flag.DC) == (
        Flag.UH | Flag.UT | Flag.UO | Flag.URX | Flag.NR | Flag.NC | Flag.DC
    )
    assert (counters > 0).all()
    assert (visits > 0).all()


# --- histograms, samples, bins -------------------------------------------------------------------------------


def busy_model() -> Model:
    mix = (shape(to(0)), shape(to(0), name="t", weight=0.5), shape(local(404), name="u", weight=0.2))
    web = client(poisson(4000.0), *mix, costs=downstream(read_s=20 * US))
    return model(web, stations=(station(Distribution(kind="lognormal", a=-6.0, b=1.0)),), warmup_s=0.1)


def test_samples_are_uniform_and_bounded() -> None:
    m = busy_model()
    raw = run(m, 0, ALL)
    assert schema.SAMPLE_SIZE // 2 < len(raw.samples) <= schema.SAMPLE_SIZE
    every = {tuple(r) for r in raw.records.tolist()}
    assert all(tuple(r) in every for r in raw.samples.tolist())
    numbers = raw.samples[:, schema.RECORD_FIELDS.index("number")]
    assert (np.diff(numbers) > 0).all()
    assert numbers.mean() == pytest.approx(0.55 * 4000, rel=0.05)


def test_the_slowest_are_kept() -> None:
    raw = run(busy_model(), 0, ALL)
    for class_id in (0, 1):
        covered = [r for r in records(raw) if r.class_id == class_id and r.start_ns >= 10**8 and r.start_ns < 10**9]
        slowest = sorted(covered, key=lambda r: (r.start_ns - r.end_ns, r.source, r.number))[: schema.SLOWEST]
        kept = raw.slowest[raw.slowest[:, 0] == class_id]
        assert kept[:, schema.RECORD_FIELDS.index("number")].tolist() == [r.number for r in slowest]
    assert set(raw.slowest[:, 0].tolist()) == {0, 1}  # local replies are not covered


def test_bins_and_their_area() -> None:
    raw = run(busy_model(), 0, ALL)
    rs = records(raw)
    width = 10**9 // schema.N_BINS
    for b in (0, 57, 199):
        inside = [r for r in rs if b * width <= r.start_ns < (b + 1) * width]
        assert raw.bin_arrivals[b] == len(inside)
        assert raw.bin_latency_sum[b] == sum(r.end_ns - r.start_ns for r in inside)
        overlap = [min(r.end_ns, (b + 1) * width) - max(r.start_ns, b * width) for r in rs]
        if b < 199:  # later ones may be unfinished
            assert raw.bin_area[b] == sum(o for o in overlap if o > 0)


# --- metamorphic ---------------------------------------------------------------------------------------------


def cut(after: Any, before: Any) -> Any:
    """The part of an array that both runs have."""
    return after[tuple(slice(n) for n in before.shape)]


@pytest.mark.parametrize("seed", [1, 3, 7, 8, 12, 13, 20, 21])
def test_what_is_not_used_changes_nothing(seed: int) -> None:
    m = generate(seed, EVERYTHING)
    if any(one.front == "round_robin" or one.balance == "exact" for one in m.fleets):
        m = replace(m, run=replace(m.run, start="cold"))  # Warm connections of a client that sends nothing take their turns.
    before = run(m, 0, ALL)
    idle = client(poisson(0.0), name="idle", connection=Connection(count=3))
    unused = cluster(0, name="unused")
    more = replace(
        m,
        clients=(*m.clients, replace(idle, mix=(shape(local(404)),))),
        clusters=(*m.clusters, unused),
        stations=(*m.stations, station(name="unused")),
    )
    after = run(more, 0, ALL)
    names = [f.name for f in fields(RawRun) if f.name != "digest"]
    assert not differences(before, replace(after, **{n: cut(getattr(after, n), getattr(before, n)) for n in names}))


def test_a_shape_of_weight_zero_changes_nothing() -> None:
    m = busy_model()
    before = run(m, 0, ALL)
    web = m.clients[0]
    after = run(replace(m, clients=(replace(web, mix=(*web.mix, shape(to(0), name="never", weight=0.0))),)), 0, ALL)
    assert after.offered[3] == 0
    assert before.digest == after.digest


def doubled(m: Model) -> Model:
    """All durations twice as long, all rates half as high; and delays of nothing stay nothing."""

    def dist(d: Distribution | None) -> Distribution | None:
        return None if d is None else replace(d, a=2 * d.a)

    def part(x: Any) -> Any:
        return replace(x, **{f.name: 2 * getattr(x, f.name) for f in fields(x) if f.name.endswith("_s")})

    clients = tuple(
        replace(
            c,
            arrivals=Paced(rate_rps=c.arrivals.rate_rps / 2),  # type: ignore[union-attr,operator]
            rtt_s=dist(c.rtt_s), costs=part(c.costs), timeout_s=c.timeout_s and 2 * c.timeout_s,
            mix=tuple(replace(s, outcome=replace(s.outcome, timeout_s=2 * s.outcome.timeout_s)) for s in c.mix),
        )
        for c in m.clients
    )
    return replace(
        m,
        clients=clients,
        fleets=tuple(part(f) for f in m.fleets),
        clusters=tuple(replace(k, costs=part(k.costs)) for k in m.clusters),
        stations=tuple(replace(s, service_time_s=dist(s.service_time_s)) for s in m.stations),
        network=replace(m.network, same_zone_rtt_s=2 * m.network.same_zone_rtt_s, cross_zone_rtt_s=2 * m.network.cross_zone_rtt_s),
        run=replace(m.run, duration_s=2 * m.run.duration_s, warmup_s=2 * m.run.warmup_s),
    )


@pytest.mark.parametrize(("workers", "http", "rate"), [(1, 1, 100.0), (2, 1, 200.0), (3, 2, 250.0)])
def test_doubling_all_times_doubles_all_latencies(workers: int, http: int, rate: float) -> None:
    """On a lattice of even delays; no sleep is ended by a timer here, because those are rounded to whole ms."""
    costs = downstream(accept_s=1 * MS, read_s=1 * MS, write_down_s=1 * MS, timer_s=1 * MS)
    up = upstream(write_up_s=1 * MS, read_up_s=1 * MS, up_connected_s=1 * MS)
    connection = Connection(http=2, count=2, streams=5, requests=20) if http == 2 else Connection(count=2, requests=20)
    web = client(Paced(rate_rps=rate), costs=costs, rtt_s=4 * MS, connection=connection, timeout_s=200 * MS)
    m = model(
        web, clusters=(cluster(0, 1, costs=up, http=http),), stations=(station(4 * MS, concurrency=1), station(3 * MS)),
        fleets=(fleet(workers=workers, wakeup_s=1 * MS, iteration_s=1 * MS),), rtt_s=2 * MS, start="cold", duration_s=0.4,
    )
    one, two = records(run(m, 0, ALL)), records(run(doubled(m), 0, ALL))
    finished = min(len(one), len(two))
    assert finished > 30
    for a, b in zip(one[:finished], two[:finished], strict=True):
        assert (b.start_ns, b.end_ns) == (2 * a.start_ns, 2 * a.end_ns)
        assert all(getattr(b, n) == 2 * getattr(a, n) for n in schema.RECORD_FIELDS[FIRST_COMPONENT:])


def test_lattice_models_are_on_a_grid() -> None:
    m = generate(0)
    assert is_lattice(0)
    for c in m.clients:
        assert all(round(v * 1e3) == pytest.approx(v * 1e3) for v in (c.costs.read_s, c.rtt_s.a, c.timeout_s or 0.0))


def test_draws_are_keyed_by_names() -> None:
    """A client renamed is another client; moved to another place in the file, it is the same."""
    one, two = (client(poisson(500.0), shape(local(200)), name=n) for n in ("one", "two"))
    ab, ba = run(model(one, two), 0, ALL), run(model(two, one), 0, ALL)
    starts = [sorted(r.start_ns for r in records(raw) if r.source == i) for raw, i in ((ab, 0), (ba, 1))]
    assert starts[0] == starts[1]
    assert starts[0] != sorted(r.start_ns for r in records(ab) if r.source == 1)


def test_policy_is_unused_without_failures() -> None:
    web = client(poisson(500.0))
    plain = run(model(web), 0, ALL)
    retrying = run(model(replace(web, mix=(shape(to(0, policy=retry(2))),))), 0, ALL)
    assert not differences(plain, retrying)
