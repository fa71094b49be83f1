"""What a scenario comes to: one object that every report, budget, plan and notebook reads.

    results = Results.of(resolved, raws)
    results.verdict.sentence
    results.route("checkout").client_latency.p99.value      # seconds
    results.select(client="web").errors.high                # share
    results.frame("routes")                                 # a pandas frame, units in the column names

Everything in it follows from `labels` and `raws` (and the note on the warm-up), so a saved run gives the same
results again, and any quantile at any level can still be asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gwsim.engine.schema import RawRun
from gwsim.results import bottleneck, identities, machines
from gwsim.results.anatomy import Anatomy, anatomy_of
from gwsim.results.contrast import Contrast, contrast_of
from gwsim.results.counts import Counts
from gwsim.results.intervals import LEVEL
from gwsim.results.labels import ClassLabel, Labels, labels_of
from gwsim.results.long_streams import StreamFigures, streams_of
from gwsim.results.parts import (
    BackendFigures,
    Bottleneck,
    ClusterFigures,
    FleetFigures,
    PodFigures,
    PortFigures,
    Status,
    Throughput,
    Timeline,
    Traffic,
    Verdict,
    WorkerFigures,
)
from gwsim.results.selection import classes_with
from gwsim.results.timeline import timeline_of
from gwsim.results.traffic import throughput_of, traffic_of
from gwsim.results.verdicts import verdict_of
from gwsim.results.warmup import Warmup
from gwsim.scenario.resolved import Resolved

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, kw_only=True)
class Results:
    """The results of R replications of one scenario."""

    labels: Labels
    level: float
    verdict: Verdict
    notes: tuple[str, ...]
    """Assumptions made while running: the warm-up cut, the replicas an autoscaler settled at."""
    throughput: Throughput
    total: Traffic
    """All that clients send; requests made for these, at further proxies, are in `routes`, `clients` and `classes`."""
    routes: tuple[Traffic, ...]
    """By route, in order of first appearance; what is made for other requests after that, by route and proxy."""
    clients: tuple[Traffic, ...]
    classes: tuple[Traffic, ...]
    """In the order of `labels.classes`."""
    fleets: tuple[FleetFigures, ...]
    pods: tuple[PodFigures, ...]
    workers: tuple[WorkerFigures, ...]
    clusters: tuple[ClusterFigures, ...]
    backends: tuple[BackendFigures, ...]
    ports: tuple[PortFigures, ...]
    streams: tuple[StreamFigures, ...]
    """Classes of WebSockets and gRPC streams."""
    bottleneck: Bottleneck
    timeline: Timeline
    warmup: Warmup | None
    digest: str
    """SHA-256 of all counts (and of all records, where an engine was asked for that): equal for equal results."""
    raws: tuple[RawRun, ...] = field(repr=False)

    @staticmethod
    def of(
        resolved: Resolved,
        raws: Sequence[RawRun],
        *,
        level: float = LEVEL,
        warmup: Warmup | None = None,
        notes: Iterable[str] = (),
    ) -> Results:
        """The results of a resolved scenario; `raws` in the order of replications."""
        return build(labels_of(resolved), raws, level=level, warmup=warmup, notes=notes)

    @property
    def replications(self) -> int:
        """R."""
        return len(self.raws)

    @property
    def counts(self) -> Counts:
        """The counts behind the figures."""
        return Counts(self.labels, self.raws, self.level)

    @property
    def requests(self) -> int:
        """Requests simulated, warm-up included."""
        return sum(int(raw.requests[0]) for raw in self.raws)

    @property
    def events(self) -> int:
        """Events executed (by the compiled engine)."""
        return sum(int(raw.events[0]) for raw in self.raws)

    @cached_property
    def anatomy(self) -> Anatomy | None:
        """Where the time of the median, the p95 and the p99 requests went; None without any that latencies cover."""
        return anatomy_of(self.counts)

    @cached_property
    def contrast(self) -> Contrast | None:
        """What the slow requests have in common; None where too few were sampled."""
        return contrast_of(self.counts)

    def select(self, *, client: str = "", shape: str = "", route: str = "", gateway: str = "") -> Traffic:
        """The figures of the classes that have all the labels given; UsageError, with the nearest, if none has."""
        return traffic_of(self.counts, self.class_ids(client=client, shape=shape, route=route, gateway=gateway),
                          served=served_share(self.verdict, self.throughput))

    def class_ids(self, *, client: str = "", shape: str = "", route: str = "", gateway: str = "") -> tuple[int, ...]:
        """The classes that have all the labels given (empty: any)."""
        return classes_with(self.labels, {"client": client, "shape": shape, "route": route, "gateway": gateway})

    def route(self, name: str) -> Traffic:
        """The figures of a route (or of an entry of the mix); UsageError, with the nearest name, if there is none."""
        for one in self.routes:
            if one.route == name:
                return one
        return self.select(route=name)

    def frame(self, name: str) -> pd.DataFrame:
        """A pandas frame: one of `gwsim.results.frames.FRAMES`; UsageError, with the nearest name, for another."""
        from gwsim.results.frames import frame

        return frame(self, name)


def build(
    labels: Labels,
    raws: Sequence[RawRun],
    *,
    level: float = LEVEL,
    warmup: Warmup | None = None,
    notes: Iterable[str] = (),
) -> Results:
    """Results from names and counts; raises InternalError when the counts contradict each other."""
    if not raws:
        raise ValueError("results need at least one replication")
    identities.check(labels, raws)
    counts = Counts(labels, tuple(raws), level)
    throughput = throughput_of(counts)
    roots = labels.roots
    total = traffic_of(counts, roots, whole=True)
    verdict = verdict_of(counts, throughput, total, warmup)
    served = served_share(verdict, throughput)

    def groups(name: Callable[[ClassLabel], str]) -> tuple[Traffic, ...]:
        by: dict[tuple[str, str], list[int]] = {}
        for i, label in sorted(enumerate(labels.classes), key=lambda one: one[1].derived):
            by.setdefault((name(label), label.gateway if label.derived else ""), []).append(i)
        return tuple(traffic_of(counts, ids, served=served) for ids in by.values())

    workers, pods, fleets = machines.workers_of(counts), machines.pods_of(counts), machines.fleets_of(counts)
    ports = machines.ports_of(counts)
    clusters, backends = machines.clusters_of(counts), machines.backends_of(counts)
    return Results(
        labels=labels, level=level, verdict=verdict, throughput=throughput,
        notes=(*notes, *((warmup.note,) if warmup else ())),
        total=total if served == 1.0 else traffic_of(counts, roots, served=served, whole=True),
        routes=groups(lambda label: label.route), clients=groups(lambda label: label.client),
        classes=tuple(traffic_of(counts, [i], served=served) for i in range(len(labels.classes))),
        fleets=fleets, pods=pods, workers=workers, clusters=clusters, backends=backends, ports=ports, streams=streams_of(counts),
        bottleneck=bottleneck.bottleneck_of(labels, workers, pods, fleets, clusters, backends, ports),
        timeline=timeline_of(counts), warmup=warmup, digest=digest_of(raws), raws=tuple(raws),
    )


def served_share(verdict: Verdict, throughput: Throughput) -> float:
    """Share of the offered requests served within the window: 1 unless the run is saturated."""
    offered, served = throughput.offered_rps.value, throughput.served_rps.value
    if verdict.status is not Status.SATURATED or not offered or served is None:
        return 1.0
    return min(served / offered, 1.0)


def digest_of(raws: Sequence[RawRun]) -> str:
    """SHA-256 over all counts of all replications in their order, `events` (of one engine only) left out."""
    total = hashlib.sha256()
    for raw in raws:
        for one in fields(RawRun):
            value = getattr(raw, one.name)
            if one.name == "digest":
                total.update(int(value).to_bytes(8, "little"))
            elif one.name != "events":
                total.update(repr(value.shape).encode())
                total.update(np.ascontiguousarray(value, dtype="<i8").tobytes())
    return total.hexdigest()
