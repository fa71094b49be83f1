"""The terminal report: the answer first, then the numbers behind it, then what to do next.

`compact` fits into 45 lines of 100 columns whatever the scenario's size; `full` adds clusters, pods, backends, flags,
assumptions and all findings, and is as long as it needs to be.
"""

from __future__ import annotations

from collections.abc import Sequence

from gwsim.diagnostics import Finding, summary
from gwsim.engine.codes import Component
from gwsim.report.flags import NO_ANSWER
from gwsim.report.lines import (
    EMPTY,
    WIDTH,
    Column,
    Line,
    Part,
    clip,
    command_lines,
    line,
    paragraph,
    plain,
    table,
)
from gwsim.report.names import COMPONENTS, route_name
from gwsim.report.report import Report
from gwsim.results.anatomy import Anatomy
from gwsim.results.evaluation import Answer, Checked
from gwsim.results.headline import Word
from gwsim.results.intervals import Estimate, Quality
from gwsim.results.parts import FleetFigures, Range, Split, Status, Traffic
from gwsim.units import format_duration_s, format_share

INDENT = 12
MOST_BUDGETS, MOST_ROUTES, MOST_STREAMS, MOST_COMPONENTS, MOST_FINDINGS, MOST_GATEWAYS = 7, 6, 3, 5, 2, 2
STYLES = {Word.PASS: "bold green", Word.FAIL: "bold red", Word.SATURATED: "bold red", Word.METASTABLE: "bold red", Word.UNDECIDED: "bold yellow", Word.DONE: "bold"}
MARKS = {
    Answer.PASS: Part("✓", "green"), Answer.FAIL: Part("✗", "red"),
    Answer.UNDECIDED: Part("?", "yellow"), Answer.NO_DATA: Part("?", "yellow"),
}
NONE = "-"
FULL_BLOCK, EIGHTHS = "█", ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


def compact(report: Report, wrote: Sequence[str] = ()) -> list[Line]:
    """The report in at most 45 lines; `wrote` names the folder and files written."""
    return [
        *_head(report), EMPTY, *_verdict(report), EMPTY,
        *_budgets(report, MOST_BUDGETS), *_routes(report, MOST_ROUTES), *_streams(report, MOST_STREAMS), *_time(report, MOST_COMPONENTS),
        *_gateways(report, MOST_GATEWAYS), *_next(report), *_notes(report, MOST_FINDINGS), *_wrote(wrote),
    ]


def full(report: Report, wrote: Sequence[str] = ()) -> list[Line]:
    """Everything the compact report leaves out for its length."""
    from gwsim.report.text_tables import tables

    everything = 10_000
    return [
        *_head(report), EMPTY, *_verdict(report), EMPTY,
        *_budgets(report, everything), *_routes(report, everything), *_streams(report, everything), *_time(report, everything),
        *_gateways(report, everything), *_next(report), EMPTY, *tables(report), *_wrote(wrote),
    ]


def _head(report: Report) -> list[Line]:
    labels, results = report.results.labels, report.results
    warm = f" (warm-up {format_duration_s(labels.warmup_s)})" if labels.warmup_s else ""
    runs = f"{results.replications} × {format_duration_s(labels.duration_s)}{warm}"
    facts = f"Istio {labels.istio_version}   seed {labels.seed}   {runs}   {count_text(results.requests)} requests"
    title = clip(report.title, WIDTH - INDENT - len(facts) - 3)
    rows = [line(Part("SCENARIO".ljust(INDENT), "bold"), f"{title}   {facts}")]
    return rows + (paragraph("QUESTION", labels.question, indent=INDENT, most=2) if labels.question else [])


def count_text(number: int) -> str:
    """A large number in a few characters: 704,434, 12.04 M."""
    return f"{number:,}" if number < 1_000_000 else f"{number / 1e6:,.4g} M" if number < 10**9 else f"{number / 1e9:,.4g} G"


def _verdict(report: Report) -> list[Line]:
    head = report.headline
    rows = paragraph(head.word.value, report.names.shorten(head.sentence), indent=INDENT, most=3)
    return [line(Part(rows[0][0].text, STYLES[head.word]), *rows[0][1:]), *rows[1:]]


