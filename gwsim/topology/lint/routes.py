"""The destinations a VirtualService names, each with the path of its field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gwsim.resources.raw import RawObject, mapping, mappings, number, text, texts
from gwsim.topology.lint.view import View


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination of a route or a mirror. `port` is 0 where none is written."""

    path: str
    host: str
    subset: str
    port: int
    mirror: bool = False


def destinations(service: RawObject) -> Iterator[Destination]:
    """Every destination of its tcp, tls and http rules, mirrors included."""
    for block in ("tcp", "tls", "http"):
        for at, rule in enumerate(mappings(service.spec.get(block))):
            for place, route in enumerate(mappings(rule.get("route"))):
                yield _destination(route.get("destination"), f"{block}[{at}].route[{place}].destination", False)
    for at, rule in enumerate(mappings(service.spec.get("http"))):
        if mapping(rule.get("mirror")):
            yield _destination(rule["mirror"], f"http[{at}].mirror", True)
        for place, mirror in enumerate(mappings(rule.get("mirrors"))):
            yield _destination(mirror.get("destination"), f"http[{at}].mirrors[{place}].destination", True)


def _destination(value: Any, path: str, mirror: bool) -> Destination:
    found = mapping(value)
    port = number(mapping(found.get("port")).get("number"))
    return Destination(path, text(found.get("host")), text(found.get("subset")), port, mirror)


def gateway_names(service: RawObject) -> list[tuple[int, str]]:
    """The Gateways a VirtualService binds to, as (position, `namespace/name`); `mesh` is left out."""
    found = []
    for at, name in enumerate(texts(service.spec.get("gateways"))):
        if name != "mesh":
            found.append((at, _full(name, service.namespace)))
    return found


def _full(name: str, namespace: str) -> str:
    if "/" in name:
        return name
    parts = name.split(".")
    # A Gateway may be written as a fully qualified host name, of which the first two labels count.
    return f"{parts[1]}/{parts[0]}" if len(parts) > 2 else f"{namespace}/{name}"


def on_mesh(service: RawObject) -> bool:
    """Whether sidecars use it."""
    named = texts(service.spec.get("gateways"))
    return not named or "mesh" in named


def virtual_services(view: View) -> list[RawObject]:
    """Every VirtualService."""
    return view.istio("VirtualService")


__all__ = ["Destination", "destinations", "gateway_names", "on_mesh", "virtual_services"]
