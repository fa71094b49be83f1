"""Prometheus query results: read from files or asked of a server, and counters turned into rates.

A counter's increase is summed from point to point; a fall is a reset and counts from 0. Where points are further apart
than a few scrapes nothing is known, and a bin that is mostly such a gap has no rate.
Source of the form: Prometheus HTTP API, `/api/v1/query_range`.
"""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gwsim.errors import InputError, UsageError

Floats = npt.NDArray[np.float64]

MOST_POINTS = 10_000
"""Prometheus answers at most 11,000 points a series."""
MOST_BYTES = 256 << 20
TIMEOUT_S = 30.0
GAP_STEPS = 2.5
COVERED = 0.5
"""Share of a bin that must be known for it to have a rate."""


@dataclass(frozen=True, eq=False)
class Series:
    """One time series: its labels, times (s since the epoch, ascending) and values."""

    labels: Mapping[str, str]
    times: Floats
    values: Floats

    @property
    def name(self) -> str:
        """The metric."""
        return self.labels.get("__name__", "")


@dataclass(frozen=True, eq=False)
class Recorded:
    """Series by metric, each set of labels once."""

    series: tuple[Series, ...]

    def of(self, name: str, **labels: str) -> list[Series]:
        """The series of a metric with these labels."""
        return [
            one for one in self.series
            if one.name == name and all(one.labels.get(label) == value for label, value in labels.items())
        ]  # fmt: skip

    @property
    def names(self) -> list[str]:
        """The metrics there are."""
        return sorted({one.name for one in self.series})


def parse(document: Any, name: str = "") -> list[Series]:
    """The series of one answer; `name` is the metric's where the query lost it. Raises ValueError for another form."""
    if not isinstance(document, dict) or not {"data", "result"} & document.keys():
        raise ValueError("it is no answer of Prometheus: there is no `data`")
    if document.get("status", "success") != "success":
        raise ValueError(f"Prometheus answered with an error: {document.get('error', 'no words')}")
    data = document.get("data", document)
    if not isinstance(data, dict) or not isinstance(data.get("result"), list):
        raise ValueError("`data.result` must be a list of series")
    made = []
    for entry in data["result"]:
        metric = entry.get("metric") if isinstance(entry, dict) else None
        if not isinstance(metric, dict):
            raise ValueError("a series must have `metric` and `values`")
        points = entry.get("values") or ([entry["value"]] if "value" in entry else [])
        made.append(_series({"__name__": name, **{str(k): str(v) for k, v in metric.items()}}, points))
    return made


def _series(labels: dict[str, str], points: Sequence[Any]) -> Series:
    try:
        pairs = sorted((float(time), float(value)) for time, value in points)
    except (TypeError, ValueError):
        raise ValueError(f"a point of {labels.get('__name__') or 'a series'} is no [time, \"value\"]") from None
    kept = [(time, value) for time, value in pairs if math.isfinite(time) and math.isfinite(value)]
    array = np.array(kept, dtype=np.float64).reshape(-1, 2)
    return Series(labels, array[:, 0], array[:, 1])


def together(parts: Iterable[Series]) -> Recorded:
    """Series with the same labels joined, each instant once."""
    groups: dict[tuple[tuple[str, str], ...], list[Series]] = defaultdict(list)
    for one in parts:
        groups[tuple(sorted(one.labels.items()))].append(one)
    made = []
    for key, members in sorted(groups.items()):
        times = np.concatenate([one.times for one in members])
        values = np.concatenate([one.values for one in members])
        times, first = np.unique(times, return_index=True)
        made.append(Series(dict(key), times, values[first]))
    return Recorded(tuple(made))


def read_folder(folder: Path) -> Recorded:
    """All answers below a folder (or in one file). A file whose series lost their name is named after its metric."""
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.json"))
    if not files:
        raise InputError(f"{folder}: there is no JSON file; save answers of /api/v1/query_range there, e.g. istio_requests_total.json")
    parts: list[Series] = []
    problems = []
    for file in files:
        try:
            parts += parse(json.loads(file.read_text(encoding="utf-8-sig")), file.stem)
        except (OSError, ValueError, RecursionError) as error:
            problems.append(f"{file}: {getattr(error, 'strerror', None) or error}")
    if problems:
        raise InputError("\n".join(problems))
    return together(parts)


