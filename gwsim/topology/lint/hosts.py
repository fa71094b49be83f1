"""Host names as `istioctl analyze` compares them: short names completed, wildcards, and who may see whom.

Source: istio/istio pkg/config/analysis/analyzers/util and pkg/config/host.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gwsim.resources.raw import RawObject

EVERYWHERE = "*"
LOCAL = "."
DEFAULT_DOMAIN = "cluster.local"


def fqdn(host: str, namespace: str, domain: str = DEFAULT_DOMAIN) -> str:
    """A short name completed with the namespace; names with a dot and wildcards stay."""
    if "." in host or host.startswith("*") or not host:
        return host
    return f"{host}.{namespace}.svc.{domain}"


def matches(left: str, right: str) -> bool:
    """Whether two host names, each perhaps a wildcard, have a name in common (`*.com` and `a.com`)."""
    left, right = left.lower(), right.lower()
    if left.startswith("*") and right.startswith("*"):
        return left[1:].endswith(right[1:]) or right[1:].endswith(left[1:])
    if left.startswith("*"):
        return right.endswith(left[1:])
    if right.startswith("*"):
        return left.endswith(right[1:])
    return left == right


def scopes(export_to: Iterable[str], namespace: str) -> list[str]:
    """The namespaces an `exportTo` opens an object to; "*" for all, which is also what an empty list means."""
    named = list(export_to)
    if not named or EVERYWHERE in named:
        return [EVERYWHERE]
    return list(dict.fromkeys(namespace if one == LOCAL else one for one in named))


def server_host(host: str, namespace: str) -> tuple[str, str]:
    """A host of a Gateway's server as (namespace that may bind, host); "*" for every namespace."""
    owner, slash, name = host.partition("/")
    if not slash:
        return EVERYWHERE, host
    return (namespace if owner == LOCAL else owner), name


@dataclass(frozen=True, slots=True)
class Backend:
    """A Service or one host of a ServiceEntry. `ports` is None when it is only known to exist elsewhere."""

    host: str
    ports: tuple[int, ...] | None
    source: RawObject | None
    selector: dict[str, str]


class Backends:
    """All hosts that routes can name, by who may see them."""

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self._by_scope: dict[tuple[str, str], Backend] = {}
        self._wildcards: dict[tuple[str, str], Backend] = {}
        self._names: list[str] | None = None

    def add(self, backend: Backend, visible: Iterable[str]) -> None:
        """Make a host known to namespaces; a later one of the same name and scope takes its place."""
        self._names = None
        for scope in visible:
            self._by_scope[(scope, backend.host)] = backend
            if backend.host.startswith("*"):
                self._wildcards[(scope, backend.host)] = backend

    @property
    def names(self) -> list[str]:
        """All hosts, each once."""
        if self._names is None:
            self._names = list(dict.fromkeys(host for _, host in self._by_scope))
        return self._names

    def __len__(self) -> int:
        return len(self._by_scope)

    def find(self, host: str, namespace: str, export_to: Iterable[str] = ()) -> Backend | None:
        """The host as a route in that namespace sees it. `export_to` is that of the object that names it."""
        full = fqdn(host, namespace, self.domain)
        found = self._by_scope.get((EVERYWHERE, full))
        if found is not None:
            return found
        named = list(export_to)
        for scope in [namespace] if not named else [namespace if one == LOCAL else one for one in named]:
            found = self._by_scope.get((scope, full))
            if found is not None:
                return found
        bare = host.removeprefix("*")
        for (scope, name), backend in self._wildcards.items():
            if scope in (EVERYWHERE, namespace) and bare.endswith(name[1:]):
                return backend
        return None


__all__ = ["EVERYWHERE", "LOCAL", "Backend", "Backends", "fqdn", "matches", "scopes", "server_host"]
