"""Ingresses that the API server refuses. Source modelled: Kubernetes API validation (networking/v1), v1.34."""

from __future__ import annotations

from gwsim.resources.models.ingress import Ingress, IngressBackend, IngressPath
from gwsim.resources.validation.check import Check


def check_ingress(ingress: Ingress, check: Check) -> None:
    """Report what would be refused about an Ingress."""
    if ingress.default_backend is None and not ingress.rules:
        check.missing("", "an Ingress needs rules or a defaultBackend")
    if ingress.default_backend is not None:
        _backend(ingress.default_backend, "defaultBackend", check)
    for index, rule in enumerate(ingress.rules):
        path = f"rules[{index}]"
        if rule.host:
            check.host(f"{path}.host", rule.host)
            if rule.host == "*":
                check.bad(f"{path}.host", "host '*' is not allowed", "leave host out for all hosts")
        if rule.http is None:
            continue
        if not rule.http.paths:
            check.missing(f"{path}.http", "http needs at least one path")
        for position, one in enumerate(rule.http.paths):
            _path(one, f"{path}.http.paths[{position}]", check)


def _path(one: IngressPath, path: str, check: Check) -> None:
    value = one.path or ""
    anything = one.path_type in (None, "ImplementationSpecific")
    if one.path_type is None:
        check.missing(f"{path}.pathType", "a path needs a pathType", "one of Exact, Prefix, ImplementationSpecific")
    if not value.startswith("/") and (value or not anything):
        check.bad(f"{path}.path", f"{value!r} must begin with /")
    elif not anything and ("//" in value or "/./" in value or "/../" in value):
        check.bad(f"{path}.path", f"{value!r} is not a normal path", "no //, /./ or /../")
    _backend(one.backend, f"{path}.backend", check)


def _backend(backend: IngressBackend, path: str, check: Check) -> None:
    if backend.service is None and backend.resource is None:
        check.missing(path, "a backend needs service or resource")
    elif backend.service is not None and backend.resource is not None:
        check.conflict(f"{path}.resource", "service and resource exclude each other")
    if backend.service is None:
        return
    port = backend.service.port
    if (port.name is None) == (port.number is None):
        check.missing(f"{path}.service.port", "exactly one of name and number must be given")
