"""The terminal report: its order, its size, and that it says what matters. Numbers are not pinned here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gwsim.report import text
from gwsim.report.lines import Column, clip, coloured, command_lines, plain, table
from gwsim.report.report import Report
from gwsim.results.headline import Word

KINDS = ("pass", "fail", "undecided", "done", "saturated", "many")
WORDS = {"pass": Word.PASS, "fail": Word.FAIL, "undecided": Word.UNDECIDED, "done": Word.DONE, "saturated": Word.SATURATED, "many": Word.UNDECIDED}


def lines_of(report: Report) -> list[str]:
    """The compact report, line by line."""
    return plain(text.compact(report, ["out/demo/", "report.html", "run.json"])).splitlines()


def starts(lines: list[str], word: str) -> int:
    """The line that begins with a word."""
    return next(i for i, line in enumerate(lines) if line.startswith(word))


@pytest.mark.parametrize("kind", KINDS)
def test_it_fits_a_terminal(report: Callable[[str], Report], kind: str) -> None:
    """45 lines of 100 columns, however much there is to tell; nothing at the ends of lines."""
    lines = lines_of(report(kind))
    assert len(lines) <= 45
    assert max(len(line) for line in lines) <= 100
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_comes_first(report: Callable[[str], Report], kind: str) -> None:
    """Scenario and question, the word, then everything else in a fixed order."""
    one = report(kind)
    lines = lines_of(one)
    assert one.headline.word is WORDS[kind]
    order = ["SCENARIO", "QUESTION", WORDS[kind].value, "  BUDGET", "ROUTE", "WHERE THE TIME", "GATEWAY", "BOTTLENECK", "TRY", "NOTES", "WROTE"]
    if kind == "done":
        order.remove("  BUDGET")
    if kind == "saturated":
        order.remove("WHERE THE TIME")
    places = [starts(lines, word) for word in order]
    assert places == sorted(places)


def test_a_failed_budget_is_named_with_its_cause(report: Callable[[str], Report]) -> None:
    """The mark, the observed value, the flag, the pool that overflows, and a change of that pool."""
    said = "\n".join(lines_of(report("fail")))
    assert '✗ errors{route="checkout"} rate' in said
    assert "✓ gateway.cpu mean" in said
    assert " UO" in said
    assert "maxConnections=2" in said
    assert "1 of 3 budgets fails" in said


def test_a_saturated_run_has_no_breakdown(report: Callable[[str], Report]) -> None:
    """Its latencies mean nothing; the sentence says so."""
    said = " ".join(" ".join(lines_of(report("saturated"))).split())
    assert "latencies grow with the length of the run" in said
    assert "WHERE THE TIME" not in said


def test_long_lists_are_cut_and_told(report: Callable[[str], Report]) -> None:
    """The compact report counts what it leaves out; the full one leaves out nothing."""
    one = report("many")
    short, whole = plain(text.compact(one)), plain(text.full(one))
    assert "… and 13 more budgets" in short
    assert sum(line.startswith(("✓", "✗", "?")) for line in whole.splitlines()) == 20
    assert "ASSUMPTIONS" in whole
    assert all(cluster in whole for cluster in one.names.clusters.values())


def test_colour_changes_nothing_but_colour(report: Callable[[str], Report]) -> None:
    """Without its sequences the coloured text is the plain one."""
    import re

    lines = text.compact(report("fail"))
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured(lines))
    assert [row.rstrip() for row in stripped.splitlines()] == plain(lines).splitlines()


def test_an_uncalibrated_profile_gives_a_range(report: Callable[[str], Report]) -> None:
    """CPU is printed from a low to a high value."""
    gateway = next(line for line in lines_of(report("pass")) if line.startswith("GATEWAY"))
    assert "cores (" in gateway
    assert " to " in gateway


def test_commands_can_be_copied(report: Callable[[str], Report]) -> None:
    """However they are broken into lines, a shell reads the same words."""
    import shlex

    command = "gwsim run demo --set 'a[\"b c\"]=1' " + " ".join(f"--set Kind/namespace/name-{n}:path.to.field=value" for n in range(6))
    shown = plain(command_lines("TRY", command, indent=12)).removeprefix("TRY")
    assert max(map(len, shown.splitlines())) <= 100
    assert shlex.split(shown.replace("\\\n", " ")) == shlex.split(command)


def test_tables_are_aligned_and_names_give_way() -> None:
    """Every row ends where the heading ends; a name too long loses its middle."""
    rows = table([Column("name", right=False), Column("n")], [["short", "1"], ["x" * 200, "22"]], width=40)
    widths = {sum(len(part.text) for part in row) for row in rows}
    assert widths == {40}
    assert clip("abcdefghij", 5) == "ab…ij"


@pytest.mark.parametrize(("seconds", "shown"), [(None, "-"), (0.0, "0.00"), (0.001234, "1.23"), (0.01234, "12.3"), (0.1234, "123"), (1.234, "1,234")])
def test_milliseconds(seconds: float | None, shown: str) -> None:
    """Three figures or so, and a dash, never a 0, for what is not there."""
    assert text.milliseconds(seconds) == shown
