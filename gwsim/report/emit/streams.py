"""How many streams ended with which status, response flags and cluster: what the labels of a metric need together.

An engine counts streams of a class by status, by flag and by cluster, each exactly, but not by all three. They are put
together so that the counts by status stay exact: a flag goes with the status it means in Envoy (UO with 503, UT with 504),
URX with answers that failed, DI with all alike; clusters follow the sampled requests with that status and flags, fitted to
the exact number of streams by cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gwsim.engine.codes import FLAG_ORDER, Flag
from gwsim.engine.schema import RECORD_FIELDS, RawRun
from gwsim.results.results import Results

STATUSES: Mapping[Flag, tuple[int, ...]] = {
    Flag.UO: (503,), Flag.UH: (503,), Flag.UF: (503,), Flag.UC: (503,), Flag.UR: (503,), Flag.NC: (503, 500), Flag.NR: (404, 0),
    Flag.UT: (504,), Flag.RL: (429,), Flag.RLSE: (500,), Flag.UAEX: (403, 401), Flag.FI: (), Flag.SI: (101, 200, 408, 504), Flag.DC: (0,),
}
"""The statuses an answer with a flag has; none: whatever is configured."""
NO_CLUSTER = Flag.NR | Flag.NC | Flag.RL | Flag.RLSE | Flag.UAEX | Flag.FI
ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Row:
    """Streams of a class that ended alike; `cluster` is an index, -1 where none was chosen."""

    class_id: int
    status: int
    flags: Flag
    cluster: int
    count: int

    @property
    def flag_text(self) -> str:
        """Flags as Envoy prints them."""
        return flag_text(self.flags)


def flag_text(flags: int) -> str:
    """Response flags as Envoy prints them: `-` for none."""
    return ",".join(name for name in FLAG_ORDER if flags & Flag[name]) or "-"


def rows_of(results: Results, raw: RawRun) -> list[Row]:
    """The streams of every class."""
    made: list[Row] = []
    for class_id in range(len(results.labels.classes)):
        combined = combine(
            {int(s): int(raw.gw_status[class_id, s]) for s in np.flatnonzero(raw.gw_status[class_id])},
            {flag: int(raw.gw_flags[class_id, flag.bit_length() - 1]) for flag in Flag if flag},
        )
        made += _by_cluster(class_id, combined, raw)
    return made


def combine(statuses: Mapping[int, int], flags: Mapping[Flag, int]) -> dict[tuple[int, Flag], int]:
    """Counts by status and flags from the counts by either."""
    left = dict(statuses)
    rows: dict[tuple[int, Flag], int] = {}
    for flag, where in STATUSES.items():
        wanted = flags.get(flag, 0)
        # A status that the flag does not usually have comes last, errors first.
        others = sorted((s for s in left if s not in where), key=lambda s: (s < 400, s))
        for status in (*where, *others):
            taken = min(wanted, left.get(status, 0))
            if taken:
                rows[status, flag] = rows.get((status, flag), 0) + taken
                left[status] -= taken
                wanted -= taken
    rows |= {(status, Flag.NONE): count for status, count in left.items() if count}
    failed = [key for key in rows if key[0] >= 500 and not key[1] & NO_CLUSTER]
    rows = _overlaid(rows, Flag.URX, flags.get(Flag.URX, 0), sorted(failed, key=lambda key: (int(key[1]), key[0])) or list(rows))
    return _spread(rows, Flag.DI, flags.get(Flag.DI, 0))


def _overlaid(
    rows: dict[tuple[int, Flag], int], flag: Flag, count: int, order: Sequence[tuple[int, Flag]]
) -> dict[tuple[int, Flag], int]:
    """A flag added to rows, in order, until its count is used up."""
    made = dict(rows)
    for key in order:
        taken = min(count, made[key])
        _move(made, key, flag, taken)
        count -= taken
    return made


def _spread(rows: dict[tuple[int, Flag], int], flag: Flag, count: int) -> dict[tuple[int, Flag], int]:
    """A flag added to all rows in proportion."""
    made = dict(rows)
    if count:
        for key, taken in zip(rows, shares(min(count, sum(rows.values())), list(rows.values())), strict=True):
            _move(made, key, flag, min(taken, made[key]))
    return made


def _move(rows: dict[tuple[int, Flag], int], key: tuple[int, Flag], flag: Flag, count: int) -> None:
    if count:
        to = (key[0], key[1] | flag)
        rows[key] -= count
        rows[to] = rows.get(to, 0) + count
        if not rows[key]:
            del rows[key]


def _by_cluster(class_id: int, combined: Mapping[tuple[int, Flag], int], raw: RawRun) -> list[Row]:
    chosen = raw.class_cluster[class_id]
    reached = [key for key in combined if not key[1] & NO_CLUSTER] if chosen.any() else []
    made = [Row(class_id, key[0], key[1], -1, count) for key, count in combined.items() if key not in reached]
    if not reached:
        return made
    fitted = _fit(np.array([combined[key] for key in reached], dtype=float), chosen.astype(float), _seen(class_id, reached, raw, len(chosen)))
    for key, weights in zip(reached, fitted, strict=True):
        counts = shares(combined[key], weights.tolist())
        made += [Row(class_id, key[0], key[1], k, n) for k, n in enumerate(counts) if n]
    return made


def _seen(class_id: int, keys: Sequence[tuple[int, Flag]], raw: RawRun, clusters: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Sampled requests by key and cluster, with a little everywhere that the class goes."""
    seen = np.where(raw.class_cluster[class_id] > 0, 0.01, 0.0)[None, :].repeat(len(keys), axis=0)
    at = {name: RECORD_FIELDS.index(name) for name in ("class_id", "status", "flags", "cluster")}
    for record in raw.samples:
        key = (int(record[at["status"]]), Flag(int(record[at["flags"]])))
        cluster = int(record[at["cluster"]])
        if record[at["class_id"]] == class_id and key in keys and 0 <= cluster < clusters:
            seen[keys.index(key), cluster] += 1.0
    return np.asarray(seen, dtype=np.float64)


def _fit(rows: np.ndarray, columns: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """The table nearest to `seed` with these sums of rows and columns (iterative proportional fitting)."""
    columns = columns * (rows.sum() / columns.sum())
    table = seed
    for _ in range(ROUNDS):
        table = table * (columns / np.maximum(table.sum(axis=0), 1e-300))[None, :]
        table = table * (rows / np.maximum(table.sum(axis=1), 1e-300))[:, None]
    return table


def shares(count: int, weights: Sequence[float]) -> list[int]:
    """A count split in proportion to weights, by largest remainder."""
    total = sum(weights)
    if total <= 0:
        return [count, *([0] * (len(weights) - 1))] if weights else []
    exact = [count * weight / total for weight in weights]
    whole = [int(one) for one in exact]
    order = sorted(range(len(weights)), key=lambda i: (whole[i] - exact[i], i))
    for i in order[: count - sum(whole)]:
        whole[i] += 1
    return whole


__all__ = ["Row", "combine", "flag_text", "rows_of", "shares"]
