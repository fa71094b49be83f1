"""Long streams: section 26 of docs/background/engine-semantics.md."""

from __future__ import annotations

from dataclasses import replace
from math import exp
from typing import Any

import numpy as np
import pytest
from builders import (
    US,
    client,
    cluster,
    downstream,
    exponential,
    fleet,
    model,
    poisson,
    records,
    replay,
    shape,
    station,
    to,
    upstream,
    visits,
)
from generate import generate
from test_reference_theory import erlang_b

from gwsim.engine.codes import Counter, Flag, Visit
from gwsim.engine.draws import ns
from gwsim.engine.features import COMPILED, Feature, missing, used
from gwsim.engine.reference import Options, run
from gwsim.engine.schema import ANSWER_RESET, ANSWER_UPSTREAM, RawRun, differences
from gwsim.errors import UsageError
from gwsim.scenario.model import (
    Change,
    Connection,
    Distribution,
    Lifecycle,
    LongStream,
    MessageCosts,
    Messages,
    Model,
    Outage,
    Shape,
    constant,
)

ALL = Options(records=100_000, trace=100_000, digest=True)
GRPC = Connection(http=2, count=4, streams=1000)
VISITS = ("read", "write_up", "read_up", "write_down")


def costs(**given: float) -> MessageCosts:
    names = [f"{visit}{what}_s" for visit in VISITS for what in ("", "_byte")]
    return MessageCosts(**(dict.fromkeys(names, 0.0) | given))


def every(gap: float | Distribution, size: float = 0.0) -> Messages:
    return Messages(every_s=gap if isinstance(gap, Distribution) else constant(gap), size=constant(size))


def long(duration: float | Distribution, websocket: bool = True, **fields: Any) -> LongStream:
    lasting = duration if isinstance(duration, Distribution) else constant(duration)
    return LongStream(**({"websocket": websocket, "duration_s": lasting, "costs": costs()} | fields))


def lasting(stream: LongStream, **outcome: Any) -> Shape:
    return replace(shape(replace(to(0), **outcome)), long=stream)


def grpc(stream: LongStream, arrivals: Any, max_requests: int = 2**32 - 1, **fields: Any) -> Model:
    """A model of gRPC streams."""
    of = client(arrivals, lasting(stream, **fields.pop("outcome", {})), connection=GRPC, **fields.pop("client", {}))
    return model(of, clusters=(cluster(0, http=2, max_requests=max_requests),), **fields)


def flag_counts(raw: RawRun) -> dict[Flag, int]:
    return {flag: int(raw.gw_flags[0, flag.bit_length() - 1]) for flag in Flag if flag and raw.gw_flags[0, flag.bit_length() - 1]}


