"""Many scenarios, one table: all are run, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwsim.engine import EngineName
from gwsim.errors import ExitCode, UsageError, worst
from gwsim.planning.executors import Executor
from gwsim.planning.figures import Row
from gwsim.planning.points import Point, run_points
from gwsim.planning.preparation import Given, scenario_name

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "gwsim/batch/v1"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Scenarios by name, in order, and the row of each."""

    names: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def exit_code(self) -> ExitCode:
        """The worst of all."""
        return worst(row["exit_code"] for row in self.rows)

    def frame(self) -> pd.DataFrame:
        """A pandas frame, one row a scenario."""
        import pandas as pd

        rows = [{"scenario": n} | {k: v for k, v in row.items() if k != "budgets"} for n, row in zip(self.names, self.rows, strict=True)]
        return pd.DataFrame(rows)

    def plain(self) -> dict[str, Any]:
        """The batch as data."""
        return {"format": FORMAT, "scenarios": [{"name": n} | row for n, row in zip(self.names, self.rows, strict=True)]}


def scenario_paths(paths: Sequence[str]) -> tuple[str, ...]:
    """The scenarios at paths: files, folders with one, and folders of such folders; UsageError where there is none."""
    found: list[str] = []
    for path in paths:
        here = Path(path)
        if here.is_file() or (here / "scenario.yaml").is_file():
            found.append(path)
            continue
        if not here.is_dir():
            raise UsageError(f"there is no file or folder {path}")
        below = sorted(one.parent for one in here.rglob("scenario.yaml"))
        if not below:
            raise UsageError(f"{path} holds no scenario.yaml, nor does any folder below it")
        found += [str(one) for one in below]
    return tuple(dict.fromkeys(found))


def batch_names(paths: Sequence[str]) -> tuple[str, ...]:
    """What each scenario is called: its folder's name, with as much of the path before it as makes it unique."""
    names = [scenario_name(path) for path in paths]
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(
        name if names.count(name) == 1 else Path(path).as_posix().replace("/scenario.yaml", "").strip("./")
        for name, path in zip(names, paths, strict=True)
    )


def batch(
    given: Given,
    paths: Sequence[str],
    pool: Executor,
    *,
    engine: EngineName = "auto",
    store: Path | None = None,
    baselines: Sequence[Given | Path | None] = (),
    done: Callable[[Row], None] | None = None,
) -> Batch:
    """Run scenarios; `given` holds the options for all of them, `baselines` what relative budgets are held against.

    Nothing is raised for a scenario that is wrong: its row says so.
    """
    known = [*baselines] if baselines else [None] * len(paths)
    points = [
        Point(given=replace(given, paths=(path,)), engine=engine, store=store, baseline=baseline)
        for path, baseline in zip(paths, known, strict=True)
    ]
    return Batch(names=batch_names(paths), rows=tuple(run_points(pool, points, done)))


__all__ = ["FORMAT", "Batch", "batch", "batch_names", "scenario_paths"]
