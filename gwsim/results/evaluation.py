"""Whether the budgets of a scenario hold: pass, fail, undecided or no data, each with its numbers.

Each budget is decided by its interval. With several budgets the intervals are widened after Holm, so that the
chance of any wrong decision stays below 5 %; an interval that still contains the limit is *undecided*, with the
number of further requests that would about decide it. In a saturated run latency budgets fail: there is no finite
latency to hold against them.

Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from gwsim.engine.codes import Counter
from gwsim.engine.schema import MIDDLE
from gwsim.errors import ExitCode, UsageError, worst
from gwsim.results.budgets import CLUSTERS, GATEWAYS, MACHINES, Budget, matching, read, unguarded
from gwsim.results.counts import histogram_of, range_of
from gwsim.results.histograms import Floats
from gwsim.results.intervals import EXCEEDANCES, NO_DATA, Estimate, Quality, mean, quantile, ratio, share
from gwsim.results.machines import REFUSED
from gwsim.results.parts import Latency, Status, Traffic
from gwsim.results.results import Results, build
from gwsim.units import format_share


class Answer(StrEnum):
    """What becomes of a budget."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A budget and what became of it.

    `observed` carries the interval that decided, at its level after Holm (SI units, shares 0 to 1). `margin` is the
    distance to the limit as a share of it, negative on the wrong side. `more_requests` is about how many further
    requests would decide an undecided one (None: no number would, or it is decided).
    """

    budget: Budget
    answer: Answer
    observed: Estimate
    margin: float | None
    more_requests: int | None
    sentence: str
    caveat: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """All budgets of a scenario, evaluated, in the order of the file; `warnings` are about the budgets themselves."""

    checked: tuple[Checked, ...]
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """1 if a budget of level error fails, 3 if one is undecided or has no data, else 0."""
        codes = {Answer.PASS: 0, Answer.FAIL: 1, Answer.UNDECIDED: 3, Answer.NO_DATA: 3}
        return worst(codes[one.answer] for one in self.checked if one.budget.level == "error")

    @property
    def failed(self) -> tuple[Checked, ...]:
        """The budgets that do not hold, warnings included."""
        return tuple(one for one in self.checked if one.answer is Answer.FAIL)


def check(results: Results, budgets: Sequence[Budget] | None = None, *, baseline: Results | None = None) -> Budgets:
    """Evaluate budgets, by default those of the scenario; `baseline` is what relative ones are held against.

    A relative budget without a baseline has no data. With one, its figure is the ratio of both runs, paired by
    replication: with equal random numbers most of the noise is in both and cancels.

    Raises InputError for a budget of the scenario that cannot be read, UsageError for labels that nothing has.
    """
    wanted = read(results.labels.budgets, results.labels) if budgets is None else tuple(budgets)
    figures = [_over_baseline(one, results, baseline) if one.relative else measure(one, results) for one in wanted]
    decided = _holm(list(zip(wanted, figures, strict=True)), results)
    decided = [replace(one, caveat=_caveat(one, results)) for one in decided]
    return Budgets(checked=tuple(decided), warnings=unguarded(wanted))


def _over_baseline(budget: Budget, results: Results, baseline: Results | None) -> Estimate:
    """A figure as a share of the baseline's; no data where the runs cannot be paired."""
    if baseline is None or baseline.replications != results.replications or baseline.labels.seed != results.labels.seed:
        return NO_DATA
    try:
        now, before = (per_replication(budget, singles(run)) for run in (results, baseline))
    except UsageError:  # a route that the baseline does not have
        return NO_DATA
    if now is None or before is None or not before.sum():
        return NO_DATA
    return ratio(now, before, level=results.level, count=results.total.requests)


def singles(results: Results) -> list[Results]:
    """Each replication as results of its own."""
    return [build(results.labels, [raw], level=results.level) for raw in results.raws]


def per_replication(figure: Budget, runs: Sequence[Results]) -> Floats | None:
    """A figure of each replication by itself, float64 [R]; None where one has no value."""
    values = [measure(figure, one).value for one in runs]
    known = [value for value in values if value is not None]
    return np.array(known) if len(known) == len(values) else None


def measure(budget: Budget, results: Results) -> Estimate:
    """The figure a budget limits; UsageError, with the nearest, for labels that nothing has."""
    ids = matching(budget, results.labels)
    if budget.metric in CLUSTERS:
        return _cluster(budget, results, ids)
    if budget.metric in MACHINES:
        return _machine(budget, results, ids)
    labels = dict(budget.labels)
    traffic = results.select(**labels) if labels else results.total
    return _traffic(budget, traffic, results)