def test_the_worked_example_of_the_page() -> None:
    said = costs(read_s=5 * US, write_up_s=3 * US, read_up_s=5 * US, write_down_s=3 * US)
    stream = long(400 * US, costs=said, up=every(220 * US), down=every(200 * US))
    web = client(replay(0.0), lasting(stream), rtt_s=40 * US, costs=downstream(read_s=10 * US, write_down_s=4 * US))
    raw = run(
        model(
            web, clusters=(cluster(0, costs=upstream(write_up_s=4 * US, read_up_s=6 * US)),), stations=(station(30 * US),),
            fleets=(fleet(wakeup_s=10 * US, iteration_s=2 * US),), rtt_s=10 * US, duration_s=1e-3,
        ), 0, ALL,
    )
    expected = [
        (32, "READ", 10), (44, "WRITE_UP", 4), (100, "READ_UP", 6), (108, "WRITE_DOWN", 4), (300, "READ_UP", 5), (307, "WRITE_DOWN", 3),
        (384, "READ", 5), (391, "WRITE_UP", 3), (500, "READ_UP", 6), (508, "WRITE_DOWN", 4),
    ]
    found = [(one.start_ns // 1000, one.visit, one.cost_ns // 1000) for one in visits(raw) if one.visit != "CLOSE"]
    assert found == expected
    assert raw.message_sum[0].tolist() == [47_000, 47_000]
    (record,) = records(raw)
    assert (record.end_ns, record.status, record.answer) == (532_000, 101, ANSWER_UPSTREAM)
    assert raw.long_bin_open.sum() == ns(400 * US)
    assert raw.status[0, 101] == raw.good[0] == 1


@pytest.mark.parametrize("duration", [exponential(2.0), Distribution(kind="uniform", a=0.0, b=4.0, mean=2.0)], ids=["exponential", "uniform"])
def test_open_streams_are_an_infinite_server_queue(duration: Distribution) -> None:
    """M/G/inf: the number open is Poisson with mean rate x duration, whatever the distribution."""
    raw = run(grpc(long(duration, websocket=False), poisson(50.0), duration_s=60.0), 0)
    open_ = raw.long_bin_open[0, 40:] / (60e9 / 200)  # the first six mean durations filled it
    # half-widths: the mean of a stationary number with memory of 2 s over 48 s: 10 * sqrt(2 * 2 / 48) = 2.9
    assert open_.mean() == pytest.approx(100.0, abs=3 * 2.9)
    assert np.var(open_) == pytest.approx(100.0, rel=0.6)
    assert raw.long_opened[0] == raw.offered[0]


def test_open_streams_fill_max_requests_as_erlang_b_says() -> None:
    raw = run(grpc(long(exponential(1.0), websocket=False), poisson(20.0), max_requests=20, duration_s=300.0, warmup_s=10.0), 0)
    blocked = raw.status[0, 503] / raw.offered[0]
    assert blocked == pytest.approx(erlang_b(20, 20.0), rel=0.12)
    assert flag_counts(raw) == {Flag.UO: int(raw.status[0, 503])}
    assert raw.cluster_counters[0, Counter.UPSTREAM_RQ_ACTIVE_OVERFLOW] >= flag_counts(raw)[Flag.UO]  # of the warm-up too
    assert (raw.long_bin_open <= 20 * -(-300 * 10**9 // 200)).all()


def test_cpu_of_messages_is_their_number_times_their_visits() -> None:
    """One worker that never sleeps in vain: no wake-ups and iterations to pay, so CPU is visits and bytes."""
    said = costs(read_s=10 * US, write_up_s=5 * US, read_up_s=8 * US, write_down_s=4 * US, read_byte_s=1e-9, write_up_byte_s=2e-9, read_up_byte_s=3e-9, write_down_byte_s=4e-9)
    stream = long(1e4, costs=said, up=every(0.5, 1000), down=every(0.2, 500))
    raw = run(model(client(replay(0.0, 0.05), lasting(stream)), duration_s=20.0), 0)
    up, down = raw.message_sent[0]
    assert (up, down) == (2 * 39, 2 * 99)
    assert raw.worker_cpu[0] == up * (15_000 + 3 * 1000) + down * (12_000 + 7 * 500)
    assert raw.message_bytes[0].tolist() == [up * 1000, down * 500]


def test_messages_that_come_together_share_a_visit() -> None:
    """gRPC streams of one connection: read once for all, written to the client at once."""
    said = costs(read_s=10 * US, write_up_s=5 * US, read_up_s=8 * US, write_down_s=4 * US)
    stream = long(1e4, websocket=False, costs=said, up=every(0.5), down=every(0.5))
    one = replace(client(replay(*[i * 1e-9 for i in range(10)]), lasting(stream)), connection=Connection(http=2, count=1, streams=100))
    raw = run(model(one, clusters=(cluster(0, http=2),), duration_s=3.0), 0)
    assert raw.message_count[0].tolist() == [50, 50]
    assert raw.worker_visits[0, Visit.WRITE_DOWN] < 50 < raw.worker_visits[0, Visit.READ_UP]


@pytest.mark.parametrize(("rate", "idle_s"), [(0.5, 4.0), (1.0, 2.0)])
def test_an_idle_time_out_waits_for_a_gap_of_a_poisson_process(rate: float, idle_s: float) -> None:
    """The first gap of T in a Poisson process of rate r is over after (e^(rT) - 1) / r on average."""
    stream = long(1e6, down=every(exponential(1.0 / rate)))
    raw = run(model(client(poisson(5.0), lasting(stream, idle_timeout_s=idle_s)), duration_s=120.0), 0, ALL)
    lives = [(one.end_ns - one.start_ns) / 1e9 for one in records(raw) if one.start_ns < 60e9]
    mean = (exp(rate * idle_s) - 1) / rate
    assert np.mean(lives) == pytest.approx(mean, rel=0.12)
    assert {one.flags for one in records(raw)} == {Flag.SI} and {one.answer for one in records(raw)} == {ANSWER_RESET}
    assert raw.long_cut[0] == len(records(raw))


@pytest.mark.parametrize("websocket", [True, False])
def test_a_ping_keeps_a_silent_websocket_alive(websocket: bool) -> None:
    """A ping below the time-out, or any message, is enough; without it the stream is cut."""
    said = {"ping_s": 1.5} if websocket else {"up": every(1.5)}
    kept = lasting(long(1e6, websocket, **said), idle_timeout_s=2.0)
    silent = lasting(long(1e6, websocket), idle_timeout_s=2.0)
    for one, cut in ((kept, 0), (silent, 1)):
        of = client(replay(0.0), one, **({} if websocket else {"connection": GRPC}))
        raw = run(model(of, duration_s=20.0, clusters=(cluster(0, http=1 if websocket else 2),)), 0, ALL)
        assert raw.long_cut[0] == cut
        assert [record.flags for record in records(raw)] == [Flag.SI] * cut
        if cut:  # libevent's timers count in ms from the moment the worker falls asleep
            assert raw.long_bin_open.sum() == pytest.approx(2e9, abs=2e6)


@pytest.mark.parametrize(("complete", "cut"), [(True, True), (False, False)])
def test_a_routes_time_out_ends_only_streams_whose_request_is_complete(complete: bool, cut: bool) -> None:
    stream = long(5.0, websocket=False, request_complete=complete, down=every(1.0))
    raw = run(grpc(stream, replay(0.0), duration_s=8.0, outcome={"timeout_s": 3.0}), 0, ALL)
    (record,) = records(raw)
    assert (record.flags, record.answer) == ((Flag.UT, ANSWER_RESET) if cut else (0, ANSWER_UPSTREAM))
    assert record.end_ns == pytest.approx(3e9 if cut else 5e9, abs=2e6)
    assert raw.message_count[0, 1] == (2 if cut else 4)


def test_a_websocket_is_the_end_of_both_its_connections() -> None:
    raw = run(model(client(replay(0.0, 1.0, 2.0), lasting(long(0.5)), connection=Connection(count=1)), duration_s=4.0), 0, ALL)
    assert raw.cluster_counters[0, Counter.UPSTREAM_CX_TOTAL] == 3
    assert raw.cluster_counters[0, Counter.UPSTREAM_CX_DESTROY] == 3
    assert raw.worker_connections[0] == 2  # the first was open before
    assert raw.worker_visits[0, Visit.CLOSE] == 2  # the run is over before the third is read
    assert int(raw.status[0, 101]) == 3
    again = run(grpc(long(0.5, websocket=False), replay(0.0, 1.0, 2.0), duration_s=4.0), 0)
    assert again.cluster_counters[0, Counter.UPSTREAM_CX_TOTAL] == 1 and again.worker_connections[0] == 0


def test_sockets_stay_on_old_pods_after_a_scale_out() -> None:
    """Of N sockets none moves to the new pods; each that ends is replaced on any: old(t) = N e^(-t/D) + N/2 (1 - e^(-t/D))."""
    pods = fleet(pods=2, lifecycle=Lifecycle(initial=1, start_s=0.0, deregister_s=0.0, drain_s=1.0, changes=(Change(at_s=10.0, kind="add"),)))
    web = client(poisson(100.0), lasting(long(exponential(4.0))))
    raw = run(model(web, fleets=(pods,), duration_s=24.0), 0)
    width = 24e9 / 200
    old, both = raw.pod_bin_open[0], raw.pod_bin_open.sum(axis=0)
    at = 10 + 4
    b = int(at / 24 * 200)
    assert old[b] / both[b] == pytest.approx(0.5 + 0.5 * exp(-1), abs=0.06)
    assert old[: int(10 / 24 * 200)].sum() == both[: int(10 / 24 * 200)].sum()
    assert both[b] / width == pytest.approx(400 * (1 - exp(-at / 4)), rel=0.15)


def test_a_killed_pod_cuts_its_sockets_all_at_once() -> None:
    pods = fleet(pods=2, front="round_robin", lifecycle=Lifecycle(initial=2, start_s=0.0, deregister_s=0.0, drain_s=1.0, changes=(Change(at_s=2.0, kind="kill"),)))
    web = client(replay(*[i * 0.01 for i in range(40)]), lasting(long(1e6)))
    raw = run(model(web, fleets=(pods,), duration_s=4.0, start="cold"), 0, ALL)
    lost = [record.end_ns for record in records(raw)]
    assert len(lost) == raw.long_cut[0] == 20 and set(lost) == {min(lost)} and lost[0] == pytest.approx(2e9, abs=2)


def test_a_backend_pod_that_is_lost_or_ends_takes_its_streams_with_it() -> None:
    """One that ends says good-bye to its streams; one that is killed is found out by the next message."""
    for kind, flags, end_s in (("end", 0, 1.0), ("refuse", int(Flag.UC), 1.2)):
        gone = station(outages=(Outage(from_s=1.0, to_s=100.0, kind=kind),))  # type: ignore[arg-type]
        raw = run(model(client(replay(0.0), lasting(long(50.0, up=every(0.6)))), stations=(gone,), duration_s=3.0), 0, ALL)
        (record,) = records(raw)
        assert (record.flags, record.end_ns) == (flags, pytest.approx(end_s * 1e9, abs=1e4))


def test_a_refused_upgrade_is_an_answer_like_others() -> None:
    failing = station(errors=((1.0, 503),))
    raw = run(model(client(replay(0.0), lasting(long(5.0, down=every(1.0)))), stations=(failing,), duration_s=9.0), 0)
    assert raw.status[0, 503] == 1 and raw.long_opened[0] == 0 and raw.message_sent.sum() == 0


def test_what_is_not_modelled_is_refused() -> None:
    with pytest.raises(UsageError, match=r"WebSockets need HTTP/1\.1"):
        run(model(client(replay(0.0), lasting(long(1.0, websocket=False)))), 0)
    with pytest.raises(UsageError, match="through one proxy"):
        calling = station(calls=((),))
        run(model(client(replay(0.0), lasting(long(1.0))), stations=(calling,)), 0)


def test_the_feature_is_told() -> None:
    m = model(client(replay(0.0), lasting(long(1.0))))
    assert used(m) == {Feature.LONG_STREAMS} and missing(m) == ("WebSockets and gRPC streams",)
    assert model(client(replay(0.0))).long_classes() == () and m.long_classes() == (0,)


@pytest.mark.parametrize("seed", range(24))
def test_generated_models_keep_what_must_hold(seed: int) -> None:
    m = generate(seed, COMPILED | {Feature.LONG_STREAMS})
    if Feature.LONG_STREAMS not in used(m):
        return
    a = run(m, 0, ALL)
    if seed % 4 == 0:
        assert differences(a, run(m, 0, ALL)) == []
    assert (a.message_count <= a.message_sent).all()
    assert (a.message_hist.sum(axis=2) == a.message_count).all()
    assert (a.long_setup_hist.sum(axis=1) == a.long_opened).all()
    assert a.long_bin_open.sum() == a.pod_bin_open.sum()
    assert (a.component_sum.sum(axis=1) == a.latency_sum).all()
    assert int(a.area[0]) == int(a.sojourn[0])
    rows = list(m.long_classes())
    assert (a.long_opened <= a.offered[rows]).all()
    short = [c for c in range(len(m.classes())) if c not in rows]
    assert a.saturated[0] or (a.offered == a.finished)[short].all()
