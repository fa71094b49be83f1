"""Gateways, ListenerSets, grants and policies that the API server refuses.

Source modelled: the CRDs of kubernetes-sigs/gateway-api 1.5 (limits, patterns and CEL rules of apis/v1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gwsim.resources.models.gateway_api import (
    BackendTLSPolicy,
    FrontendValidation,
    GatewayListener,
    KubernetesGateway,
    ListenerSet,
    ListenerTls,
    ObjectReference,
    PolicyTarget,
    ReferenceGrant,
    XBackendTrafficPolicy,
)
from gwsim.resources.validation.check import Check

_HOSTNAME = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SECTION = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
MAX_ADDRESSES = 16
MAX_CERTIFICATES = 64
MAX_GRANTS = 16
MAX_LISTENERS = 64
MAX_TARGETS = 16


def check_count(check: Check, path: str, items: Sequence[object], most: int, least: int = 0) -> None:
    """A list must have `least` to `most` items."""
    if len(items) < least:
        check.missing(path, f"{path.rpartition('.')[2]} needs at least {least} item{'s' if least > 1 else ''}")
    if len(items) > most:
        check.bad(path, f"there are {len(items)} items; the Gateway API allows {most}")


def check_hostname(check: Check, path: str, hostname: str, *, wildcard: bool = True) -> None:
    """A host name in lower case; `*.` may begin it where wildcards are allowed."""
    if not wildcard and hostname.startswith("*"):
        check.bad(path, f"{hostname!r}: a wildcard is not allowed here")
    elif len(hostname) > 253 or not _HOSTNAME.fullmatch(hostname):
        check.bad(path, f"{hostname!r} is not a host name", "write it in lower case, e.g. shop.example or *.shop.example")


def check_name(check: Check, path: str, name: str) -> None:
    """The name of a listener or rule."""
    if len(name) > 253 or not _SECTION.fullmatch(name):
        check.bad(path, f"{name!r} is not a name", "lower-case letters, digits, - and . are allowed")


def check_kubernetes_gateway(gateway: KubernetesGateway, check: Check) -> None:
    """Report what would be refused about a Gateway."""
    check_count(check, "listeners", gateway.listeners, MAX_LISTENERS, 1)
    check_count(check, "addresses", gateway.addresses, MAX_ADDRESSES)
    _listeners(gateway.listeners, check)
    seen: set[tuple[str, str]] = set()
    for index, address in enumerate(gateway.addresses):
        key = (address.type, address.value or "")
        if address.value and key in seen:
            check.bad(f"addresses[{index}]", f"{address.type} {address.value} is given twice")
        seen.add(key)
    _frontend(gateway, check)
    allowed = gateway.allowed_listeners
    if allowed is not None and allowed.namespaces is not None:
        space = allowed.namespaces
        if space.from_ == "Selector" and space.selector is None:
            check.missing("allowedListeners.namespaces", "from: Selector needs a selector")


def _frontend(gateway: KubernetesGateway, check: Check) -> None:
    frontend = gateway.tls.frontend if gateway.tls is not None else None
    if frontend is None:
        return
    ports: set[int] = set()
    for index, one in enumerate(frontend.per_port):
        if one.port in ports:
            check.bad(f"tls.frontend.perPort[{index}].port", f"port {one.port} is given twice")
        ports.add(one.port)
        _validation(one.tls.validation, f"tls.frontend.perPort[{index}].tls.validation", check)
    if frontend.default is not None:
        _validation(frontend.default.validation, "tls.frontend.default.validation", check)


def _validation(validation: FrontendValidation | None, path: str, check: Check) -> None:
    if validation is not None:
        check_count(check, f"{path}.caCertificateRefs", validation.ca_certificate_refs, 8, 1)


def check_listener_set(listeners: ListenerSet, check: Check) -> None:
    """Report what would be refused about a ListenerSet."""
    check_count(check, "listeners", listeners.listeners, MAX_LISTENERS, 1)
    _listeners(listeners.listeners, check, port_optional=True)


def _listeners(listeners: Sequence[GatewayListener], check: Check, *, port_optional: bool = False) -> None:
    names: set[str] = set()
    servers: dict[tuple[int | None, str, str], str] = {}
    for index, listener in enumerate(listeners):
        path = f"listeners[{index}]"
        check_name(check, f"{path}.name", listener.name)
        if listener.name in names:
            check.bad(f"{path}.name", f"listener name {listener.name!r} is given twice")
        names.add(listener.name)
        if listener.port is None and not port_optional:
            check.missing(f"{path}.port", "port is missing")
        key = (listener.port, listener.protocol, listener.hostname or "")
        if key in servers:
            check.conflict(path, f"port, protocol and hostname are those of listener {servers[key]} already")
        servers.setdefault(key, listener.name)
        _listener(listener, path, check)


def _listener(listener: GatewayListener, path: str, check: Check) -> None:
    protocol = listener.protocol
    if listener.hostname:
        if protocol in ("TCP", "UDP"):
            check.conflict(f"{path}.hostname", f"a listener of protocol {protocol} has no hostname")
        check_hostname(check, f"{path}.hostname", listener.hostname)
    tls = listener.tls
    if tls is not None and protocol in ("HTTP", "TCP", "UDP"):
        check.conflict(f"{path}.tls", f"a listener of protocol {protocol} has no tls", "use HTTPS or TLS")
    elif tls is not None:
        _listener_tls(listener, tls, f"{path}.tls", check)
    elif protocol == "TLS":
        check.missing(path, "a listener of protocol TLS needs tls.mode", "write tls: {mode: Passthrough} or Terminate")
    space = listener.allowed_routes.namespaces if listener.allowed_routes is not None else None
    if space is not None and space.from_ == "Selector" and space.selector is None:
        check.missing(f"{path}.allowedRoutes.namespaces", "from: Selector needs a selector")


def _listener_tls(listener: GatewayListener, tls: ListenerTls, path: str, check: Check) -> None:
    if listener.protocol == "HTTPS" and tls.mode == "Passthrough":
        check.conflict(f"{path}.mode", "a listener of protocol HTTPS terminates TLS", "use protocol TLS to pass it through")
    if tls.mode != "Passthrough" and not tls.certificate_refs and not tls.options:
        check.missing(path, "TLS that is terminated needs certificateRefs or options")
    check_count(check, f"{path}.certificateRefs", tls.certificate_refs, MAX_CERTIFICATES)


def check_reference_grant(grant: ReferenceGrant, check: Check) -> None:
    """Report what would be refused about a ReferenceGrant."""
    check_count(check, "from", grant.from_, MAX_GRANTS, 1)
    check_count(check, "to", grant.to, MAX_GRANTS, 1)


def _targets(targets: Sequence[PolicyTarget], check: Check) -> None:
    check_count(check, "targetRefs", targets, MAX_TARGETS, 1)
    seen: dict[tuple[str, str, str], set[str]] = {}
    for index, target in enumerate(targets):
        sections = seen.setdefault((target.group, target.kind, target.name), set())
        section = target.section_name or ""
        if section in sections:
            check.bad(f"targetRefs[{index}]", "the target is given twice", "tell its ports apart with sectionName")
        elif sections and ("" in sections or not section):
            check.missing(f"targetRefs[{index}]", "targets of the same object need a sectionName each")
        sections.add(section)


def check_backend_tls_policy(policy: BackendTLSPolicy, check: Check) -> None:
    """Report what would be refused about a BackendTLSPolicy."""
    _targets(policy.target_refs, check)
    validation = policy.validation
    check_hostname(check, "validation.hostname", validation.hostname, wildcard=False)
    known, refs = validation.well_known_ca_certificates, validation.ca_certificate_refs
    if known and refs:
        check.conflict("validation.wellKnownCACertificates", "caCertificateRefs and wellKnownCACertificates exclude each other")
    elif not known and not refs:
        check.missing("validation", "either caCertificateRefs or wellKnownCACertificates must be given")
    _authorities(refs, check)
    for index, name in enumerate(validation.subject_alt_names):
        path = f"validation.subjectAltNames[{index}]"
        if name.type == "Hostname" and not name.hostname:
            check.missing(path, "type Hostname needs hostname")
        elif name.type == "URI" and not name.uri:
            check.missing(path, "type URI needs uri")


def _authorities(refs: Sequence[ObjectReference], check: Check) -> None:
    check_count(check, "validation.caCertificateRefs", refs, 8)
    for index, ref in enumerate(refs):
        if ref.kind is None or ref.group is None:
            check.missing(f"validation.caCertificateRefs[{index}]", "group and kind are needed", 'write group: "" and kind: ConfigMap')


def check_backend_traffic_policy(policy: XBackendTrafficPolicy, check: Check) -> None:
    """Report what would be refused about an XBackendTrafficPolicy."""
    _targets(policy.target_refs, check)
    budget = policy.retry_constraint.budget if policy.retry_constraint is not None else None
    if budget is not None and budget.percent is not None and budget.percent > 100:
        check.bad("retryConstraint.budget.percent", f"{budget.percent} is not between 0 and 100")