def _budgets(report: Report, most: int) -> list[Line]:
    checked = report.budgets.checked
    if not checked:
        return []
    ranked = {Answer.FAIL: 0, Answer.UNDECIDED: 1, Answer.NO_DATA: 1, Answer.PASS: 2}
    shown = checked if len(checked) <= most else sorted(checked, key=lambda one: ranked[one.answer])[:most]
    columns = [Column("  BUDGET", right=False), *(Column(name) for name in ("observed", "limit", "margin"))]
    rows = table(columns, [_budget(one, report) for one in shown], width=WIDTH - 2)
    marked = [rows[0], *(line(MARKS[one.answer], " ", *_unindented(row)) for one, row in zip(shown, rows[1:], strict=True))]
    return [*marked, *_left_out(len(checked) - len(shown), "budgets"), EMPTY]


def _unindented(row: Line) -> Line:
    return (Part(row[0].text[2:], row[0].style), *row[1:])


def _budget(one: Checked, report: Report) -> list[str | Part]:
    budget, figure = one.budget, one.observed
    name = budget.text.rpartition(budget.operator)[0].strip() + (" (warn)" if budget.level == "warn" else "")
    limit = f"{budget.operator} {budget.show(budget.limit)}"
    style = "red" if one.margin is not None and one.margin < 0 else ""
    if figure.value is None or not finite(one, report):
        return ["  " + name, observed(one, report), limit, NONE]
    return ["  " + name, observed(one, report), limit, Part(margin(one), style)]


def finite(one: Checked, report: Report) -> bool:
    """Whether there is a figure to hold against the limit: not for latencies of a saturated run."""
    return report.results.verdict.meaningful or not one.budget.is_latency


def observed(one: Checked, report: Report) -> str:
    """The figure of a budget with its interval."""
    figure, budget = one.observed, one.budget
    if not finite(one, report):
        return "grows without end"
    if figure.value is None:
        return "no data"
    if figure.quality is Quality.NONE_SEEN:
        return f"none seen (< {format_share(figure.high or 0.0, 2)})"
    value = budget.show(figure.value)
    return f"{value} ± {budget.show(figure.half_width)}" if figure.half_width else value


def margin(one: Checked) -> str:
    """The distance to the limit in percent of it; far beyond it, how many times the limit."""
    if one.margin is None:
        return NONE
    return f"{1 - one.margin:,.0f} × limit" if one.margin < -9.995 else _percent(one.margin)


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{share * 100:.0f} %"


def _routes(report: Report, most: int) -> list[Line]:
    routes = sorted(report.results.routes, key=lambda one: (one.derived, -(one.offered_rps.value or 0.0)))
    if len(routes) > most:
        routes = sorted(routes, key=lambda one: (one.derived, -(one.errors.value or 0.0), -(one.offered_rps.value or 0.0)))[:most]
    columns = [Column("ROUTE (client latency, ms)", right=False), *(Column(name) for name in ("rps", "p50", "p95", "p99", "errors", "retries"))]
    columns.append(Column("top failure", right=False))
    steady = report.results.verdict.meaningful
    rows = [_route(one, route_name(one), steady) for one in routes]
    if len(report.results.routes) > 1:
        rows.append(_route(report.results.total, "all", steady))
    return [*table(columns, rows), *_left_out(len(report.results.routes) - len(routes), "routes"), EMPTY]


def _route(one: Traffic, name: str, steady: bool) -> list[str | Part]:
    latency = one.client_latency
    return [
        name, _number(one.offered_rps),
        *(milliseconds(figure.value if steady else None) for figure in (latency.p50, latency.p95, latency.p99)),
        _share(one.errors), _share(one.gateway_retries), _failure(one),
    ]


def _number(figure: Estimate) -> str:
    if figure.value is None:
        return NONE
    return f"{figure.value:,.0f}" if figure.value >= 10 else f"{figure.value:.3g}"


def milliseconds(seconds: float | None) -> str:
    """Milliseconds in three figures or so, without the unit."""
    if seconds is None:
        return NONE
    ms = seconds * 1e3
    return f"{ms:,.0f}" if ms >= 99.95 else f"{ms:.1f}" if ms >= 9.995 else f"{ms:.2f}"


