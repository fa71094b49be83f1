"""Budgets: the limits a scenario sets, as text and as data. Their evaluation is in `gwsim.results.evaluation`.

    budget    ::= metric [ "{" label { "," label } "}" ] aggregate operator limit [ [ "level" ] ( "warn" | "error" ) ]
    metric    ::= one of METRICS, e.g. gateway.latency
    label     ::= name "=" '"' value '"'
    aggregate ::= "p(" percentile ")" | a word that the metric allows: mean, rate, max, total, offered, served, good
    operator  ::= "<" | "<=" | ">" | ">="
    limit     ::= a number with the metric's unit: 250ms, 0.1%, 1900rps, 1.5; or a share "of baseline": 105% of baseline

    gateway.latency{route="checkout"} p(99) < 250ms
    errors{route="checkout"} rate < 0.1%
    client.latency mean < 80ms
    throughput good > 1900rps
    gateway.cpu{gateway="istio-ingressgateway"} max < 80%
    retries rate < 5% level warn
    gateway.latency p(99) < 105% of baseline

Labels narrow a metric down; without any it covers all traffic. A budget of level `warn` is reported, but does not
decide the exit code. A bare `latency` is refused: whose latency is meant makes a large difference.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from gwsim.diagnostics import Collector, Span, code
from gwsim.diagnostics.nearest import did_you_mean
from gwsim.errors import UsageError
from gwsim.results.labels import BudgetText, Labels
from gwsim.results.selection import backends_with, classes_with, clusters_with, workers_with
from gwsim.units import (
    format_cores,
    format_duration_s,
    format_rate_rps,
    format_share,
    parse_duration_s,
    parse_quantity,
    parse_rate_rps,
    parse_share,
)

Kind = Literal["latency", "share", "rps", "cores"]
Level = Literal["warn", "error"]

TRAFFIC_LABELS = ("client", "class", "shape", "route", "gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What can be limited: its kind of figure, the aggregates and labels it has."""

    kind: Kind
    aggregates: tuple[str, ...]
    labels: tuple[str, ...]
    meaning: str


_LATENCY = ("mean", "p(N)")

METRICS: Mapping[str, Metric] = {
    "client.latency": Metric(
        kind="latency", aggregates=_LATENCY, labels=TRAFFIC_LABELS,
        meaning="intended send to last byte at the client: connect, TLS, network, client retries included",
    ),
    "gateway.latency": Metric(
        kind="latency", aggregates=_LATENCY, labels=TRAFFIC_LABELS,
        meaning="what istio_request_duration_milliseconds measures at the gateway",
    ),
    "gateway.overhead": Metric(
        kind="latency", aggregates=_LATENCY, labels=TRAFFIC_LABELS,
        meaning="gateway latency less the time spent upstream",
    ),
    "upstream.latency": Metric(
        kind="latency", aggregates=_LATENCY, labels=("cluster",),
        meaning="end of the write upstream to the answer being readable, per answered attempt",
    ),
    "errors": Metric(
        kind="share", aggregates=("rate",), labels=TRAFFIC_LABELS,
        meaning="requests without a 2xx or 3xx within the client's time-out",
    ),
    "local_replies": Metric(
        kind="share", aggregates=("rate",), labels=TRAFFIC_LABELS,
        meaning="requests that the gateway answered itself, time-outs left out",
    ),
    "retries": Metric(
        kind="share", aggregates=("rate",), labels=TRAFFIC_LABELS,
        meaning="gateway attempts beyond the first, per request that reached a cluster",
    ),
    "client.retries": Metric(
        kind="share", aggregates=("rate",), labels=TRAFFIC_LABELS,
        meaning="client attempts beyond the first, per request",
    ),
    "throughput": Metric(
        kind="rps", aggregates=("offered", "served", "good"), labels=TRAFFIC_LABELS,
        meaning="requests per second: sent, answered, answered well within the client's time-out",
    ),
    "overflow": Metric(
        kind="share", aggregates=("rate",), labels=("cluster",), meaning="attempts that a circuit breaker refused",
    ),
    "gateway.cpu": Metric(
        kind="share", aggregates=("mean", "max"), labels=("gateway",),
        meaning="CPU of a pod per worker: over all pods, or of the busiest",
    ),
    "worker.cpu": Metric(
        kind="share", aggregates=("mean", "max"), labels=("gateway",), meaning="CPU of a worker: of all, or of the busiest",
    ),
    "gateway.cores": Metric(
        kind="cores", aggregates=("total",), labels=("gateway",), meaning="CPU used by all pods together",
    ),
    "backend.utilisation": Metric(
        kind="share", aggregates=("mean", "max"), labels=("backend",),
        meaning="busy servers of a backend pod (where its concurrency is limited): of all, or of the busiest",
    ),
}

