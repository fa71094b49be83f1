"""`gwsim envoy export`: a folder with the bootstrap of every proxy of a scenario."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gwsim.envoy.certificates import Authority
from gwsim.envoy.machine import fit, place, seats
from gwsim.topology import Proxy

FIRST_PORT = 20_000
"""Below the range from which Linux takes ports for outgoing connections (32,768)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A proxy's bootstrap, where its ports and backends are, and what had to be left out."""

    proxy: Proxy
    path: Path
    admin_port: int
    listeners: tuple[tuple[str, int, int], ...]
    """Name, port in the mesh, port on loopback."""
    backends: tuple[tuple[str, int], ...]
    left_out: tuple[str, ...]


def export(proxies: Iterable[Proxy], folder: Path, *, istio_version: str = "", first_port: int = FIRST_PORT) -> tuple[Exported, ...]:
    """Write every proxy that listens at all. Ports count up from `first_port`; `backends.json` lists where backends go."""
    authority = Authority((folder / "certificates").absolute())
    port = first_port
    made: list[Exported] = []
    for proxy in proxies:
        known, left_out = fit(proxy)
        if not known.listeners:
            continue
        places = {one.name: port + at for at, one in enumerate(seats(known))}
        port += len(places)
        ports = tuple(range(port, port + len(known.listeners)))
        admin = port + len(ports)
        port = admin + 1
        name = "-".join(part for part in (proxy.cluster, proxy.namespace, proxy.name) if part)
        placed = place(known, ports=ports, backends=places, authority=authority)
        path = placed.bootstrap(folder / name, admin_port=admin, istio_version=istio_version).write()
        backends = tuple(places.items())
        (folder / name / "backends.json").write_text(json.dumps(places, indent=1) + "\n", encoding="utf-8")
        listeners = tuple((one.name, one.port, at) for one, at in zip(known.listeners, ports, strict=True))
        made.append(Exported(proxy=proxy, path=path, admin_port=admin, listeners=listeners, backends=backends, left_out=left_out))
    return tuple(made)


__all__ = ["FIRST_PORT", "Exported", "export"]
