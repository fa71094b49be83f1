"""One replication with every request's record and, where there is outlier detection, when hosts were out.

Results count ejections and do not time them. The reference engine's detector is the one place that knows the instants,
so a run that wants them uses that engine, with a detector that also writes down what it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

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
    """Detectors made within write (cluster, host, pod, instant, out) down."""
    from gwsim.engine.codes import Counter
    from gwsim.engine.reference import outliers, world


    class Noting(outliers.Detector):
        __slots__ = ("_where",)

        def __init__(self, agenda, run_key, pod, cluster, hosts, count, drain):  # type: ignore[no-untyped-def]
            super().__init__(agenda, run_key, pod, cluster, hosts, count, drain)
            self._where = (cluster, pod)

        def _note(self, before: list[bool], now: int) -> None:
            cluster, pod = self._where
            for h, (was, is_out) in enumerate(zip(before, self.hosts.ejected, strict=True)):
                if was != is_out:
                    notes.append((cluster, h, pod, now, is_out))

        def _detected(self, h: int, kind: Counter, now: int) -> None:
            before = list(self.hosts.ejected)
            super()._detected(h, kind, now)
            self._note(before, now)

        def _bring_back(self, h: int, now: int) -> None:
            before = list(self.hosts.ejected)
            super()._bring_back(h, now)
            self._note(before, now)

    setattr(world, "Detector", Noting)  # noqa: B010 (an attribute that world imports)
    try:
        yield
    finally:
        setattr(world, "Detector", outliers.Detector)  # noqa: B010


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
