"""What the slow requests have in common: how often something is true of the slowest, and how often of all.

Both come from the uniform sample of full records that every run keeps; slow is above the p99 of all requests (above the
p95 where the sample has too few beyond that). What is listed is so much more frequent among the slow that chance is no
explanation: an exact binomial test at 1 %, divided by the number of things looked at. It tells where to look; it
is no proof of a cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gwsim.engine.codes import FLAG_ORDER, Flag
from gwsim.engine.schema import (
    ANSWER_TIMEOUT,
    ANSWER_UPSTREAM,
    HANDSHAKE_FULL,
    HANDSHAKE_NONE,
    RECORD_FIELDS,
)
from gwsim.results.counts import Counts
from gwsim.results.histograms import NS, Ints

LEVEL = 0.01
LEAST = 30
"""Slow records below which nothing is said."""
SHARE, FACTOR = 0.1, 1.25
"""What is listed holds for a tenth of the slow requests, and a quarter more often than for all."""
MOST = 12

Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """Something true of `slow` of the slow requests and of `usual` of all (shares); `kind` and `name` say what."""

    kind: str
    name: str
    slow: float
    usual: float

    @property
    def factor(self) -> float:
        """How many times as frequent it is among the slow."""
        return self.slow / self.usual if self.usual else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """The traits that stand out, the most frequent among the slow first; `records` of `sampled` are slower than `from_s`."""

    percent: float
    from_s: float
    records: int
    sampled: int
    traits: tuple[Trait, ...]


def contrast_of(counts: Counts) -> Contrast | None:
    """The contrast of a run; None where the sample has too few slow requests."""
    sample = _sample(counts)
    took = sample[:, _at("end_ns")] - sample[:, _at("start_ns")]
    for percent in (99.0, 95.0):
        if len(took) * (1.0 - percent / 100.0) < LEAST:
            continue
        limit = int(np.quantile(took, percent / 100.0, method="lower"))
        slow = took > limit
        if int(slow.sum()) >= LEAST * 0.5:
            traits = _traits(counts, sample, slow)
            return Contrast(percent=percent, from_s=limit * NS, records=int(slow.sum()), sampled=len(took), traits=traits)
    return None


def _at(name: str) -> int:
    return RECORD_FIELDS.index(name)


def _sample(counts: Counts) -> Ints:
    """The sampled records of clients' requests that latencies cover, all replications."""
    own = np.array([not label.derived for label in counts.labels.classes], dtype=np.bool_)
    rows = np.concatenate([raw.samples for raw in counts.raws])
    answered = np.isin(rows[:, _at("answer")], (ANSWER_UPSTREAM, ANSWER_TIMEOUT))
    return np.asarray(rows[answered & own[rows[:, _at("class_id")]]], dtype=np.int64)


def _traits(counts: Counts, sample: Ints, slow: Rows) -> tuple[Trait, ...]:
    looked_at = list(_looked_at(counts, sample))
    n, found = int(slow.sum()), []
    for kind, name, has, within in looked_at:
        usual, seen, beside = float(has.mean()), int((has & slow).sum()), float(has[within].mean())
        if not 0.0 < beside < 1.0 or seen < SHARE * n or seen / n < FACTOR * usual:
            continue
        if _at_least(seen, int((within & slow).sum()), beside) < LEVEL / len(looked_at):
            found.append(Trait(kind=kind, name=name, slow=seen / n, usual=usual))
    return tuple(sorted(found, key=lambda one: (-one.slow, one.usual, one.kind, one.name))[:MOST])


def _looked_at(counts: Counts, sample: Ints) -> Iterable[tuple[str, str, Rows, Rows]]:
    """Kind, name, the rows of which it is true, and those among which it is judged.

    A backend pod is judged among the requests of its cluster, a worker among those of its pod: where a whole cluster is
    slow, its pods are not to blame one by one.
    """
    labels = counts.labels
    columns: dict[str, Ints] = {name: sample[:, _at(name)] for name in RECORD_FIELDS}
    everything = np.ones(len(sample), dtype=np.bool_)
    classes, clusters, stations = labels.classes, columns["cluster"], columns["station"]
    reached = columns["gw_start_ns"] >= 0
    workers = np.where(reached, columns["worker"], -1)
    first: dict[str, int] = {}
    of_pod = np.array([*(first.setdefault(one.pod, i) for i, one in enumerate(labels.workers)), -1], dtype=np.int64)
    pods = of_pod[workers]
    yield from _named("route", columns["class_id"], lambda i: classes[i].route, everything)
    yield from _named("client", columns["class_id"], lambda i: classes[i].client, everything)
    yield from _named("cluster", clusters, lambda i: labels.clusters[i].name, everything)
    for cluster in np.unique(clusters[clusters >= 0]).tolist():
        inside = np.asarray(clusters == cluster)
        yield from _named("backend pod", np.where(inside, stations, -1), lambda i: labels.stations[i].name, inside)
    yield from _named("gateway pod", pods, lambda i: labels.workers[i].pod, reached)
    for pod in np.unique(pods[pods >= 0]).tolist():
        inside = np.asarray(pods == pod)
        yield from _named("worker", np.where(inside, workers, -1), lambda i: labels.workers[i].name, inside)
    for name, has in _happened(columns):
        yield "request", name, has, everything
    for name in FLAG_ORDER:
        yield "flag", name, (columns["flags"] & int(Flag[name])) != 0, everything


def _happened(columns: dict[str, Ints]) -> Iterable[tuple[str, Rows]]:
    yield "opened a connection", columns["handshake"] != HANDSHAKE_NONE
    yield "made a full TLS handshake", columns["handshake"] == HANDSHAKE_FULL
    yield "was retried by the gateway", columns["gateway_attempts"] > 1
    yield "was retried by its client", columns["client_attempts"] > 1
    yield "ended in a time-out", columns["answer"] == ANSWER_TIMEOUT


def _named(kind: str, column: Ints, name: Callable[[int], str], within: Rows) -> Iterable[tuple[str, str, Rows, Rows]]:
    """One for each name that occurs (-1: none), where there are several."""
    by_name: dict[str, Rows] = {}
    for value in np.unique(column[column >= 0]).tolist():
        has = np.asarray(column == value)
        by_name[name(value)] = has | by_name[name(value)] if name(value) in by_name else has
    if len(by_name) > 1:
        yield from ((kind, each, has, within) for each, has in by_name.items())


def _at_least(seen: int, n: int, share: float) -> float:
    """P(X >= seen), X binomial."""
    logs = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(share) + (n - k) * math.log1p(-share)
        for k in range(seen, n + 1)
    )
    return min(1.0, math.fsum(math.exp(log) for log in logs))


__all__ = ["Contrast", "Trait", "contrast_of"]
