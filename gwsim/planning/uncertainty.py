"""How far an answer follows from what is not known exactly, and how far from the simulation itself.

    made = uncertainty(given, inputs, pool)
    made.spreads[0].low, made.spreads[0].high       # the range of a figure, SI units
    made.tornado(made.figures[0])[0].name           # the input that moves it most

Two sets of runs, all with the same seeds: a Latin hypercube through the ranges of all inputs, and each input alone at
both ends of its range with the others in their middle (the tornado). With equal random numbers replication r of all runs
sees the same arrivals, so what differs between runs is the inputs' doing.

The split is the analysis of variance of figure y[i, r] of sample i in replication r, both effects random:
y = grand mean + input effect_i + luck_r + rest_ir. The variance of the input effect is (MS_samples - MS_rest) / R; that of
a mean over R replications (MS_replications - MS_rest) / (n R) + MS_rest / R. A third number would be the error of
the model, which no run tells: `docs/accuracy.md`.

Sources: M. D. McKay, R. J. Beckman, W. J. Conover, Technometrics 21 (1979), the sampling; H. Scheffe, The Analysis of
Variance (1959), 7.4; A. M. Law, Simulation Modeling and Analysis, 5th ed., 11.2 (common random numbers).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsim.engine import EngineName
from gwsim.errors import ExitCode, UsageError, worst
from gwsim.planning.cases import run_case
from gwsim.planning.comparison import STANDARD, figure_named, name_of
from gwsim.planning.executors import Executor
from gwsim.planning.figures import Row
from gwsim.planning.inputs import Input
from gwsim.planning.points import Point, keep, kept, key_of, with_settings
from gwsim.planning.preparation import Given, Prepared, prepare
from gwsim.results import Status
from gwsim.results.budgets import Budget, parse, read
from gwsim.results.evaluation import Answer, check, measure, per_replication, singles
from gwsim.results.histograms import Floats
from gwsim.results.intervals import t_quantile
from gwsim.results.labels import labels_of

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "gwsim/uncertainty/v1"
SAMPLES = 30
LEAST_SAMPLES, MOST_SAMPLES = 5, 10_000
LOW, HIGH = 0.05, 0.95
"""The range of a figure: nine in ten samples lie within."""
DEFAULTS = ("client.latency p(50)", "client.latency p(99)", "errors rate", "throughput good")
"""What is looked at where a scenario has no budgets."""
assert set(DEFAULTS) <= set(STANDARD)
UNITS = {"latency": "s", "share": "share", "rps": "rps", "cores": "cores"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A run to make: a case and the figures wanted of it, those with a limit first."""

    given: Given
    budgets: tuple[str, ...]
    figures: tuple[str, ...]
    engine: EngineName = "auto"
    store: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure that is looked at; a budget has a limit, others have none."""

    budget: Budget
    limited: bool

    @property
    def name(self) -> str:
        """As a budget would write it, without its limit."""
        return name_of(self.budget)

    @property
    def unit(self) -> str:
        """Unit of its values."""
        return UNITS[self.budget.kind]

    @property
    def column(self) -> str:
        """Its name as a column, with its unit."""
        return f"{self.name} ({self.unit})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure over all samples, in its unit. None: it has no value, or no finite one because a run is saturated.

    `middle` is the run with every input in its middle. Nine in ten samples lie between `low` and `high`. The two errors are
    standard deviations; `input_share` is the inputs' part of the variance. `answers` counts pass, fail and neither.
    """

    figure: Figure
    middle: float | None
    low: float | None
    high: float | None
    input_error: float | None
    simulation_error: float | None
    saturated: int
    passed: int
    failed: int
    undecided: int

    @property
    def input_share(self) -> float | None:
        """Part of the variance that the inputs bring, 0 to 1."""
        if self.input_error is None or self.simulation_error is None:
            return None
        total = self.input_error**2 + self.simulation_error**2
        return self.input_error**2 / total if total else 0.0

    @property
    def answer(self) -> Answer | None:
        """Pass or fail if all samples agree, else undecided; None without a limit."""
        if not self.figure.limited:
            return None
        if not self.failed and not self.undecided:
            return Answer.PASS
        return Answer.FAIL if not self.passed and not self.undecided else Answer.UNDECIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """An input alone at both ends of its range: a figure there, and the difference with its interval at 95 %.

    None: no finite value (the run there is saturated), or no interval.
    """

    name: str
    low_text: str
    high_text: str
    low: float | None
    high: float | None
    swing_low: float | None
    swing_high: float | None

    @property
    def swing(self) -> float:
        """How far the figure moves; infinite where one end is saturated."""
        if self.low is None or self.high is None:
            return 0.0 if self.low is None and self.high is None else math.inf
        return abs(self.high - self.low)

    @property
    def clear(self) -> bool:
        """Whether the difference is more than noise."""
        if self.swing_low is None or self.swing_high is None:
            return math.isinf(self.swing)
        return self.swing_low > 0.0 or self.swing_high < 0.0 or self.swing_low == self.swing_high != 0.0


