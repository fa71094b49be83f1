"""ServiceEntries that Istio's webhook refuses. Source modelled: ValidateServiceEntry, 1.30."""

from __future__ import annotations

import ipaddress

from gwsim.resources.models.service_entry import ServiceEntry
from gwsim.resources.validation.check import Check, is_network
from gwsim.resources.validation.mesh import workload_entry


def check_service_entry(entry: ServiceEntry, check: Check) -> None:
    """Report what would be refused about a ServiceEntry."""
    if not entry.hosts:
        check.missing("hosts", "a ServiceEntry needs at least one host")
    for index, host in enumerate(entry.hosts):
        if host == "*":
            check.bad(f"hosts[{index}]", "host * is not allowed", "write e.g. *.example.com")
        elif "/" not in host:
            check.host(f"hosts[{index}]", host)
    _ports(entry, check)
    if entry.endpoints and entry.workload_selector:
        check.conflict("workloadSelector", "endpoints and workloadSelector exclude each other")
    _resolution(entry, check)
    _addresses(entry, check)
    for index, endpoint in enumerate(entry.endpoints):
        workload_entry(endpoint, f"endpoints[{index}]", check)


def _addresses(entry: ServiceEntry, check: Check) -> None:
    for index, address in enumerate(entry.addresses):
        if not is_network(address):
            check.bad(f"addresses[{index}]", f"{address!r} is neither an IP address nor a CIDR range")
        elif "/" in address and entry.resolution not in ("NONE", "STATIC"):
            check.bad(f"addresses[{index}]", f"a CIDR range is not allowed with resolution {entry.resolution}")
    plain = [port for port in entry.ports if _plain_tcp(port.protocol)]
    if len(entry.hosts) > 1 and plain and entry.resolution not in ("NONE", "DYNAMIC_DNS"):
        message = f"several hosts cannot share TCP port {plain[0].number}: only their addresses could tell them apart"
        check.bad("hosts", message, "write one ServiceEntry per host")


def _plain_tcp(protocol: str | None) -> bool:
    """Plain TCP, where a connection does not tell its host."""
    return (protocol or "").upper() in ("TCP", "MONGO", "REDIS", "MYSQL")


def _ports(entry: ServiceEntry, check: Check) -> None:
    names: set[str] = set()
    numbers: set[int] = set()
    for index, port in enumerate(entry.ports):
        if not port.name:
            check.missing(f"ports[{index}]", "the port needs a name")
        if port.name in names:
            check.bad(f"ports[{index}].name", f"port name {port.name!r} is given twice")
        if port.number in numbers:
            check.bad(f"ports[{index}].number", f"port {port.number} is given twice")
        if port.target_port is not None and not 1 <= port.target_port <= 65535:
            check.bad(f"ports[{index}].targetPort", f"port {port.target_port} is not between 1 and 65535")
        names.add(port.name)
        numbers.add(port.number)
    for index, endpoint in enumerate(entry.endpoints):
        for name in endpoint.ports:
            if name not in names:
                check.bad(f"endpoints[{index}].ports", f"the endpoint names port {name!r}, which the ServiceEntry does not have")


def _resolution(entry: ServiceEntry, check: Check) -> None:
    wildcard = any(host.startswith("*") for host in entry.hosts)
    if entry.resolution in ("NONE", "DYNAMIC_DNS") and entry.endpoints:
        check.conflict("endpoints", f"resolution {entry.resolution} admits no endpoints", "write resolution: STATIC or DNS")
    if entry.resolution == "STATIC":
        for index, endpoint in enumerate(entry.endpoints):
            if endpoint.address and not endpoint.address.startswith("unix://") and not _is_ip(endpoint.address):
                message = f"{endpoint.address!r} is not an IP address, as resolution STATIC wants"
                check.bad(f"endpoints[{index}].address", message, "write resolution: DNS for host names")
    if entry.resolution in ("DNS", "DNS_ROUND_ROBIN") and not entry.endpoints and wildcard and not entry.workload_selector:
        check.bad("resolution", f"a wildcard host cannot be resolved; resolution {entry.resolution} needs endpoints")
    if entry.resolution == "DNS_ROUND_ROBIN" and len(entry.endpoints) > 1:
        check.bad("endpoints", f"resolution DNS_ROUND_ROBIN admits one endpoint, not {len(entry.endpoints)}")
    if entry.resolution == "DYNAMIC_DNS" and not wildcard:
        check.bad("resolution", "resolution DYNAMIC_DNS is for wildcard hosts", "write resolution: DNS")


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
