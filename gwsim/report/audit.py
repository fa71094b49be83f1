"""The answer to `gwsim route audit`: every workload's ways out of the mesh, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gwsim.queries.audit import UNDECLARED, Exit, Way
from gwsim.report.lines import EMPTY, Column, Line, line, table

SCHEMA = "gwsim/audit/v1"
BAD = (Exit.PAST, Exit.UNWATCHED)
_SAID = {Exit.PAST: "past the gateway", Exit.DIRECT: "direct", Exit.UNWATCHED: "unwatched: no sidecar"}


def text(ways: Sequence[Way]) -> list[Line]:
    """A row for each workload and host, and what they come to."""
    columns = [Column(name, right=False) for name in ("WORKLOAD", "HOST", "PORT", "WAY")]
    rows = [[_workload(one), _host(one), f"{one.port} {one.protocol}" if one.port else "-", _way(one)] for one in ways]
    past = sorted({_workload(one) for one in ways if one.exit is Exit.PAST})
    unwatched = sum(one.exit is Exit.UNWATCHED for one in ways)
    said = f"{len(past)} workload{'s' if len(past) != 1 else ''} can pass an egress gateway by" + (f": {', '.join(past)}" if past else "")
    lines = [*table(columns, rows), EMPTY, line(said)]
    return [*lines, line(f"{unwatched} without a sidecar: only a NetworkPolicy decides what they reach")] if unwatched else lines


def as_json(ways: Sequence[Way]) -> str:
    """All ways, in the order of the table."""
    plain = [
        {
            "cluster": one.cluster, "workload": one.workload, "host": one.host, "port": one.port, "protocol": one.protocol,
            "exit": str(one.exit), "gateways": list(one.gateways), "status": one.status, "reason": one.reason,
        }
        for one in ways
    ]  # fmt: skip
    return json.dumps({"schema": SCHEMA, "ways": plain}, indent=2) + "\n"


def _workload(way: Way) -> str:
    return f"{way.cluster}/{way.workload}" if way.cluster else way.workload


def _host(way: Way) -> str:
    return {UNDECLARED: "any other", "*": "anything"}.get(way.host, way.host)


def _way(way: Way) -> str:
    if way.exit is Exit.GATEWAY:
        return f"through {', '.join(way.gateways)}"
    if way.exit is Exit.REFUSED:
        where = f" at {way.gateways[-1]}" if way.gateways else ""
        return f"refused{where}: {way.status or 'connection closed'}"
    return _SAID[way.exit]


__all__ = ["BAD", "as_json", "text"]
