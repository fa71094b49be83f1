"""A sweep as one HTML file."""

from __future__ import annotations

import shlex

from gwsim.errors import ExitCode
from gwsim.planning.sweep import Sweep
from gwsim.report import page, svg, sweep_figures
from gwsim.report.html_tables import Cell, Heading, Table
from gwsim.report.page import Page, Picture, Section
from gwsim.report.sweep import knee_text, row_cells, value_text

DRAWN = ("client_latency_p99_s", "gateway_latency_p99_s", "errors_share", "busiest_worker_utilisation", "gateway_cpu_cores")
HEADINGS = ("served rps", "p99 client ms", "p99 gateway ms", "errors", "pods", "CPU cores", "busiest worker")


def render(swept: Sweep) -> str:
    """The page."""
    knees = tuple(knee_text(swept, knee) for knee in swept.knees[:8]) or ("All points were run.",)
    passed, open_ = (sum(row["exit_code"] == code for row in swept.rows) for code in (ExitCode.OK, ExitCode.UNDECIDED))
    failed = len(swept.rows) - passed - open_
    return page.render(
        Page(
            title=swept.name, question=swept.question, word="SWEEP",
            style="plain",
            sentences=(f"Of {len(swept.rows)} points, {passed} hold, {open_} are undecided and {failed} do not hold.", *knees),
            sections=(
                Section(name="curves", title="Curves", pictures=_pictures(swept)),
                Section(name="points", title="Points", tables=(_table(swept),)),
            ),
            command=command(swept),
        )
    )


def command(swept: Sweep) -> str:
    """The command with the scenario by its name."""
    words = ["gwsim", "sweep", swept.name]
    for axis in swept.axes:
        words += ["--over", f"{axis.path}={','.join(value.text for value in axis.values)}"]
    return shlex.join(words)


def _pictures(swept: Sweep) -> tuple[Picture, ...]:
    names = [name for name in DRAWN if any(row.get(name) is not None for row in swept.rows)]
    made = [
        Picture(
            svg.inline(
                sweep_figures.curve(swept, name), name=f"figure-{name.replace('_', '-')}",
                title=f"{sweep_figures.NAMES[name][0]} over {swept.axes[-1].label}", description="; ".join(_words(swept, name)),
            ),
            f"{sweep_figures.NAMES[name][0]}; the band is the interval, the colour of a mark the verdict.",
        )
        for name in names
    ]
    if len(swept.axes) > 1:
        made.insert(0, Picture(
            svg.inline(
                sweep_figures.heat_map(swept), name="figure-heat", title="p99 at the client over two axes",
                description="The same numbers are in the table of points.",
            ),
            "p99 at the client, ms; a cross marks points that do not hold, a question mark undecided ones.",
        ))
    return tuple(made)


def _words(swept: Sweep, name: str) -> list[str]:
    axis = swept.axes[-1]
    return [
        f"{value_text(axis, values[-1])}: {row[name]:.4g}"
        for values, row in zip(swept.values[:24], swept.rows, strict=False) if row.get(name) is not None
    ]


def _table(swept: Sweep) -> Table:
    rows = []
    for values, row in zip(swept.values, swept.rows, strict=True):
        first = [Cell(value_text(a, v), v.number) for a, v in zip(swept.axes, values, strict=True)]
        cells = [cell if isinstance(cell, str) else cell.text for cell in row_cells(row)]
        numbers = (None, row.get("served_rps"), row.get("client_latency_p99_s"), row.get("gateway_latency_p99_s"),
                   row.get("errors_share"), row.get("gateway_pods"), row.get("gateway_cpu_cores"),
                   row.get("busiest_worker_utilisation"), None)
        shown = [Cell(text, -1.0 if number is None and n not in (0, 8) else number) for n, (text, number) in enumerate(zip(cells, numbers, strict=True))]
        shown[0] = Cell(cells[0], None, row["sentence"], {ExitCode.OK: "", ExitCode.UNDECIDED: "unsure"}.get(row["exit_code"], "bad"))
        rows.append((*first, *shown))
    headings = [Heading(axis.path, axis.numeric) for axis in swept.axes]
    headings += [Heading("verdict", False), *(Heading(name) for name in HEADINGS), Heading("fullest", False)]
    return Table("points", "Every point", tuple(headings), tuple(rows))


__all__ = ["command", "render"]
