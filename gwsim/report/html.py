"""One self-contained HTML file: the answer, pictures, tables, what was assumed, how to repeat it.

Nothing is loaded from anywhere, and nothing in it tells a clock, a host or a path: the same run gives the same bytes.
What belongs to the machine is in provenance.json beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from gwsim._version import __version__
from gwsim.diagnostics import Finding
from gwsim.report import anatomy, anatomy_tables, capacity, figures, html_tables, picture, svg
from gwsim.report.lines import clip
from gwsim.report.names import route_name
from gwsim.report.report import Report
from gwsim.report.style import VARIABLES
from gwsim.report.text import cores_text, finite, memory_text, milliseconds, observed
from gwsim.report.text import margin as margin_text
from gwsim.results.evaluation import Answer, Checked
from gwsim.results.headline import Word
from gwsim.units import format_duration_s, format_rate_rps, format_share

if TYPE_CHECKING:
    from jinja2 import Environment

NOT_MODELLED = frozenset({"GW0212", "GW0301"})
MARKS = {Answer.PASS: "✓", Answer.FAIL: "✗", Answer.UNDECIDED: "?", Answer.NO_DATA: "?"}
MOST_BUDGET = 1.5
"""A budget's bar goes up to this multiple of the limit."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A budget's bar, in percent of its track: the figure, its interval, the limit."""

    mark: str
    answer: str
    text: str
    observed: str
    limit: str
    margin: str
    fill: float
    low: float
    high: float
    at_limit: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure of the first screen."""

    name: str
    value: str
    note: str = ""


def render(report: Report) -> str:
    """The page."""
    template = environment().get_template("report.html.j2")
    results = report.results
    return template.render(
        report=report, results=results, labels=results.labels, version=__version__, headline=report.headline,
        word_style=_word_style(report.headline.word), sentence=report.names.shorten(report.headline.sentence),
        bars=[bar(one, report) for one in report.budgets.checked], facts=_facts(report), pictures=_pictures(report),
        bottleneck=report.names.shorten(results.bottleneck.sentence), room=_room(report),
        capacity_table=capacity.table(report.capacity) if report.capacity else None, limits=html_tables.limits(report),
        tail=report.names.shorten(anatomy.sentence(results)), tail_tables=anatomy_tables.tables(report),
        tables=html_tables.tables(report), findings=[one for one in report.ranked_findings if one.code not in NOT_MODELLED],
        not_modelled=[one for one in report.ranked_findings if one.code in NOT_MODELLED], place=_place,
        scenario=report.scenario_text, run_text=_run_text(report), command=_portable_command(report, next_=False),
        next_command=_portable_command(report, next_=True), style=template_text("report.css"), script=template_text("report.js"),
        light=variables(), duration=format_duration_s,
    )


@cache
def environment() -> Environment:
    """Jinja with everything escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("gwsim.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined,
    )


def template_text(name: str) -> str:
    """A file of the templates' folder."""
    return files("gwsim.report").joinpath("templates", name).read_text(encoding="utf-8")


def variables() -> str:
    """The colours as CSS variables."""
    return "".join(f"--{name}:{color};" for color, name in VARIABLES.items())


def _word_style(word: Word) -> str:
    return {Word.PASS: "good", Word.FAIL: "bad", Word.SATURATED: "bad", Word.METASTABLE: "bad", Word.UNDECIDED: "unsure", Word.DONE: "plain"}[word]


def bar(one: Checked, report: Report) -> Bar:
    """A budget as a bar: how much of the limit is used, whichever side of it is good."""
    budget, figure = one.budget, one.observed
    upper = budget.operator in ("<", "<=")

    known = finite(one, report)

    def part(value: float | None) -> float:
        if not known:
            return 100.0
        if value is None:
            return 0.0
        if budget.limit == 0.0:
            used = 0.0 if value == 0.0 else MOST_BUDGET
        else:
            used = value / budget.limit
        return round(100.0 * min(max(used, 0.0), MOST_BUDGET) / MOST_BUDGET, 2)

    name = budget.text.rpartition(budget.operator)[0].strip()
    ends = sorted((part(figure.low), part(figure.high)))
    left = one.margin if known else None
    beyond = "over" if upper else "short"
    margin = "" if left is None else margin_text(one) if left < -9.995 else f"{abs(left) * 100:.0f} % {'to spare' if left >= 0 else beyond}"
    return Bar(
        mark=MARKS[one.answer], answer=one.answer.value, text=name + (" (warn)" if budget.level == "warn" else ""),
        observed=observed(one, report), limit=f"{budget.operator} {budget.show(budget.limit)}", margin=margin,
        fill=part(figure.value), low=ends[0], high=ends[1], at_limit=round(100.0 / MOST_BUDGET, 2), sentence=one.sentence,
    )


