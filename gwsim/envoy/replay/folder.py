"""The folder of a recorded run: `config/`, `scenario.yaml`, `arrivals.csv`, `costs.yaml`, made into a model.

A file or field that is not there gets a default, and every default is told. Recorded runs are of one machine: without
other words its network takes as long as a loopback does, nothing is warm, and no warm-up is cut off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gwsim.diagnostics import Collector, Span, code
from gwsim.envoy.replay.arrivals import Arrivals, Asked, read_arrivals
from gwsim.envoy.replay.costs import settings_of
from gwsim.envoy.replay.mixes import Mixes
from gwsim.errors import InputError, UsageError
from gwsim.resources import read
from gwsim.scenario import resolve
from gwsim.scenario.defaults import target_of
from gwsim.scenario.document import Item, item_from, plain, read_document, without_nulls
from gwsim.scenario.file import API_VERSION
from gwsim.scenario.model import Model, Replay
from gwsim.scenario.project import build_topology, read_resources
from gwsim.scenario.reading import LoadedScenario, load_item
from gwsim.scenario.replay import DRAWN
from gwsim.scenario.resolved import Resolved
from gwsim.topology import (
    HttpConnectionManager,
    Listener,
    Outcome,
    Proxy,
    Request,
    TargetMissing,
    Topology,
    choose,
)
from gwsim.topology.from_istio import from_istio

ANY_HOST = "recorded.example"
LOOPBACK_RTT = "30us"
"""Measured between two sockets of 127.0.0.1 on a shared virtual machine, process to process."""
CLUSTER = "default"
TAIL_S = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recorded run, ready to be predicted."""

    folder: Path
    arrivals: Arrivals
    resolved: Resolved
    assumptions: tuple[str, ...]


