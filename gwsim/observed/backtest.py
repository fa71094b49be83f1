"""A scenario held against what was observed: fitted on one window, scored on the next.

    made = backtest(given, recorded, start=t0, end=t1)
    made.rows            # metric by metric: observed, predicted, range, ratio
    made.explanations    # the three inputs that would explain the misses best
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gwsim.engine import EngineName
from gwsim.errors import InputError, UsageError
from gwsim.observed import fitting, prometheus
from gwsim.observed.explaining import Explanation, candidates, explain
from gwsim.observed.fitting import Fitted
from gwsim.observed.prometheus import Floats, Recorded
from gwsim.observed.replay import QUANTILES, Predicted, predict, replayed
from gwsim.observed.window import UNROUTED, Gateway, Observed, mean, observe
from gwsim.planning.preparation import Given, Prepared, prepare

FIT_SHARE = 0.5
BINS = 20
SCORE_REQUESTS, FIT_REQUESTS = 300_000, 60_000
LEAST_5XX = 1e-5
"""Shares of 5xx below this are left out on both sides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric of the scoring window. `low` and `high`: what an uncalibrated cost profile leaves open."""

    metric: str
    labels: Mapping[str, str]
    unit: str
    observed: float
    predicted: float
    low: float = math.nan
    high: float = math.nan

    @property
    def ratio(self) -> float:
        """Predicted over observed; NaN where one of them is 0 or not known."""
        return self.predicted / self.observed if self.observed > 0 and self.predicted > 0 else math.nan


@dataclass(frozen=True, eq=False, kw_only=True)
class Backtest:
    """Prediction and observation side by side."""

    name: str
    gateway: str
    fit_window: tuple[float, float]
    score_window: tuple[float, float]
    calibrated: bool
    rows: tuple[Row, ...]
    fitted: tuple[Fitted, ...]
    explanations: tuple[Explanation, ...]
    notes: tuple[str, ...]
    seconds: Floats = field(repr=False)
    """Centres of the scoring window's pieces, from its start."""
    observed_rps: Floats = field(repr=False)
    observed_cores: Floats = field(repr=False)
    predicted_cores: Floats = field(repr=False)

    def row(self, metric: str, **labels: str) -> Row:
        """A row by its name; KeyError if there is none."""
        for one in self.rows:
            if one.metric == metric and all(one.labels.get(key) == value for key, value in labels.items()):
                return one
        raise KeyError((metric, labels))


def gateway_of(prepared: Prepared, name: str = "") -> tuple[str, Gateway]:
    """The fleet to hold against metrics: the one named (`[cluster/]namespace/name`), or the only one clients use."""
    used = {client.fleet for client in prepared.resolved.model.clients}
    names = [prepared.resolved.fleets[i].name for i in sorted(used)]
    fits = [one for one in names if not name or one == name or one.endswith(f"/{name}")]
    if len(fits) != 1:
        raise UsageError(f"--gateway names one of {', '.join(names)}" if name or len(names) != 1 else "no gateway is used by the clients")
    namespace, workload = fits[0].rsplit("/", 2)[-2:]
    return fits[0], Gateway(name=workload, namespace=namespace)


def backtest(
    given: Given, recorded: Recorded, *, start: float, end: float, gateway: str = "", fit_share: float = FIT_SHARE, bins: int = BINS,
    requests: int = SCORE_REQUESTS, engine: EngineName = "auto", told: Callable[[str], None] = lambda _: None,
) -> Backtest:
    """Fit service times on the first `fit_share` of the window, predict the rest, compare. Raises InputError or UsageError."""
    if not (end > start and 0.0 < fit_share < 1.0):
        raise UsageError("the window must end after it starts, and the fitted share lie between 0 and 1")
    given = replace(given, fix_replicas=True)
    prepared = prepare(given)
    fleet, named = gateway_of(prepared, gateway)
    middle = start + (end - start) * fit_share
    try:
        first, second = observe(recorded, named, start, middle, bins), observe(recorded, named, middle, end, bins)
    except ValueError as error:
        raise InputError(str(error)) from None
    short = min(FIT_REQUESTS, requests)
    told("fitting service times")
    fitted, notes = _fit(given, prepared, first, fleet, short, engine)
    chosen = [text for one in fitted for text in one.settings()]
    told("predicting")
    how, pods = replayed(prepared, second, requests=requests), _pods(second, fleet)
    predicted = predict(given, how, chosen, pods=pods, gateway=fleet, engine=engine)
    rows = compare(second, predicted) + _replicas(given, prepared, second, fleet, chosen, engine)
    told("looking for explanations")
    quick = replayed(prepared, second, requests=short)

    def again(settings: list[str]) -> Mapping[str, float]:
        return measures(second, predict(given, quick, [*chosen, *settings], pods=pods, gateway=fleet, engine=engine))

    ranked = sorted(fitted, key=lambda one: -second.rate_of(one.service))
    explanations = explain(_wanted(second), again([]), candidates(prepared, ranked), again)
    notes = [*dict.fromkeys((*first.notes, *second.notes)), *notes, *_told(how.strangers, second, how.factor)]
    known = list(how.known)
    centres = (second.edges[:-1] + second.edges[1:])[known] / 2 - second.edges[0]
    return Backtest(
        name=prepared.name, gateway=fleet, fit_window=(start, middle), score_window=(middle, end), calibrated=prepared.resolved.costs.calibrated,
        rows=tuple(rows), fitted=tuple(fitted), explanations=tuple(explanations), notes=tuple(notes), seconds=centres,
        observed_rps=second.total_rps[known], observed_cores=second.cores_per_pod[known], predicted_cores=predicted.cores_by_bin,
    )


