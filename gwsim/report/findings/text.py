"""Findings for a terminal: one block each, with the line of the file and a mark under the place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gwsim.diagnostics import Finding, summary
from gwsim.report.findings.order import WORDS, codes, ordered


def render(findings: Iterable[Finding], *, suppressed: int = 0) -> str:
    """All findings and a line that counts them; the line alone where there are none."""
    found = ordered(findings)
    lines = [line for finding in found for line in (*_block(finding), "")]
    hidden = f" ({suppressed} suppressed)" if suppressed else ""
    return "\n".join([*lines, summary(found) + hidden]) + "\n"


def _block(finding: Finding) -> Iterator[str]:
    yield f"{WORDS[finding.level]}[{codes(finding)}]: {finding.message}"
    span = finding.span
    margin = " " * len(str(span.line)) if span is not None and span.line else " "
    if span is not None:
        yield f"{margin}--> {span}"
    if span is not None and span.text and span.text.strip():
        shown = span.text.expandtabs(1)
        indent = len(shown) - len(shown.lstrip())
        start = max(span.column - 1, indent)
        yield f"{margin} |"
        yield f"{span.line} | {shown[indent:].rstrip()}"
        yield f"{margin} | {' ' * (start - indent)}{'^' * _width(shown, start)}"
    if finding.help:
        yield f"{margin} = help: {finding.help}"


def _width(line: str, start: int) -> int:
    """As many columns as the word at the place has: up to a bracket, a comma or the end of its key."""
    rest = line[start:].rstrip()
    end = len(rest)
    for at, letter in enumerate(rest):
        if (letter in ",]}{[" and at) or (letter == ":" and rest[at + 1 : at + 2] in ("", " ")) or letter == "#":
            end = at
            break
    return max(len(rest[:end].rstrip()), 1)


__all__ = ["render"]
