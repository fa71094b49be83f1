"""The network: every one-way delay lasts at least 1 ns, so that nothing is delivered in the instant it leaves."""

from __future__ import annotations

from gwsim.engine.draws import ns
from gwsim.scenario.model import Network


def halves(round_trip_ns: int) -> tuple[int, int]:
    """One-way delays up and down of a round trip."""
    round_trip_ns = max(2, round_trip_ns)
    up = round_trip_ns // 2
    return up, round_trip_ns - up


def between(network: Network, pod_zone: str, station_zone: str) -> tuple[int, int]:
    """One-way delays from a gateway pod to a backend pod and back."""
    return halves(ns(network.between_s(pod_zone, station_zone)))
