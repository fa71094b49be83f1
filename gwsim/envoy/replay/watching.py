"""One replication with every request's record and, where there is outlier detection, when hosts were out.

Results count ejections and do not time them. The reference engine's detector is the one place that knows the instants,
so a run that wants them uses that engine, with detectors that also write down what they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from gwsim.engine.schema import Options, RawRun

if TYPE_CHECKING:
    from gwsim.engine import EngineName
    from gwsim.scenario.model import Model


class Ejection(NamedTuple):
    """A host was out from `at_s` to `until_s` (None: to the end), on a pod, numbered through all fleets."""

    cluster: int
    station: int
    pod: int
    at_s: float
    until_s: float | None


def run_watched(model: Model, replication: int, *, records: int, engine: EngineName = "auto") -> tuple[RawRun, list[Ejection]]:
    """One replication; ejections in order of time."""
    from gwsim.engine import run

    options = Options(records=records)
    if not any(one.cluster.outlier_detection is not None and one.stations for one in model.clusters):
        return run(model, replication, engine=engine, options=options), []
    from gwsim.engine import reference

    notes: list[tuple[int, int, int, int, bool]] = []
    with _noting(notes):
        raw = reference.run(model, replication, options)
    return raw, _ejections(model, notes)


@contextmanager
def _noting(notes: list[tuple[int, int, int, int, bool]]) -> Iterator[None]:
    """Detectors write down (cluster, host, pod, instant, out) meanwhile."""
    from gwsim.engine.codes import Counter
    from gwsim.engine.reference.outliers import Detector

    begin, detected, bring_back = Detector.__init__, Detector._detected, Detector._bring_back
    places: dict[int, tuple[int, int]] = {}

    def made(self: Any, agenda: Any, run_key: int, pod: int, cluster: int, *rest: Any) -> None:
        begin(self, agenda, run_key, pod, cluster, *rest)
        places[id(self)] = (cluster, pod)

    def note(self: Any, before: list[bool], now: int) -> None:
        cluster, pod = places[id(self)]
        for h, (was, is_out) in enumerate(zip(before, self.hosts.ejected, strict=True)):
            if was != is_out:
                notes.append((cluster, h, pod, now, is_out))

    def noted_detected(self: Any, h: int, kind: Counter, now: int) -> None:
        before = list(self.hosts.ejected)
        detected(self, h, kind, now)
        note(self, before, now)

    def noted_bring_back(self: Any, h: int, now: int) -> None:
        before = list(self.hosts.ejected)
        bring_back(self, h, now)
        note(self, before, now)

    changed = {"__init__": made, "_detected": noted_detected, "_bring_back": noted_bring_back}
    for name, function in changed.items():
        setattr(Detector, name, function)
    try:
        yield
    finally:
        for name, function in (("__init__", begin), ("_detected", detected), ("_bring_back", bring_back)):
            setattr(Detector, name, function)


def _ejections(model: Model, notes: list[tuple[int, int, int, int, bool]]) -> list[Ejection]:
    open_: dict[tuple[int, int, int], int] = {}
    made: list[Ejection] = []
    for cluster, host, pod, now, out in notes:
        if out:
            open_[cluster, host, pod] = now
        elif (cluster, host, pod) in open_:
            start = open_.pop((cluster, host, pod))
            made.append(Ejection(cluster, model.clusters[cluster].stations[host], pod, start / 1e9, now / 1e9))
    made += [Ejection(c, model.clusters[c].stations[h], pod, start / 1e9, None) for (c, h, pod), start in open_.items()]
    return sorted(made, key=lambda one: (one.at_s, one.station))


__all__ = ["Ejection", "run_watched"]
