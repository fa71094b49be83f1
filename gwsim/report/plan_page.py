"""A plan as one HTML file."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from gwsim.planning.autoscaling import Autoscaling
from gwsim.planning.plan import Plan
from gwsim.report import page, svg
from gwsim.report.html_tables import Cell, Heading, Table
from gwsim.report.page import Page, Picture, Section
from gwsim.report.plan import carries, changing, costs, sentence, sizes
from gwsim.report.style import BAD, MUTED, SERIES, applied, axes_for, framed
from gwsim.report.text import NONE, milliseconds
from gwsim.units import format_duration_s, format_rate_rps, format_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 6.2, 3.4


def render(made: Plan) -> str:
    """The page."""
    notes = [*(note for step in made.steps for note in step.need.notes), *made.notes]
    sections = [Section(name="fleets", title="A fleet for every load", pictures=_pictures(made), tables=(_table(made),))]
    if made.alternatives:
        sections.append(Section(name="sizes", title="Pods of other sizes", text=sizes(made), tables=(_alternatives(made),)))
    if made.autoscaling is not None:
        pictures = _course(made.autoscaling)
        sections.append(Section(name="autoscaler", title="As the load changes", text=changing(made.autoscaling), pictures=pictures, tables=_tries(made.autoscaling)))
    if made.settings:
        sections.append(Section(name="settings", title="What to write", tables=(_settings(made),)))
    sections.append(Section(name="notes", title="Notes", items=tuple(dict.fromkeys(notes))))
    return page.render(
        Page(
            title=made.name, question=made.question, word="FEASIBLE" if made.feasible else "NOT FEASIBLE",
            style="good" if made.feasible else "bad",
            sentences=(sentence(made), *_details(made), "Budgets: " + "; ".join(one.text for one in made.budgets)),
            sections=tuple(sections), command=command(made),
        )
    )


def _details(made: Plan) -> tuple[str, ...]:
    """What is nearest its limit at the largest load, and what that costs."""
    last = next((step for step in reversed(made.steps) if step.need.best is not None), None)
    if last is None:
        return ()
    first = (f"First full: {last.first.text}.",) if last.first is not None else ()
    return (*first, *((f"Costs {costs(last)}.",) if last.bill is not None else ()))


def command(made: Plan) -> str:
    """The command with the scenario by its name."""
    words = ["gwsim", "plan", made.name, "--load", ",".join(f"{step.need.load_rps:g}rps" for step in made.steps)]
    for one in made.budgets:
        words += ["--budget", one.text]
    if made.alternatives:
        counts = ",".join(str(one.workers) for one in made.alternatives)
        words += ["--vary", f"{made.gateway.rpartition('/')[2]}.workers={counts}"]
    return shlex.join([*words, *(["--zone-lost"] if made.zone_lost else [])])


def staircase(made: Plan, *, ax: Axes | None = None) -> Figure:
    """Pods needed by load, and the load that the smallest and largest fleets carry."""
    from matplotlib.ticker import MaxNLocator

    with applied():
        figure, axes = axes_for(ax, WIDTH, HEIGHT)
        known = [(step.need.load_rps, step.need.best.replicas) for step in made.steps if step.need.best is not None]
        loads, pods = [x for x, _ in known], [y for _, y in known]
        axes.plot(loads, pods, color=SERIES[0], marker="o", markersize=5, drawstyle="steps-pre", label="pods needed")
        for n, step in enumerate(one for one in made.steps if one.capacity is not None and one.need.best is not None):
            capacity = step.capacity
            assert capacity is not None
            if capacity.low_rps is not None and capacity.high_rps is not None:
                label = "carries at most" if n == 0 else None
                axes.plot([capacity.low_rps, capacity.high_rps], [capacity.replicas] * 2, color=SERIES[1], linewidth=4, label=label)
        failed = [step.need.load_rps for step in made.steps if step.need.best is None]
        if failed:
            axes.scatter(failed, [max(pods, default=1)] * len(failed), color=BAD, marker="x", label="no fleet")
        axes.set_title("Pods needed")
        axes.set_xlabel("load, rps")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.tick_params(colors=MUTED)
        axes.legend(loc="upper left")
        return figure


def _pictures(made: Plan) -> tuple[Picture, ...]:
    words = "; ".join(
        f"{format_rate_rps(step.need.load_rps)}: {step.need.best.replicas} pods" for step in made.steps if step.need.best
    )
    text = svg.inline(staircase(made), name="figure-pods", title="Pods needed by load", description=words or "none")
    return (Picture(text, "The fewest pods with which every budget holds; bars: the interval of the load that a fleet carries."),)


def _course(found: Autoscaling) -> tuple[Picture, ...]:
    """Load, pods and p99 over the day, of the autoscaler that was tried last."""
    if not found.tries:
        return ()
    text = svg.inline(course(found), name="figure-day", title="Pods and latency over the day", description=changing(found))
    chosen = (found.answer or found.tries[-1]).chosen
    return (Picture(text, f"A full run with {chosen.minimum} to {chosen.maximum} pods at {chosen.target} %: load, pods that exist, and the clients' p99."),)


def course(found: Autoscaling) -> Figure:
    """Load, pods and latency over time, below each other; UsageError where no autoscaler was run in full."""
    from matplotlib.figure import Figure

    from gwsim.errors import UsageError

    if not found.tries:
        raise UsageError("no autoscaler was run in full: none is cheaper than a fixed fleet")
    with applied():
        one = found.answer or found.tries[-1]
        line = one.results.timeline
        minutes = (line.edges_s[1:] + line.edges_s[:-1]) / 120.0
        figure = Figure(figsize=(WIDTH, 2 * HEIGHT))
        framed(figure, left=0.72, bottom=0.5, between=0.35)
        panels = figure.subplots(3, 1, sharex=True)
        rows = (("load, rps", line.offered_rps.value), ("pods", line.pods[one.gateway].value), ("p99 at the client, ms", line.p99_latency_s.value * 1e3))
        for number, (panel, (name, values)) in enumerate(zip(panels, rows, strict=True)):
            panel.plot(minutes, values, color=SERIES[number])
            panel.set_title(name)
            panel.set_ylim(bottom=0)
            panel.tick_params(colors=MUTED)
        panels[1].axhline(found.fixed_pods, color=MUTED, linestyle=":", linewidth=1.0)
        panels[2].set_xlabel("minutes")
        return figure


def _tries(found: Autoscaling) -> tuple[Table, ...]:
    rows = []
    for one in found.tries:
        at_s, p99_s = one.worst
        word = "hold" if one.holds else "undecided" if one.holds is None else one.failing
        rows.append((
            Cell(f"{one.chosen.minimum} to {one.chosen.maximum}", one.chosen.minimum), Cell(f"{one.chosen.target} %", one.chosen.target),
            Cell(f"{one.mean_pods:.2f}", one.mean_pods), Cell(f"{one.most_pods:.3g}", one.most_pods), Cell(milliseconds(p99_s), p99_s),
            Cell(format_duration_s(round(at_s)), at_s), Cell(word, style="bad" if one.holds is False else ""),
        ))
    names = ("pods", "target", "mean pods", "most pods", "worst p99 ms", "at")
    headings = (*(Heading(name) for name in names), Heading("budgets", False))
    return (Table("autoscalers", "Autoscalers run in full", headings, tuple(rows), "In the order in which they were tried: each has more to spare than the one before."),) if rows else ()


def _table(made: Plan) -> Table:
    rows = []
    for step in made.steps:
        best, load = step.need.best, step.need.load_rps
        if best is None:
            rows.append((Cell(format_rate_rps(load), load), Cell(NONE, -1.0), *[Cell(NONE, -1.0)] * 6, Cell(step.need.notes[0], style="bad")))
            continue
        less, row = step.need.below, best.row
        rows.append((
            Cell(format_rate_rps(load), load), Cell(str(best.replicas), best.replicas),
            Cell(f"{row['gateway_cpu_cores'] or 0.0:.2f}", row["gateway_cpu_cores"] or 0.0),
            Cell(format_share(row["busiest_worker_utilisation"] or 0.0, 2), row["busiest_worker_utilisation"] or 0.0),
            Cell(milliseconds(row["client_latency_p99_s"]), row["client_latency_p99_s"] or -1.0),
            Cell(milliseconds(row["gateway_latency_p99_s"]), row["gateway_latency_p99_s"] or -1.0),
            Cell(carries(step) or NONE, step.capacity.low_rps if step.capacity else None),
            Cell(f"{step.bill.total:,.0f}" if step.bill else NONE, step.bill.total if step.bill else -1.0),
            Cell(NONE if less is None else less.failing),
        ))
    names = ("load", "pods", "CPU cores", "busiest worker", "client p99 ms", "gateway p99 ms", "carries rps", "$ a month")
    headings = (*(Heading(name) for name in names), Heading("with one pod less", False))
    return Table("fleets", "Fleets", headings, tuple(rows), "Dollars at the load held all month, at the cost profile's list prices.")


def _alternatives(made: Plan) -> Table:
    rows = []
    for one in made.alternatives:
        plain = one.plain()
        pods, dollars, p99 = plain["replicas"], plain["compute_usd_per_month"], plain["client_latency_p99_s"]
        rows.append((
            Cell(str(one.workers), one.workers), Cell(NONE if pods is None else str(pods), pods or -1),
            Cell(milliseconds(p99), p99 or -1.0), Cell(NONE if dollars is None else f"{dollars:,.0f}", dollars or -1.0),
            Cell("chosen" if one.chosen else "as good" if one.best else "no fleet" if pods is None else ""),
        ))
    headings = (*(Heading(name) for name in ("workers", "pods", "client p99 ms", "CPU $ a month")), Heading("", False))
    return Table("sizes", "The fewest pods of each size", headings, tuple(rows), "At the highest load; as good: none is better in money, pods and latency together.")


def _settings(made: Plan) -> Table:
    rows = tuple((Cell(one.path), Cell(one.value), Cell(one.reason)) for one in made.settings)
    return Table("settings", "Settings", (Heading("where", False), Heading("value", False), Heading("why", False)), rows)


__all__ = ["command", "course", "render", "staircase"]
