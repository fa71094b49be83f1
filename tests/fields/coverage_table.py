"""Which field is modelled, by which row that is shown, and the page that says so."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from coverage_effects import Row, rows
from coverage_fields import METADATA, Field, Pair, all_fields, general

from gwsim.resources.not_modelled import NOT_MODELLED, WITHOUT_EFFECT

PAGE = Path(__file__).resolve().parents[2] / "docs" / "coverage.md"
DECISIONS = PAGE.parents[1] / "gwsim" / "resources" / "decision_only.json"
PENDING = Path(__file__).parent / "pending.txt"
MODELLED, DECISION, NOT = "modelled", "decision only", "not modelled"


@dataclass(frozen=True, slots=True)
class Entry:
    """A field and what the model makes of it; `status` empty: nobody has said."""

    field: Field
    status: str
    shown_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """All fields, each (message, field) pair where it first occurs."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]


def table(fields: list[Field] | None = None, effects: tuple[Row, ...] | None = None) -> Table:
    """The table of these fields and rows (None: those of gwsim)."""
    fields = all_fields() if fields is None else fields
    effects = rows() if effects is None else effects
    by_place = {(one.kind, general(one.path)): one for one in fields}
    problems: list[str] = []
    shown: dict[Pair, list[tuple[Row, bool]]] = defaultdict(list)
    for row in effects:
        found = _field_of(row, by_place)
        if found is None:
            problems.append(f"{row.file}: {row.kind} has no field {row.field}")
            continue
        for pair in found.pairs:
            shown[pair].append((row, found.reason is not None))
    pairs = {".".join(one.pair) for one in fields}
    for name in sorted({*NOT_MODELLED, *WITHOUT_EFFECT} - pairs):
        problems.append(f"gwsim/resources/not_modelled.py: there is no field {name}")
    reasons: dict[Pair, set[str | None]] = defaultdict(set)
    for one in fields:
        reasons[one.pair].add(one.reason)
    waiting = pending()
    entries: list[Entry] = []
    seen: set[Pair] = set()
    for one in fields:
        if one.pair in seen:
            continue
        seen.add(one.pair)
        entry = _entry(one, shown[one.pair], reasons[one.pair])
        entries.append(entry)
        waits = one.kind in waiting or one.name in waiting
        if not entry.status and not waits:
            problems.append(f"{one.name} ({'.'.join(one.pair)}) has no row in effects/ and is not in not_modelled.py")
    return Table(tuple(entries), tuple(problems))


def pending() -> set[str]:
    """Kinds and fields that need no row yet: to be empty before a release."""
    lines = PENDING.read_text(encoding="utf-8").splitlines() if PENDING.exists() else []
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def _field_of(row: Row, by_place: dict[tuple[str, str], Field]) -> Field | None:
    """The field a row is about; a key of a plain map or a part of opaque data belongs to the field that holds it."""
    path = general(row.field)
    while path:
        found = by_place.get((row.kind, path.removesuffix("[]").removesuffix("{}")))
        if found is not None:
            return found if path == general(row.field) or found.message is None else None
        cut = max(path.rfind("."), path.rfind("{"), path.rfind("["))
        path = path[:cut] if cut > 0 else ""
    return None


def _entry(field: Field, shown: list[tuple[Row, bool]], reasons: set[str | None]) -> Entry:
    proven = [row for row, without_engine in shown if not without_engine]
    if proven:
        return Entry(field, MODELLED, proven[0].id, "")
    reason = min((one for one in reasons if one), default="")
    if shown:
        return Entry(field, DECISION, shown[0][0].id, reason)
    return Entry(field, "", "", "") if None in reasons else Entry(field, NOT, "", reason)


HEADER = """# What the model makes of every field

Written by `python -m tests.fields` from the models and the rows of `tests/fields/effects`; not to be edited.

* **modelled**: the field changes what is simulated. The row named builds the configuration with and without the
  field and sees the difference, so ignoring the field fails it (`pytest tests/fields`).
* **decision only**: it changes the topology and what `gwsim route` says, and the engines leave it out, for the reason given.
* **not modelled**: it is read, checked and reported as having no effect (`gwsim run --summary full` lists the
  places), for the reason given. Fields that by their nature change nothing about traffic are not reported.

A message that occurs in several places is listed once, where it occurs first. Fields that have no influence on traffic
(probes, volumes, ...) are read over and not listed.
"""


def page() -> str:
    """The text of docs/coverage.md."""
    entries = table().entries
    counts = {status: sum(one.status == status for one in entries) for status in (MODELLED, DECISION, NOT)}
    lines = [HEADER, ", ".join(f"{count} {status}" for status, count in counts.items()) + f" of {len(entries)} fields.", ""]
    hidden: set[str] = set()
    kind = ""
    for one in entries:
        if one.field.kind != kind:
            kind = one.field.kind
            title = "Metadata of every object" if kind == METADATA else kind
            lines += [f"## {title}", "", "| field | | shown by, or why not |", "|---|---|---|"]
        above = one.field.path.rpartition(".")[0]
        if above and f"{kind}:{general(above).removesuffix('[]').removesuffix('{}')}" in hidden:
            hidden.add(f"{kind}:{one.field.path}")
            continue
        if one.status == NOT:
            hidden.add(f"{kind}:{one.field.path}")
        said = f"`{one.shown_by}`" if one.shown_by else ""
        said = "; ".join(part for part in (said, one.reason) if part)
        lines.append(f"| `{one.field.path}` | {one.status or 'not yet said'} | {said} |")
    spaced: list[str] = []
    for line in lines:
        if line.startswith("## "):
            spaced.append("")
        spaced.append(line)
    return "\n".join(spaced).replace("\n\n\n", "\n\n").rstrip() + "\n"


def decisions() -> str:
    """The fields that only route choice follows, as `Message.field`, for `gwsim explain`."""
    found = sorted({".".join(one.field.pair) for one in table().entries if one.status == DECISION})
    return json.dumps(found, indent=0) + "\n"