@dataclass(frozen=True, kw_only=True)
class Uncertainty:
    """All runs: `samples[i]` were made at `shares[i]`, `ends[2 k]` and `ends[2 k + 1]` with input k low and high."""

    name: str
    question: str
    replications: int
    inputs: tuple[Input, ...]
    figures: tuple[Figure, ...]
    shares: Floats
    middle: Row
    samples: tuple[Row, ...]
    ends: tuple[Row, ...]

    @property
    def spreads(self) -> tuple[Spread, ...]:
        """Every figure over all samples."""
        return tuple(_spread(self, f) for f in range(len(self.figures)))

    def tornado(self, figure: Figure) -> tuple[Bar, ...]:
        """Every input's bar for a figure, the longest first."""
        f = self.figures.index(figure)
        bars = [_bar(one, self.ends[2 * k], self.ends[2 * k + 1], f) for k, one in enumerate(self.inputs)]
        order = {one.name: k for k, one in enumerate(self.inputs)}
        return tuple(sorted(bars, key=lambda bar: (-bar.swing, order[bar.name])))

    @property
    def requests(self) -> int:
        """Requests of all runs."""
        return sum(int(row["requests"]) for row in (self.middle, *self.samples, *self.ends))

    @property
    def exit_code(self) -> ExitCode:
        """1 if a budget holds in no sample, 3 if it holds in some but not in all, else 0."""
        codes = {Answer.PASS: 0, Answer.FAIL: 1, Answer.UNDECIDED: 3}
        answers = [one.answer for one in self.spreads if one.figure.budget.level == "error"]
        return worst(codes[one] for one in answers if one is not None)

    def figure(self, name: str) -> Figure:
        """A figure by its name, `client.latency p(99)`, or its budget's text; UsageError for another."""
        for one in self.figures:
            if name in (one.name, one.budget.text):
                return one
        raise UsageError(f"{name!r} was not looked at; there is {', '.join(one.name for one in self.figures)}")

    def frame(self) -> pd.DataFrame:
        """A pandas frame, one row a figure; `unit` is that of its numbers."""
        import pandas as pd

        return pd.DataFrame([_spread_row(one) for one in self.spreads])

    def samples_frame(self) -> pd.DataFrame:
        """A pandas frame, one row a sample: a column an input, a column a figure, the unit in each name."""
        import pandas as pd

        rows = []
        for shares, row in zip(self.shares, self.samples, strict=True):
            values = {one.column: one.value(float(u)) for one, u in zip(self.inputs, shares, strict=True)}
            found = {one.column: row["figures"][f]["value"] for f, one in enumerate(self.figures)}
            rows.append({**values, **found, "status": row["status"]})
        return pd.DataFrame(rows)

    def tornado_frame(self) -> pd.DataFrame:
        """A pandas frame, a row for every figure and input, the longest bars first; `unit` is that of the numbers."""
        import pandas as pd

        return pd.DataFrame([
            {"figure": figure.name, "unit": figure.unit, **_bar_row(bar)} for figure in self.figures for bar in self.tornado(figure)
        ])

    def plain(self) -> dict[str, Any]:
        """All of it as data, the same bytes whatever ran it."""
        return {
            "format": FORMAT, "name": self.name, "question": self.question, "replications": self.replications,
            "exit_code": int(self.exit_code), "requests": self.requests,
            "inputs": [
                {
                    "name": one.name,
                    "ranges": [
                        {"path": r.path, "low": r.low, "middle": r.middle, "high": r.high, "unit": r.unit, "log": r.log} for r in one.ranges
                    ],
                }
                for one in self.inputs
            ],
            "figures": [
                _spread_row(one) | {"tornado": [_bar_row(bar) for bar in self.tornado(one.figure)]} for one in self.spreads
            ],
            "samples": [
                {"shares": [round(float(u), 9) for u in shares]} | row for shares, row in zip(self.shares, self.samples, strict=True)
            ],
            "middle": self.middle,
        }