def _streams(report: Report, most: int) -> list[Line]:
    """Classes of WebSockets and gRPC streams; nothing without any."""
    streams = report.results.streams
    if not streams:
        return []
    names = ("open", "peak", "opened/s", "cut/s", "messages/s up", "down", "p99 up", "down")
    columns = [Column("STREAMS (messages, ms)", right=False), *(Column(name) for name in names)]
    rows = [
        [
            one.route, _number(one.open), f"{one.peak:,.0f}", _number(one.opened_per_s), _number(one.cut_per_s), _number(one.up.sent_per_s), _number(one.down.sent_per_s),
            milliseconds(one.up.latency.p99.value), milliseconds(one.down.latency.p99.value),
        ]
        for one in streams[:most]
    ]
    return [*table(columns, rows), *_left_out(len(streams) - most, "classes of streams"), EMPTY]


def _share(figure: Estimate) -> str:
    if figure.value is None:
        return NONE
    return "0" if figure.value == 0.0 else format_share(figure.value, 2)


def _failure(one: Traffic) -> str:
    """The most frequent failure: a response flag of the gateway, or a status of the backend."""
    flags = [share for share in one.flags if share.name not in ("DI",)]
    bad = [share for share in one.statuses if share.name == "0" or int(share.name) >= 400]
    candidates = [(share.count, share.name) for share in flags]
    candidates += [(share.count, NO_ANSWER if share.name == "0" else share.name) for share in bad]
    if not candidates:
        return NONE
    return max(candidates, key=lambda pair: (pair[0], not pair[1].isdigit()))[1]


def _time(report: Report, most: int) -> list[Line]:
    """The median beside the tail, by component, the largest of the tail first."""
    if not report.results.verdict.meaningful:
        return []
    if report.results.anatomy is not None and len(report.results.anatomy.hops) > 1:
        return _time_of_chain(report, report.results.anatomy, most + 1)
    splits = {split.band: split for split in report.results.total.splits}
    if "median" not in splits or "tail" not in splits:
        return []
    median, tail = splits["median"], splits["tail"]
    size = {c: max(tail.shares[c], median.shares[c]) for c in COMPONENTS}
    largest = sorted((c for c in COMPONENTS if size[c] > 0), key=lambda c: -tail.parts_s[c])[:most]
    columns = [Column("WHERE THE TIME WENT (ms)", right=False), Column("median"), Column("share"), Column("slowest 1 %"), Column("share")]
    rows: list[list[str | Part]] = [
        [COMPONENTS[c], *_cell(median, c), *_cell(tail, c), bar(tail.shares[c])] for c in largest
    ]
    rows.append(["all", milliseconds(median.total_s), "", milliseconds(tail.total_s), "", ""])
    return [*table([*columns, Column("", right=False)], rows), EMPTY]


def _time_of_chain(report: Report, made: Anatomy, most: int) -> list[Line]:
    """The same through several proxies, each cause at its proxy."""
    from gwsim.report.anatomy import cause_name, listed

    heads = [Column(f"p{group.percent:g}") for group in made.groups]
    rows: list[list[str | Part]] = [
        [cause_name(one, made, report.names), *(milliseconds(time) for time in one.times_s), _percent(made.share(one, -1)), bar(made.share(one, -1))]
        for one in listed(made)[:most]
    ]
    rows.append(["all", *(milliseconds(group.total_s) for group in made.groups), "", ""])
    columns = [Column("WHERE THE TIME WENT (ms)", right=False), *heads, Column("share"), Column("", right=False)]
    return [*table(columns, rows), EMPTY]


def _cell(split: Split, component: Component) -> tuple[str, str]:
    return milliseconds(split.parts_s[component]), _percent(split.shares[component])


