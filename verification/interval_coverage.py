"""Do gwsim's 95 % intervals contain the truth in about 95 % of the runs? 400 independent runs of models whose truth is known.

    python verification/interval_coverage.py [--runs 400] [--requests 40000] [--jobs 2] [--only TEXT] [--keep FILE --minutes 4]

Each run is what `gwsim run` does: a pilot that fixes the warm-up, ten replications, intervals of mean, p50 and p99. Prints a
table; ends with exit code 1 if a coverage lies outside 91 to 98 % (widened for fewer runs than 400). With 400 runs it takes
the better part of an hour; with `--keep` finished runs stay in a file, and `--minutes` makes pieces of it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "engine"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "results"))

from builders import MS, exponential
from synthetic import resolved
from theory import EXP_SIZE, S, backend, event_loop, worker

from gwsim.planning import simulate
from gwsim.results import Estimate, Results, Status
from gwsim.scenario.model import Model

LOADS = (0.5, 0.8, 0.9)
FIGURES = ("mean", "p50", "p99")
REFERENCE_REQUESTS = 40_000_000
"""Requests of the long run that gives the quantiles no formula is known for."""


@dataclass(frozen=True)
class Case:
    """A model and what is true of its latency, seconds; `truth` may take a long run, so it is asked for once."""

    name: str
    model: Model
    truth: Callable[[], dict[str, float]]


def figures(results: Results) -> dict[str, Estimate]:
    """The latencies whose intervals are tested."""
    latency = results.total.client_latency
    return {"mean": latency.mean, "p50": latency.percentile(50), "p99": latency.p99}


def seeded(model: Model, seed: int) -> Model:
    """The model with another seed."""
    return replace(model, run=replace(model.run, seed=seed))


def queue_case(rho: float, requests: float) -> Case:
    """M/M/1 behind a gateway that costs nothing: the response is exponential."""
    mean = S / (1 - rho)
    truth = {"mean": mean, "p50": mean * math.log(2), "p99": mean * math.log(100)}
    return Case(f"M/M/1, rho {rho}", backend(rho / S, exponential(S), concurrency=1)(requests), lambda: truth)


def worker_case(rho: float, requests: float) -> Case:
    """A worker of which only the first visit costs: mean by formula, quantiles by a long run of its own."""
    make = worker(rho, "read_byte_s", EXP_SIZE)

    def truth() -> dict[str, float]:
        long = simulate(resolved(seeded(make(REFERENCE_REQUESTS / 10), 10**9)), replications=10, workers=2, engine="compiled")
        return {name: one.value or 0.0 for name, one in figures(long).items()} | {"mean": event_loop(rho, 1.0, 5) * MS}

    return Case(f"worker, rho {rho}", make(requests), truth)


def cases(requests: float, only: str) -> Iterator[Case]:
    """The table's rows."""
    for name, make in (("M/M/1", queue_case), ("worker", worker_case)):
        for rho in LOADS:
            if only in f"{name}, rho {rho}":
                yield make(rho, requests)


Outcome = dict[str, tuple[bool, float, bool]]
"""Of each figure: whether its interval contains the truth, its relative half-width, whether gwsim trusts it."""


def run_one(model: Model, truth: dict[str, float], seed: int) -> Outcome:
    """A run of its own, held against the truth."""
    found = simulate(resolved(seeded(model, seed), warmup_auto=True), replications=10, engine="compiled")
    outcome = {}
    for name, one in figures(found).items():
        inside = one.low is not None and one.high is not None and one.low <= truth[name] <= one.high
        trusted = one.trusted and found.verdict.status is not Status.SATURATED
        outcome[name] = (inside, (one.half_width or 0.0) / truth[name], trusted)
    return outcome


