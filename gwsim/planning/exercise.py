"""How many requests of two runs a difference between their configurations touched, and what would touch it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gwsim.planning.changes import ObjectChange
from gwsim.results import Results
from gwsim.scenario.rollouts import NEW_POD
from gwsim.topology import HttpConnectionManager, Proxy, Route, Topology, VirtualHost
from gwsim.topology.diff import Difference


class Exercised(StrEnum):
    """What the runs say about a change."""

    YES = "exercised"
    NO = "not exercised"
    NOT_MODELLED = "not modelled"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A change of an object, with the measured requests that it touched in both runs together.

    `reason` says why nothing was learnt; `mix_entry` is an entry of a client's mix that would exercise it.
    """

    change: ObjectChange
    exercised: Exercised
    requests: int
    reason: str = ""
    mix_entry: str = ""


def judge(change: ObjectChange, a: Results, b: Results, topologies: Sequence[Topology]) -> Judged:
    """What the runs say about one change; `topologies` are those of both sides."""
    requests = max((touched(one, a) + touched(one, b) for one in change.effects), default=0)
    requests = max(requests, *(replaced(one, a) + replaced(one, b) for one in change.workloads), 0)
    if change.at_s is not None and change.at_s >= min(a.labels.duration_s, b.labels.duration_s):
        return Judged(change=change, exercised=Exercised.NO, requests=0, reason="the run ends before it")
    if change.not_modelled:
        path, reason = change.not_modelled[0]
        return Judged(change=change, exercised=Exercised.NOT_MODELLED, requests=requests, reason=f"{path}: {reason}")
    if requests:
        return Judged(change=change, exercised=Exercised.YES, requests=requests)
    if change.workloads and not change.effects:
        reason = f"no `rollout` of the scenario replaces the pods of {change.workloads[0]}"
        return Judged(change=change, exercised=Exercised.NO, requests=0, reason=reason)
    if not change.effects:
        reason = "it changes nothing about any gateway"
        kind = Exercised.NOT_MODELLED if change.key[1] in ("EnvoyFilter", "WasmPlugin") else Exercised.NO
        return Judged(change=change, exercised=kind, requests=0, reason=reason)
    entry = next((text for one in change.effects if (text := mix_entry(one, topologies))), "")
    reason = "no request of the mix meets it: " + _told(change.effects)
    return Judged(change=change, exercised=Exercised.NO, requests=0, reason=reason, mix_entry=entry)


def _told(effects: Sequence[Difference]) -> str:
    first = effects[0]
    more = f" and {len(effects) - 1} more" if len(effects) > 1 else ""
    return f"{first.kind.replace('_', ' ')} {first.name} {first.change}{more}"


def touched(one: Difference, results: Results) -> int:
    """Measured requests of a run that met the object of a difference."""
    labels, offered = results.labels, [int(n) for n in results.counts.of("offered").sum(axis=0)]
    if one.kind in ("cluster", "endpoint"):
        name = one.name if one.kind == "cluster" else one.where[-1].removeprefix("cluster ")
        chosen = results.counts.of("class_cluster").sum(axis=(0, 1))
        return sum(int(chosen[k]) for k, label in enumerate(labels.clusters) if label.name == name or label.name.endswith(f" {name}"))
    rows = labels.classes
    if one.kind == "proxy":
        return sum(n for row, n in zip(rows, offered, strict=True) if one.name in (row.gateway, row.gateway.partition("/")[2]))
    listener = one.name if one.kind == "listener" else next((w.removeprefix("listener ") for w in one.where if w.startswith("listener ")), "")
    host = one.name if one.kind == "virtual_host" else next((w.removeprefix("virtual host ") for w in one.where if w.startswith("virtual host ")), "")
    route = one.name.partition(" (")[0] if one.kind == "route" else ""
    return sum(
        n for row, n in zip(rows, offered, strict=True)
        if listener in ("", row.listener) and host in ("", row.virtual_host) and (one.kind != "route" or row.route == route)
    )


def replaced(workload: str, results: Results) -> int:
    """Measured attempts that came to the pods of a workload in a run that replaced these by new ones."""
    mine = [s for s, label in enumerate(results.labels.stations) if label.workload == workload]
    if not any(results.labels.stations[s].name.endswith(NEW_POD) for s in mine):
        return 0
    jobs = results.counts.of("station_jobs").sum(axis=0)
    return sum(int(jobs[s]) for s in mine)


def mix_entry(one: Difference, topologies: Iterable[Topology]) -> str:
    """An entry of a mix that meets the route or virtual host of a difference; empty where none can be told."""
    for topology in topologies:
        for proxy in topology.proxies:
            for host in _hosts(proxy):
                if one.kind == "virtual_host" and host.name == one.name:
                    return _entry(host, host.routes[0] if host.routes else None)
                if one.kind == "route" and f"virtual host {host.name}" in one.where:
                    name = one.name.partition(" (")[0]
                    found = next((route for route in host.routes if route.name == name), None)
                    if found is not None:
                        return _entry(host, found)
    return ""


def _hosts(proxy: Proxy) -> Iterable[VirtualHost]:
    for listener in proxy.listeners:
        for chain in listener.filter_chains:
            if isinstance(chain.filter, HttpConnectionManager):
                yield from chain.filter.route_config.virtual_hosts


def _entry(host: VirtualHost, route: Route | None) -> str:
    """As it would be written in a scenario."""
    import yaml

    domain = host.domains[0] if host.domains else ""
    entry: dict[str, object] = {
        "name": (route.name if route else "") or "new",
        "host": "any.example" if domain == "*" else domain.replace("*", "any"), "path": "/",
    }
    if route is not None:
        match = route.match
        if match.method is not None and match.method.value:
            entry["method"] = match.method.value
        if match.path.kind == "regex":
            entry["path"] = f"<a path that matches {match.path.value}>"
        elif match.path.value:
            entry["path"] = match.path.value
        headers = {one.name: one.match.value or "x" for one in match.headers if one.match.kind != "regex"}
        if headers:
            entry["headers"] = headers
    return yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10_000).strip()


__all__ = ["Exercised", "Judged", "judge", "mix_entry", "replaced", "touched"]
