"""Queueing theory on the compiled engine, on runs short enough for every day, and the rates of arrivals.

The same rows on runs long enough for 1 % are in `test_theory_slow`.
"""

from __future__ import annotations

import pytest
from builders import MS, client, cluster, exponential, local, model, poisson, shape, station
from theory import REPLICATIONS, ROWS, Row, interval

from gwsim.engine.compiled import driver
from gwsim.scenario.model import (
    Arrivals,
    Bursts,
    ClosedLoop,
    Connection,
    Model,
    Paced,
    Poisson,
    RateSegment,
    Replay,
)

SHORTER = 20.0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_theory(row: Row) -> None:
    """A 99.9 % interval over replications contains the truth."""
    wrong = row.check(SHORTER)
    assert not wrong, wrong


def offered_rps(m: Model, replication: int) -> float:
    """Arrivals per second in the measured window."""
    raw = driver.run(m, replication)
    return float(raw.offered.sum()) / (m.run.duration_s - m.run.warmup_s)


RAMPS = Poisson(
    segments=(
        RateSegment(duration_s=2.0, start_rps=100.0, end_rps=700.0),
        RateSegment(duration_s=1.0, start_rps=700.0, end_rps=700.0),
        RateSegment(duration_s=1.0, start_rps=0.0, end_rps=0.0),
        RateSegment(duration_s=4.0, start_rps=300.0, end_rps=100.0),
    )
)
BURSTS = Bursts(base_rps=100.0, peak_rps=1000.0, mean_base_s=0.02, mean_peak_s=0.005)


@pytest.mark.parametrize(
    ("arrivals", "rate"),
    [
        (poisson(500.0), 500.0),
        (RAMPS, (2 * 400.0 + 700.0 + 4 * 200.0) / 8.0),
        (BURSTS, (0.02 * 100.0 + 0.005 * 1000.0) / 0.025),
    ],
    ids=["poisson", "ramps", "bursts"],
)
def test_random_arrivals_come_at_their_rate(arrivals: Arrivals, rate: float) -> None:
    """Over whole periods of the profile, within the interval of 20 replications and 2 %."""
    m = model(client(arrivals, shape(local(200))), clusters=(), stations=(), duration_s=88.0, warmup_s=8.0, seed=5)
    value, half = interval([offered_rps(m, replication) for replication in range(REPLICATIONS)])
    assert abs(value - rate) <= half
    assert half <= 0.02 * rate


@pytest.mark.parametrize("ramp", [(0.0, 800.0), (800.0, 0.0)])
def test_a_ramp_has_its_shape(ramp: tuple[float, float]) -> None:
    """Each tenth of a ramp gets the arrivals of its part of the integral."""
    start, end = ramp
    profile = Poisson(segments=(RateSegment(duration_s=50.0, start_rps=start, end_rps=end),))
    m = model(client(profile, shape(local(200))), clusters=(), stations=(), duration_s=50.0)
    tenths = driver.run(m, 0).bin_arrivals.reshape(10, -1).sum(axis=1)
    for i, n in enumerate(tenths):
        expected = 5.0 * (start + (end - start) * (i + 0.5) / 10)
        assert abs(n - expected) < 4.5 * expected**0.5 + 1


@pytest.mark.parametrize(
    ("arrivals", "requests"),
    [
        (Paced(rate_rps=333.0), 3330),
        (Paced(rate_rps=1000.0), 10_000),
        (Replay(times_s=tuple(i / 50 for i in range(700)), shapes=(-1,) * 700), 500),
        *(
            (ClosedLoop(connections=25, rate_rps=500.0, pacing=pacing, catch_up=catch_up), 5000)
            for pacing in ("together", "jittered", "uniform") for catch_up in (False, True)
        ),
    ],
    ids=lambda x: type(x).__name__ if not isinstance(x, int) else str(x),
)
def test_scheduled_arrivals_come_at_their_rate(arrivals: Arrivals, requests: int) -> None:
    """Exactly, but for what jitter moves over an edge of the window."""
    connections = Connection(count=25)
    m = model(
        client(arrivals, connection=connections), clusters=(cluster(0, http=2),), stations=(station(2 * MS),), duration_s=10.0
    )
    jitter = 25 if isinstance(arrivals, ClosedLoop) and arrivals.pacing == "jittered" else 0
    offered = driver.run(m, 0).offered.sum()
    if jitter and not arrivals.catch_up:  # type: ignore[union-attr]
        assert 0.9 * requests <= offered <= requests + jitter  # a sleep that was drawn too long misses a slot
    else:
        assert abs(offered - requests) <= jitter


def test_a_loop_without_a_rate_comes_as_often_as_it_is_answered() -> None:
    """N / (R + Z) with an answer of known length."""
    loop = ClosedLoop(connections=40, think_time_s=exponential(30 * MS))
    m = model(
        client(loop, connection=Connection(count=40)), clusters=(cluster(0, http=2),), stations=(station(10 * MS),),
        duration_s=60.0, warmup_s=5.0,
    )
    value, half = interval([offered_rps(m, replication) for replication in range(REPLICATIONS)])
    assert abs(value - 1000.0) <= half
    assert half <= 10.0
