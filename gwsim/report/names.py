"""What things are called in reports: short names that stay unambiguous, and words for components and flags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from gwsim.engine.codes import Component
from gwsim.results.labels import ClusterLabel, Labels
from gwsim.results.parts import BackendFigures, Traffic
from gwsim.results.results import Results

COMPONENTS: Mapping[Component, str] = {
    Component.CLIENT_NETWORK: "client network",
    Component.CONNECTION_SETUP: "connect and TLS",
    Component.WORKER_QUEUE: "gateway queue",
    Component.PROXY_CPU: "gateway CPU",
    Component.FILTER_CALLS: "filter calls",
    Component.POOL_WAIT: "connection pool wait",
    Component.UPSTREAM_NETWORK: "upstream network",
    Component.UPSTREAM_QUEUE: "backend queue",
    Component.UPSTREAM_SERVICE: "backend service",
    Component.RETRY_BACKOFF: "retry back-off",
    Component.INJECTED_DELAY: "injected delay",
    Component.THROTTLING: "CPU throttling",
    Component.CLIENT_BACKOFF: "client back-off",
    Component.NEXT_HOP: "further hops",
}
"""The components of a request's time in words."""

_LOCAL = ".svc.cluster.local"


@dataclass(frozen=True, slots=True)
class Names:
    """Short names of gateways, clusters and backend pods by their full ones."""

    gateways: Mapping[str, str]
    clusters: Mapping[str, str]
    backends: Mapping[str, str]

    @staticmethod
    def of(labels: Labels) -> Names:
        """The names of a scenario."""
        return Names(
            gateways=shortest([fleet.name for fleet in labels.fleets]),
            clusters=_clusters(labels.clusters),
            backends=shortest([station.name for station in labels.stations]),
        )

    def shorten(self, text: str) -> str:
        """A sentence with every full name in it replaced by its short one."""
        known = {**self.gateways, **self.clusters, **self.backends}
        for full in sorted(known, key=len, reverse=True):
            text = text.replace(full, known[full])
        return text


def serving(results: Results) -> list[BackendFigures]:
    """The backends, without the pods of further proxies, which have rows as gateways."""
    gateways = {fleet.gateway for fleet in results.fleets}
    return [one for one in results.backends if one.backend not in gateways]


def route_name(traffic: Traffic) -> str:
    """What a route is called: requests that match none have no name of their own."""
    name = traffic.label if traffic.label not in ("", "-") else "no route"
    return f"{name} at {traffic.gateway.rpartition('/')[2]}" if traffic.derived else name


def title_of(name: str) -> str:
    """The name of a scenario: of its folder, or of its file where it is not `scenario.yaml`; never a whole path."""
    path = PurePath(name)
    if path.name == "scenario.yaml" and path.parent.name:
        return path.parent.name
    return path.stem if path.suffix in (".yaml", ".yml", ".json") else path.name


def shortest(names: Sequence[str]) -> dict[str, str]:
    """The fewest last parts of `a/b/c` that tell every name from all others; a word before the path stays."""
    def last(parts: int) -> Callable[[str], str]:
        def short(name: str) -> str:
            word, space, path = name.partition(" ")
            kept = f"{word} " if space and "/" not in word else ""
            return kept + "/".join((path if kept else name).split("/")[-parts:])

        return short

    return _distinct(names, [last(parts) for parts in range(1, 6)])


def _clusters(clusters: Iterable[ClusterLabel]) -> dict[str, str]:
    by_name = {one.name: one for one in clusters}

    def named(name: str, *, port: bool, whole: bool) -> str:
        one = by_name[name]
        host = one.host.removesuffix(_LOCAL)
        if not whole and host != one.host:
            host = host.partition(".")[0]
        parts = name.split("|")
        number = f":{parts[1]}" if port and len(parts) == 4 else ""
        return f"{host}{number}" + (f" {one.subset}" if one.subset else "")

    return _distinct(list(by_name), [
        lambda name: named(name, port=False, whole=False),
        lambda name: named(name, port=False, whole=True),
        lambda name: named(name, port=True, whole=True),
    ])


def _distinct(names: Sequence[str], ways: Sequence[Callable[[str], str]]) -> dict[str, str]:
    """The first way of shortening that keeps all names apart; else the names themselves."""
    for way in ways:
        short = {name: way(name) for name in names}
        if len(set(short.values())) == len(short):
            return short
    return {name: name for name in names}


__all__ = ["COMPONENTS", "Names", "route_name", "serving", "shortest", "title_of"]
