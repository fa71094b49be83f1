"""What a model asks of an engine beyond the basics, and which of it the compiled engine has.

The reference engine has all features. A model that uses one the compiled engine lacks runs on the reference engine
(`auto`) or is refused (`compiled`), never run without it.
"""

from __future__ import annotations

from enum import StrEnum

from gwsim.scenario.model import Model, SimCluster
from gwsim.topology import LbPolicy


class Feature(StrEnum):
    """A part of the model that came after the first version; the value is what users read."""

    LOAD_BALANCING = "weights, health, localities and consistent hashing in load balancing"
    OUTLIERS = "outlier detection"
    FILTERS = "faults, rate limits, calls of filters and mirrors"


COMPILED: frozenset[Feature] = frozenset()
"""The features that the compiled engine has."""


def used(model: Model) -> frozenset[Feature]:
    """The features that a model needs."""
    found = set()
    if any(_balanced(cluster) for cluster in model.clusters):
        found.add(Feature.LOAD_BALANCING)
    if any(cluster.cluster.outlier_detection is not None and cluster.stations for cluster in model.clusters):
        found.add(Feature.OUTLIERS)
    outcomes = [shape.outcome for client in model.clients for shape in client.mix]
    if any(one.program or one.mirrors or one.local_bytes for one in outcomes):
        found.add(Feature.FILTERS)
    return frozenset(found)


def missing(model: Model) -> tuple[str, ...]:
    """What a model needs and the compiled engine lacks, in words; empty: it can run the model."""
    return tuple(sorted(used(model) - COMPILED))


def _balanced(sim: SimCluster) -> bool:
    """Whether a cluster's load balancing is more than a choice among equals."""
    cluster = sim.cluster
    return bool(
        cluster.lb_policy in (LbPolicy.RING_HASH, LbPolicy.MAGLEV)
        or cluster.choice_count != 2
        or sim.placements
        or any(host.health != "healthy" or host.joined_s is not None for host in sim.hosts)
        or len({host.weight for host in sim.hosts}) > 1
    )
