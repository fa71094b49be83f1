"""Markdown for pull requests and step summaries."""

from __future__ import annotations

from gwsim.planning.batch import Batch
from gwsim.planning.figures import Row
from gwsim.report.text import NONE, milliseconds
from gwsim.units import format_share

MARKS = {"pass": "✅", "fail": "❌", "undecided": "❔", "no data": "❔"}
WORDS = {"PASS": "✅", "DONE": "✅", "FAIL": "❌", "SATURATED": "❌", "METASTABLE": "❌", "ERROR": "❌", "UNDECIDED": "❔"}


def checked(made: Batch) -> str:
    """The scenarios in a table, then the budgets of each that does not pass."""
    lines = ["### gwsim: modelled latency budgets", "", "| | scenario | served rps | p99 client ms | errors | |", "|---|---|---:|---:|---:|---|"]
    for name, row in zip(made.names, made.rows, strict=True):
        lines.append(
            f"| {WORDS[row['verdict']]} {row['verdict']} | {escape(name)} | {_number(row.get('served_rps'))} | "
            f"{milliseconds(row.get('client_latency_p99_s'))} | {_share(row.get('errors_share'))} | {escape(row['sentence'])} |"
        )
    for name, row in zip(made.names, made.rows, strict=True):
        if row["exit_code"] != 0 and row.get("budgets"):
            lines += ["", f"#### {escape(name)}", "", "| | budget | |", "|---|---|---|", *_budgets(row)]
    return "\n".join(lines) + "\n"


def _budgets(row: Row) -> list[str]:
    return [
        f"| {MARKS[one['answer']]} | `{one['text'].replace('|', '¦')}` | {escape(one['sentence'])} |" for one in row["budgets"]
    ]


def escape(text: str) -> str:
    """Text as a cell of a table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"


def _share(value: float | None) -> str:
    return NONE if value is None else format_share(value, 2)


__all__ = ["checked", "escape"]