def uncertainty(
    given: Given,
    inputs: Sequence[Input],
    pool: Executor,
    *,
    figures: Sequence[str] = (),
    samples: int = SAMPLES,
    engine: EngineName = "auto",
    store: Path | None = None,
    done: Callable[[Row], None] | None = None,
) -> Uncertainty:
    """Run a scenario through the ranges of its inputs.

    `figures` (`gateway.latency p(99)`, or budgets with their limits) are looked at besides the scenario's budgets;
    `store` is the folder in which finished runs are kept. Raises InputError or UsageError for a scenario, an input or
    a figure that is wrong: before anything is run.
    """
    if not LEAST_SAMPLES <= samples <= MOST_SAMPLES:
        raise UsageError(f"the number of samples must be {LEAST_SAMPLES} to {MOST_SAMPLES}, not {samples}")
    k = len(inputs)
    ends = [[end if n == m else 0.5 for n in range(k)] for m in range(k) for end in (0.0, 1.0)]
    base = prepare(_at(given, inputs, [0.5] * k))
    for shares in ends:
        prepare(_at(given, inputs, shares))
    run = base.resolved.model.run
    if run.replications < 2:
        raise UsageError("one replication has no variance; give at least -n 5")
    wanted = _figures(read(labels_of(base.resolved).budgets), figures)
    shares_all = hypercube(k, samples, run.seed)
    texts = tuple(one.budget.text for one in wanted if one.limited), tuple(one.name for one in wanted if not one.limited)
    points = [
        Sample(given=_at(given, inputs, one), budgets=texts[0], figures=texts[1], engine=engine, store=store)
        for one in [[0.5] * k, *shares_all.tolist(), *ends]
    ]
    rows = pool.map(run_sample, points, done)
    return Uncertainty(
        name=base.name, question=base.resolved.question, replications=run.replications, inputs=tuple(inputs), figures=wanted,
        shares=shares_all, middle=rows[0], samples=tuple(rows[1 : 1 + samples]), ends=tuple(rows[1 + samples :]),
    )


def hypercube(inputs: int, samples: int, seed: int) -> Floats:
    """A Latin hypercube, float64 [samples, inputs]: each column has one value in each of `samples` equal parts of 0 to 1."""
    from scipy.stats import qmc

    made: Floats = qmc.LatinHypercube(d=inputs, rng=np.random.default_rng(seed)).random(samples)
    return made


def _at(given: Given, inputs: Sequence[Input], shares: Sequence[float]) -> Given:
    return with_settings(given, [text for one, u in zip(inputs, shares, strict=True) for text in one.settings(u)])


def _figures(own: Sequence[Budget], further: Sequence[str]) -> tuple[Figure, ...]:
    """Budgets, then figures without a limit; each name once."""
    made = [Figure(budget=one, limited=True) for one in own if not one.relative]
    for text in further:
        limited = any(sign in text for sign in "<>")
        made.append(Figure(budget=parse(text) if limited else figure_named(text), limited=limited))
    made = made or [Figure(budget=figure_named(text), limited=False) for text in DEFAULTS]
    ordered = [*(one for one in made if one.limited), *(one for one in made if not one.limited)]
    return tuple(one for n, one in enumerate(ordered) if one.name not in [other.name for other in ordered[:n]])


def run_sample(sample: Sample) -> Row:
    """The figures of a run, from disk if they are there: each with its value in every replication."""
    prepared = prepare(sample.given)
    point = Point(given=sample.given, engine=sample.engine, budgets=(*sample.budgets, *sample.figures))
    key = hashlib.sha256(f"{FORMAT} {key_of(prepared, point)}".encode()).hexdigest()[:40]
    row = kept(sample.store, key)
    if row is None:
        row = _row(sample, prepared)
        keep(sample.store, key, row)
    return row


def _row(sample: Sample, prepared: Prepared) -> Row:
    results = run_case(prepared, engine=sample.engine).results
    limited = [parse(text) for text in sample.budgets]
    answers: list[Answer | None] = [one.answer for one in check(results, limited).checked]
    wanted = [*limited, *(figure_named(text) for text in sample.figures)]
    answers += [None] * len(sample.figures)
    runs, saturated = singles(results), results.verdict.status is Status.SATURATED
    figures = []
    for budget, answer in zip(wanted, answers, strict=True):
        value, each = measure(budget, results).value, per_replication(budget, runs)
        endless = saturated and budget.is_latency  # it would grow with the length of the run
        figures.append({
            "value": None if endless else value, "each": None if endless or each is None else [float(one) for one in each],
            "answer": answer.value if answer else None,
        })
    return {"status": results.verdict.status.value, "requests": results.requests, "figures": figures}