# --- a server --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A Prometheus by its address. `headers` go with every query, for its authentication."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    timeout_s: float = TIMEOUT_S

    def query(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """The answer to a range query, in as many parts as the server's limit asks for. Raises InputError."""
        if urllib.parse.urlsplit(self.url).scheme not in ("http", "https"):
            raise UsageError(f"{self.url} is no http or https address")
        parts: list[Series] = []
        begin = start
        while begin <= end:
            until = min(end, begin + step * MOST_POINTS)
            parts += self._ask(expression, begin, until, step)
            begin = until + step
        return parts

    def _ask(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        body = urllib.parse.urlencode({"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"})
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/api/v1/query_range", data=body.encode(), method="POST",
            headers={"Content-Type": "application/x-www-form-urlencoded", **dict(self.headers)},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:
                text = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise InputError(f"{self.url} answered {error.code} to {expression}: {_words(error.read(2000))}") from None
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise InputError(f"{self.url} cannot be asked: {getattr(error, 'reason', error)}") from None
        if len(text) > MOST_BYTES:
            raise InputError(f"the answer to {expression} is larger than {MOST_BYTES >> 20} MiB; ask for a shorter time or a longer step")
        try:
            return parse(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.url}, {expression}: {error}") from None


def _words(body: bytes) -> str:
    try:
        return str(json.loads(body).get("error", ""))
    except (ValueError, AttributeError):
        return body.decode("utf-8", "replace")[:200].strip()


# --- counters --------------------------------------------------------------------------------------------------


def step_of(series: Iterable[Series]) -> float:
    """The usual distance of points, seconds; 0 where there are none."""
    steps = [np.diff(one.times) for one in series if len(one.times) > 1]
    return float(np.median(np.concatenate(steps))) if steps else 0.0


def rates(one: Series, edges: Floats, step: float) -> Floats:
    """Increase per second in each bin of `edges` (s); NaN where more than half of a bin is not known."""
    amounts, known = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for at in range(len(one.times) - 1):
        t0, t1 = one.times[at], one.times[at + 1]
        if t1 <= edges[0] or t0 >= edges[-1] or t1 - t0 > GAP_STEPS * step:
            continue
        grown = one.values[at + 1] - one.values[at]
        grown = one.values[at + 1] if grown < 0 else grown
        inside = np.clip(np.minimum(edges[1:], t1) - np.maximum(edges[:-1], t0), 0.0, None)
        known += inside
        amounts += grown * inside / (t1 - t0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known >= COVERED * np.diff(edges), amounts / known, np.nan)


def total(series: Sequence[Series], edges: Floats, step: float) -> Floats:
    """The summed rate of several series. A series counts where it exists; a bin that none covers is NaN."""
    if not series:
        return np.full(len(edges) - 1, np.nan)
    table = np.stack([rates(one, edges, step) for one in series])
    return np.where(np.isnan(table).all(axis=0), np.nan, np.nansum(table, axis=0))


def grouped(series: Iterable[Series], key: Callable[[Mapping[str, str]], str]) -> dict[str, list[Series]]:
    """Series by something of their labels."""
    made: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        made[key(one.labels)].append(one)
    return dict(sorted(made.items()))


def resets(series: Iterable[Series]) -> int:
    """Times at which a counter fell."""
    return sum(int((np.diff(one.values) < 0).sum()) for one in series)


# --- histograms ------------------------------------------------------------------------------------------------


def buckets(series: Sequence[Series], edges: Floats, step: float) -> tuple[Floats, Floats]:
    """Upper bounds of a histogram's buckets and the cumulative rate of each, over the bins of `edges` that are known."""
    made: dict[float, float] = {}
    for text, members in grouped(series, lambda labels: labels.get("le", "")).items():
        try:
            bound = float(text.replace("+Inf", "inf"))
        except ValueError:
            continue
        summed = total(members, edges, step)
        made[bound] = float(np.nanmean(summed)) if not np.isnan(summed).all() else 0.0
    bounds = sorted(made)
    return np.array(bounds), np.maximum.accumulate(np.array([made[one] for one in bounds])) if bounds else np.array([])


def quantile(bounds: Floats, cumulative: Floats, q: float) -> float:
    """What PromQL's histogram_quantile gives: linear within a bucket, the last finite bound beyond; NaN without data."""
    if len(bounds) < 2 or not np.isinf(bounds[-1]) or not cumulative[-1] > 0:
        return math.nan
    rank = q * cumulative[-1]
    at = int(np.searchsorted(cumulative, rank, side="left"))
    if at >= len(bounds) - 1:
        return float(bounds[-2])
    low, before = (float(bounds[at - 1]), float(cumulative[at - 1])) if at else (0.0, 0.0)
    inside = cumulative[at] - before
    return low + (float(bounds[at]) - low) * ((rank - before) / inside if inside > 0 else 1.0)


__all__ = [
    "Recorded", "Series", "Server", "buckets", "grouped", "parse", "quantile", "rates", "read_folder", "resets", "step_of", "together", "total",
]  # fmt: skip
