"""gwsim in Python: what notebooks and scripts use.

    import gwsim as gw

    shop = gw.load("scenarios/ingress-bookinfo")
    run = shop.run()
    run.routes                                   # a pandas frame, units in the column names
    run.percentiles()                            # a matplotlib figure; accepts ax=
    shop.with_("clients.web.arrivals.poisson=5krps").run()
    shop.sweep("clients.web.arrivals.poisson=1krps..20krps:10").curve()
    shop.plan(load="5krps..20krps", budgets=["gateway.latency p(99) < 50ms"])
    shop.uncertainty("clients.web.arrivals.poisson=1800rps..2600rps").tornado()
    shop.compare(shop.with_("istio.version=1.31"))

A `Scenario` is a value: `with_` gives another one, nothing is changed in place, and there is no global state. Every
method raises InputError or UsageError, with file and line, for what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gwsim.notebook import Bar, preformatted, shown_in_notebook
from gwsim.planning.preparation import Given, Prepared, prepare

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gwsim.engine import EngineName
    from gwsim.planning.inputs import Costs
    from gwsim.planning.plan import Plan
    from gwsim.planning.sweep import Sweep
    from gwsim.planning.uncertainty import Uncertainty
    from gwsim.planning.verdict import Comparison
    from gwsim.report.report import Report
    from gwsim.results import Results
    from gwsim.topology import Topology

Metric = Literal["client.latency", "gateway.latency", "gateway.overhead"]


def load(path: str | Path, *config: str | Path, set_: Sequence[str] = (), seed: int | None = None) -> Scenario:
    """The scenario at a path: a `scenario.yaml`, a folder with one, or plain Istio YAML (a default workload is assumed).

    `config` is Istio YAML in place of the scenario's own; `set_` and `seed` are those of `gwsim run`. Raises InputError
    with all that is wrong.
    """
    given = Given(paths=(str(path), *(str(one) for one in config)), settings=tuple(set_), seed=seed)
    return Scenario(given)


@dataclass(frozen=True)
class Scenario:
    """A scenario as it would be run. It is read when something is asked of it first."""

    given: Given
    engine: EngineName = "auto"
    jobs: int | None = None
    """Replications or points at the same time; None: all cores."""

    @cached_property
    def _prepared(self) -> Prepared:
        return prepare(self.given)

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self._prepared.name

    @property
    def question(self) -> str:
        """What it asks."""
        return self._prepared.resolved.question

    @property
    def topology(self) -> Topology:
        """The gateways that its configuration makes."""
        return self._prepared.project.topology

    @property
    def findings(self) -> pd.DataFrame:
        """What was noticed about its files: `code`, `level`, `place`, `message`, `help`."""
        import pandas as pd

        rows = [
            {"code": one.code, "level": one.level.value, "place": str(one.span or ""), "message": one.message, "help": one.help or ""}
            for one in self._prepared.resolved.findings
        ]
        return pd.DataFrame(rows, columns=["code", "level", "place", "message", "help"])

    def with_(self, *settings: str, seed: int | None = None, fix_replicas: bool | None = None) -> Scenario:
        """The same with further settings, `path=value` as for `--set`."""
        given = replace(
            self.given, settings=(*self.given.settings, *settings), seed=self.given.seed if seed is None else seed,
            fix_replicas=self.given.fix_replicas if fix_replicas is None else fix_replicas,
        )
        return replace(self, given=given)

    def run(self, *, replications: int | None = None, progress: bool | None = None) -> Run:
        """Simulate it. `progress` None: a bar in a notebook and on a terminal."""
        from gwsim.planning.cases import run_case

        prepared = prepare(replace(self.given, replications=replications)) if replications else self._prepared
        with Bar(progress) as bar:
            done = run_case(prepared, engine=self.engine, workers=self.jobs or _cores(), progress=bar.replication)
        return Run(results=done.results, scenario=self, _resolved=done.resolved, _prepared=prepared)

    def sweep(self, *over: str, progress: bool | None = None, store: str | Path | None = None) -> SweepRun:
        """Run it at every point of a grid, `path=1krps..20krps:20` each; `store` keeps finished points in a folder."""
        from gwsim.planning.axes import grid, parse_axis
        from gwsim.planning.sweep import sweep

        axes = [parse_axis(text) for text in over]
        with Bar(progress, total=len(grid(axes)) if axes else 0) as bar, self._pool() as pool:
            made = sweep(self.given, axes, pool, engine=self.engine, store=_store(store), done=bar.point)
        return SweepRun(made)

    def plan(
        self, *, load: str | Sequence[float] | None = None, budgets: Sequence[str] = (), gateway: str = "",
        replicas: tuple[int, int] = (1, 40), workers: Sequence[int] = (), zone_lost: bool = False, headroom: bool = True, hpa: bool = False,
        ramp: str | float = "5m", progress: bool | None = None,
    ) -> PlanRun:
        """The fewest pods of a gateway for every load: `5krps..20krps`, or numbers in rps; see `gwsim plan`.

        With `hpa` bounds and target of an autoscaler too, for a load that goes up and down between them within `ramp`, or
        changes as the scenario says. With numbers of `workers` pods of each size are tried at the highest load.
        """
        from gwsim.planning.axes import parse_loads
        from gwsim.planning.day import day_for
        from gwsim.planning.plan import plan
        from gwsim.results.budgets import parse

        loads = parse_loads(load) if isinstance(load, str) else list(load or ())
        prepared = prepare(replace(self.given, fix_replicas=True))
        day = day_for(prepared.resolved.model, loads, ramp) if hpa else None
        with Bar(progress) as bar, self._pool() as pool:
            made = plan(
                prepared, pool, budgets=[parse(text) for text in budgets], loads=loads, gateway=gateway, replicas=replicas, workers=workers,
                zone_lost=zone_lost, headroom=headroom, day=day, engine=self.engine, told=bar.point,
            )
        return PlanRun(made)

    def uncertainty(
        self, *inputs: str, figures: Sequence[str] = (), samples: int = 30, costs: Costs = "groups",
        progress: bool | None = None, store: str | Path | None = None,
    ) -> UncertaintyRun:
        """Carry ranges of inputs, `path=1800rps..2600rps` each, to ranges in the answer; see `gwsim uncertainty`.

        The section `uncertain` of the scenario counts too, and the costs through the ranges of their profile: those of a
        kind together (`groups`), `each` by itself, or `none`. `figures` are looked at besides the budgets.
        """
        from gwsim.planning.inputs import inputs_of
        from gwsim.planning.uncertainty import uncertainty

        found = inputs_of(self._prepared, inputs, costs=costs)
        with Bar(progress, total=samples + 2 * len(found) + 1) as bar, self._pool() as pool:
            made = uncertainty(
                self.given, found, pool, figures=figures, samples=samples, engine=self.engine, store=_store(store), done=bar.point
            )
        return UncertaintyRun(made)

    def compare(self, other: Scenario, *, tolerance: float = 0.05) -> ComparisonRun:
        """Hold another scenario against this one, paired by replication; see `gwsim compare`."""
        from gwsim.planning.verdict import compare

        a, b = self.run(progress=False), other.run(progress=False)
        return ComparisonRun(compare(a._side("A"), b._side("B"), tolerance=tolerance))

    def _pool(self) -> Any:
        from gwsim.planning.executors import executor

        return executor("processes" if self.engine == "reference" else "threads", self.jobs or _cores())

    def __repr__(self) -> str:
        settings = "".join(f", {one!r}" for one in self.given.settings)
        return f"gwsim.load({self.given.target!r}{settings})"


@dataclass(frozen=True)
class Run:
    """A simulated scenario: `results` has every figure; here are frames, figures and the report."""

    results: Results
    scenario: Scenario
    _resolved: Any = field(repr=False)
    _prepared: Prepared = field(repr=False)

    @cached_property
    def report(self) -> Report:
        """What renderers read."""
        from gwsim.report.report import Report

        return Report.of(
            self.results, self._resolved, project=self._prepared.project, target=self.scenario.given.target,
            given=self.scenario.given.words,
        )

    @property
    def verdict(self) -> str:
        """`PASS`, `FAIL`, `SATURATED`, `METASTABLE`, `UNDECIDED` or `DONE`."""
        return self.report.headline.word.value

    @property
    def routes(self) -> pd.DataFrame:
        """One row a route."""
        return self.results.frame("routes")

    @property
    def budgets(self) -> pd.DataFrame:
        """One row a budget: `budget`, `answer`, `observed`, `low`, `high`, `limit` (SI units, shares 0 to 1)."""
        import pandas as pd

        return pd.DataFrame([
            {
                "budget": one.budget.text, "answer": one.answer.value, "observed": one.observed.value, "low": one.observed.low,
                "high": one.observed.high, "limit": one.budget.limit,
            }
            for one in self.report.budgets.checked
        ])

    def frame(self, name: str) -> pd.DataFrame:
        """Any frame of the results; UsageError, with those there are, for another name."""
        return self.results.frame(name)

    def percentiles(self, metric: Metric = "client.latency", *, ax: Axes | None = None) -> Figure:
        """Latency by percentile, a curve a route."""
        from gwsim.report import figures

        return shown_in_notebook(figures.percentiles(self.results, metric, budgets=self.report.budgets, ax=ax))

    def where_time_went(self, *, ax: Axes | None = None) -> Figure:
        """The mean, median and tail request by component."""
        from gwsim.report import figures

        return shown_in_notebook(figures.where_time_went(self.results, ax=ax))

    def anatomy(self, *, ax: Axes | None = None) -> Figure:
        """Where the time of the median, the p95 and the p99 requests went, by proxy and cause; ValueError without answers."""
        from gwsim.report.anatomy import figure

        return shown_in_notebook(figure(self.results, ax=ax))

    def timeline(self) -> Figure:
        """The run over time, five panels."""
        from gwsim.report import figures

        return shown_in_notebook(figures.timeline(self.results))

    def save(self, folder: str | Path) -> Path:
        """Save it as `gwsim run` does, so that `gwsim report` and `gwsim compare` read it."""
        from gwsim.report.report import KEY, as_plain
        from gwsim.results import store

        return store.save(self.results, folder, provenance={KEY: as_plain(self.report), "base": str(self._prepared.folder)})

    def _side(self, name: str) -> Any:
        from gwsim.planning.verdict import Side

        return Side(name=name, results=self.results, project=self._prepared.project, resolved=self._resolved)

    def __repr__(self) -> str:
        return f"<run of {self.scenario!r}: {self.results.requests:,} requests>"

    def __str__(self) -> str:
        from gwsim.report import text

        return text.plain(text.compact(self.report))

    def _repr_html_(self) -> str:
        return preformatted(str(self))


@dataclass(frozen=True)
class SweepRun:
    """A sweep: `frame` has a row a point; `data` is the sweep itself."""

    data: Sweep

    @property
    def frame(self) -> pd.DataFrame:
        """A row a point, units in the column names."""
        return self.data.frame()

    def curve(self, figure: str = "client_latency_p99_s", *, ax: Axes | None = None) -> Figure:
        """A figure along the last axis."""
        from gwsim.report import sweep_figures

        return shown_in_notebook(sweep_figures.curve(self.data, figure, ax=ax))

    def heat_map(self, figure: str = "client_latency_p99_s", *, ax: Axes | None = None) -> Figure:
        """A figure over the last two axes."""
        from gwsim.report import sweep_figures

        return shown_in_notebook(sweep_figures.heat_map(self.data, figure, ax=ax))

    def __repr__(self) -> str:
        return f"<sweep of {self.data.name}: {len(self.data.rows)} points>"

    def __str__(self) -> str:
        from gwsim.report import lines, sweep

        return lines.plain(sweep.lines(self.data))

    def _repr_html_(self) -> str:
        return preformatted(str(self))


@dataclass(frozen=True)
class UncertaintyRun:
    """What ranges of inputs come to: `frame` has a row a figure; `data` is all of it."""

    data: Uncertainty

    @property
    def frame(self) -> pd.DataFrame:
        """A row a figure: `middle`, `low`, `high`, `input_error`, `simulation_error` in its `unit`."""
        return self.data.frame()

    @property
    def samples(self) -> pd.DataFrame:
        """A row a sample: its inputs and figures, units in the column names."""
        return self.data.samples_frame()

    @property
    def bars(self) -> pd.DataFrame:
        """A row for every figure and input, the longest bars of the tornado first."""
        return self.data.tornado_frame()

    def tornado(self, figure: str = "", *, ax: Axes | None = None) -> Figure:
        """A bar an input for a figure, by default the first: from its value at the low end to that at the high end."""
        from gwsim.report import uncertainty_figures

        found = self.data.figure(figure) if figure else self.data.figures[0]
        return shown_in_notebook(uncertainty_figures.tornado(self.data, found, ax=ax))

    def __repr__(self) -> str:
        return f"<uncertainty of {self.data.name}: {len(self.data.inputs)} inputs, {len(self.data.samples)} samples>"

    def __str__(self) -> str:
        from gwsim.report import lines, uncertainty

        return lines.plain(uncertainty.lines(self.data))

    def _repr_html_(self) -> str:
        return preformatted(str(self))


@dataclass(frozen=True)
class PlanRun:
    """A plan: `frame` has a row a load, `settings` what to write."""

    data: Plan

    @property
    def frame(self) -> pd.DataFrame:
        """A row a load."""
        return self.data.frame()

    @property
    def settings(self) -> pd.DataFrame:
        """`path`, `value`, `reason`."""
        import pandas as pd

        return pd.DataFrame([{"path": one.path, "value": one.value, "reason": one.reason} for one in self.data.settings])

    def staircase(self, *, ax: Axes | None = None) -> Figure:
        """Pods needed by load."""
        from gwsim.report import plan_page

        return shown_in_notebook(plan_page.staircase(self.data, ax=ax))

    def course(self) -> Figure:
        """Load, pods and latency over the day with the autoscaler found; UsageError for a plan without (`hpa=True`)."""
        from gwsim.errors import UsageError
        from gwsim.report import plan_page

        if self.data.autoscaling is None:
            raise UsageError("no autoscaler was planned; use plan(..., hpa=True)")
        return shown_in_notebook(plan_page.course(self.data.autoscaling))

    def __repr__(self) -> str:
        return f"<plan of {self.data.name}: {len(self.data.steps)} loads>"

    def __str__(self) -> str:
        from gwsim.report import lines, plan

        return lines.plain(plan.lines(self.data))

    def _repr_html_(self) -> str:
        return preformatted(str(self))


@dataclass(frozen=True)
class ComparisonRun:
    """Two runs held against each other."""

    data: Comparison

    @property
    def frame(self) -> pd.DataFrame:
        """A row a figure, the significant differences first (SI units, shares 0 to 1)."""
        import pandas as pd

        return pd.DataFrame(self.data.plain()["differences"])

    @property
    def verdict(self) -> str:
        """`WORSE`, `BETTER`, `NO WORSE`, `SAME` or `UNDECIDED`."""
        return self.data.word.value

    def ratios(self, *, ax: Axes | None = None) -> Figure:
        """Figures of B over those of A."""
        from gwsim.report import comparison_page

        return shown_in_notebook(comparison_page.ratios(self.data, ax=ax))

    def __repr__(self) -> str:
        return f"<comparison of {self.data.a.name} and {self.data.b.name}: {self.verdict}>"

    def __str__(self) -> str:
        from gwsim.report import comparison, lines

        return lines.plain(comparison.lines(self.data))

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def _store(folder: str | Path | None) -> Path | None:
    """The folder in which finished runs are kept, made if need be."""
    if folder is None:
        return None
    from gwsim.files import folder_for_writing

    return folder_for_writing(Path(folder)).absolute()


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


__all__ = ["ComparisonRun", "Metric", "PlanRun", "Run", "Scenario", "SweepRun", "UncertaintyRun", "load"]