def _fit(given: Given, prepared: Prepared, window: Observed, fleet: str, requests: int, engine: EngineName) -> tuple[list[Fitted], list[str]]:
    how = replayed(prepared, window, requests=requests)
    pods = _pods(window, fleet)

    def run(now: list[Fitted]) -> Predicted:
        return predict(given, how, [text for one in now for text in one.settings()], pods=pods, gateway=fleet, engine=engine)

    return fitting.fit(fitting.start(prepared, window), window, run)


def _pods(window: Observed, fleet: str) -> dict[str, int]:
    """The pods observed on average, where they are known."""
    seen = mean(window.pods)
    return {fleet: max(1, round(seen))} if math.isfinite(seen) else {}


# --- metric by metric ------------------------------------------------------------------------------------------


def compare(observed: Observed, predicted: Predicted) -> list[Row]:
    """Rates, CPU, quantiles in the observed buckets, and 5xx by flag."""
    total = predicted.rps["all"]
    rows = [Row(metric="requests", labels={}, unit="rps", observed=observed.mean_rps, predicted=total)]
    for name in observed.by_service:
        if name != UNROUTED:
            rows.append(Row(metric="requests", labels={"service": name}, unit="rps", observed=observed.rate_of(name), predicted=predicted.rps.get(name, 0.0)))
    cores = mean(observed.cores_per_pod)
    if math.isfinite(cores):
        rows.append(Row(metric="cpu per pod", labels={}, unit="cores", observed=cores, predicted=predicted.cores_per_pod, low=predicted.cores_low, high=predicted.cores_high))
    for name, (bounds, cumulative) in observed.durations.items():
        if name == UNROUTED:
            continue
        for q in QUANTILES:
            labels = {"quantile": f"p{q * 100:g}"} | ({} if name == "all" else {"service": name})
            rows.append(Row(
                metric="request duration", labels=labels, unit="s", observed=prometheus.quantile(bounds, cumulative, q),
                predicted=predicted.quantile(name, bounds, q),
            ))  # fmt: skip
    for flag in sorted({*observed.flags_5xx, *predicted.flags_5xx}):
        seen, made = observed.flags_5xx.get(flag, 0.0) / observed.mean_rps, predicted.flags_5xx.get(flag, 0.0) / total if total else 0.0
        if max(seen, made) >= LEAST_5XX:
            rows.append(Row(metric="5xx", labels={"flag": flag}, unit="share", observed=seen, predicted=made))
    return rows


def measures(observed: Observed, predicted: Predicted) -> dict[str, float]:
    """What candidates are judged by: CPU, quantiles and 5xx as plain numbers."""
    return {_key(row): row.predicted for row in compare(observed, predicted) if row.metric != "requests"}


def _wanted(observed: Observed) -> dict[str, float]:
    made = {"cpu per pod": mean(observed.cores_per_pod)}
    for name, (bounds, cumulative) in observed.durations.items():
        for q in QUANTILES:
            labels = {"quantile": f"p{q * 100:g}"} | ({} if name == "all" else {"service": name})
            made[_key(Row(metric="request duration", labels=labels, unit="s", observed=0.0, predicted=0.0))] = prometheus.quantile(bounds, cumulative, q)
    return made


def _key(row: Row) -> str:
    return " ".join((row.metric, *row.labels.values()))


def _replicas(given: Given, prepared: Prepared, observed: Observed, fleet: str, chosen: list[str], engine: EngineName) -> list[Row]:
    """Pods observed, and those the autoscaler (or the Deployment) has at the observed rate."""
    seen = mean(observed.pods)
    if not math.isfinite(seen):
        return []
    from gwsim.planning.replicas import settle_replicas

    steady = replayed(prepared, observed, requests=FIT_REQUESTS)
    settings = [one for one in steady.settings if not one.startswith("run=")]
    run = f"run={{kind: steady, duration: {max(steady.duration_s, 2.0):.3f}s, replications: 1}}"
    asked = prepare(replace(given, settings=(*given.settings, *settings, *chosen, run), fix_replicas=False))
    settled = settle_replicas(asked.resolved, lambda replicas: asked.with_replicas(dict(replicas)), engine=engine)
    label = next(one for one in settled.resolved.fleets if one.name == fleet)
    return [Row(metric="replicas", labels={}, unit="pods", observed=seen, predicted=float(label.replicas))]


def _told(strangers: Mapping[str, float], observed: Observed, factor: float) -> list[str]:
    notes = []
    for name, rate in strangers.items():
        what = f"requests to {name}" if name != UNROUTED else "requests without a destination"
        notes.append(f"{rate:.4g} rps ({rate / observed.mean_rps:.1%}) of {what} are in no mix of the scenario and were not replayed")
    if factor > 1:
        notes.append(f"{factor:.3g} s observed are simulated in 1 s, at the same rates")
    return notes


__all__ = ["Backtest", "Row", "backtest", "compare", "gateway_of", "measures"]
