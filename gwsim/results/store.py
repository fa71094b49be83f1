"""Saved runs: a directory with run.json (figures), arrays.npz (all counts) and provenance.json (where and when).

run.json and arrays.npz hold no clock, host or path: the same scenario, seed and version give the same bytes.
Loading reads the names from run.json and the counts from arrays.npz and computes the figures afresh, so a saved run
answers whatever a new one does. Files are replaced whole; run.json goes first and comes last, so a directory with a
run.json is complete.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from gwsim.engine.schema import BIN, COARSE, FINE, MIDDLE, RawRun, buckets
from gwsim.errors import UsageError
from gwsim.files import write_whole
from gwsim.results.histograms import Ints
from gwsim.results.labels import from_plain
from gwsim.results.plain import FORMAT, summary
from gwsim.results.results import Results, build
from gwsim.results.warmup import Warmup

RUN, ARRAYS, PROVENANCE = "run.json", "arrays.npz", "provenance.json"

_BUCKETED = {
    "latency_hist": (-1, FINE), "gw_hist": (-1, FINE), "overhead_hist": (-1, FINE), "component_hist": (-1, MIDDLE),
    "cluster_hist": (-1, MIDDLE), "bin_latency_hist": (-1, BIN), "anatomy_count": (-1, COARSE), "anatomy_sum": (-2, COARSE),
}
"""Fields with an axis of buckets, which is saved without its empty ends: (axis, bits)."""
_ROWS = ("samples", "slowest", "records", "trace")
"""Fields whose length differs between replications."""
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def save(results: Results, directory: Path | str, *, provenance: Mapping[str, Any] | None = None) -> Path:
    """Write a run into a directory (made if missing; other files in it stay); gives the directory.

    `provenance` adds to what provenance.json says by itself. Budgets of the scenario are evaluated and saved; of
    their files only the names are kept.
    """
    from gwsim.results.evaluation import check

    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    arrays = pack(results.raws)
    portable = _portable(results)
    budgets = check(portable) if portable.labels.budgets else None
    head = summary(portable, budgets) | {"arrays_sha256": hashlib.sha256(arrays).hexdigest()}
    (target / RUN).unlink(missing_ok=True)
    write_whole(target / ARRAYS, arrays)
    write_whole(target / PROVENANCE, _json(_provenance() | dict(provenance or {})))
    write_whole(target / RUN, _json(head))
    return target


def _portable(results: Results) -> Results:
    """The results with the names of the files that hold budgets, but not where these files are."""
    budgets = tuple(replace(one, file=Path(one.file).name if one.file else "") for one in results.labels.budgets)
    return replace(results, labels=replace(results.labels, budgets=budgets))


def load(directory: Path | str) -> Results:
    """The results saved in a directory (or named by its run.json); UsageError if they are missing or damaged."""
    path = Path(directory)
    path = path.parent if path.name == RUN else path
    head = _head(path)
    try:
        arrays = (path / ARRAYS).read_bytes()
    except OSError as error:
        raise UsageError(f"{path / ARRAYS}: cannot be read ({error.strerror})") from None
    if hashlib.sha256(arrays).hexdigest() != head.get("arrays_sha256"):
        raise UsageError(f"{path / ARRAYS} does not belong to {path / RUN}: run the scenario again")
    try:
        labels = from_plain(head["labels"])
        warmup = Warmup(**head["warmup"]) if head["warmup"] else None
        raws = unpack(arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path / RUN} is damaged: {error}") from None
    notes = [note for note in head["notes"] if warmup is None or note != warmup.note]
    return build(labels, raws, level=head["level"], warmup=warmup, notes=notes)


def provenance_of(directory: Path | str) -> dict[str, Any]:
    """What provenance.json says; empty if there is none."""
    try:
        read: dict[str, Any] = json.loads((Path(directory) / PROVENANCE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return read


def _head(path: Path) -> dict[str, Any]:
    try:
        head = json.loads((path / RUN).read_text("utf-8"))
    except OSError:
        raise UsageError(f"{path} holds no run: there is no {RUN} in it") from None
    except ValueError as error:
        raise UsageError(f"{path / RUN} is damaged: {error}") from None
    found = head.get("format") if isinstance(head, dict) else None
    if found != FORMAT:
        raise UsageError(f"{path / RUN} has format {found!r}, this version of gwsim reads {FORMAT!r}")
    assert isinstance(head, dict)
    return head


def pack(raws: Sequence[RawRun]) -> bytes:
    """All counts as an .npz file, the same bytes for the same counts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted(_arrays(raws).items()):
            info = zipfile.ZipInfo(f"{name}.npy", date_time=_EARLIEST)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _arrays(raws: Sequence[RawRun]) -> dict[str, Ints | np.ndarray[Any, Any]]:
    arrays: dict[str, Any] = {"digest": np.array([raw.digest for raw in raws], dtype=np.uint64)}
    for field in fields(RawRun):
        if field.name in ("digest", "events"):
            continue
        parts = [getattr(raw, field.name) for raw in raws]
        if field.name in _ROWS:
            arrays[field.name] = np.concatenate(parts)
            arrays[f"{field.name}.rows"] = np.array([len(part) for part in parts], dtype=np.int64)
            continue
        if field.name in _BUCKETED:
            first, parts = _trimmed(parts, _BUCKETED[field.name][0])
            arrays[f"{field.name}.first"] = np.array(first, dtype=np.int64)
        arrays[field.name] = np.stack(parts)
    return arrays


def _trimmed(parts: list[Ints], axis: int) -> tuple[int, list[Ints]]:
    """The arrays without the buckets that are empty in all of them at either end, and the first bucket kept."""
    used = np.zeros(parts[0].shape[axis], dtype=bool)
    for part in parts:
        used |= np.moveaxis(part, axis, -1).any(axis=tuple(range(part.ndim - 1)))
    kept = np.flatnonzero(used)
    first, end = (int(kept[0]), int(kept[-1]) + 1) if kept.size else (0, 0)
    return first, [part.take(range(first, end), axis=axis) for part in parts]


def unpack(data: bytes) -> list[RawRun]:
    """The inverse of `pack` (`events` are 0); ValueError or KeyError for other bytes."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from None
    digests = arrays["digest"].tolist()
    columns: dict[str, list[Any]] = {"digest": digests, "events": [np.zeros(1, np.int64) for _ in digests]}
    for field in fields(RawRun):
        name = field.name
        if name in columns:
            continue
        if name in _ROWS:
            ends = np.cumsum(arrays[f"{name}.rows"])
            columns[name] = np.split(arrays[name], ends[:-1])
        elif name in _BUCKETED:
            columns[name] = [_widened(part, int(arrays[f"{name}.first"]), *_BUCKETED[name]) for part in arrays[name]]
        else:
            columns[name] = list(arrays[name])
    return [RawRun(**{name: column[r] for name, column in columns.items()}) for r in range(len(digests))]


def _widened(part: Ints, first: int, axis: int, bits: int) -> Ints:
    shape = list(part.shape)
    shape[axis] = buckets(bits)
    full = np.zeros(shape, dtype=np.int64)
    np.moveaxis(full, axis, -1)[..., first : first + part.shape[axis]] = np.moveaxis(part, axis, -1)
    return full


def _provenance() -> dict[str, Any]:
    """What is true of this machine, now and this command: everything that must not be in the other files."""
    import platform
    import sys
    from datetime import UTC, datetime

    from gwsim._version import __version__

    return {
        "gwsim": __version__,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "command": list(sys.argv),
        "directory": os.getcwd(),
    }


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