def bar(share: float, width: int = 20) -> str:
    """A bar of blocks, an eighth of a block fine."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    return FULL_BLOCK * (eighths // 8) + EIGHTHS[eighths % 8]


def _gateways(report: Report, most: int) -> list[Line]:
    fleets = sorted(report.results.fleets, key=lambda one: -(one.utilisation.value or 0.0))
    rows: list[Line] = []
    for fleet in fleets[:most]:
        rows += paragraph("GATEWAY" if not rows else "", _gateway(report, fleet), indent=INDENT, most=3)
    return [*rows, *_left_out(len(fleets) - len(fleets[:most]), "gateways")]


def _gateway(report: Report, fleet: FleetFigures) -> str:
    name = report.names.gateways.get(fleet.gateway, fleet.gateway)
    pods = f"{fleet.pods} pod{'' if fleet.pods == 1 else 's'} × {fleet.workers // max(fleet.pods, 1)} workers"
    cpu = f"CPU {cores_text(fleet.cpu_cores_range)}"
    busy = f"workers {format_share(fleet.utilisation.value or 0.0, 2)} busy, the busiest {format_share(fleet.busiest_worker.value or 0.0, 2)}"
    each = f"{fleet.cores_per_1000_rps.value or 0.0:.2f} cores per 1,000 rps"
    return f"{name}: {pods}; {cpu}; {busy}; {each}{memory_text(fleet)}"


def memory_text(fleet: FleetFigures) -> str:
    """What a pod may need of its memory limit, where that may be too little."""
    needed, limit = fleet.memory_bytes_range, fleet.memory_limit_bytes
    if not limit or needed.high <= limit:
        return ""
    return f"; memory {needed.value / 2**20:.0f} ({needed.low / 2**20:.0f} to {needed.high / 2**20:.0f}) of {limit / 2**20:,.0f} MiB a pod"


def cores_text(cores: Range) -> str:
    """CPU, with the range that the cost profile leaves open."""
    if cores.exact:
        return f"{cores.value:.2f} cores"
    return f"{cores.value:.2f} cores ({cores.low:.2f} to {cores.high:.2f}: {'' if cores.calibrated else 'not '}calibrated)"


def _next(report: Report) -> list[Line]:
    rows = paragraph("BOTTLENECK", report.names.shorten(report.results.bottleneck.sentence), indent=INDENT, most=2)
    if report.capacity is not None:
        from gwsim.report.capacity import sentence

        rows += paragraph("CAPACITY", sentence(report.capacity), indent=INDENT, most=4)
    if report.advice is not None:
        rows += command_lines("TRY", report.next_command, indent=INDENT)
        rows += paragraph("", f"({report.advice.reason})", indent=INDENT, most=2)
    return rows


def _notes(report: Report, most: int) -> list[Line]:
    """What was assumed and found, counted, and the gravest in a line each."""
    found, assumed = report.ranked_findings, report.assumptions
    rows = [_finding(one) for one in found[:most]]
    warned = report.budgets.warnings[: most - len(rows)]
    rows += [paragraph("", text, indent=INDENT, most=1)[0] for text in warned]
    counted = f"{len(assumed)} assumption{'' if len(assumed) == 1 else 's'}; {summary(found)}"
    if report.results.verdict.status is Status.TOO_SHORT and report.headline.word is not Word.UNDECIDED:
        rows.insert(0, paragraph("", report.results.verdict.sentence, indent=INDENT, most=1)[0])
    default = next((text for text in assumed if text.startswith("no scenario is given")), None)
    if default is not None:
        rows.insert(0, paragraph("", f"assumed: {default}", indent=INDENT, most=1)[0])
    return [*paragraph("NOTES", f"{counted} (--summary full shows all)", indent=INDENT, most=1), *rows[: most + 1]]


def _finding(one: Finding) -> Line:
    where = f"{one.span}: " if one.span else ""
    return paragraph("", f"{one.code} {where}{one.message}", indent=INDENT, most=1)[0]


def _wrote(wrote: Sequence[str]) -> list[Line]:
    if not wrote:
        return []
    folder, *files = wrote
    return paragraph("WROTE", f"{folder}  ({', '.join(files)})" if files else folder, indent=INDENT, most=2)


def _left_out(count: int, what: str) -> list[Line]:
    return [line(f"  … and {count} more {what} (--summary full)")] if count > 0 else []


__all__ = ["WIDTH", "bar", "compact", "cores_text", "finite", "full", "margin", "memory_text", "milliseconds", "observed", "plain"]
