"""Host names of servers and VirtualServices: short names, wildcards, intersection, visibility.

Sources: istio/istio pkg/config/host/{name,names}.go, pilot/pkg/model/gateway.go `sanitizeServerHostNamespace`,
pilot/pkg/model/config.go `ResolveShortnameToFQDN`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

DOMAIN = "cluster.local"


def fqdn(host: str, namespace: str) -> str:
    """A short name becomes the Service's full name; anything with a dot, a wildcard or an address stays."""
    host = host.lower()
    if not host or host == "*" or "." in host or (":" in host and _is_address(host)):
        return host
    return f"{host}.{namespace}.svc.{DOMAIN}"


def service_host(name: str, namespace: str) -> str:
    """Full name of a Kubernetes Service."""
    return f"{name}.{namespace}.svc.{DOMAIN}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def subset_of(name: str, other: str) -> bool:
    """Whether every host that `name` stands for is covered by `other` (text suffix after the `*`)."""
    if not other.startswith("*"):
        return name == other
    if name.startswith("*"):
        return len(name) >= len(other) and name[1:].endswith(other[1:])
    return name.endswith(other[1:])


def intersection(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """The narrower of every pair that overlaps, each once, in order of `names`."""
    result: dict[str, None] = {}
    others = list(others)
    for name in names:
        for other in others:
            if subset_of(name, other):
                result[name] = None
            elif subset_of(other, name):
                result[other] = None
    return list(result)


def server_host(host: str, gateway_namespace: str) -> tuple[str, str]:
    """A server's host as (namespace that may use it or `*`, host), both in lower case."""
    namespace, slash, name = host.rpartition("/")
    if not slash:
        return "*", host.lower()
    return (gateway_namespace if namespace == "." else namespace), name.lower()


def most_specific(host: str, candidates: Mapping[str, object]) -> str | None:
    """The exact name, else the longest wildcard that covers `host`."""
    if host in candidates:
        return host
    covering = [name for name in candidates if name.startswith("*") and subset_of(host, name)]
    return max(covering, key=len, default=None)


def visible(export_to: Iterable[str], owner: str, namespace: str) -> bool:
    """Whether an object of namespace `owner` with this exportTo is seen from `namespace` (default: by all)."""
    targets = list(export_to)
    own = owner == namespace
    return not targets or any(target in ("*", namespace) or (target == "." and own) for target in targets)


def private(export_to: Iterable[str], owner: str) -> bool:
    """Whether an object is exported to its own namespace only."""
    targets = set(export_to)
    return bool(targets) and targets <= {".", owner}