def _traffic(budget: Budget, traffic: Traffic, results: Results) -> Estimate:
    if budget.metric == "throughput":
        whole: Traffic | object = results.throughput if not budget.labels else traffic
        figure: Estimate = getattr(whole, f"{budget.aggregate}_rps")
        return figure
    named = {
        "errors": traffic.errors, "local_replies": traffic.local_replies, "retries": traffic.gateway_retries,
        "client.retries": traffic.client_retries,
    }
    if budget.metric in named:
        return named[budget.metric]
    latencies = {
        "client.latency": traffic.client_latency, "gateway.latency": traffic.gateway_latency,
        "gateway.overhead": traffic.gateway_overhead,
    }
    return _latency(budget, latencies[budget.metric], results.level)


def _latency(budget: Budget, latency: Latency, level: float) -> Estimate:
    return latency.mean if budget.percent is None else latency.percentile(budget.percent, level)


def _cluster(budget: Budget, results: Results, ids: Sequence[int]) -> Estimate:
    counts = results.counts
    if budget.metric == "overflow":
        counters = counts.classes("cluster_counters", ids)
        refused = counters[:, list(REFUSED)].sum(axis=1)
        return share(refused, counters[:, Counter.UPSTREAM_RQ_TOTAL] + refused, level=results.level)
    histogram = histogram_of(counts, "cluster_hist", "cluster_sum", ids, MIDDLE)
    if budget.percent is None:
        return mean(histogram, level=results.level)
    return quantile(histogram, budget.percent / 100.0, level=results.level)


def _machine(budget: Budget, results: Results, ids: Sequence[int]) -> Estimate:
    """`mean` is over all pods (or workers), `max` of the busiest one."""
    if budget.metric == "backend.utilisation":
        figures = [results.backends[i].utilisation for i in ids]
    elif budget.metric == "worker.cpu":
        figures = [results.workers[i].utilisation for i in ids]
    else:
        names = {results.labels.workers[i].gateway for i in ids}
        if budget.metric == "gateway.cores" or budget.aggregate == "mean":
            cpu = results.counts.of("worker_window_cpu")[:, list(ids)].sum(axis=1) * 1e-9
            cores = ratio(cpu, results.counts.windows_s, level=results.level, count=results.total.requests)
            return cores if budget.metric == "gateway.cores" else cores.scaled(1.0 / len(ids))
        figures = [pod.utilisation for pod in results.pods if pod.gateway in names]
    known = [figure for figure in figures if figure.value is not None]
    if not known:
        return NO_DATA
    if budget.aggregate == "max":
        return max(known, key=lambda figure: figure.value or 0.0)
    return _average(known)


def _average(figures: Sequence[Estimate]) -> Estimate:
    """The mean of figures of equal weight; their errors added, so the interval is no narrower than it should be."""
    n, first = len(figures), figures[0]
    value = sum(figure.value or 0.0 for figure in figures) / n
    if any(figure.error is None for figure in figures):
        return Estimate(value=value, count=first.count, quality=Quality.ONE_RUN, level=first.level)
    error = sum(figure.error or 0.0 for figure in figures) / n
    count = sum(figure.count for figure in figures)
    return Estimate(value=value, count=count, error=error, degrees=first.degrees).at(first.level)


def _holm(pairs: list[tuple[Budget, Estimate]], results: Results) -> list[Checked]:
    """Holm's steps: the clearest figure is held to the strictest level; from the first that misses on, all do."""
    answers: dict[int, Checked] = {}
    open_: list[tuple[float, int]] = []
    for i, (budget, figure) in enumerate(pairs):
        answer = _without_interval(budget, figure, results)
        if answer is None:
            open_.append((figure.p_value(budget.limit), i))
        else:
            answers[i] = answer
    alpha, missed = 1.0 - results.level, 0.0
    for rank, (p, i) in enumerate(sorted(open_)):
        allowed = missed or alpha / (len(open_) - rank)
        budget, figure = pairs[i]
        if p > allowed:
            missed = allowed
        answers[i] = _decided(budget, figure.at(1.0 - allowed), p <= allowed and not missed)
    return [answers[i] for i in range(len(pairs))]


