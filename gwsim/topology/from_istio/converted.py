"""What Gateways, routes and policies of the Gateway API (and Ingresses) come to in Istio's own terms.

`gwsim.topology.from_gateway_api` makes these; the steps of this package use them beside Istio's own objects, so that there is
one path to listeners, routes and clusters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gwsim.resources.models import Destination, DestinationRule, Gateway, KubernetesGateway, Resource
from gwsim.topology.model import ProxyServicePort

if TYPE_CHECKING:
    from gwsim.topology.from_istio.virtual_services import Bound

SECRET_PREFIX = "kubernetes-gateway://"
"""Begins a credential that names a Secret with its namespace: `kubernetes-gateway://namespace/name`."""
PREFIX_MARK = "%PREFIX()%"
"""Begins the path of a redirect that replaces only the prefix that matched; istiod's own mark."""
WORKLOAD_CREDENTIAL = "builtin://"
"""The proxy's own certificate."""
INVALID_CREDENTIAL = "invalid://"
"""A certificate that cannot be had: no connection that needs it can be made."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GeneratedGateway(Gateway):
    """A Gateway made from another object, which messages name."""

    written: Resource

    @property
    def ref(self) -> str:
        """The object as written."""
        return self.written.ref


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListenerGateway(GeneratedGateway):
    """One listener of a Gateway or ListenerSet as a Gateway of one server. It is bound to Services, not to pod labels."""

    gateway: KubernetesGateway
    listener: str
    bound_to: tuple[str, ...]
    """Full names of the Services."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedDestination(Destination):
    """A backend that may not be used; istiod leaves the destination empty. `meant` is the cluster it would have been."""

    meant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A Gateway and the Services its proxies are behind; managed: Istio makes Deployment and Service, of that name."""

    gateway: KubernetesGateway
    name: str
    managed: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    services: tuple[str, ...] = ()
    service_type: str = "LoadBalancer"
    ports: tuple[ProxyServicePort, ...] = ()
    """Ports of the Service that is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """The result of the conversion."""

    listeners: tuple[ListenerGateway, ...] = ()
    deployed: tuple[Deployed, ...] = ()
    ingresses: tuple[GeneratedGateway, ...] = ()
    """Gateways of the ingress gateway that Ingresses come to."""
    routes: tuple[Bound, ...] = ()
    """Routes by listener and host, and those of the mesh (bound to `mesh`)."""
    policies: tuple[DestinationRule, ...] = ()
