"""The two engines agree to the last bit on generated models, and the compiled one on itself.

More seeds: `python verification/equal.py 10000`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from compare import ALL, chain_of, compare, compare_chains, describe
from generate import generate, is_lattice

from gwsim.engine import reference
from gwsim.engine.codes import Component, Counter, Flag, Visit
from gwsim.engine.compiled import driver
from gwsim.engine.features import KERNELS, kernels
from gwsim.engine.schema import HANDSHAKE_FULL, HANDSHAKE_RESUMED, RECORD_FIELDS, Options, differences
from gwsim.scenario.model import Bursts, ClosedLoop, Paced, Poisson, Replay

SEEDS = 200
BATCH = 20
BATCHES = [range(first, first + BATCH) for first in range(0, SEEDS, BATCH)]

CHAINS = 100
CHAIN_BATCHES = [range(first, first + BATCH) for first in range(0, CHAINS, BATCH)]

UNMODELLED_COMPONENTS = {Component.NEXT_HOP}
UNMODELLED_FLAGS = {Flag.UR, Flag.DT, Flag.SI}
UNMODELLED_VISITS = {Visit.STREAM_IDLE}
UNMODELLED_COUNTERS: set[Counter] = set()
"""What no model but a chain, or none, reaches yet. Who models one of these takes it out of here, and the generator has to reach it."""


@pytest.mark.parametrize("seeds", BATCHES, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_engines_agree(seeds: range) -> None:
    """Every statistic, record, visit and digest of every model."""
    for seed in seeds:
        difference = compare(seed)
        assert not difference, difference


@pytest.mark.parametrize("seeds", CHAIN_BATCHES, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_engines_agree_on_chains(seeds: range) -> None:
    """Of proxies and of backends that call each other; most seeds make some."""
    derived = 0
    for seed in seeds:
        difference = compare_chains(seed)
        assert not difference, difference
        model = chain_of(seed)
        derived += any(s.relay is not None for s in model.stations) + any(s.calls for s in model.stations)
    assert derived > BATCH


@pytest.mark.parametrize("seeds", [range(30), range(30, 60)], ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_the_lean_kernel_agrees(seeds: range) -> None:
    """With the engine that has no code for features, on models without them."""
    for seed in seeds:
        assert kernels(generate(seed, KERNELS["lean"])) == tuple(KERNELS)
        difference = compare(seed, kernel="lean")
        assert not difference, difference


def test_generated_models_reach_everything() -> None:
    """Visits, flags, counters, components, arrival kinds and more all occur in the models above."""
    arrivals: set[type] = set()
    connections: set[Any] = set()
    counters: Any = 0
    visits: Any = 0
    flags: Any = 0
    components: Any = 0
    handshakes: Any = 0
    ends: set[int] = set()
    ports = [0, 0]
    for seed in range(SEEDS):
        m = generate(seed)
        arrivals |= {type(c.arrivals) for c in m.clients}
        connections |= {(c.connection.http, c.connection.tls) for c in m.clients}
        raw = driver.run(m, 0)
        counters = counters + raw.cluster_counters.sum(axis=0)
        visits = visits + raw.worker_visits.sum(axis=0)
        flags = flags + raw.gw_flags.sum(axis=0)
        components = components + raw.component_sum.sum(axis=0)
        handshakes = handshakes + raw.handshakes.sum(axis=0)
        ends.add(int(raw.saturated[0]))
        ports = [ports[0] + int(raw.port_taken.sum()), ports[1] + int(raw.port_refused.sum())]
    assert arrivals == {Poisson, Paced, Bursts, Replay, ClosedLoop}
    assert connections == {(http, tls) for http in (1, 2) for tls in (None, "1.2", "1.3")}
    assert {v for v in Visit if not visits[v]} == UNMODELLED_VISITS
    assert {c for c in Counter if not counters[c]} == UNMODELLED_COUNTERS
    assert {c for c in Component if not components[c]} == UNMODELLED_COMPONENTS
    assert {f for f in Flag if f and not flags[f.bit_length() - 1]} == UNMODELLED_FLAGS
    assert handshakes[HANDSHAKE_FULL] > 0
    assert handshakes[HANDSHAKE_RESUMED] > 0
    assert ends == {0, 1}
    assert min(ports) > 100


def test_a_third_of_the_models_are_lattices_with_ties() -> None:
    """In a lattice model many requests start at the same nanosecond, so the order of simultaneous events is under test."""
    lattices = [seed for seed in range(SEEDS) if is_lattice(seed)]
    assert len(lattices) >= SEEDS // 3
    start = RECORD_FIELDS.index("start_ns")
    ties = 0
    for seed in lattices:
        starts = driver.run(generate(seed), 0, ALL).records[:, start].tolist()
        ties += len(starts) - len(set(starts))
    assert ties > 1000


@pytest.mark.parametrize("seeds", [range(30), range(30, 60)], ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_growing_arrays_change_nothing(seeds: range) -> None:
    """Arrays that start with room for one entry, and quotas for the next period only, end in the same run."""
    throttled = 0
    for seed in seeds:
        m = generate(seed)
        roomy = driver.run(m, 0, ALL)
        throttled += int(roomy.worker_throttled.sum() > 0)
        assert not differences(roomy, driver.run(m, 0, ALL, capacity=1, periods=2)), f"seed {seed}"
        m = chain_of(seed)
        assert not differences(driver.run(m, 0, ALL), driver.run(m, 0, ALL, capacity=1, periods=2)), f"chain of seed {seed}"
    assert throttled


def test_replications_in_threads_are_those_run_one_after_the_other() -> None:
    """The kernel shares nothing between runs and holds no lock, so replications may run side by side."""
    models = [generate(seed) for seed in (1, 4, 6, 11)]
    jobs = [(m, replication) for m in models for replication in range(6)]
    serial = [driver.run(m, replication, ALL) for m, replication in jobs]
    with ThreadPoolExecutor(4) as threads:
        parallel = list(threads.map(lambda job: driver.run(job[0], job[1], ALL), jobs))
    assert [differences(a, b) for a, b in zip(serial, parallel, strict=True)] == [[]] * len(jobs)


def test_replications_agree_too() -> None:
    """The replication is part of every key of the draws, in both engines alike."""
    for replication in (1, 7):
        for seed in (2, 5, 9):
            difference = compare(seed, replication)
            assert not difference, f"replication {replication}, {difference}"


def test_a_difference_is_described() -> None:
    """The message of a failure names the seed, the first row that differs and the columns in which it does."""
    m = generate(2)
    expected, got = driver.run(m, 0, ALL), driver.run(m, 0, ALL)
    got.trace[5, 7] += 1
    got.records[3, RECORD_FIELDS.index("status")] = 299
    message = describe(2, expected, got)
    assert message.startswith("seed 2 (continuous): the engines differ in records, trace")
    assert "first differing visit: number 5 of" in message
    assert "differs in cost_ns" in message
    assert "first differing record: number 3 of" in message
    assert "differs in status" in message


FRONT_DOOR = """
import sys
from generate import generate
from gwsim import engine
from gwsim.engine.features import is_ready
from gwsim.engine.schema import Options
assert not is_ready(generate(2))
raw = engine.run(generate(2), 0, engine="auto", options=Options(digest=True))
assert not is_ready(generate(2)), "the compiled engine was ready first"
assert "numba" not in sys.modules
print(raw.digest, raw.requests[0], flush=True)
"""


def test_the_first_run_is_answered_by_the_reference_engine(tmp_path: Path) -> None:
    """Without machine code in the cache, `auto` does not wait for the compiler."""
    environment = os.environ | {
        "GWSIM_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    }
    child = subprocess.Popen(
        [sys.executable, "-c", FRONT_DOOR], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )
    try:
        first, errors = child.stdout.readline(), ""  # type: ignore[union-attr]
        if not first:
            errors = child.stderr.read()  # type: ignore[union-attr]
    finally:
        os.killpg(child.pid, signal.SIGKILL)  # its compiler would go on for a minute
        child.communicate()
    expected = reference.run(generate(2), 0, Options(digest=True))
    assert first.split() == [str(expected.digest), str(expected.requests[0])], errors
