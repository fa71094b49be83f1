"""Findings as JSON: a stable list, each finding with istioctl's code as a field of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from gwsim.diagnostics import CODES, Finding, Level
from gwsim.report.findings.order import ordered

VERSION = 1


def render(findings: Iterable[Finding], *, suppressed: int = 0) -> str:
    """`{version, findings, summary}`, ending in a newline."""
    found = ordered(findings)
    counts = {level.value: sum(one.level is level for one in found) for level in Level}
    document = {"version": VERSION, "findings": [plain(one) for one in found], "summary": counts | {"suppressed": suppressed}}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def plain(finding: Finding) -> dict[str, Any]:
    """One finding as a mapping. `object` is `Kind/namespace/name`, `path` the field within it."""
    row, span = CODES[finding.code], finding.span
    ref, _, path = (finding.object_ref or "").partition(" ")
    return {
        "code": row.code,
        "istio_code": row.istio or None,
        "name": row.name,
        "level": finding.level.value,
        "message": finding.message,
        "file": span.file if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "source": span.text if span else None,
        "help": finding.help,
        "object": ref or None,
        "path": path or None,
        "title": row.title,
        "effect": row.meaning,
    }


__all__ = ["VERSION", "plain", "render"]
