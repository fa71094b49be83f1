"""One case from beginning to end: read, settle the replicas, simulate. What every command and notebook does.

A `Given` is a case in words, so it can be sent to another process or machine; `run_case` makes its results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gwsim.engine import EngineName
from gwsim.engine.schema import Options
from gwsim.planning.preparation import Prepared
from gwsim.planning.replicas import settle_replicas
from gwsim.planning.replications import Progress, simulate
from gwsim.results import LEVEL, Results
from gwsim.scenario.resolved import Resolved


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """A case, its results, and the scenario at the replicas it was run with."""

    prepared: Prepared
    results: Results
    resolved: Resolved


def run_case(
    prepared: Prepared,
    *,
    engine: EngineName = "auto",
    replications: int | None = None,
    workers: int = 1,
    digest: bool = False,
    progress: Callable[[Progress], None] | None = None,
    level: float = LEVEL,
) -> Simulated:
    """Settle the replicas that autoscalers own, then run all replications; `workers` at a time.

    `digest` asks the engine for the digest of all request records. Raises ValueError for less than one
    replication or worker.
    """
    settled = settle_replicas(
        prepared.resolved, lambda replicas: prepared.with_replicas(dict(replicas)), engine=engine,
        workers=workers, progress=progress,
    )
    results = simulate(
        settled.resolved, engine=engine, replications=replications, workers=workers,
        options=Options(digest=digest), progress=progress, level=level, notes=settled.assumptions,
    )
    return Simulated(prepared=prepared, results=results, resolved=settled.resolved)


__all__ = ["Simulated", "run_case"]
