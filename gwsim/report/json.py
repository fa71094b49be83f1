"""Results as JSON: exactly what run.json holds, described by `gwsim/results/schema.json`."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from gwsim.results.evaluation import check
from gwsim.results.plain import summary
from gwsim.results.results import Results
from gwsim.results.store import RUN, pack


def as_plain(results: Results) -> dict[str, Any]:
    """What run.json holds; of the files of budgets only the names are kept."""
    budgets = tuple(replace(one, file=Path(one.file).name if one.file else "") for one in results.labels.budgets)
    portable = replace(results, labels=replace(results.labels, budgets=budgets))
    checked = check(portable) if budgets else None
    return summary(portable, checked) | {"arrays_sha256": sha256(pack(results.raws)).hexdigest()}


def render(results: Results) -> str:
    """The text of run.json, ending in a newline; the same bytes for the same results."""
    return json.dumps(as_plain(results), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def saved(directory: Path | str) -> str:
    """The text of run.json in a directory that has one."""
    return (Path(directory) / RUN).read_text("utf-8")


__all__ = ["as_plain", "render", "saved"]
