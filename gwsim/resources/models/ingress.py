"""networking.k8s.io Ingress and IngressClass. Source modelled: the Kubernetes API reference v1.34."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gwsim.resources.models.base import Opaque, Port, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressServicePort:
    """A Service port by number or by name; exactly one is given."""

    name: str | None = None
    number: Port | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressServiceBackend:
    """A Service in the Ingress's namespace."""

    name: str
    port: IngressServicePort


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressBackend:
    """A Service, or some other object (`resource`), which Istio does not serve."""

    service: IngressServiceBackend | None = None
    resource: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressPath:
    """A path and its backend; `Prefix` compares whole segments, and a path without a type is Istio's own syntax."""

    backend: IngressBackend
    path_type: Literal["Exact", "Prefix", "ImplementationSpecific"] | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressHttp:
    """The paths of a host."""

    paths: tuple[IngressPath, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressRule:
    """A host (none: all) and its paths."""

    host: str | None = None
    http: IngressHttp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressTls:
    """Hosts that are served with the certificate of a Secret."""

    hosts: tuple[str, ...] = ()
    secret_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ingress(Resource):
    """A Kubernetes Ingress; Istio serves it when its class is Istio's."""

    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    tls: tuple[IngressTls, ...] = ()
    rules: tuple[IngressRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IngressClass(Resource):
    """A class of Ingresses and its controller (Istio: `istio.io/ingress-controller`)."""

    controller: str = ""
    parameters: Opaque = None
