"""Which backends are dialled from ports that may run out: the `nat` section to the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gwsim.diagnostics import Collector, code, nearest
from gwsim.scenario.file.nat import PRESETS, Nat
from gwsim.scenario.model import PortPool, SimCluster, Station
from gwsim.scenario.reading import LoadedScenario
from gwsim.scenario.resolved import StationLabel


def port_pools(
    loaded: LoadedScenario, clusters: list[SimCluster], stations: Sequence[Station], labels: list[StationLabel], collector: Collector
) -> tuple[tuple[Station, ...], tuple[PortPool, ...]]:
    """The stations with the pools that they are dialled from, and the pools, in the order of the section."""
    made = list(stations)
    external = {s for one in clusters if one.cluster.external for s in one.stations}
    pools = []
    for at, (name, nat) in enumerate(loaded.scenario.nat.items()):
        pools.append(_pool(name, nat))
        members = _members(loaded, name, nat, labels, collector) if nat.backends else external
        for s in sorted(members):
            if made[s].ports >= 0:
                other = pools[made[s].ports].name
                collector.add(
                    code("SCENARIO_VALUE"), f"backend {labels[s].backend} is behind nat {other} and nat {name}", loaded.span("nat", name),
                    help="give each nat its own backends",
                )
                break
            made[s] = replace(made[s], ports=at)
    return tuple(made), tuple(pools)


def _pool(name: str, nat: Nat) -> PortPool:
    ports, hold_s, hold_remote_s, scope, when_empty = PRESETS[nat.kind]
    each = ports if nat.ports is None else nat.ports
    if nat.hold is not None:
        hold_s, hold_remote_s = nat.hold, 0.0 if nat.kind == "linux" else nat.hold
    return PortPool(
        name=name, ports=each * nat.addresses, hold_s=hold_s, hold_remote_s=hold_remote_s,
        scope=nat.scope or scope, when_empty=nat.when_empty or when_empty,
    )


def _members(loaded: LoadedScenario, name: str, nat: Nat, labels: list[StationLabel], collector: Collector) -> set[int]:
    """The stations of the backends that are named; names of none are reported."""
    found: set[int] = set()
    known = sorted({label.backend for label in labels})
    for at, written in enumerate(nat.backends):
        mine = {s for s, label in enumerate(labels) if written in (label.backend, label.backend.partition("/")[2])}
        if not mine:
            near = nearest(written, known)
            collector.add(
                code("BACKEND_UNKNOWN"), f"no request reaches a backend {written}", loaded.span("nat", name, "backends", at),
                help=f"did you mean {near}?" if near else f"requests reach {', '.join(known)}" if known else None,
            )
        found |= mine
    return found


__all__ = ["port_pools"]
