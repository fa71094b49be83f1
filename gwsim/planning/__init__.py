"""Planning: how often, with how many replicas, at which points and on how many cores a scenario is run.

    prepared = prepare(Given(paths=("scenarios/ingress-bookinfo",)))
    results = run_case(prepared, workers=2).results

`preparation` reads a case, `cases` runs it; `replications` and `replicas` say how often and with how many pods;
`sweep`, `batch`, `comparison` and `capacity` ask many runs one question; `executors` spreads the work.

Names are imported at their first use: the command line loads nothing heavy before it knows what is asked.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gwsim.planning.axes import Axis, Value, parse_axis
    from gwsim.planning.batch import Batch
    from gwsim.planning.cases import Simulated, run_case
    from gwsim.planning.comparison import Difference, differences
    from gwsim.planning.executors import Executor, executor
    from gwsim.planning.preparation import Given, Prepared, prepare
    from gwsim.planning.replicas import Settled, settle_replicas
    from gwsim.planning.replications import Progress, simulate
    from gwsim.planning.sweep import Sweep

_HOME = {
    "axes": ("Axis", "Value", "parse_axis"),
    "batch": ("Batch",),
    "cases": ("Simulated", "run_case"),
    "comparison": ("Difference", "differences"),
    "executors": ("Executor", "executor"),
    "preparation": ("Given", "Prepared", "prepare"),
    "replicas": ("Settled", "settle_replicas"),
    "replications": ("Progress", "simulate"),
    "sweep": ("Sweep",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})


__all__ = [
    "Axis",
    "Batch",
    "Difference",
    "Executor",
    "Given",
    "Prepared",
    "Progress",
    "Settled",
    "Simulated",
    "Sweep",
    "Value",
    "differences",
    "executor",
    "parse_axis",
    "prepare",
    "run_case",
    "settle_replicas",
    "simulate",
]