def _caveat(one: Checked, results: Results) -> str:
    """CPU is proportional to the costs, so its range is that of the profile; latencies are not."""
    if one.budget.metric not in GATEWAYS or one.observed.value is None or one.budget.relative:
        return ""
    span = range_of(one.observed, results.labels)
    if one.budget.holds(span.low) == one.budget.holds(span.high):
        return ""
    low, high = one.budget.show(span.low), one.budget.show(span.high)
    why = "the calibration has a spread" if span.calibrated else "costs are not calibrated"
    return f"{why}: anything from {low} to {high} is possible"


def _without_interval(budget: Budget, figure: Estimate, results: Results) -> Checked | None:
    """Budgets that no interval has to decide; None for the others."""
    if budget.is_latency and results.verdict.status is Status.SATURATED:
        return _checked(budget, Answer.FAIL, figure, "the run is saturated: there is no finite latency")
    if figure.value is None or results.verdict.status is Status.NO_DATA:
        text = "there is no baseline to hold it against" if budget.relative else "nothing was measured"
        return _checked(budget, Answer.NO_DATA, figure, text)
    if figure.quality is Quality.ONE_RUN:
        return _checked(budget, Answer.UNDECIDED, figure, f"observed {_shown(budget, figure)}, one replication has no interval")
    if figure.quality is Quality.TOO_SHORT:
        more = _enough(budget, figure)
        return _checked(budget, Answer.UNDECIDED, figure, f"observed {_shown(budget, figure)}, too few requests{_after(more)}", more)
    exact = figure.quality in (Quality.NONE_SEEN, Quality.ALL_SEEN) and figure.value == budget.limit
    if exact or (figure.error == 0.0 and figure.slack == 0.0 and figure.quality is Quality.OK):
        answer = Answer.PASS if budget.holds(figure.value) else Answer.FAIL
        return _checked(budget, answer, figure, f"observed {_shown(budget, figure)}")
    return None


def _decided(budget: Budget, figure: Estimate, decided: bool) -> Checked:
    assert figure.value is not None
    text = f"observed {_shown(budget, figure)}"
    if decided:
        return _checked(budget, Answer.PASS if budget.holds(figure.value) else Answer.FAIL, figure, text)
    more = _more(budget, figure)
    return _checked(budget, Answer.UNDECIDED, figure, f"{text}, the interval contains the limit{_after(more)}", more)


def _checked(budget: Budget, answer: Answer, figure: Estimate, text: str, more: int | None = None) -> Checked:
    margin = None
    if figure.value is not None and budget.limit:
        distance = (budget.limit - figure.value) / budget.limit
        margin = distance if budget.operator in ("<", "<=") else -distance
    sentence = f"{text}, limit {budget.operator} {budget.show(budget.limit)}"
    return Checked(budget=budget, answer=answer, observed=figure, margin=margin, more_requests=more, sentence=sentence)


def _shown(budget: Budget, figure: Estimate) -> str:
    value = budget.show(figure.value or 0.0)
    if figure.quality is Quality.NONE_SEEN:
        return f"none in {figure.count} requests (below {format_share(figure.high or 0.0, 2)})"
    return f"{value} ± {budget.show(figure.half_width)}" if figure.half_width is not None else value


def _after(more: int | None) -> str:
    return f" (about {_round(more):,} more requests would decide it)" if more else ""


def _round(number: int) -> int:
    """To two figures: it is an estimate."""
    return int(float(f"{number:.1e}"))


def _more(budget: Budget, figure: Estimate) -> int | None:
    """The half-width shrinks as one over the root of the number of requests."""
    if figure.value is None or not figure.count:
        return None
    if figure.quality in (Quality.NONE_SEEN, Quality.ALL_SEEN):
        distance = abs(budget.limit - figure.value)
        return math.ceil(-math.log(1.0 - figure.level) / distance) - figure.count if distance else None
    distance = abs(figure.value - budget.limit) - figure.slack
    reach = (figure.half_width or 0.0) - figure.slack
    if distance <= 0.0 or reach <= 0.0:
        return None
    factor = min((reach / distance) ** 2, 1e12 / figure.count)
    return max(math.ceil(figure.count * (factor - 1.0)), 1)


def _enough(budget: Budget, figure: Estimate) -> int | None:
    """Further requests for enough of them beyond a quantile in every replication."""
    if budget.percent is None:
        return None
    beyond = min(budget.percent, 100.0 - budget.percent) / 100.0
    needed = math.ceil(EXCEEDANCES / beyond) * (figure.degrees + 1)
    return max(needed - figure.count, figure.count)