def _facts(report: Report) -> list[Fact]:
    results = report.results
    through, total = results.throughput, results.total
    rate = format_rate_rps(through.served_rps.value or 0.0)
    facts = [Fact("served", rate, f"of {format_rate_rps(through.offered_rps.value or 0.0)} offered")]
    if results.verdict.meaningful and total.client_latency.p99.value is not None:
        facts.append(Fact("p50 / p99 at the client", f"{milliseconds(total.client_latency.p50.value)} / {milliseconds(total.client_latency.p99.value)} ms"))
    if results.verdict.meaningful and total.gateway_overhead.p99.value is not None:
        facts.append(Fact("p99 that gateways add", f"{milliseconds(total.gateway_overhead.p99.value)} ms"))
    errors = total.errors
    facts.append(Fact("errors", format_share(errors.value or 0.0, 2), f"below {format_share(errors.high, 2)}" if not errors.value and errors.high else ""))
    for fleet in results.fleets[:2]:
        name = report.names.gateways.get(fleet.gateway, fleet.gateway)
        facts.append(Fact(name, f"{fleet.pods} pod{'' if fleet.pods == 1 else 's'} × {fleet.workers // max(fleet.pods, 1)} workers", f"{cores_text(fleet.cpu_cores_range)}{memory_text(fleet)}"))
    return facts


def _pictures(report: Report) -> dict[str, Any]:
    """Every figure as SVG that is safe to put into the page."""
    from markupsafe import Markup

    results, made = report.results, {}
    if results.verdict.meaningful:
        for name, metric in (("client", "client.latency"), ("gateway", "gateway.latency")):
            figure = figures.percentiles(results, metric, budgets=report.budgets)  # type: ignore[arg-type]
            made[name] = svg.inline(figure, name=f"figure-{name}", title=figures.WORDS[metric] + " by percentile", description=_latency_words(report, metric))
        if results.anatomy is not None:
            words = anatomy.in_words(results.anatomy, report.names)
            made["anatomy"] = svg.inline(anatomy.figure(results), name="figure-anatomy", title="Where the time of the median, the p95 and the p99 went", description=words)
        if len([route for route in results.routes if route.splits]) > 1:
            text = "; ".join(f"{split.band}: {format_duration_s(split.total_s)}" for split in results.total.splits)
            made["time"] = svg.inline(figures.where_time_went(results), name="figure-time", title="Where the time went", description=f"Shares by component. {text}. The same numbers are in the JSON output.")
    made |= _capacity_pictures(report)
    made["timeline"] = svg.inline(
        figures.timeline(results), name="figure-timeline", title="The run over time",
        description="Requests per second, latency at the client, errors, requests in the system and gateway CPU, means over the replications with their intervals; the warm-up is shaded.",
    )
    made["topology"] = picture.topology(results)
    return {name: Markup(text) for name, text in made.items()}


def _room(report: Report) -> str:
    """How much more load there is room for, in a sentence or two."""
    return capacity.sentence(report.capacity) if report.capacity else capacity.bound_sentence(report.results)


def _capacity_pictures(report: Report) -> dict[str, str]:
    """The simulated curve, or the bound."""
    curve, words = report.capacity, _room(report)
    if curve is None:
        if report.results.bottleneck.first is None:
            return {}
        return {"bound": svg.inline(capacity.bound(report.results), name="figure-bound", title="How full limits get as the load grows", description=words)}
    limits = [
        (f"p99 {one.budget.operator} {format_duration_s(one.budget.limit)}", one.budget.limit)
        for one in report.budgets.checked if one.budget.metric == "client.latency" and one.budget.percent == 99.0 and not one.budget.labels
    ]
    return {
        "capacity": svg.inline(capacity.figure(curve, limits_s=limits), name="figure-capacity", title="Latency over load", description=words),
        "throughput": svg.inline(capacity.throughput(curve), name="figure-throughput", title="Throughput over load", description=words),
    }


def _latency_words(report: Report, metric: str) -> str:
    rows = []
    for route in report.results.routes:
        latency = figures.latency_of(route, metric)  # type: ignore[arg-type]
        if latency.p99.value is not None:
            rows.append(f"{route_name(route)}: p50 {milliseconds(latency.p50.value)} ms, p99 {milliseconds(latency.p99.value)} ms")
    return "; ".join(rows) + "."


def _place(finding: Finding) -> str:
    parts = [clip(str(finding.span), 120) if finding.span else "", f"({finding.object_ref})" if finding.object_ref else ""]
    return " ".join(part for part in parts if part)


def _run_text(report: Report) -> str:
    labels, results = report.results.labels, report.results
    warm = f", the first {format_duration_s(labels.warmup_s)} of each left out" if labels.warmup_s else ""
    return f"{results.replications} replications of {format_duration_s(labels.duration_s)}{warm}; {results.requests:,} requests simulated"


def _portable_command(report: Report, *, next_: bool) -> str:
    """The command with the scenario by its name: where it lies is the business of provenance.json."""
    from gwsim.report.advice import command

    if next_ and report.advice is None:
        return ""
    return command(report.title, report.given, report.advice if next_ else None)



__all__ = ["Bar", "Fact", "bar", "environment", "render", "template_text", "variables"]
