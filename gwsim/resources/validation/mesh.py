"""Sidecars, WorkloadEntries, WorkloadGroups and PeerAuthentications that Istio's webhook refuses.

Source modelled: istio/istio pkg/config/validation/validation.go (`ValidateSidecar`, `ValidateWorkloadEntry`,
`ValidateWorkloadGroup`, `ValidatePeerAuthentication`), 1.30.
"""

from __future__ import annotations

import re

from gwsim.resources.models.mesh import (
    EgressListener,
    IngressListener,
    PeerAuthentication,
    RegisteredWorkload,
    Sidecar,
    WorkloadGroup,
)
from gwsim.resources.models.service_entry import WorkloadEntry
from gwsim.resources.validation.check import Check, is_address

_ENDPOINT = re.compile(r"(?:127\.0\.0\.1|0\.0\.0\.0|\[::1?\]):(\d+)$")


def check_sidecar(sidecar: Sidecar, check: Check) -> None:
    """Report what would be refused about a Sidecar."""
    parts = (sidecar.ingress, sidecar.egress, sidecar.outbound_traffic_policy, sidecar.inbound_connection_pool)
    if not any(parts):
        check.missing("", "a Sidecar needs ingress, egress, outboundTrafficPolicy or inboundConnectionPool")
    ports: set[int] = set()
    for index, listener in enumerate(sidecar.ingress):
        _ingress(listener, f"ingress[{index}]", ports, check)
    taken: set[tuple[str, int]] = set()
    for index, egress in enumerate(sidecar.egress):
        _egress(egress, f"egress[{index}]", taken, check, last=index == len(sidecar.egress) - 1)
    policy = sidecar.outbound_traffic_policy
    proxy = policy.egress_proxy if policy is not None else None
    if policy is not None and proxy is not None:
        if policy.mode != "ALLOW_ANY":
            check.conflict("outboundTrafficPolicy.egressProxy", "egressProxy needs mode ALLOW_ANY")
        if "." not in proxy.host:
            check.bad("outboundTrafficPolicy.egressProxy.host", f"{proxy.host!r} is not a full name")
        if proxy.port is None:
            check.missing("outboundTrafficPolicy.egressProxy", "egressProxy needs a port")


def _ingress(listener: IngressListener, path: str, ports: set[int], check: Check) -> None:
    number = listener.port.number
    if not 1 <= number <= 65535:
        check.bad(f"{path}.port.number", f"port {number} is not between 1 and 65535")
    elif number in ports:
        check.bad(f"{path}.port.number", f"port {number} is given twice")
    ports.add(number)
    if listener.bind and not is_address(listener.bind):
        check.bad(f"{path}.bind", f"{listener.bind!r} is not an address")
    endpoint = listener.default_endpoint
    if endpoint and not endpoint.startswith("unix://") and not _ENDPOINT.match(endpoint):
        check.bad(
            f"{path}.defaultEndpoint", f"{endpoint!r} is not the workload itself", "write e.g. 127.0.0.1:8080 or 0.0.0.0:8080"
        )


def _egress(listener: EgressListener, path: str, taken: set[tuple[str, int]], check: Check, *, last: bool) -> None:
    unix = (listener.bind or "").startswith("unix://")
    if listener.port is None:
        if not last:
            check.bad(path, "only the last egress listener may be without a port")
        if listener.bind:
            check.missing(path, "an egress listener with bind needs a port")
    else:
        key = (listener.bind or "", listener.port.number)
        if unix and listener.port.number:
            check.bad(f"{path}.port.number", "a Unix socket has no port number")
        elif not unix and not 1 <= listener.port.number <= 65535:
            check.bad(f"{path}.port.number", f"port {listener.port.number} is not between 1 and 65535")
        elif key in taken:
            check.bad(f"{path}.port.number", f"port {listener.port.number} is given twice")
        taken.add(key)
    if unix and listener.capture_mode == "IPTABLES":
        check.conflict(f"{path}.captureMode", "a Unix socket cannot be captured by iptables")
    if not listener.hosts:
        check.missing(f"{path}.hosts", "an egress listener needs at least one host")
    for index, host in enumerate(listener.hosts):
        namespace, slash, name = host.partition("/")
        if not slash or not namespace or not name:
            check.bad(f"{path}.hosts[{index}]", f"{host!r} is not namespace/host", "write e.g. ./*, */*.example.com or ns/*")
        elif namespace == "~" and name != "*":
            check.bad(f"{path}.hosts[{index}]", "~ goes only with *: ~/*")
        else:
            check.host(f"{path}.hosts[{index}]", name)


def check_registered_workload(workload: RegisteredWorkload, check: Check) -> None:
    """Report what would be refused about a WorkloadEntry."""
    workload_entry(workload.entry, "", check)


def workload_entry(entry: WorkloadEntry, path: str, check: Check, *, template: bool = False) -> None:
    """Report what would be refused about an endpoint, whichever object holds it."""
    address = entry.address or ""
    if not address:
        if not entry.network and not template:
            check.missing(path, "the endpoint needs an address, or the network it is reached through")
    elif address.startswith("unix://"):
        if not address.removeprefix("unix://").startswith(("/", "@")):
            check.bad(f"{path}.address".lstrip("."), f"{address!r} is not an absolute path")
        elif address.endswith("/"):
            check.bad(f"{path}.address".lstrip("."), f"{address!r} is a folder, not a socket")
        if entry.ports:
            check.conflict(f"{path}.ports".lstrip("."), "a Unix socket has no ports")
    elif not is_address(address):
        check.host(f"{path}.address".lstrip("."), address, wildcard=False)


def check_workload_group(group: WorkloadGroup, check: Check) -> None:
    """Report what would be refused about a WorkloadGroup."""
    workload_entry(group.template, "template", check, template=True)
    if group.probe is not None:
        probes = ("http_get", "tcp_socket", "exec", "grpc")
        given = [name for name in probes if getattr(group.probe, name) is not None]
        if len(given) != 1:
            check.bad("probe", f"a probe is exactly one of httpGet, tcpSocket, exec and grpc, not {len(given)} of them")


def check_peer_authentication(policy: PeerAuthentication, check: Check) -> None:
    """Report what would be refused about a PeerAuthentication."""
    if policy.port_level_mtls and not (policy.selector and policy.selector.match_labels):
        check.conflict("portLevelMtls", "portLevelMtls needs a selector", "write selector: {matchLabels: {app: ...}}")
    for port in policy.port_level_mtls:
        if not port.isdigit() or not 1 <= int(port) <= 65535:
            check.bad("portLevelMtls", f"{port!r} is not a port")
