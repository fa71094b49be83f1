"""What the simulator says of a recorded run: counts, ejections, utilisation, latency, averaged over replications.

A replication is the same arrivals with other draws (weights, load balancing, service times). Counts of one real run
scatter around the mean of the replications like draws with that share, so each count comes with the interval in which
99 % of such runs lie: the binomial one, widened to what the replications themselves did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gwsim.engine import EngineName, run, suited
from gwsim.engine.codes import FLAG_ORDER, Flag
from gwsim.engine.schema import RECORD_FIELDS, Options, RawRun
from gwsim.envoy.replay.folder import Recording
from gwsim.planning.executors import executor
from gwsim.scenario.model import Model
from gwsim.scenario.resolved import Resolved

LEVEL = 0.99
API_VERSION = "gwsim.replay/v1"
AT_MOST = {"reference": 60_000, "compiled": 1_000_000}
"""Requests simulated, all replications together, unless their number is given."""
FEWEST, MOST = 4, 20
MOST_EJECTIONS = 1000
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
COLUMN = {name: at for at, name in enumerate(RECORD_FIELDS)}


class Ejection(NamedTuple):
    """A host was out from `at_s` to `until_s` (None: to the end), on a pod, numbered through all fleets."""

    cluster: int
    station: int
    pod: int
    at_s: float
    until_s: float | None


@dataclass(slots=True)
class Outcome:
    """One replication, summed up so that it is small enough to be sent between processes."""

    status: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    """Arrived at each endpoint, retries and mirrored copies included."""
    answers: Counter[str] = field(default_factory=Counter)
    """Answered to the client by each endpoint."""
    routes: Counter[str] = field(default_factory=Counter)
    clusters: Counter[str] = field(default_factory=Counter)
    """Arrived at the clusters chosen, by Envoy's name."""
    attempts: int = 0
    connections: tuple[int, ...] = ()
    """Accepted by each worker."""
    utilisation: tuple[float, ...] = ()
    latency_s: dict[str, float] = field(default_factory=dict)
    gateway_s: dict[str, float] = field(default_factory=dict)
    by_status: dict[str, dict[str, float]] = field(default_factory=dict)
    ejections: tuple[Ejection, ...] = ()