def open_recording(folder: Path, *, set_: Sequence[str] = (), replications: int | None = None) -> Recording:
    """Read a folder. Raises InputError with everything that is wrong with it, UsageError when there is none."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; it holds config/, scenario.yaml, arrivals.csv and costs.yaml")
    collector = Collector()
    arrivals = read_arrivals(_found(folder, "arrivals.csv", "arrivals.txt"), collector)
    root = _scenario(folder, collector)
    collector.raise_if_errors()
    assert arrivals is not None
    return _Opening(folder, arrivals, root, collector).open(set_, replications)


def _found(folder: Path, *names: str) -> Path:
    return next((folder / name for name in names if (folder / name).exists()), folder / names[0])


def _scenario(folder: Path, collector: Collector) -> Item:
    """The scenario file as it is written; an empty one where there is none."""
    path = _found(folder, "scenario.yaml", "scenario.yml", "scenario.json")
    empty = item_from({}, Span(str(path)))
    if not path.exists():
        return empty
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        collector.add(code("FILE_MISSING"), f"cannot read {path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}", Span(str(path)))
        return empty
    root = read_document(text, str(path), collector) if text.strip() else empty
    if root is not None and root.value is None:
        root = empty
    if root is not None and not isinstance(root.value, dict):
        collector.add(code("SCENARIO_VALUE"), "a scenario is a mapping", root.span)
    return empty if root is None else root


class _Opening:
    """One folder being opened."""

    def __init__(self, folder: Path, arrivals: Arrivals, root: Item, collector: Collector) -> None:
        self.folder, self.arrivals, self.collector = folder, arrivals, collector
        self.root = without_nulls(root)
        self.told: dict[str, None] = {}

    def open(self, set_: Sequence[str], replications: int | None) -> Recording:
        """Everything, in order."""
        self._clusters()
        self._clients()
        mixes = Mixes(self.arrivals, self.root, self.told, self._host)
        mixes.write()
        self._rest(replications)
        loaded = self._loaded(set_)
        resources = read_resources(loaded, self.collector)
        topology = build_topology(loaded, resources, self.collector)
        self.collector.raise_if_errors()
        resolved = resolve(loaded, topology, collector=self.collector, fix_replicas=True)
        model = self._recorded(resolved.model, mixes)
        told = (*self.told, *resolved.assumptions)
        return Recording(
            folder=self.folder, arrivals=self.arrivals, resolved=replace(resolved, model=model), assumptions=tuple(dict.fromkeys(told))
        )

    def _put(self, value: Any, *steps: str) -> None:
        """Set a field, making the mappings above it."""
        at = self.root
        for step in steps[:-1]:
            if step not in at.value or not isinstance(at.value[step].value, dict):
                at.value[step] = item_from({}, self.root.span)
            at = at.value[step]
        at.value[steps[-1]] = item_from(value, self.root.span)

    def _default(self, value: Any, *steps: str, why: str = "") -> None:
        """Set a field that is not there."""
        at: Item | None = self.root
        for step in steps:
            at = at.value.get(step) if at is not None and isinstance(at.value, dict) else None
        if at is None:
            self._put(value, *steps)
            if why:
                self.told[why] = None

    def _names(self, *steps: str) -> list[str]:
        at = self.root
        for step in steps:
            if not isinstance(at.value, dict) or step not in at.value:
                return []
            at = at.value[step]
        return list(at.value) if isinstance(at.value, dict) else []

    def _clusters(self) -> None:
        """Where the configuration is."""
        self._default(API_VERSION, "apiVersion")
        if not self._names("clusters"):
            self._put({CLUSTER: {}}, "clusters")
        for name in self._names("clusters"):
            section = self.root.value["clusters"].value[name]
            given = plain(section).get("config") if isinstance(section.value, dict) else None
            listed = [given] if isinstance(given, str) else given if isinstance(given, list) else []
            if listed and all((self.folder / str(one)).exists() for one in listed):
                if isinstance(given, str):
                    self._put(listed, "clusters", name, "config")
                continue
            own = f"config/{name}"
            path = own if (self.folder / own).is_dir() and len(self._names("clusters")) > 1 else "config"
            if (self.folder / path).exists():
                self._put([path], "clusters", name, "config")

    def _clients(self) -> None:
        """Who sends: by default one client of the port whose routes take most of what was recorded."""
        if not self._names("clients"):
            self._put({"recorded": {}}, "clients")
        for name in self._names("clients"):
            if self.root.value["clients"].value[name].value is None:
                self._put({}, "clients", name)
            if "target" not in self._names("clients", name):
                found = self._target()
                if found is not None:
                    target, port, encrypted = found
                    self._put(target, "clients", name, "target")
                    self._default("1.3" if encrypted else "none", "clients", name, "connection", "tls")
                    self.told[f"client {name}: it sends to {target} (port {port} of the gateway)"] = None
            self._put({"paced": 1}, "clients", name, "arrivals")
            self._default(LOOPBACK_RTT, "clients", name, "rtt", why=f"client {name}: the round trip is that of a loopback, {LOOPBACK_RTT}")
            self._connections(name)

    @cached_property
    def _topology(self) -> Topology | None:
        """The gateways of the first cluster, for finding out what nobody says; None where the files do not tell either."""
        collector = Collector()
        first = self._names("clusters")[0]
        paths = plain(self.root.value["clusters"].value[first]).get("config") or ["config"]
        try:
            return from_istio(read([self.folder / str(one) for one in paths], collector=collector), cluster=first, collector=collector)
        except (InputError, OSError):
            return None

    def _target(self) -> tuple[str, int, bool] | None:
        """The listener that serves most of the recorded requests."""
        best: tuple[int, Proxy, Listener, bool] | None = None
        asked = Counter(self.arrivals.asked).most_common(50)
        for proxy, listener, encrypted in _ports(self._topology):
            served = sum(count for one, count in asked if _served(proxy, listener, one, encrypted))
            if best is None or served > best[0]:
                best = served, proxy, listener, encrypted
        return None if best is None else (target_of(best[1], best[2]), best[2].port, best[3])

    def _host(self, name: str) -> str:
        """A host that the client's port takes, for requests that say none."""
        target = plain(self.root.value["clients"].value[name]).get("target")
        try:
            listener = self._topology.resolve(str(target))[1] if self._topology is not None else None
        except TargetMissing:
            listener = None
        domains = [
            domain.partition(":")[0]
            for chain in (listener.filter_chains if listener is not None else ())
            if isinstance(chain.filter, HttpConnectionManager)
            for host in chain.filter.route_config.virtual_hosts
            if host.routes
            for domain in host.domains
        ]
        plainly = [one for one in domains if "*" not in one] or [one.replace("*", "www") for one in domains if one.startswith("*.")]
        return plainly[0] if plainly else ANY_HOST

    def _connections(self, name: str) -> None:
        """How many connections there were, where the rows tell."""
        known = self.arrivals.connections
        if known is None or len(self._names("clients")) > 1:
            return
        spans: dict[str, tuple[float, float]] = {}
        for time, one in zip(self.arrivals.times_s, known, strict=True):
            spans[one] = (spans[one][0] if one in spans else time, time)
        most = _most_at_once(list(spans.values()))
        if len(spans) > 1.5 * most:
            carried = max(round(len(known) / len(spans)), 1)
            self._default(carried, "clients", name, "connection", "requests", why=f"client {name}: a connection carries {carried} requests, as recorded")
        else:
            most = len(spans)
        self._default(most, "clients", name, "connection", "count", why=f"client {name}: {most} connections, as recorded")

    def _rest(self, replications: int | None) -> None:
        """Network, run, costs."""
        self.root.value.pop("budgets", None)
        for link in ("same_zone", "cross_zone"):
            self._default(LOOPBACK_RTT, "network", link, why=f"network: round trips to backends are those of a loopback, {LOOPBACK_RTT}")
        start = plain(self.root.value["run"]).get("start", "cold") if isinstance(getattr(self.root.value.get("run"), "value", None), dict) else "cold"
        seed = plain(self.root.value["run"]).get("seed", 1) if "run" in self.root.value and isinstance(self.root.value["run"].value, dict) else 1
        run = {"kind": "timeline", "duration": self.arrivals.times_s[-1] + TAIL_S, "warmup": 0, "start": start, "seed": seed}
        self._put({**run, "replications": replications or 1}, "run")
        settings_of(self.folder, self.root, self.collector, self.told)

    def _loaded(self, set_: Sequence[str]) -> LoadedScenario:
        return load_item(self.root, str(self.folder / "scenario.yaml"), set_=set_, folder=self.folder, collector=self.collector)

    def _recorded(self, model: Model, mixes: Mixes) -> Model:
        """The model with the very arrivals in place of the ones written."""
        clients = []
        for client in model.clients:
            times, shapes = mixes.of(client.name)
            clients.append(replace(client, arrivals=Replay(times_s=times, shapes=tuple(DRAWN if one is None else one for one in shapes))))
        return replace(model, clients=tuple(clients))


def _ports(topology: Topology | None) -> list[tuple[Proxy, Listener, bool]]:
    """Listeners of gateways, and whether they want TLS."""
    return [
        (proxy, listener, any(chain.tls is not None for chain in listener.filter_chains))
        for proxy in (topology.proxies if topology is not None else ())
        if proxy.kind == "gateway"
        for listener in proxy.listeners
    ]


def _served(proxy: Proxy, listener: Listener, asked: Asked, encrypted: bool) -> bool:
    request = Request(
        scheme="https" if encrypted else "http", host=asked.host, method=asked.method or "GET", path=asked.path or "/",
        headers=dict(asked.headers),
    )  # fmt: skip
    return choose(proxy, listener, request).outcome not in (Outcome.NOT_FOUND, Outcome.CONNECTION_REJECTED, Outcome.NO_LISTENER)


def _most_at_once(spans: Sequence[tuple[float, float]]) -> int:
    """The largest number of spans that hold one instant."""
    edges = sorted([(start, 0, 1) for start, _ in spans] + [(end, 1, -1) for _, end in spans])
    now = most = 0
    for _, _, change in edges:
        now += change
        most = max(most, now)
    return most


__all__ = ["Recording", "open_recording"]
