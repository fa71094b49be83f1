"""Recorded arrivals: a CSV file with a time a row and, optionally, what was asked for and on which connection.

Columns, by any of their names and in any order: `time` (seconds from the start, or an instant; required), `method`,
`host`, `path`, `headers` (a JSON object, or `name: value; name: value`), any number of `header:<name>`, `connection`,
`client`, `request_size` and `response_size` (bytes).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gwsim.diagnostics import Collector, Span, code
from gwsim.scenario.replay import time_of

NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "time_s", "timestamp", "start_time", "@timestamp", "t", "at", "arrival", "arrival_s", "due_s", "seconds"),
    "method": ("method", ":method", "verb"),
    "host": ("host", "authority", ":authority", "domain"),
    "path": ("path", ":path", "uri", "url"),
    "headers": ("headers", "request_headers"),
    "connection": ("connection", "connection_id", "conn", "conn_id", "slot"),
    "client": ("client", "source", "population"),
    "request_size": ("request_size", "request_bytes", "bytes_received", "body"),
    "response_size": ("response_size", "response_bytes", "bytes_sent"),
}
_MILLISECONDS = ("time_ms", "timestamp_ms", "t_ms", "at_ms", "arrival_ms")
EPOCH_S = 1e6
"""Times above are instants of a calendar, and count from the first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a row asks for; empty or None: the row does not say."""

    method: str = ""
    host: str = ""
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    client: str = ""
    request_size: int | None = None
    response_size: int | None = None

    @property
    def said(self) -> bool:
        """Whether the row says anything about the request."""
        return bool(self.method or self.host or self.path or self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """The rows in order of time. `connections` is None without such a column."""

    times_s: tuple[float, ...]
    asked: tuple[Asked, ...]
    connections: tuple[str, ...] | None = None
    has_headers: bool = False

    def __len__(self) -> int:
        return len(self.times_s)


def read_arrivals(path: Path, collector: Collector) -> Arrivals | None:
    """The arrivals of a file; None (and findings) when it cannot be used."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        collector.add(code("FILE_MISSING"), f"cannot read {path}: {reason}", Span(str(path)))
        return None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not lines:
        collector.add(code("SCENARIO_VALUE"), "there is no arrival in it", Span(str(path)), help="the first line names the columns, e.g. time,method,host,path")
        return None
    return _Reader(path, collector).read(lines)


_NEXT_HEADER = re.compile(r"[;|](?=\s*[\w-]+\s*:(?!//))")
"""Where another header begins: a value may have semicolons itself, as that of `cookie` has."""


def _pairs(given: Any) -> list[tuple[Any, Any]]:
    """Names and values of a JSON object, or of an array of pairs or of objects with `name` and `value`; ValueError for another."""
    if isinstance(given, dict):
        return list(given.items())
    found: list[tuple[Any, Any]] = []
    for one in given if isinstance(given, list) else ():
        if isinstance(one, dict) and one.keys() >= {"name", "value"}:
            found.append((one["name"], one["value"]))
        elif isinstance(one, list) and len(one) == 2:
            found.append((one[0], one[1]))
        else:
            raise ValueError("no header")
    return found


def _value(value: Any) -> str:
    """Several values of a header are one, with commas."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


class _Reader:
    """Reads one file."""

    def __init__(self, path: Path, collector: Collector) -> None:
        self.path, self.collector = path, collector

    def _bad(self, line: int, message: str, help: str | None = None) -> None:
        self.collector.add(code("SCENARIO_VALUE"), message, Span(str(self.path), line), help=help)

    def read(self, lines: Sequence[tuple[int, str]]) -> Arrivals | None:
        """The arrivals of lines with their numbers in the file, the names of the columns first."""
        columns, factor, first = self._columns(lines[0][1])
        if "time" not in columns:
            self._bad(lines[0][0], "its first line names no time column", f"one of {', '.join(NAMES['time'][:4])}")
            return None
        rows: list[tuple[float, Asked, str]] = []
        reader = csv.reader((line for _, line in lines[first:]), skipinitialspace=True)
        for row in reader:
            made = self._row(lines[first + reader.line_num - 1][0], row, columns, factor)
            if made is not None:
                rows.append(made)
        if not rows:
            if len(lines) == first:
                self._bad(lines[0][0], "there is no arrival in it")
            return None
        rows.sort(key=lambda one: one[0])
        start = rows[0][0] if rows[0][0] >= EPOCH_S else 0.0
        return Arrivals(
            times_s=tuple(time - start for time, _, _ in rows),
            asked=tuple(asked for _, asked, _ in rows),
            connections=tuple(connection for _, _, connection in rows) if "connection" in columns else None,
            has_headers="headers" in columns or any(name.startswith("header:") for name in columns),
        )

    def _columns(self, head: str) -> tuple[dict[str, int], float, int]:
        """Positions by name, the factor to seconds, and the first row of data. One column of numbers needs no names."""
        names = [name.strip().lower() for name in next(csv.reader([head], skipinitialspace=True))]
        if len(names) == 1 and time_of(names[0]) is not None:
            return {"time": 0}, 1.0, 0
        found: dict[str, int] = {}
        factor = 1.0
        for at, name in enumerate(names):
            known = next((key for key, spellings in NAMES.items() if name in spellings), "")
            if not known and name in _MILLISECONDS:
                known, factor = "time", 1e-3
            if not known and name.startswith(("header:", "header.", "header_")):
                known = f"header:{name[7:]}"
            if known and known not in found:
                found[known] = at
        return found, factor, 1

    def _row(self, number: int, row: list[str], columns: Mapping[str, int], factor: float) -> tuple[float, Asked, str] | None:
        def cell(name: str) -> str:
            at = columns.get(name, -1)
            return row[at].strip() if 0 <= at < len(row) else ""

        seconds = time_of(cell("time"))
        if seconds is None:
            self._bad(number, f"{cell('time')!r} is no time", "seconds from the start, or an instant as 2026-01-31T12:00:00.5Z")
            return None
        headers = self._headers(number, cell("headers"))
        headers += [(name[7:], cell(name)) for name in columns if name.startswith("header:") and cell(name)]
        asked = Asked(
            cell("method").upper(), cell("host"), cell("path"), tuple(sorted(headers)), cell("client"),
            self._size(number, cell("request_size")), self._size(number, cell("response_size")),
        )  # fmt: skip
        return seconds * factor, asked, cell("connection")

    def _size(self, number: int, text: str) -> int | None:
        if not text or text == "-":
            return None
        try:
            return max(int(float(text)), 0)
        except (ValueError, OverflowError):
            self._bad(number, f"{text!r} is no number of bytes")
            return None

    def _headers(self, number: int, text: str) -> list[tuple[str, str]]:
        if not text or text == "-":
            return []
        if text.startswith(("{", "[")):
            try:
                return [(str(name).lower(), _value(value)) for name, value in _pairs(json.loads(text))]
            except ValueError:
                self._bad(number, "its headers are no JSON object", '{"x-user": "7"}, or x-user: 7; x-plan: gold')
                return []
        found: list[tuple[str, str]] = []
        for part in _NEXT_HEADER.split(text) if ":" in text.partition(";")[0] else text.replace("|", ";").split(";"):
            if not part.strip():
                continue
            split = ":" if ":" in part else "="
            name, has, value = part.partition(split)
            if not has:
                self._bad(number, f"{part.strip()!r} is no header", "x-user: 7; x-plan: gold")
                continue
            found.append((name.strip().lower(), value.strip()))
        return found


__all__ = ["Arrivals", "Asked", "read_arrivals"]