CLUSTERS = frozenset(name for name, metric in METRICS.items() if metric.labels == ("cluster",))
GATEWAYS = frozenset(name for name, metric in METRICS.items() if metric.labels == ("gateway",))
MACHINES = GATEWAYS | {name for name, metric in METRICS.items() if metric.labels == ("backend",)}

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}

_PARTS = re.compile(
    r"\s*(?P<metric>[\w.]+)\s*(?:\{(?P<labels>[^}]*)\})?\s*(?P<aggregate>[A-Za-z_]\w*(?:\s*\([^)]*\))?)?\s*"
    r"(?P<operator><=|>=|<|>|==?|!=)\s*(?P<rest>.*?)\s*"
)
_LABEL = re.compile(r"""\s*(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<quote>["'])(?P<value>.*?)(?P=quote)\s*(?:,|$)""")
_LEVEL = re.compile(r"(?P<limit>.*?)(?:\s+(?:level\s+)?(?P<level>warn|error))?")
_OF_BASELINE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%\s+of\s+baseline")
_PERCENTILE = re.compile(r"p\s*\(\s*(?P<percent>[0-9]+(?:\.[0-9]*)?)\s*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A budget: the metric's `aggregate` must be `operator` `limit` (seconds, share, rps or cores).

    `percent` is the percentile of a `p(N)`. `labels` has the names as written, `class` as `shape`.
    """

    text: str
    metric: str
    labels: tuple[tuple[str, str], ...]
    aggregate: str
    percent: float | None
    operator: str
    limit: float
    level: Level = "error"
    file: str = ""
    line: int = 0
    relative: bool = False
    """Whether `limit` is a share of the same figure in a baseline run."""

    @property
    def kind(self) -> Kind:
        """The kind of figure limited."""
        return METRICS[self.metric].kind

    @property
    def place(self) -> str:
        """`file:line` of the budget, or nothing."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def is_latency(self) -> bool:
        """Whether a duration is limited."""
        return self.kind == "latency"

    def holds(self, value: float) -> bool:
        """Whether a value keeps the budget."""
        return OPERATORS[self.operator](value, self.limit)

    def show(self, value: float) -> str:
        """A value of the metric for people."""
        return f"{format_share(value)} of baseline" if self.relative else format_value(self.kind, value)


def format_value(kind: Kind, value: float) -> str:
    """A figure of some kind with its unit."""
    if kind == "latency":
        return format_duration_s(value)
    if kind == "share":
        return format_share(value)
    return format_rate_rps(value) if kind == "rps" else format_cores(value)


def parse(text: str, *, file: str = "", line: int = 0) -> Budget:
    """A budget from its text; UsageError, with what would be right, for anything that is not one."""
    match = _PARTS.fullmatch(text)
    if match is None:
        word = re.match(r"\s*([\w.]+)", text)
        if word is not None:
            _metric(word[1])
        raise UsageError(f"{text!r} is not a budget; write e.g. gateway.latency{{route=\"checkout\"}} p(99) < 250ms")
    metric_name, metric = match["metric"], _metric(match["metric"])
    aggregate, percent = _aggregate(metric_name, metric, match["aggregate"])
    if match["operator"] not in OPERATORS:
        raise UsageError(f"{match['operator']!r} does not compare figures with an interval; write <, <=, > or >=")
    rest = _LEVEL.fullmatch(match["rest"])
    assert rest is not None
    level: Level = "warn" if rest["level"] == "warn" else "error"
    baseline = _OF_BASELINE.fullmatch(rest["limit"])
    return Budget(
        text=" ".join(text.split()), metric=metric_name, labels=_labels(metric_name, metric, match["labels"] or ""),
        aggregate=aggregate, percent=percent, operator=match["operator"],
        limit=float(baseline[1]) / 100.0 if baseline else _limit(metric_name, metric.kind, match["operator"], rest["limit"]),
        level=level, file=file, line=line, relative=baseline is not None,
    )


def _metric(name: str) -> Metric:
    if name == "latency":
        raise UsageError(
            "whose latency? write gateway.latency (what istio_request_duration measures), client.latency (with "
            "network, TLS and client retries) or gateway.overhead (what the gateway itself adds)"
        )
    if name not in METRICS:
        raise UsageError(f"unknown metric {name!r}; {_help(name, METRICS)}")
    return METRICS[name]


def _help(word: str, known: Iterable[str]) -> str:
    listed = list(known)
    near = did_you_mean(word, listed)
    return (f"{near} " if near else "") + f"(there are: {', '.join(listed)})"


def _aggregate(name: str, metric: Metric, word: str | None) -> tuple[str, float | None]:
    legal = ", ".join(metric.aggregates)
    if word is None:
        raise UsageError(f"{name} needs an aggregate: {legal}")
    percentile = _PERCENTILE.fullmatch(word)
    if percentile is None:
        plain = re.fullmatch(r"p([0-9]+(?:\.[0-9]+)?)", word)
        if plain and "p(N)" in metric.aggregates:
            raise UsageError(f"write p({plain[1]}) for a percentile, not {word}")
        if word not in metric.aggregates or word == "p(N)":
            raise UsageError(f"{name} has no aggregate {word!r}; {_help(word, metric.aggregates)}")
        return word, None
    if "p(N)" not in metric.aggregates:
        raise UsageError(f"{name} has no percentiles; its aggregates are: {legal}")
    percent = float(percentile["percent"])
    if not 0.0 < percent < 100.0:
        raise UsageError(f"a percentile lies between 0 and 100, not at {percentile['percent']}")
    return f"p({percent:g})", percent


def _labels(name: str, metric: Metric, text: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    end = 0
    while end < len(text.rstrip()):
        match = _LABEL.match(text, end)
        if match is None:
            raise UsageError(f"cannot read the labels {{{text}}}; write e.g. {{{metric.labels[0]}=\"name\"}}")
        end = match.end()
        if match["name"] not in metric.labels:
            raise UsageError(f"{name} has no label {match['name']!r}; {_help(match['name'], metric.labels)}")
        key = "shape" if match["name"] == "class" else match["name"]
        if key in found:
            raise UsageError(f"label {match['name']} is given twice")
        found[key] = match["value"]
    return tuple(sorted(found.items()))


def _limit(name: str, kind: Kind, compare: str, text: str) -> float:
    parsers: Mapping[Kind, Callable[[str], float]] = {
        "latency": parse_duration_s, "share": _share, "rps": parse_rate_rps, "cores": parse_quantity,
    }
    if kind == "latency" and re.fullmatch(r"[0-9.]+", text) and text.strip("0.") != "":
        raise UsageError(f"the limit of {name} needs a unit: {text}ms or {text}s?")
    try:
        limit = parsers[kind](text)
    except ValueError as error:
        raise UsageError(f"the limit of {name}: {error}") from None
    if limit == 0.0 and compare == "<":
        raise UsageError(f"{name} < {text} can never hold; write <= {text}")
    return limit


def _share(text: str) -> float:
    """A share; above 100 % is legal where work may exceed what there is (retries, utilisation)."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*%", text)
    return float(match[1]) / 100.0 if match else parse_share(text)


def read(texts: Iterable[BudgetText], labels: Labels | None = None) -> tuple[Budget, ...]:
    """The budgets of a scenario; InputError, with all that is wrong and where, if any cannot be read.

    With `labels` the values of labels are checked too: a misspelt route must not pass as one without traffic.
    """
    collector = Collector()
    budgets = []
    for one in texts:
        try:
            budget = parse(one.text, file=one.file, line=one.line)
            if labels is not None:
                matching(budget, labels)
            budgets.append(budget)
        except UsageError as error:
            message, _, help = str(error).partition("; ")
            span = Span(one.file, one.line, text=one.text) if one.file else None
            collector.add(code("SCENARIO_VALUE"), f"budget: {message}", span, help=help or None)
    collector.raise_if_errors()
    return tuple(budgets)


def matching(budget: Budget, labels: Labels) -> tuple[int, ...]:
    """Indices of the classes, clusters, workers or backends that a budget is about.

    UsageError, with the nearest name, if nothing in the scenario has its labels.
    """
    wanted = dict(budget.labels)
    if budget.metric in CLUSTERS:
        return clusters_with(labels, wanted.get("cluster", ""))
    if budget.metric == "backend.utilisation":
        return backends_with(labels, wanted.get("backend", ""))
    if budget.metric in MACHINES:
        return workers_with(labels, wanted.get("gateway", ""))
    return classes_with(labels, wanted)


def unguarded(budgets: Iterable[Budget]) -> tuple[str, ...]:
    """A warning for every latency budget on traffic that no errors budget with the same labels watches.

    Requests that fail fast are no part of latency percentiles: a gateway that answers 503 to everything is fast.
    """
    known = list(budgets)
    watched = {budget.labels for budget in known if budget.metric == "errors"}
    warnings = []
    for budget in known:
        if budget.is_latency and budget.metric not in CLUSTERS and budget.labels not in watched:
            inner = ",".join(f'{key}="{value}"' for key, value in budget.labels)
            suggested = f"errors{{{inner}}} rate < 0.1%" if inner else "errors rate < 0.1%"
            where = f"{budget.place}: " if budget.place else ""
            warnings.append(f"{where}{budget.text}: errors are no part of latencies; add e.g. {suggested}")
    return tuple(dict.fromkeys(warnings))
