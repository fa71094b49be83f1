"""Did you mean: the candidate nearest to a word the user wrote."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, candidates: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The candidate most like `word`, or None when none is like it (case is ignored).

    `cutoff` is difflib's similarity ratio, 0 to 1.
    """
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    matches = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[matches[0]] if matches else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """A help line naming the nearest candidate, or None."""
    match = nearest(word, candidates)
    return f"did you mean {match}?" if match else None


_MANY = 300
"""Candidates beyond this are narrowed down before they are compared letter by letter."""


def did_you_mean_host(host: str, known: Iterable[str]) -> str | None:
    """A help line with the known host most like this one, or None.

    What all hosts of a cluster end with is left out of the comparison; of many hosts only those that begin or end
    alike are compared.
    """
    tail = ".".join(host.split(".")[2:]) if ".svc." in host else ""
    suffix = f".{tail}" if tail else ""
    short = host.removesuffix(suffix)
    names = {name.removesuffix(suffix): name for name in known if name.endswith(suffix) and not name.startswith("*")}
    if len(names) > _MANY:
        first, last = short[:3], short.partition(".")[0][-3:]
        alike = [name for name in names if name.startswith(first) or name.partition(".")[0].endswith(last)]
        names = {name: names[name] for name in alike[:_MANY]}
    found = nearest(short, names)
    return f"did you mean {names[found]}?" if found else None


def edit_distance(left: str, right: str, limit: int) -> int:
    """Insertions, deletions, replacements and swaps of neighbours between two words; `limit + 1` when more."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        older, before = before, row
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if older and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return min(row[-1], limit + 1)


def misspelling_of(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` is a slip of (wrong case, or one or two letters off), or None.

    Stricter than `nearest`: short words need to be nearer, so that `foo` is not taken for `to`.
    """
    lower = word.lower().replace("_", "").replace("-", "")
    best: tuple[int, str] | None = None
    for candidate in candidates:
        limit = 0 if len(candidate) <= 3 else 1 if len(candidate) <= 5 else 2
        distance = edit_distance(lower, candidate.lower(), limit)
        if distance <= limit and (best is None or (distance, candidate) < best):
            best = (distance, candidate)
    return best[1] if best else None
