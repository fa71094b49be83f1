"""Findings as plain text, in the style of a compiler. Colour is the report package's business."""

from __future__ import annotations

from collections.abc import Iterable

from gwsim.diagnostics.codes import Level
from gwsim.diagnostics.findings import Finding

_WORDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "note"}


def render(finding: Finding) -> str:
    """One finding as a few lines, without a newline at the end."""
    lines = [f"{_WORDS[finding.level]}[{finding.code}]: {finding.message}"]
    where = str(finding.span) if finding.span else None
    if where or finding.object_ref:
        ref = f"({finding.object_ref})" if finding.object_ref else ""
        lines.append("  --> " + "  ".join(part for part in (where, ref) if part))
    if finding.span and finding.span.text and finding.span.text.strip():
        lines.append(f"   |   {finding.span.text.strip()}")
    if finding.help:
        lines.append(f"   = help: {finding.help}")
    return "\n".join(lines)


def render_all(findings: Iterable[Finding]) -> str:
    """All findings, one after another, and a line that counts them. Empty text for no findings."""
    found = list(findings)
    if not found:
        return ""
    return "\n".join([*(render(f) for f in found), summary(found)]) + "\n"


def summary(findings: Iterable[Finding]) -> str:
    """The count of findings by level: `1 error, 2 warnings, 3 notes`, or `no findings`."""
    counts = dict.fromkeys(Level, 0)
    for finding in findings:
        counts[finding.level] += 1
    parts = [f"{n} {_WORDS[level]}{'' if n == 1 else 's'}" for level, n in counts.items() if n]
    return ", ".join(parts) or "no findings"
