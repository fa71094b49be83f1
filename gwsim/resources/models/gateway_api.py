"""gateway.networking.k8s.io: classes, Gateways, ListenerSets, grants and backend policies.

Source modelled: kubernetes-sigs/gateway-api apis/v1 (and v1beta1, v1alpha2, v1alpha3, apisx/v1alpha1), 1.5. The routes are
in `gateway_routes`. Classes whose plain name Istio's own API has too begin with `Kubernetes` or `Gateway`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from gwsim.resources.models.base import Json, Labels, Natural, Opaque, Port, Resource
from gwsim.resources.models.kubernetes import LabelSelector

GROUP = "gateway.networking.k8s.io"

From = Literal["All", "Selector", "Same", "None"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GatewayClass(Resource):
    """A class of Gateways and the controller that serves them (Istio: `istio.io/gateway-controller`)."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"description"})

    controller_name: str
    parameters_ref: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectReference:
    """A reference to an object. What `group` and `kind` None mean is up to the field that holds it."""

    name: str
    group: str | None = None
    kind: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontendValidation:
    """How client certificates are checked."""

    ca_certificate_refs: tuple[ObjectReference, ...] = ()
    mode: Literal["AllowValidOnly", "AllowInsecureFallback"] = "AllowValidOnly"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTls:
    """TLS of a listener. `options` hold what Istio adds, such as `gateway.istio.io/tls-terminate-mode`."""

    mode: Literal["Terminate", "Passthrough"] | None = None
    certificate_refs: tuple[ObjectReference, ...] = ()
    options: Annotated[Labels, Json("options")] = field(default_factory=dict)
    frontend_validation: FrontendValidation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespacesSelector:
    """Namespaces: those of the object itself (`Same`), `All`, a `Selector` or `None`. `from_` None: the field's default."""

    from_: Annotated[From | None, Json("from")] = None
    selector: LabelSelector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteGroupKind:
    """A kind of route; without a group it is one of the Gateway API."""

    kind: str
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedRoutes:
    """Which routes may attach to a listener. Left out: those of the same namespace, of the kinds the protocol can carry."""

    namespaces: NamespacesSelector | None = None
    kinds: tuple[RouteGroupKind, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayListener:
    """One listener of a Gateway or ListenerSet. Only a ListenerSet may leave `port` out: the protocol's default."""

    name: str
    protocol: str
    port: Port | None = None
    hostname: str | None = None
    tls: ListenerTls | None = None
    allowed_routes: AllowedRoutes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayAddress:
    """An address asked for. A `Hostname` names an existing Service that the Gateway is bound to (Istio)."""

    type: str = "IPAddress"
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayInfrastructure:
    """What the Deployment and Service that are made for the Gateway carry."""

    labels: Annotated[Labels, Json("labels")] = field(default_factory=dict)
    annotations: Annotated[Labels, Json("annotations")] = field(default_factory=dict)
    parameters_ref: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedListeners:
    """Which ListenerSets may add listeners; left out: none."""

    namespaces: NamespacesSelector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontendTls:
    """Client certificates of a port."""

    validation: FrontendValidation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontendPortTls:
    """Client certificates of one port, in place of the default."""

    port: Port
    tls: FrontendTls


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontendTlsConfig:
    """Client certificates of all HTTPS listeners, and of single ports."""

    default: FrontendTls | None = None
    per_port: tuple[FrontendPortTls, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayTls:
    """TLS of a Gateway as a whole: towards clients (`frontend`) and towards backends."""

    frontend: FrontendTlsConfig | None = None
    backend: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KubernetesGateway(Resource):
    """A Gateway of the Gateway API."""

    gateway_class_name: str
    listeners: tuple[GatewayListener, ...] = ()
    addresses: tuple[GatewayAddress, ...] = ()
    infrastructure: GatewayInfrastructure | None = None
    allowed_listeners: AllowedListeners | None = None
    tls: GatewayTls | None = None
    default_scope: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListenerSet(Resource):
    """Further listeners of a Gateway, kept apart (also as `XListenerSet`)."""

    parent_ref: ObjectReference
    listeners: tuple[GatewayListener, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantFrom:
    """Who may refer: objects of a kind in a namespace."""

    kind: str
    namespace: str
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTo:
    """What may be referred to in the grant's namespace; without a name all of the kind."""

    kind: str
    group: str = ""
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceGrant(Resource):
    """Allows references into its namespace from other namespaces."""

    from_: Annotated[tuple[GrantFrom, ...], Json("from")]
    to: tuple[GrantTo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTarget:
    """What a policy is for; `section_name` is a Service port's name."""

    kind: str
    name: str
    group: str = ""
    section_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectAltName:
    """A name the backend's certificate may have instead of the hostname."""

    type: Literal["Hostname", "URI"]
    hostname: str | None = None
    uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendTlsValidation:
    """How the backend's certificate is checked; `hostname` is the SNI too."""

    hostname: str
    ca_certificate_refs: tuple[ObjectReference, ...] = ()
    well_known_ca_certificates: Annotated[str | None, Json("wellKnownCACertificates")] = None
    subject_alt_names: tuple[SubjectAltName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BackendTLSPolicy(Resource):
    """TLS from the gateway to a Service."""

    target_refs: tuple[PolicyTarget, ...]
    validation: BackendTlsValidation
    options: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetDetails:
    """Retries allowed, in percent of the requests."""

    percent: Natural | None = None
    interval: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRate:
    """So many per interval."""

    count: Natural | None = None
    interval: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConstraint:
    """A budget of retries towards a backend."""

    budget: BudgetDetails | None = None
    min_retry_rate: RequestRate | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class XBackendTrafficPolicy(Resource):
    """Experimental (gateway.networking.x-k8s.io): limits of retries towards a Service."""

    target_refs: tuple[PolicyTarget, ...]
    retry_constraint: RetryConstraint | None = None
    session_persistence: Opaque = None
