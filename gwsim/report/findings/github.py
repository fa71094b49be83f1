"""Findings as GitHub Actions annotations: workflow commands on standard output."""

from __future__ import annotations

from collections.abc import Iterable

from gwsim.diagnostics import CODES, Finding, Level, summary
from gwsim.report.findings.order import codes, ordered

_COMMANDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "notice"}


def render(findings: Iterable[Finding], *, suppressed: int = 0) -> str:
    """One command a finding, and a plain line that counts them."""
    found = ordered(findings)
    hidden = f" ({suppressed} suppressed)" if suppressed else ""
    return "\n".join([*(_command(one) for one in found), summary(found) + hidden]) + "\n"


def _command(finding: Finding) -> str:
    span = finding.span
    fields = []
    if span is not None:
        fields.append(f"file={_property(span.file)}")
        if span.line:
            fields += [f"line={span.line}", f"col={max(span.column, 1)}"]
    fields.append(f"title={_property(f'{codes(finding)}: {CODES[finding.code].title}')}")
    message = finding.message + (f"\n{finding.help}" if finding.help else "")
    return f"::{_COMMANDS[finding.level]} {','.join(fields)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


__all__ = ["render"]
