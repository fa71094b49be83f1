"""Backend references as destinations.

Source: istio/istio pilot/pkg/config/kube/gateway/conversion.go (`buildDestination`, `buildHTTPDestination`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gwsim.resources.models import Destination, PortSelector, Resource
from gwsim.topology.from_gateway_api.grants import Grants
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.converted import RefusedDestination
from gwsim.topology.from_istio.hosts import service_host
from gwsim.topology.upstream import cluster_name

ISTIO_GROUP = "networking.istio.io"
MULTI_CLUSTER_GROUP = "multicluster.x-k8s.io"


class Reference(Protocol):
    """What all backend references have."""

    @property
    def name(self) -> str: ...
    @property
    def group(self) -> str | None: ...
    @property
    def kind(self) -> str | None: ...
    @property
    def namespace(self) -> str | None: ...
    @property
    def port(self) -> int | None: ...


class Weighted(Reference, Protocol):
    """A reference with a share of the traffic."""

    @property
    def weight(self) -> int: ...


class NotTranslated(Exception):
    """istiod makes nothing of the whole route. `path` is the field that is to blame."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path, self.message = path, message


def shares_of(references: Sequence[Weighted]) -> list[tuple[int, int]]:
    """Position and weight of the references that get traffic."""
    return [(position, one.weight) for position, one in enumerate(references) if one.weight > 0]


@dataclass(slots=True)
class Backends:
    """Resolves references of one build."""

    ctx: Context
    grants: Grants

    def destination(self, ref: Reference, route: Resource, path: str, *, granted: bool) -> Destination:
        """The destination of a reference. `granted`: a reference into another namespace needs a ReferenceGrant.

        Raises NotTranslated for a reference that takes the whole route with it.
        """
        kind = ref.kind or "Service"
        group = ("" if kind == "Service" else GATEWAY_GROUP) if ref.group is None else ref.group
        namespace = ref.namespace or route.namespace
        refusal = ""
        if granted and not self.grants.allow(route, kind, namespace, ref.name):
            refusal = (
                f"namespace {namespace} does not allow it (no ReferenceGrant from {route.meta.kind} of namespace "
                f"{route.namespace} to {kind} {ref.name})"
            )
        host = self._host(ref, group, kind, namespace, path)
        if host is None:
            refusal = refusal or f"Istio does not know backends of kind {kind} ({group or 'core'})"
        if ref.port is None and not refusal:
            raise NotTranslated(path, "the backend has no port")
        if refusal:
            self.ctx.find("BACKEND_REFUSED", f"{route.ref}: backend {ref.name} gets no traffic: {refusal}", route, path)
            meant = cluster_name(ref.port or 0, "", host or f"{ref.name}.{namespace}")
            return RefusedDestination(host="", meant=meant)
        assert host is not None and ref.port is not None
        return Destination(host=host, port=PortSelector(number=ref.port))

    def _host(self, ref: Reference, group: str, kind: str, namespace: str, path: str) -> str | None:
        """Full name of the service; None for a kind that Istio does not know."""
        if (group, kind) == (ISTIO_GROUP, "Hostname"):
            if ref.namespace is not None:
                raise NotTranslated(f"{path}.namespace", "a backend of kind Hostname has no namespace")
            return ref.name.lower()
        if (group, kind) in (("", "Service"), (MULTI_CLUSTER_GROUP, "ServiceImport")):
            if "." in ref.name:
                raise NotTranslated(f"{path}.name", f"{ref.name} is not the name of a Service")
            return service_host(ref.name, namespace)
        return None


GATEWAY_GROUP = "gateway.networking.k8s.io"
