"""Findings as SARIF 2.1.0 (OASIS), for code scanning.

The fingerprint of a finding is made of its code, object, field and message, and not of its line, so that it stays the
same finding when lines are added above it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from gwsim._version import __version__
from gwsim.diagnostics import CODES, Finding
from gwsim.diagnostics.codes import Code
from gwsim.report.findings.order import WORDS, ordered

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(findings: Iterable[Finding], *, suppressed: int = 0) -> str:
    """One run with its rules and results, ending in a newline."""
    found = ordered(findings)
    rules = sorted({one.code for one in found})
    driver = {
        "name": "gwsim", "semanticVersion": __version__, "informationUri": "https://pypi.org/project/istio-gwsim/",
        "rules": [_rule(CODES[code]) for code in rules],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, rules.index(one.code)) for one in found],
        "properties": {"suppressed": suppressed},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, ensure_ascii=False) + "\n"


def _rule(row: Code) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": row.code,
        "name": "".join(word.capitalize() for word in row.name.split("_")),
        "shortDescription": {"text": row.title},
        "fullDescription": {"text": row.meaning},
        "defaultConfiguration": {"level": WORDS[row.level]},
        "properties": {"tags": ["istio", *([row.istio] if row.istio else [])]},
    }
    if row.istio:
        rule["properties"]["istio_code"] = row.istio
        rule["helpUri"] = f"https://istio.io/latest/docs/reference/config/analysis/{row.istio.lower()}/"
    return rule


def _result(finding: Finding, index: int) -> dict[str, Any]:
    text = finding.message + (f"\n{finding.help}" if finding.help else "")
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": WORDS[finding.level],
        "message": {"text": text},
        "partialFingerprints": {"gwsim/v1": _fingerprint(finding)},
    }
    istio = CODES[finding.code].istio
    if istio:
        result["properties"] = {"istio_code": istio}
    location = _location(finding)
    if location:
        result["locations"] = [location]
    return result


def _location(finding: Finding) -> dict[str, Any]:
    location: dict[str, Any] = {}
    span = finding.span
    if span is not None:
        place: dict[str, Any] = {"artifactLocation": {"uri": _uri(span.file)}}
        if span.line:
            place["region"] = {"startLine": span.line, "startColumn": max(span.column, 1)}
            if span.text:
                place["region"]["snippet"] = {"text": span.text}
        location["physicalLocation"] = place
    if finding.object_ref:
        ref, _, path = finding.object_ref.partition(" ")
        name = f"{ref}:{path}" if path else ref
        location["logicalLocations"] = [{"fullyQualifiedName": name, "kind": "resource"}]
    return location


def _uri(file: str) -> str:
    """A path as a URI; relative ones stay relative, which is what code scanning wants."""
    from urllib.parse import quote

    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _fingerprint(finding: Finding) -> str:
    parts = (finding.code, finding.object_ref or "", finding.message, finding.span.file if finding.span else "")
    return sha256("\0".join(parts).encode()).hexdigest()[:32]


__all__ = ["SCHEMA", "render"]
