"""Arrivals from an access log: Istio's default text format, its JSON form, and CSV.

Source of the format: istio/istio pilot/pkg/model/telemetry_logging.go `EnvoyTextLogFormat`.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from gwsim.scenario.file import MixEntry

_TEXT = re.compile(r'\[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+)(?: [^"]*)?" ')
_QUOTED = re.compile(r'"([^"]*)"')
_TIME_COLUMNS = ("time", "timestamp", "start_time", "@timestamp", "date")
_HOST_COLUMNS = ("host", "authority", ":authority")
DRAWN = -1
"""Shape of an entry that matches no entry of the mix: it is drawn by the weights."""


class Entry(NamedTuple):
    """One request of a log; empty text: not known. Time in seconds since any epoch."""

    time_s: float
    method: str
    host: str
    path: str


class Log(NamedTuple):
    """The entries of a log in order of time, and the numbers of the lines that hold none."""

    entries: tuple[Entry, ...]
    skipped: tuple[int, ...]


def read_log(path: Path, form: str = "auto") -> Log:
    """The requests of a log. `form` is auto, istio, json or csv.

    Raises ValueError when no line can be read, and OSError when the file cannot.
    """
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    form = _form(lines) if form == "auto" else form
    if form == "csv":
        return _finish(_csv(lines), len(lines))
    parse: Callable[[str], Entry | None] = _json_entry if form == "json" else _text_entry
    return _finish(((number, parse(line)) for number, line in enumerate(lines, 1) if line.strip()), len(lines))


def _form(lines: Sequence[str]) -> str:
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("{"):
        return "json"
    return "istio" if first.startswith("[") else "csv"


def _finish(found: Iterable[tuple[int, Entry | None]], lines: int) -> Log:
    entries: list[Entry] = []
    skipped: list[int] = []
    for number, entry in found:
        if entry is None:
            skipped.append(number)
        else:
            entries.append(entry)
    if not entries:
        raise ValueError(f"none of its {lines} lines is a request in a format known here (istio, json, csv)")
    return Log(tuple(sorted(entries, key=lambda one: one.time_s)), tuple(skipped))


def time_of(text: object) -> float | None:
    """Seconds, from a number (seconds; milliseconds and more if that large) or an ISO 8601 text; None if neither."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        return None
    try:
        number = float(text)
    except (ValueError, OverflowError):
        return _iso(str(text))
    if not math.isfinite(number) or number < 0:
        return None
    for limit, divisor in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)):
        if number >= limit:
            return number / divisor
    return number


def _iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _text_entry(line: str) -> Entry | None:
    match = _TEXT.match(line)
    when = time_of(match["time"]) if match else None
    if match is None or when is None:
        return None
    # Only the last two quoted texts are certain in number: the authority and the upstream host.
    quoted = _QUOTED.findall(line)
    host = quoted[-2] if len(quoted) >= 4 else ""
    return Entry(when, match["method"], "" if host == "-" else host, match["path"])


def _json_entry(line: str) -> Entry | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return _entry(fields) if isinstance(fields, dict) else None


def _entry(fields: dict[str, object]) -> Entry | None:
    when = next((fields[name] for name in _TIME_COLUMNS if fields.get(name) not in (None, "")), None)
    seconds = time_of(when)
    if seconds is None:
        return None
    host = next((fields[name] for name in _HOST_COLUMNS if fields.get(name)), "")
    return Entry(seconds, str(fields.get("method") or ""), str(host), str(fields.get("path") or ""))


def _csv(lines: Sequence[str]) -> Iterator[tuple[int, Entry | None]]:
    reader = csv.DictReader(lines, skipinitialspace=True)
    columns = [name.strip().lower() for name in reader.fieldnames or []]
    if not set(columns) & set(_TIME_COLUMNS):
        raise ValueError(f"its first line names no time column ({', '.join(_TIME_COLUMNS[:3])})")
    reader.fieldnames = columns
    try:
        for row in reader:
            yield reader.line_num, _entry({name: value for name, value in row.items() if isinstance(name, str)})
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error


def match(entry: Entry, mix: Sequence[MixEntry], default_host: str) -> int:
    """The entry of the mix that a log entry belongs to: same method and host, longest path that is its beginning."""
    best, length = DRAWN, -1
    path = entry.path.partition("?")[0]
    host = entry.host.partition(":")[0].lower()
    for at, one in enumerate(mix):
        own = one.path.partition("?")[0]
        if entry.method and entry.method.upper() != one.method.upper():
            continue
        if host and host != (one.host or default_host).partition(":")[0].lower():
            continue
        fits = not path or path == own or path.startswith(own.rstrip("/") + "/")
        if fits and len(own) > length:
            best, length = at, len(own)
    return best
