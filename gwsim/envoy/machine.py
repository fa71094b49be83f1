"""A proxy of the topology put on this machine: listeners and backends on loopback ports, certificates of its own kinds.

What an Envoy without Istio's filters cannot run is left out and told (`gwsim.envoy.stock`); so is what only a kernel's
redirection (original destinations) or a name service could serve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gwsim.envoy.bootstrap import Bootstrap, bootstrap, secrets_of
from gwsim.envoy.certificates import Authority, KeyPair
from gwsim.envoy.stock import stock
from gwsim.topology import HttpConnectionManager, Listener, Proxy, to_envoy
from gwsim.topology.to_envoy.tls import credentials
from gwsim.topology.upstream import Cluster, Endpoint, LbPolicy

LOOPBACK = "127.0.0.1"
UNSERVED = frozenset({"ORIGINAL_DST", "DYNAMIC_DNS"})
"""Ways of discovery whose destination is not known before a request comes."""
NO_PORT = 9
"""Discard: stands for an endpoint that nothing was started for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A place of an endpoint in a cluster; each has a port of its own, so that an arrival tells its cluster."""

    cluster: str
    index: int
    endpoint: Endpoint

    @property
    def name(self) -> str:
        """Unique within a proxy."""
        return f"{self.cluster}#{self.index}"


def seats(proxy: Proxy) -> tuple[Seat, ...]:
    """Every endpoint that can be given a port, in order."""
    return tuple(
        Seat(cluster=name, index=at, endpoint=one)
        for name, cluster in proxy.clusters.items()
        if cluster.discovery not in UNSERVED
        for at, one in enumerate(cluster.endpoints)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A proxy on this machine. `ports` gives the loopback port of each listener, in their order."""

    original: Proxy
    proxy: Proxy
    left_out: tuple[str, ...]
    ports: tuple[int, ...]
    authority: Authority
    key_pairs: Mapping[str, KeyPair] = field(default_factory=dict)

    def port_of(self, listener: Listener) -> int | None:
        """Where a listener of the original proxy is."""
        for one, port in zip(self.proxy.listeners, self.ports, strict=True):
            if one.name == listener.name:
                return port
        return None

    def bootstrap(self, folder: Path, *, admin_port: int, istio_version: str = "") -> Bootstrap:
        """Its bootstrap with everything it refers to."""
        return bootstrap(self.proxy, folder, admin_port=admin_port, key_pairs=self.key_pairs, istio_version=istio_version)


def fit(proxy: Proxy) -> tuple[Proxy, tuple[str, ...]]:
    """What of a proxy this machine can run, and what was left out."""
    made, left_out = stock(proxy)
    told = dict.fromkeys(left_out)
    listeners = []
    for one in made.listeners:
        if one.protocol == "udp":
            told[f"listener {one.name}: UDP"] = None
        else:
            listeners.append(one)
    for cluster in made.clusters.values():
        if cluster.discovery in UNSERVED:
            told[f"cluster {cluster.name}: {cluster.discovery} has no destination here"] = None
    return replace(made, listeners=tuple(listeners)), tuple(told)


def place(proxy: Proxy, *, ports: Sequence[int], backends: Mapping[str, int], authority: Authority) -> Placed:
    """Put a proxy that `fit` gave on loopback: its listeners on `ports`, its seats where `backends` says, by their names."""
    clusters = {name: _cluster(one, backends) for name, one in proxy.clusters.items()}
    listeners = tuple(replace(one, port=port, bind=LOOPBACK) for one, port in zip(proxy.listeners, ports, strict=True))
    placed = replace(proxy, clusters=clusters, listeners=listeners)
    return Placed(
        original=proxy, proxy=placed, left_out=(), ports=tuple(ports), authority=authority, key_pairs=_key_pairs(placed, authority)
    )


def _cluster(cluster: Cluster, backends: Mapping[str, int]) -> Cluster:
    if cluster.discovery in UNSERVED:
        # Nothing is to leave this machine: such a cluster is an empty one.
        return replace(cluster, discovery="STATIC", lb_policy=LbPolicy.ROUND_ROBIN, endpoints=())
    endpoints = tuple(
        replace(one, address=LOOPBACK, port=backends.get(f"{cluster.name}#{at}", NO_PORT)) for at, one in enumerate(cluster.endpoints)
    )
    return replace(cluster, endpoints=endpoints)


def _key_pairs(proxy: Proxy, authority: Authority) -> dict[str, KeyPair]:
    """A certificate for every secret, with a key of the kind the gateway's own has."""
    resources = [to_envoy.listener(one) for one in proxy.listeners] + [to_envoy.cluster(one) for one in proxy.clusters.values()]
    certificates, authorities = secrets_of(resources)
    kinds: dict[str, str] = {}
    hosts: dict[str, tuple[str, ...]] = {}
    for listener in proxy.listeners:
        for chain in listener.filter_chains:
            if chain.tls is None:
                continue
            for name in credentials(chain.tls.credential_name):
                kinds[name] = chain.tls.certificate
                hosts[name] = tuple(dict.fromkeys((*hosts.get(name, ()), *_names(chain.match.server_names, chain.filter))))
    made = {
        name: authority.issue("key", kind=kinds.get(name, "p256"), hosts=hosts.get(name) or ("localhost",)) for name in sorted(certificates)
    }
    return made | dict.fromkeys(sorted(authorities), authority.pair)


def _names(server_names: tuple[str, ...], manager: object) -> tuple[str, ...]:
    """Host names that a certificate is for."""
    if server_names:
        return server_names
    if isinstance(manager, HttpConnectionManager):
        domains = [domain.partition(":")[0] for host in manager.route_config.virtual_hosts for domain in host.domains]
        return tuple(one for one in domains if one != "*" and not one.endswith(".*"))[:50]
    return ()


__all__ = ["LOOPBACK", "NO_PORT", "Placed", "Seat", "fit", "place", "seats"]
