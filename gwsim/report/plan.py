"""A plan on the terminal: a fleet for every load, then what to write and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

from gwsim.planning.autoscaling import Autoscaling
from gwsim.planning.plan import Plan, PlanStep
from gwsim.report.lines import EMPTY, Column, Line, Part, line, paragraph, table
from gwsim.report.text import INDENT, NONE, milliseconds
from gwsim.units import format_duration_s, format_rate_rps, format_share


def lines(made: Plan, wrote: Sequence[str] = ()) -> list[Line]:
    """The plan in a screen."""
    rows = [line(Part("PLAN".ljust(INDENT), "bold"), f"{made.name}   gateway {made.gateway}   {made.tries} tries, {made.requests:,} requests")]
    if made.question:
        rows += paragraph("QUESTION", made.question, indent=INDENT, most=2)
    for n, budget in enumerate(made.budgets):
        rows += paragraph("" if n else "BUDGETS", budget.text, indent=INDENT, most=1)
    rows += [EMPTY, *_answer(made), EMPTY]
    columns = [Column("LOAD"), Column("pods"), Column("CPU cores"), Column("busiest"), Column("client p99"), Column("gateway p99"),
               Column("carries rps"), Column("$/month"), Column("with one pod less", right=False)]
    rows += [*table(columns, [_row(step) for step in made.steps]), EMPTY, *_fullest(made), *_sizes(made), *_scaled(made)]
    for n, one in enumerate(made.settings):
        rows += paragraph("" if n else "WRITE", f"{one.path}: {one.value}  ({one.reason})", indent=INDENT, most=3)
    told = [*(note for step in made.steps for note in step.need.notes), *made.notes]
    for n, note in enumerate(dict.fromkeys(told)):
        rows += paragraph("" if n else "NOTES", note, indent=INDENT, most=2)
    if made.others:
        rows += paragraph("FIXED", ", ".join(made.others), indent=INDENT, most=2)
    if wrote:
        rows += paragraph("WROTE", f"{wrote[0]}  ({', '.join(wrote[1:])})", indent=INDENT, most=2)
    return rows


def _fullest(made: Plan) -> list[Line]:
    """What of the largest fleet is nearest its limit, and what leaves the cluster."""
    found = [step for step in made.steps if step.need.best is not None]
    if not found:
        return []
    last, rows = found[-1], []
    if last.first is not None:
        rows += paragraph("FIRST FULL", f"at {format_rate_rps(last.need.load_rps)}: {last.first.text}", indent=INDENT, most=2)
    if last.bill is not None:
        rows += paragraph("COSTS", costs(last), indent=INDENT, most=3)
    return rows


def costs(step: PlanStep) -> str:
    """What a month at a load costs, part by part."""
    bill = step.bill
    if bill is None:
        return ""
    crossing = "no zones are known" if bill.cross_zone is None else f"traffic between zones ${bill.cross_zone:,.0f}"
    leaving = f"; answers to clients outside ${bill.internet:,.0f}, whatever the fleet" if bill.internet else ""
    return f"a month at {format_rate_rps(step.need.load_rps)}: CPU requests ${bill.compute:,.0f}, {crossing}{leaving}"


def sizes(made: Plan) -> str:
    """Which number of workers was chosen, and whether others are as good."""
    chosen = next((one for one in made.alternatives if one.chosen), None)
    if chosen is None:
        return "No number of workers that was tried carries the highest load."
    others = [str(one.workers) for one in made.alternatives if one.best and not one.chosen]
    if not others:
        return f"Pods of {chosen.workers} workers: no other size is better in money, pods or latency."
    return f"Pods of {chosen.workers} workers are cheapest, or as cheap with fewer pods; in money, pods and latency together {' and '.join(others)} workers are no worse."


def _sizes(made: Plan) -> list[Line]:
    """Pods with other numbers of workers."""
    if not made.alternatives:
        return []
    columns = [Column("WORKERS"), Column("pods"), Column("busiest"), Column("client p99"), Column("CPU $/month"), Column("", right=False)]
    rows: list[list[str | Part]] = []
    for one in made.alternatives:
        best = one.need.best
        if best is None:
            rows.append([str(one.workers), *[NONE] * 4, one.need.notes[0] if one.need.notes else NONE])
            continue
        word: str | Part = Part("chosen", "green") if one.chosen else "as good" if one.best else ""
        rows.append([
            str(one.workers), str(best.replicas), format_share(best.row["busiest_worker_utilisation"] or 0.0, 2),
            milliseconds(best.row["client_latency_p99_s"]), f"{one.bill.compute:,.0f}" if one.bill else NONE, word,
        ])
    return [EMPTY, *paragraph("POD SIZE", sizes(made), indent=INDENT), EMPTY, *table(columns, rows), EMPTY]


def _scaled(made: Plan) -> list[Line]:
    """What an autoscaler does for a load that changes."""
    found = made.autoscaling
    if found is None:
        return []
    columns = [Column("AUTOSCALER"), Column("target"), Column("pods, mean"), Column("most"), Column("worst p99"), Column("at"), Column("budgets", right=False)]
    rows = []
    for one in found.tries:
        at_s, p99_s = one.worst
        told: str | Part = Part("hold", "green") if one.holds else "undecided" if one.holds is None else Part(one.failing, "red")
        rows.append([
            f"{one.chosen.minimum} to {one.chosen.maximum} pods", f"{one.chosen.target} %", f"{one.mean_pods:.2f}", f"{one.most_pods:.3g}",
            milliseconds(p99_s), format_duration_s(round(at_s)), told,
        ])
    return [*paragraph("CHANGING", changing(found), indent=INDENT), EMPTY, *([*table(columns, rows), EMPTY] if rows else [])]


def changing(found: Autoscaling) -> str:
    """What came of the search for an autoscaler, in a sentence or two."""
    day = found.day
    span = f"from {format_rate_rps(day.lowest_rps)} to {format_rate_rps(day.highest_rps)} within {format_duration_s(round(day.duration_s))}"
    fixed = f"{found.fixed_pods} fixed pod{'' if found.fixed_pods == 1 else 's'}"
    if found.answer is None:
        why = "none of those tried holds the budgets" if found.tries else "nothing is left to save"
        return f"For a load {span} an autoscaler is not worth having: {why} with clearly fewer pod-hours than {fixed}."
    chosen = found.answer.chosen
    return (
        f"For a load {span}: {chosen.minimum} to {chosen.maximum} pods at {chosen.target} % of a request of {chosen.request_cores:g} cores; "
        f"{format_share(found.saved, 2)} fewer pod-hours than {fixed}. {found.searched} settings searched on a fluid model, {len(found.tries)} run in full."
    )


def _answer(made: Plan) -> list[Line]:
    word, style = ("FEASIBLE", "bold green") if made.feasible else ("NOT FEASIBLE", "bold red")
    rows = paragraph(word.ljust(INDENT) if len(word) < INDENT else "", sentence(made), indent=INDENT)
    if len(word) >= INDENT:
        return [line(Part(word, style)), *rows]
    return [line(Part(rows[0][0].text, style), *rows[0][1:]), *rows[1:]]


def sentence(made: Plan) -> str:
    """The plan in a sentence or two."""
    after = " after the loss of a zone" if made.zone_lost else ""
    short = made.gateway.rpartition("/")[2]
    best = [step for step in made.steps if step.need.best is not None]
    missing = [step for step in made.steps if step.need.best is None]
    parts = []
    if best:
        first, last = best[0], best[-1]
        span = _pods(first) if first is last or _pods(first) == _pods(last) else f"{_count(first)} to {_pods(last)}"
        load = format_rate_rps(first.need.load_rps)
        load = load if first is last else f"{load} to {format_rate_rps(last.need.load_rps)}"
        parts.append(f"{short} needs {span} for {load}{after}.")
        headroom = last.headroom
        if headroom is not None:
            more = format_share(headroom[0] - 1.0, 2)
            parts.append(f"At the top that leaves {more} more load" + (f"; then {last.capacity.limit}." if last.capacity and last.capacity.limit else "."))
    if missing:
        parts.append(f"No fleet allowed carries {format_rate_rps(missing[0].need.load_rps)}{after}: {missing[0].need.notes[0]}.")
    return " ".join(parts)


def _count(step: PlanStep) -> int:
    return step.need.best.replicas if step.need.best else 0


def _pods(step: PlanStep) -> str:
    return f"{_count(step)} pod{'' if _count(step) == 1 else 's'}"


def _row(step: PlanStep) -> list[str | Part]:
    best = step.need.best
    load = format_rate_rps(step.need.load_rps)
    if best is None:
        return [load, Part(NONE, "bold red"), *[NONE] * 6, step.need.notes[0][:40] if step.need.notes else NONE]
    less = step.need.below
    return [
        load, str(best.replicas), f"{best.row['gateway_cpu_cores'] or 0.0:.2f}",
        format_share(best.row["busiest_worker_utilisation"] or 0.0, 2), milliseconds(best.row["client_latency_p99_s"]),
        milliseconds(best.row["gateway_latency_p99_s"]), carries(step), f"{step.bill.total:,.0f}" if step.bill else NONE,
        NONE if less is None else less.failing if less.holds is False else f"undecided: {less.failing}".rstrip(": "),
    ]


def carries(step: PlanStep) -> str:
    """The interval of the capacity."""
    capacity = step.capacity
    if capacity is None or capacity.low_rps is None:
        return ""
    return f"{capacity.low_rps:,.0f}–{capacity.high_rps:,.0f}" if capacity.high_rps else f"> {capacity.low_rps:,.0f}"


__all__ = ["carries", "changing", "costs", "lines", "sentence", "sizes"]
