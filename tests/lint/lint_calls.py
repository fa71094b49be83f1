"""What the tests of the linter share."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime

from gwsim.diagnostics import CODES
from gwsim.topology.lint import Options, Report, Selection, lint_texts

NOW = datetime(2030, 1, 1, tzinfo=UTC)
"""Certificates are held against this time, so that tests do not age."""


def lint(*texts: str, select: str | None = None, **options: object) -> Report:
    """Lint texts, one a cluster, named `a.yaml`, `b.yaml` and so on."""
    named = {("" if len(texts) == 1 else f"c{at}"): [(f"{'abcdef'[at]}.yaml", textwrap.dedent(text))] for at, text in enumerate(texts)}
    selection = Selection(select=(select,)) if select else options.pop("selection", Selection())
    return lint_texts(named, Options(now=NOW, selection=selection, **options))


def pairs(report: Report) -> set[tuple[str, str]]:
    """Findings as (istioctl's code or ours, `Kind/namespace/name`)."""
    return {(CODES[one.code].istio or one.code, (one.object_ref or "").partition(" ")[0]) for one in report.findings}


def found(report: Report, code: str) -> set[str]:
    """The objects (without kind) that have a finding of the code."""
    return {ref.partition("/")[2] for name, ref in pairs(report) if name == code}
