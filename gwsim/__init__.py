"""gwsim: traffic simulation and capacity modelling for Istio gateways.

One topology in Envoy's vocabulary, built from Istio YAML, and three executors: a compiled engine,
a readable SimPy engine equal to it to the last bit, and a real Envoy.

    import gwsim as gw

    gw.load("scenarios/ingress-bookinfo").run()

See `gwsim.api` for what notebooks and scripts use; its names are imported at their first use.
"""

from typing import TYPE_CHECKING, Any

from gwsim._version import __version__

if TYPE_CHECKING:
    from gwsim.api import ComparisonRun, PlanRun, Run, Scenario, SweepRun, UncertaintyRun, load

_API = ("ComparisonRun", "PlanRun", "Run", "Scenario", "SweepRun", "UncertaintyRun", "load")


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gwsim import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_API})


__all__ = ["ComparisonRun", "PlanRun", "Run", "Scenario", "SweepRun", "UncertaintyRun", "__version__", "load"]
