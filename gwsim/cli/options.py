"""What the commands that simulate have in common: their options, and what they run on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.errors import UsageError

if TYPE_CHECKING:
    from gwsim.planning.executors import Executor
    from gwsim.planning.preparation import Given


class Engine(StrEnum):
    """What simulates: both engines give the same result."""

    AUTO = "auto"
    COMPILED = "compiled"
    REFERENCE = "reference"


class Undecided(StrEnum):
    """What an undecided budget means for the exit code."""

    FAIL = "fail"
    WARN = "warn"
    PASS = "pass"


class Kind(StrEnum):
    """What does several pieces of work at the same time on this machine."""

    THREADS = "threads"
    PROCESSES = "processes"


class Data(StrEnum):
    """What is printed on standard output by commands that make tables."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


Scenario = Annotated[str, typer.Argument(metavar="SCENARIO", help="A scenario.yaml, or a folder with one.", show_default=False)]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the scenario or of an object. Repeatable.", show_default=False)]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of all random numbers (default: the scenario's).", show_default=False)]
Replications = Annotated[int | None, typer.Option("-n", "--replications", min=1, help="Independent repetitions (default: the scenario's).", show_default=False)]
Duration = Annotated[str | None, typer.Option(metavar="TIME", help="Length of a replication, e.g. 60s (default: the scenario's).", show_default=False)]
Jobs = Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="Pieces of work at the same time (default: all cores); the result is the same.", show_default=False)]
Workers = Annotated[Kind, typer.Option("--workers", help="What does the work: threads, or processes (always for the reference engine).")]
Dask = Annotated[str | None, typer.Option("--dask", metavar="ADDRESS", help="Work on the Dask cluster whose scheduler is there, e.g. tcp://10.0.0.5:8786.", show_default=False)]
EngineOption = Annotated[Engine, typer.Option("--engine", help="Both engines give the same result, bit by bit.")]
Costs = Annotated[str | None, typer.Option("--costs", metavar="FILE", help="Costs measured on your machine, laid over the cost profile.", show_default=False)]
FixReplicas = Annotated[bool, typer.Option("--fix-replicas", help="Let settings fix the replicas of a gateway that has an autoscaler.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where results are saved.", show_default=False)]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Nothing on standard error but errors.")]
UndecidedOption = Annotated[Undecided, typer.Option("--undecided", help="Exit code of an undecided answer: fail is 3, warn and pass are 0.")]


def given_of(
    paths: Sequence[str], settings: Sequence[str] | None, *, seed: int | None = None, replications: int | None = None,
    duration: str | None = None, costs: str | None = None, fix_replicas: bool = False,
) -> Given:
    """The case that the words of a command describe; UsageError for a path that is not there."""
    from gwsim.planning.preparation import STDIN, Given

    for path in paths:
        if path != STDIN and not os.path.exists(path):
            raise UsageError(f"there is no file or folder {path}")
    return Given(
        paths=tuple(paths), settings=tuple(settings or ()), seed=seed, replications=replications, duration=duration,
        costs=costs, fix_replicas=fix_replicas,
    )


@contextmanager
def working(engine: Engine, jobs: int | None, kind: Kind = Kind.THREADS, dask: str | None = None) -> Iterator[Executor]:
    """What the pieces of a command run on; an interrupt ends it soon."""
    from gwsim.cli.interrupts import heard
    from gwsim.engine.cache import KERNELS, is_warm
    from gwsim.planning.executors import dask_executor, executor

    if dask is not None:
        with heard(), dask_executor(dask) as pool:
            yield pool
        return
    compiling = engine is Engine.AUTO and not any(is_warm(name) for name in KERNELS)  # takes a core of its own meanwhile
    count = jobs or (1 if compiling else cores())
    processes = kind is Kind.PROCESSES or engine is Engine.REFERENCE
    with heard(), executor("processes" if processes else "threads", count) as pool:
        yield pool


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
