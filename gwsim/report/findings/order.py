"""One order of findings for every format, and what all formats say of one."""

from __future__ import annotations

from collections.abc import Iterable

from gwsim.diagnostics import CODES, Finding, Level

WORDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "note"}
"""The levels as users and SARIF call them."""


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """By file, line, column, code and message; findings without a place first."""
    return sorted(findings, key=_key)


def _key(finding: Finding) -> tuple[str, int, int, str, str]:
    span = finding.span
    place = (span.file, span.line, span.column) if span is not None else ("", 0, 0)
    return (*place, finding.code, finding.message)


def codes(finding: Finding) -> str:
    """The code with that of istioctl beside it: `GW0101 IST0101`."""
    istio = CODES[finding.code].istio
    return f"{finding.code} {istio}" if istio else finding.code


__all__ = ["WORDS", "codes", "ordered"]
