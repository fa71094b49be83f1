"""A predicted recording as a few tables of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_MS = ("mean", "p50", "p90", "p99", "max")


def text(found: Mapping[str, Any]) -> str:
    """What `gwsim verify replay` prints without -o json."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['requests']:,} requests in {found['duration_s']:.1f} s, {found['replications']} replications ({found['engine']} engine)"
    yield ""
    for name, title in (("status", "STATUS"), ("flags", "FLAGS"), ("endpoints", "ENDPOINT")):
        yield f"{title:<58} {'COUNT':>10}   99 % OF RUNS"
        for key, one in found["counts"][name].items():
            yield f"{key:<58} {one['count']:>10,.1f}   {one['low']:,.0f} to {one['high']:,.0f}"
        yield ""
    for one in found["ejections"]:
        until = "the end" if one["until_s"] is None else f"{one['until_s']:.2f} s"
        yield f"ejected: {one['endpoint']} by {one['pod']} at {one['at_s']:.2f} s until {until} (in {one['share_of_runs']:.0%} of the runs)"
    use = found["utilisation"]
    yield f"utilisation of a worker {use['mean']:.3f}, of the busiest {use['busiest']:.3f}"
    latency = found["latency_s"]
    if latency:
        yield "latency, ms: " + ", ".join(f"{name} {1e3 * latency[name]['value']:.2f}" for name in _MS)
    for told in found["assumptions"]:
        yield f"assumed: {told}"


__all__ = ["text"]