def predict(recording: Recording, *, engine: EngineName = "auto", replications: int | None = None, jobs: int = 1) -> dict[str, Any]:
    """Plain data, as `gwsim verify replay -o json` prints it."""
    resolved = recording.resolved
    chosen = suited(resolved.model, engine)
    kind = "reference" if chosen == "reference" else "compiled"
    count = replications or int(np.clip(AT_MOST[kind] // max(len(recording.arrivals), 1), FEWEST, MOST))
    with executor("processes" if kind == "reference" and jobs > 1 else "threads", jobs) as pool:
        outcomes = pool.map(partial(replicate, resolved, chosen), range(count))
    return _plain(recording, outcomes, kind)


def replicate(resolved: Resolved, engine: EngineName, number: int) -> Outcome:
    """One replication; a function of the module, so that processes can be sent it."""
    model = resolved.model
    arrivals = sum(len(getattr(client.arrivals, "times_s", ())) for client in model.clients)
    raw = run(model, number, engine=engine, options=Options(records=arrivals + 1, ejections=MOST_EJECTIONS))
    made = Outcome(ejections=_ejections_of(raw, model))
    _count(made, raw, resolved)
    _measure(made, raw, model)
    return made


def _ejections_of(raw: RawRun, model: Model) -> tuple[Ejection, ...]:
    return tuple(
        Ejection(cluster, model.clusters[cluster].stations[host], pod, out / 1e9, back / 1e9 if back >= 0 else None)
        for cluster, host, pod, out, back in raw.ejections.tolist()
    )


def _count(made: Outcome, raw: RawRun, resolved: Resolved) -> None:
    rows = raw.records
    names = [one.name for one in resolved.stations]
    made.status.update(str(int(one)) if one else "timeout" for one in rows[:, COLUMN["status"]])
    made.flags.update(flag_text(int(one)) for one in rows[:, COLUMN["flags"]])
    made.attempts = int(rows[:, COLUMN["gateway_attempts"]].sum())
    for station, jobs in enumerate(raw.station_jobs):
        made.requests[names[station]] = int(jobs)
    answered = rows[rows[:, COLUMN["answer"]] == 1]
    made.answers.update(names[int(one)] for one in answered[:, COLUMN["station"]] if one >= 0)
    made.routes.update(resolved.classes[int(one)].route for one in rows[:, COLUMN["class_id"]])
    for at, one in enumerate(raw.class_cluster.sum(axis=0)):
        made.clusters[resolved.clusters[at]] = int(one)
    made.connections = tuple(int(one) for one in raw.worker_connections)


def _measure(made: Outcome, raw: RawRun, model: Model) -> None:
    rows = raw.records
    window_ns = max(model.run.duration_s * 1e9, 1.0)
    made.utilisation = tuple(float(one) / window_ns for one in raw.worker_window_cpu)
    status, latency = rows[:, COLUMN["status"]], (rows[:, COLUMN["end_ns"]] - rows[:, COLUMN["start_ns"]]) / 1e9
    made.latency_s = _figures(latency[status > 0])
    start, end = rows[:, COLUMN["gw_start_ns"]], rows[:, COLUMN["gw_end_ns"]]
    seen = (start >= 0) & (end >= start)
    made.gateway_s = _figures((end - start)[seen] / 1e9)
    for one in np.unique(status):
        made.by_status[str(int(one)) if one else "timeout"] = _figures(latency[status == one])


def _figures(values: np.ndarray[Any, Any]) -> dict[str, float]:
    if not len(values):
        return {}
    made = {"mean": float(values.mean())}
    return made | {name: float(np.quantile(values, share)) for name, share in QUANTILES.items()} | {"max": float(values.max())}


def flag_text(flags: int) -> str:
    """Response flags as Envoy prints them: `-` for none, several joined by commas."""
    return ",".join(name for name in FLAG_ORDER if flags & Flag[name]) or "-"


# --- putting replications together ---------------------------------------------------------------------------------


def _plain(recording: Recording, outcomes: Sequence[Outcome], engine: str) -> dict[str, Any]:
    resolved, total = recording.resolved, len(recording.arrivals)
    workers = np.array([one.utilisation for one in outcomes]) if outcomes else np.zeros((1, 1))
    return {
        "apiVersion": API_VERSION,
        "requests": total,
        "duration_s": recording.arrivals.times_s[-1] - recording.arrivals.times_s[0],
        "replications": len(outcomes),
        "engine": engine,
        "counts": {
            "status": _counts([one.status for one in outcomes], total),
            "flags": _counts([one.flags for one in outcomes], total),
            "endpoints": _counts([one.requests for one in outcomes], None),
            "answered_by": _counts([one.answers for one in outcomes], total),
            "clusters": _counts([one.clusters for one in outcomes], None),
            "routes": _counts([one.routes for one in outcomes], total),
            "upstream_attempts": _count_of([one.attempts for one in outcomes], None),
        },
        "endpoints": _endpoints(resolved),
        "ejections": _ejections(resolved, [one.ejections for one in outcomes]),
        "utilisation": {
            "mean": float(workers.mean()), "workers": [float(one) for one in workers.mean(axis=0)],
            "busiest": float(workers.max(axis=1).mean()),
        },
        "latency_s": _averaged([one.latency_s for one in outcomes]),
        "gateway_latency_s": _averaged([one.gateway_s for one in outcomes]),
        "latency_by_status_s": {
            name: _averaged([one.by_status.get(name, {}) for one in outcomes])
            for name in sorted({name for one in outcomes for name in one.by_status})
        },
        "downstream_connections": _count_of([sum(one.connections) for one in outcomes], None),
        "worker_connections": list(outcomes[0].connections) if outcomes else [],
        "costs": {"profile": resolved.costs.profile, "calibrated": resolved.costs.calibrated},
        "assumptions": list(recording.assumptions),
        "findings": [
            {"code": one.code, "level": one.level.value, "place": str(one.span or ""), "message": one.message} for one in resolved.findings
        ],
    }  # fmt: skip


def _counts(outcomes: Sequence[Mapping[str, int]], total: int | None) -> dict[str, Any]:
    names = sorted({name for one in outcomes for name in one})
    return {name: _count_of([one.get(name, 0) for one in outcomes], total) for name in names}


def _count_of(values: Sequence[int], total: int | None) -> dict[str, float]:
    """The mean, and the interval of one real run."""
    mean = float(np.mean(values)) if values else 0.0
    low, high = interval(mean, total, values)
    return {"count": mean, "low": low, "high": high}


def interval(mean: float, total: int | None, seen: Sequence[float] = (), *, level: float = LEVEL) -> tuple[float, float]:
    """Counts between which that share of the runs lies whose mean is this: binomial of `total` (None: Poisson), and what was seen."""
    from scipy import stats

    tail = (1 - level) / 2
    if total is not None and total > 0:
        spread = stats.binom(total, min(max(mean / total, 0.0), 1.0))
    else:
        spread = stats.poisson(mean)
    low, high = (float(spread.ppf(one)) if mean > 0 else 0.0 for one in (tail, 1 - tail))
    return min([low, *seen]), max([high, *seen])


def _averaged(figures: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """The mean of each figure over the replications, and its range over them."""
    known = [one for one in figures if one]
    names = known[0] if known else ()
    return {
        name: {"value": float(np.mean([one[name] for one in known])), "low": min(one[name] for one in known), "high": max(one[name] for one in known)}
        for name in names
    }


def _endpoints(resolved: Resolved) -> list[dict[str, Any]]:
    """What the names of endpoints stand for."""
    made: list[dict[str, Any]] = []
    for at, label in enumerate(resolved.stations):
        clusters = [(one.cluster, one.stations.index(at)) for one in resolved.model.clusters if at in one.stations]
        ends = [cluster.endpoints[host] for cluster, host in clusters if host < len(cluster.endpoints)]
        made.append({
            "name": label.name, "backend": label.backend, "subset": label.subset, "zone": label.zone,
            "address": ends[0].address if ends else "", "port": ends[0].port if ends else 0,
            "workload": ends[0].workload if ends else "", "pod": ends[0].pod if ends else "",
            "clusters": [cluster.name for cluster, _ in clusters],
        })  # fmt: skip
    return made


def _ejections(resolved: Resolved, runs: Sequence[Sequence[Ejection]]) -> list[dict[str, Any]]:
    """The n-th ejection of each endpoint: how many replications had one, and when, as medians over those."""
    found: dict[tuple[int, int, int, int], list[Ejection]] = {}
    for one_run in runs:
        seen: Counter[tuple[int, int, int]] = Counter()
        for one in one_run:
            key = (one.cluster, one.station, one.pod)
            found.setdefault((*key, seen[key]), []).append(one)
            seen[key] += 1
    made = [
        {
            "cluster": resolved.clusters[cluster], "endpoint": resolved.stations[station].name, "pod": resolved.pods[pod].name, "number": number + 1,
            "share_of_runs": len(ones) / len(runs), "at_s": float(np.median([one.at_s for one in ones])),
            "at_low_s": min(one.at_s for one in ones), "at_high_s": max(one.at_s for one in ones),
            "until_s": _median([one.until_s for one in ones]),
        }
        for (cluster, station, pod, number), ones in found.items()
    ]  # fmt: skip
    return sorted(made, key=lambda one: (one["at_s"], one["endpoint"]))


def _median(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return float(np.median(known)) if known else None


__all__ = ["API_VERSION", "Outcome", "flag_text", "interval", "predict", "replicate"]
