"""ServiceEntries: TCP without addresses, and entries that disagree about a port."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import RawObject, mapping, mappings, number, text, texts
from gwsim.topology.lint.hosts import EVERYWHERE, scopes
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View

_ALLOCATED = ("ISTIO_META_DNS_AUTO_ALLOCATE", "PILOT_ENABLE_IP_AUTOALLOCATE")


def check_addresses(view: View) -> Iterator[Hit]:
    """TCP ports of entries that have no address and are given none by the DNS proxy."""
    metadata = view.mesh.proxy_metadata
    if text(metadata.get("ISTIO_META_DNS_CAPTURE")) == "true" and any(text(metadata.get(name)) == "true" for name in _ALLOCATED):
        return
    for entry in view.istio("ServiceEntry"):
        if entry.spec.get("addresses") is not None or mapping(entry.data.get("status")).get("addresses"):
            continue
        for at, port in enumerate(mappings(entry.spec.get("ports"))):
            if text(port.get("protocol")).upper() in ("", "TCP"):
                message = f"{entry.ref}: TCP port {number(port.get('number'))} without addresses takes that port for every destination"
                yield Hit(entry, f"ports[{at}]", message, "give addresses, or turn on DNS capture with address allocation in the mesh config")


def check_protocols(view: View) -> Iterator[Hit]:
    """Entries with a host and port in common, but not the protocol, visible to the same namespace."""
    index: dict[tuple[str, str, int], list[tuple[str, RawObject]]] = {}
    for entry in view.istio("ServiceEntry"):
        for scope in scopes(texts(entry.spec.get("exportTo")), entry.namespace):
            for host in texts(entry.spec.get("hosts")):
                for port in mappings(entry.spec.get("ports")):
                    key = (scope, host, number(port.get("number")))
                    index.setdefault(key, []).append((text(port.get("protocol")).upper(), entry))
    reported: set[int] = set()
    for (scope, host, value), found in index.items():
        seen = found if scope == EVERYWHERE else [*found, *index.get((EVERYWHERE, host, value), [])]
        protocols = sorted({protocol or "none" for protocol, _ in seen})
        if len(protocols) < 2:
            continue
        for _, entry in seen:
            if id(entry) not in reported:
                reported.add(id(entry))
                others = ", ".join(dict.fromkeys(one.full_name for _, one in seen if one is not entry)) or "itself"
                message = f"{entry.ref}: {host}:{value} is {' and '.join(protocols)}, together with {others}"
                yield Hit(entry, "hosts", message, "use one protocol, or narrow exportTo")


_ADDRESS = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: database, namespace: shop}
spec:
  hosts: [database.example]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 5432, name: %s}]
"""
_PROTOCOL = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: pay, namespace: shop}
spec:
  hosts: [pay.example]
  resolution: DNS
  ports: [{number: 443, name: https, protocol: HTTPS}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: pay, namespace: web}
spec:
  hosts: [pay.example]
  resolution: DNS
  ports: [{number: 443, name: https, protocol: %s}]
"""
RULES = (
    Rule(
        code="ADDRESSES_MISSING", check=check_addresses,
        trigger="A port's protocol is TCP or unset, and the entry has no `addresses` (nor in its status), while the mesh config does not turn on DNS capture with address allocation.",
        fix="Give `addresses`, or let Istio allocate them (`ISTIO_META_DNS_CAPTURE` with `ISTIO_META_DNS_AUTO_ALLOCATE`).",
        source="istio/istio pkg/config/analysis/analyzers/serviceentry/protocoladdresses.go",
        bad=_ADDRESS % "tcp, protocol: TCP", good=_ADDRESS % "tls, protocol: TLS",
    ),
    Rule(
        code="ENTRY_PROTOCOLS_CONFLICT", check=check_protocols,
        trigger="Several ServiceEntries that a namespace sees give one host and port different protocols.",
        fix="Use one protocol, or restrict `exportTo`.",
        source="istio/istio pkg/config/analysis/analyzers/serviceentry/conflictingserviceentries.go (1.31)",
        bad=_PROTOCOL % "TLS", good=_PROTOCOL % "HTTPS",
    ),
)
