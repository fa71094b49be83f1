"""A proxy of the topology running on this machine with backends behind it, to be asked requests."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gwsim.envoy.backends import BackendProcess, Endpoint, Station
from gwsim.envoy.certificates import Authority
from gwsim.envoy.machine import Placed, fit, place, seats
from gwsim.envoy.process import RealEnvoy
from gwsim.envoy.stock import free_ports
from gwsim.envoy.verify.instrument import Instrumented, Signer, instrument, read_log
from gwsim.topology import (
    FaultDelay,
    FilterChain,
    HttpConnectionManager,
    HttpFilter,
    Proxy,
    Route,
    filters,
)

CHANCE = (filters.LocalRateLimit, filters.NetworkLocalRateLimit)
"""Filters whose answer depends on time."""
LOG_S = 3.0
CALL_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What runs. `proxy` is what route choice is asked of: the proxy without what chance decides."""

    proxy: Proxy
    placed: Placed
    told: Instrumented
    signer: Signer
    authority: Authority
    folder: Path
    left_out: tuple[str, ...]
    endpoints: dict[str, str]
    """Cluster by name of its endpoints."""

    def log(self, cases: set[str]) -> dict[str, Any]:
        """The access log, once it has those cases, or after a while."""
        deadline = time.monotonic() + LOG_S
        while True:
            found = read_log(self.folder)
            if cases <= found.keys() or time.monotonic() > deadline:
                return found
            time.sleep(0.05)


@contextmanager
def session(proxy: Proxy, *, signer: Signer | None = None) -> Iterator[Session]:
    """Start it, and end everything again."""
    certain, changed = without_chance(proxy)
    known, left_out = fit(certain)
    places = seats(known)
    with tempfile.TemporaryDirectory(prefix="gwsim-") as name:
        folder = Path(name)
        authority = Authority(folder / "certificates")
        pair = authority.issue("backend", kind="p256", hosts=("localhost",))
        endpoints = [Endpoint(name=one.name) for one in places]
        with BackendProcess(endpoints=endpoints, stations=[Station(name="all")], pair=pair) as backends:
            *ports, admin = free_ports(len(known.listeners) + 1)
            where = dict(zip([one.name for one in places], backends.ports, strict=True))
            placed = place(known, ports=ports, backends=where, authority=authority)
            made = placed.bootstrap(folder, admin_port=admin)
            signed = signer or Signer()
            told = instrument(made, known.listeners, signed.keys)
            with RealEnvoy(made.write(), admin_port=admin, arguments=("--file-flush-interval-msec", "20")):
                yield Session(
                    proxy=known, placed=placed, told=told, signer=signed, authority=authority, folder=folder,
                    left_out=(*changed, *left_out), endpoints={one.name: one.cluster for one in places},
                )  # fmt: skip


def without_chance(proxy: Proxy) -> tuple[Proxy, tuple[str, ...]]:
    """The proxy with faults that always or never happen, delays too short to wait for, no rate limits, and calls that may take long.

    A busy machine answers an authorization call late now and then, which is a denial that no route choice can foresee.
    """
    told: dict[str, None] = {}

    def chain(one: FilterChain) -> FilterChain:
        network = tuple(each for each in one.network_filters if not isinstance(each.config, CHANCE))
        if not isinstance(one.filter, HttpConnectionManager):
            return replace(one, network_filters=network)
        manager = one.filter
        kept = tuple(_patient(each) for each in manager.http_filters if not isinstance(each.config, CHANCE))
        if len(kept) < len(manager.http_filters):
            told["local rate limits"] = None
        hosts = tuple(
            replace(host, routes=tuple(_certain(route, told) for route in host.routes), filter_config=_lasting(host.filter_config))
            for host in manager.route_config.virtual_hosts
        )
        config = replace(manager.route_config, virtual_hosts=hosts)
        return replace(one, filter=replace(manager, http_filters=kept, route_config=config), network_filters=network)

    listeners = tuple(
        replace(
            one, filter_chains=tuple(chain(each) for each in one.filter_chains),
            default_chain=None if one.default_chain is None else chain(one.default_chain),
        )
        for one in proxy.listeners
    )  # fmt: skip
    return replace(proxy, listeners=listeners), tuple(told)


def _patient(one: HttpFilter) -> HttpFilter:
    config = one.config
    return replace(one, config=replace(config, timeout_s=CALL_S)) if isinstance(config, filters.ExtAuthz) else one


def _certain(route: Route, told: dict[str, None]) -> Route:
    delay, abort = route.fault_delay, route.fault_abort
    if delay is not None:
        told["delays by faults are 1 ms"] = None
        delay = FaultDelay(percent=delay.percent, delay_s=0.001)
    if abort is not None and abort.percent < 100:
        told["aborts of a share of the requests"] = None
        abort = None
    return replace(route, fault_delay=delay, fault_abort=abort, filter_config=_lasting(route.filter_config))


def _lasting(config: Mapping[str, filters.HttpConfig]) -> dict[str, filters.HttpConfig]:
    return {name: one for name, one in config.items() if not isinstance(one, CHANCE)}


__all__ = ["Session", "session", "without_chance"]