def _each(row: Row, f: int) -> list[float] | None:
    each: list[float] | None = row["figures"][f]["each"]
    return each


def _spread(made: Uncertainty, f: int) -> Spread:
    rows = [row["figures"][f] for row in made.samples]
    endless = sum(row["status"] == Status.SATURATED.value for row in made.samples)
    values = [math.inf if row["value"] is None else float(row["value"]) for row in rows]
    tables = [each for row in made.samples if (each := _each(row, f)) is not None]
    errors = split(np.array(tables)) if len(tables) >= LEAST_SAMPLES else (None, None)
    answers = [row["answer"] for row in rows]
    return Spread(
        figure=made.figures[f], middle=made.middle["figures"][f]["value"], low=_quantile(values, LOW), high=_quantile(values, HIGH),
        input_error=errors[0], simulation_error=errors[1], saturated=endless, passed=answers.count(Answer.PASS.value),
        failed=answers.count(Answer.FAIL.value), undecided=answers.count(Answer.UNDECIDED.value) + answers.count(Answer.NO_DATA.value),
    )


def _quantile(values: Sequence[float], share: float) -> float | None:
    """The quantile between order statistics; None where it is not finite."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    first, last = ordered[math.floor(at)], ordered[math.ceil(at)]
    found = first if first == last else first + (last - first) * (at - math.floor(at))
    return found if math.isfinite(found) else None


def split(table: Floats) -> tuple[float, float]:
    """Standard deviations that inputs and simulation bring to a figure, from its values float64 [samples, replications].

    The second is that of the mean over the replications. Estimates of a variance below zero count as zero.
    """
    n, r = table.shape
    grand, by_sample, by_run = table.mean(), table.mean(axis=1), table.mean(axis=0)
    rest = table - by_sample[:, None] - by_run[None, :] + grand
    ms_samples = r * float(((by_sample - grand) ** 2).sum()) / (n - 1)
    ms_runs = n * float(((by_run - grand) ** 2).sum()) / (r - 1)
    ms_rest = float((rest**2).sum()) / ((n - 1) * (r - 1))
    inputs = max((ms_samples - ms_rest) / r, 0.0)
    luck = max((ms_runs - ms_rest) / n, 0.0)
    return math.sqrt(inputs), math.sqrt((luck + ms_rest) / r)


def _bar(one: Input, low: Row, high: Row, f: int) -> Bar:
    first, last = _each(low, f), _each(high, f)
    reach: tuple[float | None, float | None] = (None, None)
    if first is not None and last is not None and len(first) == len(last) > 1:
        apart = np.array(last) - np.array(first)
        half = t_quantile(0.975, len(apart) - 1) * float(apart.std(ddof=1)) / math.sqrt(len(apart))
        reach = float(apart.mean()) - half, float(apart.mean()) + half
    return Bar(
        name=one.name, low_text=one.text(0.0), high_text=one.text(1.0), low=low["figures"][f]["value"], high=high["figures"][f]["value"],
        swing_low=reach[0], swing_high=reach[1],
    )


def _bar_row(bar: Bar) -> Row:
    return {
        "input": bar.name, "at_low": bar.low_text, "at_high": bar.high_text, "low": bar.low, "high": bar.high,
        "swing": bar.swing if math.isfinite(bar.swing) else None, "swing_low": bar.swing_low, "swing_high": bar.swing_high,
        "clear": bar.clear,
    }


def _spread_row(one: Spread) -> Row:
    limit = one.figure.budget.limit if one.figure.limited else None
    return {
        "figure": one.figure.name, "unit": one.figure.unit, "middle": one.middle, "low": one.low, "high": one.high,
        "input_error": one.input_error, "simulation_error": one.simulation_error, "input_share": one.input_share,
        "saturated_samples": one.saturated, "budget": one.figure.budget.text if one.figure.limited else None, "limit": limit,
        "answer": one.answer.value if one.answer else None, "passed": one.passed, "failed": one.failed, "undecided": one.undecided,
    }


__all__ = [
    "DEFAULTS", "FORMAT", "SAMPLES", "Bar", "Figure", "Sample", "Spread", "Uncertainty", "hypercube", "run_sample", "split",
    "uncertainty",
]
