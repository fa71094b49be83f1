"""Independent replications of one scenario: pilot, warm-up cut, measured runs, results.

The measured replications are numbers 0, 1, 2, ... in that order whatever the number of workers, so the results
are the same to the last byte. Pilots use numbers of their own: nothing that was looked at to fix the cut is
counted again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from gwsim.engine import EngineName, run, suited
from gwsim.engine.schema import Options, RawRun
from gwsim.planning.executors import Executor, executor
from gwsim.results import LEVEL, Estimate, Results, Status, Warmup
from gwsim.results.intervals import EXCEEDANCES
from gwsim.results.warmup import warmup_of
from gwsim.scenario.model import Model
from gwsim.scenario.resolved import Resolved
from gwsim.units import format_duration_s, format_share

PILOT_FIRST = 1_000_000
"""Number of the first pilot replication."""
PILOTS = 5
MOST_REPLICATIONS = 640
"""A precision that needs more is called undecided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`done` of `total` replications of a stage are finished; `requests` have been simulated in it."""

    stage: Literal["pilot", "replications", "replicas"]
    done: int
    total: int
    requests: int


def simulate(
    resolved: Resolved,
    *,
    engine: EngineName = "auto",
    replications: int | None = None,
    workers: int = 1,
    options: Options = Options(),  # noqa: B008 (immutable)
    progress: Callable[[Progress], None] | None = None,
    level: float = LEVEL,
    notes: Iterable[str] = (),
) -> Results:
    """Run a scenario and give its results.

    `replications` replaces the number in the scenario. With `run.warmup: auto` and a steady run a pilot of five
    replications fixes the cut. With `run.precision` (and no `replications` given) 10, 20, 40, ... replications
    are looked at until the mean and the p99 of `client.latency` are that precise. Raises ValueError for less
    than one replication or worker.
    """
    if replications is not None and replications < 1:
        raise ValueError(f"there must be at least one replication, not {replications}")
    engine = suited(resolved.model, engine)
    with executor("processes" if engine == "reference" else "threads", workers) as pool:
        runs = Runs(pool, engine, progress)
        warmup: Warmup | None = None
        if resolved.plan.warmup_auto and resolved.model.run.kind == "steady":
            warmup = pilot(resolved.model, runs)
            resolved = with_cut(resolved, warmup)
        if resolved.plan.precision is not None and replications is None:
            return _precise(resolved, runs, options, warmup, level, tuple(notes))
        count = resolved.model.run.replications if replications is None else replications
        raws = runs.all(resolved.model, range(count), options)
        return Results.of(resolved, raws, level=level, warmup=warmup, notes=notes)


@dataclass(frozen=True, slots=True)
class Runs:
    """How replications are run: on what, by which engine, and who is told."""

    pool: Executor
    engine: EngineName
    progress: Callable[[Progress], None] | None = None

    def all(
        self, model: Model, numbers: range, options: Options = Options(),  # noqa: B008
        stage: Literal["pilot", "replications", "replicas"] = "replications",
    ) -> list[RawRun]:
        """The replications of these numbers, in their order."""
        finished = requests = 0

        def tell(raw: RawRun) -> None:
            nonlocal finished, requests
            finished, requests = finished + 1, requests + int(raw.requests[0])
            if self.progress is not None:
                self.progress(Progress(stage=stage, done=finished, total=len(numbers), requests=requests))

        return self.pool.map(partial(run_one, model, self.engine, options), numbers, tell)


def run_one(model: Model, engine: EngineName, options: Options, number: int) -> RawRun:
    """One replication; a function of the module, so that processes can be sent it."""
    return run(model, number, engine=engine, options=options)


def pilot(model: Model, runs: Runs) -> Warmup:
    """The warm-up that five replications of their own show, run without a cut."""
    uncut = replace(model, run=replace(model.run, warmup_s=0.0))
    raws = runs.all(uncut, range(PILOT_FIRST, PILOT_FIRST + PILOTS), stage="pilot")
    return warmup_of(raws, model.run.duration_s)


def with_cut(resolved: Resolved, warmup: Warmup) -> Resolved:
    """The scenario with the warm-up a pilot found, in place of the first guess and of the note on it."""
    run = resolved.model.run
    guess = f"the first {format_duration_s(run.warmup_s)} of each replication are left out as warm-up"
    model = replace(resolved.model, run=replace(run, warmup_s=warmup.cut_s))
    return replace(resolved, model=model, assumptions=tuple(text for text in resolved.assumptions if text != guess))


def _precise(
    resolved: Resolved, runs: Runs, options: Options, warmup: Warmup | None, level: float, notes: tuple[str, ...]
) -> Results:
    """Replications until the figures are as precise as asked for, or as many as allowed; those run are kept."""
    wanted, most = resolved.plan.precision or 0.0, resolved.plan.max_requests
    raws: list[RawRun] = []
    count = max(resolved.model.run.replications, 2)
    while True:
        raws += runs.all(resolved.model, range(len(raws), count), options)
        results = Results.of(resolved, raws, level=level, warmup=warmup, notes=notes)
        reached = _relative(results)
        if results.verdict.status in (Status.SATURATED, Status.METASTABLE):
            return results
        if (results.total.client_latency.histogram.totals * 0.01 < EXCEEDANCES).any():
            return _noted(results, f"precision of {format_share(wanted)} not reached: one replication has too few "
                                   "requests for a p99, make run.duration longer")
        if reached is not None and reached <= wanted and results.verdict.status is Status.FINE:
            return _noted(results, f"precision of {format_share(wanted)} reached with {count} replications")
        spent = results.requests
        if 2 * count > MOST_REPLICATIONS or (most is not None and spent * 2 > most):
            got = "unknown" if reached is None else f"± {format_share(reached)}"
            return _noted(results, f"precision of {format_share(wanted)} not reached with {count} replications ({got})")
        count *= 2


def _noted(results: Results, note: str) -> Results:
    return replace(results, notes=(*results.notes, note))


def _relative(results: Results) -> float | None:
    """The larger of the relative half-widths of mean and p99; None without intervals."""
    latency = results.total.client_latency
    parts = [_of(latency.mean), _of(latency.p99)]
    known = [part for part in parts if part is not None]
    return max(known) if len(known) == len(parts) else None


def _of(figure: Estimate) -> float | None:
    return None if figure.half_width is None or not figure.value else figure.half_width / figure.value