class Kept:
    """What earlier calls found, a JSON line each; nothing where no file is given."""

    def __init__(self, file: str, requests: float) -> None:
        self._file, self._requests, self._lock = Path(file) if file else None, requests, Lock()
        self._found: dict[tuple[str, int], Any] = {}
        if self._file is not None and self._file.exists():
            for line in self._file.read_text("utf-8").splitlines():
                case, seed, at, what = json.loads(line)
                if at == requests:
                    self._found[case, seed] = what

    def get(self, case: str, seed: int, make: Callable[[], Any]) -> Any:
        """What is kept, or made and kept now."""
        if (case, seed) not in self._found:
            made = make()
            with self._lock:
                self._found[case, seed] = made
                if self._file is not None:
                    with self._file.open("a", encoding="utf-8") as out:
                        out.write(json.dumps([case, seed, self._requests, made]) + "\n")
        return self._found[case, seed]

    def has(self, case: str, seed: int) -> bool:
        """Whether a run is kept."""
        return (case, seed) in self._found


def outcomes_of(case: Case, given: argparse.Namespace, kept: Kept, until: float) -> list[Outcome]:
    """The runs of a case that are kept or can be made in time."""
    truth = kept.get(case.name, -1, case.truth)

    def one(seed: int) -> Outcome | None:
        if time.monotonic() > until and not kept.has(case.name, seed):
            return None
        outcome: Outcome = kept.get(case.name, seed, lambda: run_one(case.model, truth, seed))
        return outcome

    with ThreadPoolExecutor(given.jobs) as threads:
        return [found for found in threads.map(one, range(given.runs)) if found is not None]


def limits(n: int) -> tuple[float, float]:
    """Coverages that are accepted: 91 to 98 % for 400 runs, wider by chance for fewer."""
    spread = 3.3 * math.sqrt(0.95 * 0.05 / n)
    return min(0.91, 0.95 - spread), max(0.98, 0.95 + spread)


def report(case: Case, outcomes: list[Outcome]) -> bool:
    """Prints the rows of a case; whether all coverages are accepted.

    Runs whose interval gwsim itself calls untrustworthy (too short, saturated) do not count, but their share is shown.
    """
    good = True
    for name in FIGURES:
        trusted = [one[name] for one in outcomes if one[name][2]]
        share = len(trusted) / len(outcomes)
        if not trusted:
            print(f"{case.name:<18}{name:<6}{'':>10}{'':>12}{share:>10.1%}  no run is long enough", flush=True)
            continue
        covered = sum(inside for inside, _, _ in trusted) / len(trusted)
        width = sum(half for _, half, _ in trusted) / len(trusted)
        low, high = limits(len(trusted))
        accepted = low <= covered <= high
        good &= accepted
        print(f"{case.name:<18}{name:<6}{covered:>10.1%}{width:>12.2%}{share:>10.1%}  {'' if accepted else 'outside'}", flush=True)
    return good


def main() -> int:
    """0 if all coverages are accepted."""
    parser = argparse.ArgumentParser(description="Coverage of 95 % intervals.")
    parser.add_argument("--runs", type=int, default=400, help="independent runs of each model")
    parser.add_argument("--requests", type=float, default=40_000, help="requests of a replication")
    parser.add_argument("--jobs", type=int, default=2, help="threads")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--keep", default="", metavar="FILE", help="keep finished runs there, and go on from it")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start no run after so long")
    given = parser.parse_args()
    began, good = time.monotonic(), True
    kept = Kept(given.keep, given.requests)
    print(f"{'model':<18}{'figure':<6}{'coverage':>10}{'half-width':>12}{'trusted':>10}")
    for case in cases(given.requests, given.only):
        outcomes = outcomes_of(case, given, kept, began + 60.0 * given.minutes)
        if not outcomes:
            break
        if len(outcomes) < given.runs:
            print(f"{case.name}: {len(outcomes)} of {given.runs} runs so far")
        good &= report(case, outcomes)
    print(f"{given.runs} runs of 10 x {given.requests:,.0f} requests, {time.monotonic() - began:,.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
