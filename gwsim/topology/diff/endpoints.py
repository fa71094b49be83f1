"""Endpoints of a cluster on both sides. Files name pods, a dump has their addresses: then what they are is counted."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator

from gwsim.topology.diff.differences import Difference, FieldChange
from gwsim.topology.diff.plain import facts
from gwsim.topology.upstream import Cluster, Endpoint

PLACEMENT = "where pods run is assumed from files"
_ADDRESS = ("address", "port")


def is_address(text: str) -> bool:
    """Whether the text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def compare_endpoints(left: Cluster, right: Cluster, *, by_address: bool, excuse: str) -> Iterator[Difference]:
    """The differences; `by_address` False: only where both sides have addresses."""
    where = (f"cluster {left.name}",)
    addresses = by_address or (
        all(is_address(one.address) for one in left.endpoints) or left.discovery in ("STRICT_DNS", "LOGICAL_DNS")
    )
    if addresses:
        yield from _by_address(left, right, where, excuse, told=by_address)
    else:
        yield from _by_kind(left, right, where, excuse)


def _by_address(
    left: Cluster, right: Cluster, where: tuple[str, ...], excuse: str, *, told: bool
) -> Iterator[Difference]:
    ours = {(one.address, one.port): one for one in left.endpoints}
    theirs = {(one.address, one.port): one for one in right.endpoints}
    hidden = frozenset() if told else frozenset(["labels", "pod", "workload", "network", "cluster"])
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        name = f"{key[0]}:{key[1]}"
        a, b = ours.get(key), theirs.get(key)
        if a is None or b is None:
            change = "added" if a is None else "removed"
            yield Difference(
                kind="endpoint", change=change, name=name, where=where, excuse=excuse, left=left.origin, right=right.origin  # type: ignore[arg-type]
            )
            continue
        one, other = facts(a, without=hidden), facts(b, without=hidden)
        changed = tuple(FieldChange(name=field, left=one[field], right=other[field]) for field in one if one[field] != other.get(field))
        if changed:
            yield Difference(
                kind="endpoint", change="changed", name=name, where=where, fields=changed, excuse=excuse, left=left.origin, right=right.origin
            )


def _kind(one: Endpoint, *, workload: bool) -> tuple[str, int, int, bool, bool]:
    return (one.workload if workload else "", one.port, one.weight, one.mtls, one.healthy)


def _by_kind(left: Cluster, right: Cluster, where: tuple[str, ...], excuse: str) -> Iterator[Difference]:
    told = all(one.workload for one in (*left.endpoints, *right.endpoints))
    ours = Counter(_kind(one, workload=told) for one in left.endpoints)
    theirs = Counter(_kind(one, workload=told) for one in right.endpoints)
    if ours != theirs:
        for kind in dict.fromkeys([*ours, *theirs]):
            if ours[kind] != theirs[kind]:
                change = FieldChange(name="count", left=ours[kind], right=theirs[kind])
                yield Difference(
                    kind="endpoint", change="changed", name=_describe(kind), where=where, fields=(change,), excuse=excuse,
                    left=left.origin, right=right.origin,
                )  # fmt: skip
        return
    here = Counter(str(one.locality) for one in left.endpoints)
    there = Counter(str(one.locality) for one in right.endpoints)
    if here != there:
        change = FieldChange(name="localities", left=dict(here), right=dict(there), excuse=PLACEMENT)
        yield Difference(kind="endpoint", change="changed", name="all", where=where, fields=(change,), left=left.origin)


def _describe(kind: tuple[str, int, int, bool, bool]) -> str:
    workload, port, weight, mtls, healthy = kind
    parts = [workload or "endpoints", f"port {port}", "mutual TLS" if mtls else "plaintext"]
    if weight != 1:
        parts.append(f"weight {weight}")
    if not healthy:
        parts.append("unhealthy")
    return ", ".join(parts)
