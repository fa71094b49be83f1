"""One point of a sweep, a batch or a search: run once, kept on disk, found again.

A point is known by the hash of everything that its answer follows from, so a batch that was interrupted goes on
where it stopped, and a changed file, version or setting is run anew. A point whose input is wrong gets a row that
says so: the others go on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gwsim._version import __version__
from gwsim.engine import EngineName
from gwsim.engine.cache import source_hash
from gwsim.errors import ExitCode, InputError, UsageError
from gwsim.files import write_whole
from gwsim.planning.cases import run_case
from gwsim.planning.executors import Executor
from gwsim.planning.figures import Row, figures
from gwsim.planning.preparation import Given, Prepared, prepare
from gwsim.results import Results

FORMAT = "gwsim/point/v1"


@dataclass(frozen=True, kw_only=True)
class Point:
    """A case to run, and where rows are kept (None: nowhere).

    `budgets`, if any, are held in place of the scenario's own; `baseline` is what relative ones are held against: another
    case, or a folder in which a run was saved.
    """

    given: Given
    engine: EngineName = "auto"
    store: Path | None = None
    budgets: tuple[str, ...] = ()
    baseline: Given | Path | None = None
    key: str = field(default="", compare=False)


def run_points(pool: Executor, points: Sequence[Point], done: Callable[[Row], None] | None = None) -> list[Row]:
    """The rows of points in their order; `done` is told of each as it comes."""
    return pool.map(run_point, list(points), done)


def run_point(point: Point) -> Row:
    """The row of one point, from disk if it is there."""
    try:
        prepared = prepare(point.given)
    except (InputError, UsageError) as error:
        return refused(str(error))
    key = key_of(prepared, point)
    found = kept(point.store, key)
    if found is not None:
        return found
    try:
        row = row_of(prepared, point)
    except (InputError, UsageError) as error:
        return refused(str(error))
    keep(point.store, key, row)
    return row


def keep(store: Path | None, key: str, row: Row) -> None:
    """Keep a row for later runs."""
    if store is not None:
        write_whole(store / f"{key}.json", text_of(row | {"key": key}))


def row_of(prepared: Prepared, point: Point) -> Row:
    """Simulate a point."""
    from gwsim.results.budgets import parse
    from gwsim.results.evaluation import check

    results = run_case(prepared, engine=point.engine).results
    wanted = [parse(text) for text in point.budgets] if point.budgets else None
    return figures(results, check(results, wanted, baseline=_baseline(point)))


def _baseline(point: Point) -> Results | None:
    if point.baseline is None:
        return None
    if isinstance(point.baseline, Path):
        from gwsim.results import store

        return store.load(point.baseline)
    return run_case(prepare(point.baseline), engine=point.engine).results


def refused(message: str) -> Row:
    """The row of a point that could not be run."""
    first = message.strip().splitlines()[0] if message.strip() else "the input is wrong"
    return {"verdict": "ERROR", "exit_code": int(ExitCode.INPUT), "sentence": first}


def key_of(prepared: Prepared, point: Point) -> str:
    """Hash of what a row follows from: version, engines, model, autoscalers, budgets."""
    resolved = prepared.resolved
    parts = (
        FORMAT, __version__, source_hash(), resolved.model, resolved.plan, resolved.costs,
        [(fleet.name, fleet.autoscaler, fleet.cpu_request_cores) for fleet in resolved.fleets],
        [one.text for one in resolved.budgets], point.budgets, _baseline_key(point.baseline),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


def _baseline_key(baseline: Given | Path | None) -> object:
    """What a baseline's figures follow from."""
    if isinstance(baseline, Path):
        from gwsim.results.store import RUN

        file = baseline / RUN
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else str(baseline)
    return prepare(baseline).resolved.model if baseline is not None else None


def kept(store: Path | None, key: str) -> Row | None:
    """A row that was kept under a key; None where there is none."""
    if store is None:
        return None
    try:
        row: Row = json.loads((store / f"{key}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    # the key names places of files, so it stays here and is no part of an answer
    return row if isinstance(row, dict) and row.pop("key", None) == key else None


def text_of(row: object) -> str:
    """JSON, the same bytes for the same data."""
    return json.dumps(row, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def with_settings(given: Given, settings: Sequence[str]) -> Given:
    """The case with further settings."""
    from dataclasses import replace

    return replace(given, settings=(*given.settings, *settings))


__all__ = ["Point", "keep", "kept", "key_of", "refused", "row_of", "run_point", "run_points", "text_of", "with_settings"]
