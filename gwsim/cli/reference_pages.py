"""Pages of the reference that are made from the source: commands, exit codes, metrics, finding codes, response flags.

    python -m gwsim.cli.reference_pages docs/reference

A test compares them with what is on disk.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_NOTE = "<!-- Written by gwsim.cli.reference_pages from {source}; do not edit. make reference writes it. -->\n"
_RANGES = (
    ("GW00", "Syntax and schema"), ("GW01", "Istio semantics and topology"), ("GW02", "Scenario"), ("GW03", "Modelling"),
    ("GW04", "Lint"), ("GW05", "Route tests"), ("GW06", "Dumps of a real Envoy"),
)


def exit_codes() -> str:
    """What a process says when it ends."""
    rows = (
        ("0", "done: all budgets hold, no findings, no difference"),
        ("1", "done, and the answer is no: a budget fails, the system is saturated or metastable, findings, worse than the baseline, nothing feasible"),
        ("2", "the usage or the input is wrong: file:line, what is wrong, what would be right"),
        ("3", "undecided: the interval straddles the limit, there are no data, or nothing exercised a change"),
        ("70", "a fault inside gwsim; `--debug` prints its traceback"),
        ("130", "interrupted; what was finished is on disk, and the same command goes on from there"),
    )
    from gwsim.errors import ExitCode

    if {int(code) for code, _ in rows} != set(map(int, ExitCode)):
        raise AssertionError("a code of gwsim.errors.ExitCode has no row")
    return "\n".join((
        "# Exit codes\n", _NOTE.format(source="gwsim/errors.py"),
        "The same for every command and every output format.\n", "| code | meaning |", "| --- | --- |",
        *(f"| {code} | {meaning} |" for code, meaning in rows), "",
        "Several answers together end with the worst, in the order 130, 70, 2, 1, 3, 0: an answer that is incomplete is no plain *no*.",
        "`--undecided warn` and `--undecided pass` turn 3 into 0.", "",
    ))


def metrics() -> str:
    """What budgets can limit, and how they are written."""
    from gwsim.results import budgets

    grammar = (budgets.__doc__ or "").partition("\n\n")[2].partition("Labels narrow")[0].rstrip()
    lines = [
        "# Metrics and budgets\n", _NOTE.format(source="gwsim/results/budgets.py"),
        "A budget is a metric, labels that narrow it down, an aggregate, a comparison and a limit:\n",
        "```", *(line.removeprefix("    ") for line in grammar.splitlines()), "```\n",
        "Without labels a budget covers all traffic. A budget of level `warn` is reported and does not decide the exit code. A bare "
        "`latency` is refused: whose latency is meant makes a large difference.\n",
        "| metric | what it is | aggregates | labels | limit |", "| --- | --- | --- | --- | --- |",
    ]
    units = {"latency": "a duration: `250ms`", "share": "a share: `0.1%`", "rps": "a rate: `1900rps`", "cores": "cores: `1.5`, `800m`"}
    for name, metric in budgets.METRICS.items():
        aggregates, labels = (", ".join(f"`{one}`" for one in ones) for ones in (metric.aggregates, metric.labels))
        lines.append(f"| `{name}` | {metric.meaning} | {aggregates} | {labels} | {units[metric.kind]} |")
    lines += [
        "", "Percentiles cover the requests that were answered upstream, and time-outs at their time-out. Requests that the gateway answered "
        "itself otherwise count in `errors` and `local_replies`; a latency budget without a budget of errors warns.\n",
        "The verdict of a budget is *pass* or *fail* where the whole 95 % interval lies on one side of the limit, else *undecided*, with the "
        "number of requests that would decide it. Where nothing matches the labels it is *no data*.", "",
    ]
    return "\n".join(lines)


def codes() -> str:
    """Every finding."""
    from gwsim.diagnostics import CODES

    lines = [
        "# Findings\n", _NOTE.format(source="gwsim/diagnostics/codes.py"),
        "An *error* ends the command with exit code 2 (for `gwsim lint`: 1). `gwsim explain CODE` prints more. Rules of `gwsim lint` have "
        "[a page of their own](lint.md), with an example each.", "",
    ]
    for prefix, title in _RANGES:
        rows = [one for one in CODES.values() if one.code.startswith(prefix)]
        if rows:
            lines += [f"## {title}\n", "| code | level | what | what it means | istioctl |", "| --- | --- | --- | --- | --- |"]
            lines += [f"| {one.code} | {one.level.value} | {_cell(one.title)} | {_cell(one.meaning)} | {one.istio} |" for one in rows]
            lines.append("")
    return "\n".join(lines)


def response_flags() -> str:
    """Envoy's response flags."""
    from gwsim.report import flags

    lines = [
        "# Response flags\n", _NOTE.format(source="gwsim/report/flags.py"),
        "Envoy's `%RESPONSE_FLAGS%`, and what gwsim does with each. `gwsim explain UO` prints one.\n",
        "| flag | name | what happened | what to look at | status at the client | in gwsim |", "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {one.flag} | {one.name} | {_cell(one.meaning)} | {_cell(one.look_at)} | {_cell(one.status)} | {_cell(one.where)} |"
        for one in flags.EVERY_FLAG.values()
    ]
    return "\n".join([*lines, ""])


def commands() -> str:
    """The help of every command."""
    from typer.main import get_command

    from gwsim.cli.app import application

    lines = [
        "# Commands\n", _NOTE.format(source="gwsim/cli"),
        "`gwsim COMMAND --help` prints the same. Exit codes are [the same for all](exit-codes.md).", "",
    ]
    application_ = get_command(application())
    with application_.make_context("gwsim", [], resilient_parsing=True, terminal_width=100) as context:
        helps = list(_helps(application_, ("gwsim",), context))
    for name, text in helps:
        lines += [f"## {name}\n", "```", text.strip(), "```", ""]
    return "\n".join(lines)


def _helps(command: Any, names: tuple[str, ...], context: Any) -> Iterator[tuple[str, str]]:
    """Name and help of every command below one, groups left out."""
    below = getattr(command, "commands", None) or {}
    if not below or getattr(command, "invoke_without_command", False):
        yield " ".join(names), "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    for name in sorted(below):
        with below[name].make_context(name, [], parent=context, resilient_parsing=True) as inner:
            yield from _helps(below[name], (*names, name), inner)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands, "exit-codes.md": exit_codes, "metrics.md": metrics, "findings.md": codes, "response-flags.md": response_flags,
}
"""File below docs/reference, and what writes it."""


def main(folder: str) -> None:
    """Write all pages."""
    for name, render in PAGES.items():
        (Path(folder) / name).write_text(render(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])


__all__ = ["PAGES", "main"]
