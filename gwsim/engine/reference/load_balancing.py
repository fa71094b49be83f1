"""Load balancing: which endpoint of a cluster an attempt goes to.

Envoy: source/extensions/load_balancing_policies. `pick(view, key, attempt)`: `view` is the cluster as the worker sees
it, `key` that of the gateway's attempt, `attempt` counts the tries to pick another host than before.
"""

from __future__ import annotations

from typing import Protocol

from gwsim.engine.codes import Purpose
from gwsim.engine.draws import below, draw64
from gwsim.topology import LbPolicy


class View(Protocol):
    """What a policy sees: the number of endpoints, their active requests on this pod, the worker's cursor."""

    size: int
    active: list[int]
    cursor: int


class Policy(Protocol):
    """A load-balancing policy."""

    def pick(self, view: View, key: int, attempt: int) -> int:
        """Position of the endpoint picked."""


class RoundRobin:
    """One after the other; the cursor is the worker's own."""

    def pick(self, view: View, key: int, attempt: int) -> int:
        """The endpoint under the cursor, which moves on."""
        position = view.cursor % view.size
        view.cursor += 1
        return position


class LeastRequest:
    """The less busy of two at random (power of two choices); the first if they are equally busy."""

    def pick(self, view: View, key: int, attempt: int) -> int:
        """One of two candidates."""
        if view.size == 1:
            return 0
        first = below(draw64(key, Purpose.LOAD_BALANCER, 2 * attempt), view.size)
        second = below(draw64(key, Purpose.LOAD_BALANCER, 2 * attempt + 1), view.size)
        return second if view.active[second] < view.active[first] else first


class Random:
    """Uniformly at random."""

    def pick(self, view: View, key: int, attempt: int) -> int:
        """Any endpoint."""
        return below(draw64(key, Purpose.LOAD_BALANCER, attempt), view.size)


POLICIES: dict[LbPolicy, Policy] = {
    LbPolicy.ROUND_ROBIN: RoundRobin(),
    LbPolicy.LEAST_REQUEST: LeastRequest(),
    LbPolicy.RANDOM: Random(),
}
"""Policies modelled; any other runs as least request."""


def policy_of(policy: LbPolicy) -> Policy:
    """The policy of that name, or its stand-in."""
    return POLICIES.get(policy, POLICIES[LbPolicy.LEAST_REQUEST])
