"""Hosts of a cluster that come and go, as a gateway pod hears of them.

Envoy: `PrioritySetImpl::updateHosts` on an EDS response: hosts added and removed reach the workers at once (only changes of
health and weight are merged, `ClusterManagerImpl::scheduleUpdate`), and the pools of removed hosts are drained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsim.engine.reference.agenda import RANK_CONTROL, Agenda, Happening, name_of, place_of

if TYPE_CHECKING:
    from gwsim.engine.reference.pool_limits import ClusterOnPod

MEMBERSHIP = 2
"""Part of the keys of its events, beside those of outlier detection."""


class Membership:
    """The changes of one cluster's hosts, for one pod."""

    __slots__ = ("agenda", "cluster", "pending", "place")

    def __init__(self, agenda: Agenda, pod: int, cluster: ClusterOnPod) -> None:
        self.agenda = agenda
        self.cluster = cluster
        self.place = place_of(RANK_CONTROL, pod)
        self.pending: list[Happening] = []

    def start(self, now: int, horizon: int) -> None:
        """The pod begins to serve: it sees the hosts of the moment, and will hear of changes."""
        hosts = self.cluster.hosts
        for p in range(len(hosts.members)) if now else ():
            self._change(p, now)
        for at, p in hosts.changes():
            if now < at < horizon:
                key = self.place | name_of(self.cluster.index, p, 0) | MEMBERSHIP
                self.pending.append(self.agenda.at(at, key, self._happen, p))

    def stop(self) -> None:
        """The pod is gone."""
        for event in self.pending:
            event.cancel()

    def _happen(self, happening: Happening) -> None:
        p, now = happening.subject, self.agenda._now
        if self.cluster.detector is not None:
            self.cluster.detector.updates.overtaken(p, now)
        self._change(p, now)

    def _change(self, p: int, now: int) -> None:
        cluster = self.cluster
        for h in cluster.hosts.come_and_go(p, now):
            cluster.drain(h, now)
        if cluster.detector is not None:
            cluster.detector.hosts_changed()
        cluster.hosts.refresh(p, now)
