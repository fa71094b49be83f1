"""From measured rows to a cost profile: which cost each row is, with its range and where it is from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from gwsim import costs
from gwsim.costs import CostProfile
from gwsim.envoy.calibrate.closed import STREAMS
from gwsim.envoy.calibrate.rounds import Row
from gwsim.envoy.calibrate.service_time import VISITS, Loop, Point
from gwsim.envoy.calibrate.subjects import BODY_BYTES

US, NS = 1e6, 1e9
HTTP2_DOWN = ("read_us", "read_stream_us", "write_down_us", "write_down_stream_us")
HTTP2_UP = ("write_up_us", "write_up_stream_us", "read_up_us", "read_up_stream_us")
HANDSHAKES = {
    "p256": "tls.handshake.p256.tls13_full_us", "rsa2048": "tls.handshake.rsa2048.tls13_full_us",
    "rsa4096": "tls.handshake.rsa4096.tls13_full_us", "resumed": "tls.handshake.tls13_resumed_us",
}  # fmt: skip
LOOP_DRIFT = 0.15
"""How far the service time differs between runs minutes apart on one machine: the loop's costs are never said narrower."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Everything a calibration found."""

    rows: tuple[Row, ...]
    limit_s: float
    loop: Loop
    points: tuple[Point, ...]
    rejected: float
    refused: Mapping[str, str]
    machine: Mapping[str, Any]
    date: str
    envoy: str
    realtime: bool
    seconds: float
    left_out: tuple[str, ...] = ()
    under_load: Mapping[str, float] = field(default_factory=dict)
    """What handshakes and filters add to a request under open-loop load, seconds, by subject."""
    under_load_rest: Mapping[str, float] = field(default_factory=dict)
    """CPU of those requests that the loop's costs are taken to explain."""

    def row(self, name: str) -> Row | None:
        """A row, if it was measured and is above the detection limit."""
        return next((one for one in self.rows if one.subject.name == name and one.resolved), None)


@dataclass(frozen=True, slots=True)
class Measured:
    """One cost of the profile, in its unit."""

    value: float
    spread: float
    note: str

    def leaf(self, unit: str, source: str, decimals: int = 4) -> dict[str, Any]:
        """As the profile writes it."""
        low = max(self.value - self.spread, 0.0)
        values = [float(f"{x:.{decimals}g}") for x in (self.value, low, self.value + self.spread)]
        return {"value": values[0], "unit": unit, "range": [min(values[0], values[1]), max(values[0], values[2])], "confidence": "high", "source": f"{source}: {self.note}"}


def measured(made: Calibration) -> dict[str, Measured]:
    """Costs by their path in the profile; what was below the resolution is not among them."""
    shipped = costs.load()
    found: dict[str, Measured] = {}
    loop = made.loop
    share = max(loop.visits_spread_s / loop.visits_s, LOOP_DRIFT)
    whole = sum(shipped[f"http1.{name}_us"].value for name in VISITS)
    for name in VISITS:
        value = loop.visits_s * US * shipped[f"http1.{name}_us"].value / whole
        found[f"http1.{name}_us"] = Measured(value, share * value, f"share of {loop.visits_s * US:.1f} us for the four visits, fitted to open-loop load; the split is the shipped profile's")
    wakeup = loop.wakeup_s * US
    if loop.identified:
        found["worker.wakeup_us"] = Measured(wakeup, max(loop.wakeup_spread_s * US, LOOP_DRIFT * wakeup), "fitted with http1.*, wake-ups counted")
    found["worker.iteration_us"] = Measured(loop.iteration_s * US, share * loop.iteration_s * US, "in the shipped profile's ratio to the visits")
    _connections(made, shipped, found)
    _protocols(made, shipped, found)
    for name, path in HANDSHAKES.items():
        if (row := made.row(name)) is not None and row.net_s > 0:
            found[path] = _cold(made, row, "new connections less plain ones, wake-ups taken off")
    if (row := made.row("body")) is not None and row.net_s > 0:
        each, spread = row.net_s / BODY_BYTES * NS / 2, row.spread_s / BODY_BYTES * NS / 2
        for path in ("body.read_ns_per_byte", "body.write_ns_per_byte"):
            found[path] = Measured(each, spread, f"a response of {BODY_BYTES // 1024} KiB less a small one, half read and half written")
    if (row := made.row("tls_kept")) is not None and row.net_s > 0:
        found["tls.record_us"] = Measured(row.net_s * US / 2, row.spread_s * US / 2, "TLS on kept connections less plain ones, two records")
    for row in made.rows:
        if row.subject.spec and row.resolved and row.net_s > 0:
            _filter(made, row, shipped, found)
    return found


def _cold(made: Calibration, row: Row, note: str) -> Measured:
    """A cost under open-loop load, where caches are cold; its range reaches down to what a closed loop, in which they are warm, took."""
    loaded = made.under_load.get(row.subject.name)
    if loaded is None:
        return Measured(row.net_s * US, row.spread_s * US, note)
    # What the loop's costs explain of such a request is known no better than they are, and the rest is what is left.
    rest = LOOP_DRIFT * made.under_load_rest.get(row.subject.name, 0.0)
    spread = math.hypot(max(abs(loaded - row.net_s), row.spread_s), rest)
    return Measured(loaded * US, spread * US, f"under open-loop load; {row.net_s * US:.4g} in a closed loop: {note}")


def _scaled(found: dict[str, Measured], shipped: CostProfile, paths: Sequence[str], total_s: float, spread_s: float, each: Mapping[str, float], note: str) -> None:
    """Share a measured total out over paths as the shipped profile does; `each`: how often each is paid."""
    whole = sum(shipped[path].value * each.get(path, 1.0) for path in paths)
    for path in paths:
        factor = shipped[path].value / whole
        found[path] = Measured(total_s * US * factor, spread_s * US * factor, note)


def _with_turn(made: Calibration, row: Row) -> float:
    """The spread of a row from which a turn of the loop was taken, whose own cost is known no better than the visits'."""
    loop = made.loop
    return math.hypot(row.spread_s, loop.iteration_s * max(loop.visits_spread_s / loop.visits_s, LOOP_DRIFT))


def _with_base(found: Mapping[str, Measured], row: Row, *visits: str) -> float:
    """The spread of a row to which visits of the base were added."""
    return math.hypot(row.spread_s, sum(found[f"http1.{name}_us"].spread for name in visits) / US)


def _connections(made: Calibration, shipped: CostProfile, found: dict[str, Measured]) -> None:
    row = made.row("new")
    if row is None:
        return
    # Accepting and closing are two more turns of the loop, shared with the other connections in flight.
    total = row.net_s - made.loop.iteration_s
    if total > 0:
        paths = ("connections.accept_us", "connections.close_us")
        _scaled(found, shipped, paths, total, _with_turn(made, row), {}, "a new connection for every request less a kept one, split as in the shipped profile")


def _protocols(made: Calibration, shipped: CostProfile, found: dict[str, Measured]) -> None:
    base = {name: found[f"http1.{name}_us"].value / US for name in VISITS}
    streams = {f"http2.{name}": (1.0 if "stream" in name else 1.0 / STREAMS) for name in (*HTTP2_DOWN, *HTTP2_UP)}
    into, both, tcp = made.row("http2_in"), made.row("http2_both"), made.row("tcp")
    if into is not None:
        total = base["read"] + base["write_down"] + into.net_s
        if total > 0:
            note = f"HTTP/2 less HTTP/1.1 downstream with {STREAMS} streams in flight, split as in the shipped profile"
            _scaled(found, shipped, [f"http2.{name}" for name in HTTP2_DOWN], total, _with_base(found, into, "read", "write_down"), streams, note)
    if both is not None:
        total = base["write_up"] + base["read_up"] + both.net_s
        if total > 0:
            note = f"HTTP/2 less HTTP/1.1 upstream with {STREAMS} streams in flight, split as in the shipped profile"
            _scaled(found, shipped, [f"http2.{name}" for name in HTTP2_UP], total, _with_base(found, both, "write_up", "read_up"), streams, note)
    if tcp is not None:
        total = tcp.net_s - made.loop.iteration_s
        if total > 0:
            _scaled(found, shipped, [f"tcp.{name}_us" for name in VISITS], total, _with_turn(made, tcp), {}, "TCP proxy on kept connections less a turn of the loop, split as in the shipped profile")


def _filter(made: Calibration, row: Row, shipped: CostProfile, found: dict[str, Measured]) -> None:
    name, _, count = row.subject.spec.partition(":")
    parts = shipped.below(f"filters.{name}")
    each = {f"filters.{name}.{part}": (float(count or 1) if cost.unit == "us_per_item" else 1.0) for part, cost in parts.items()}
    cost = _cold(made, row, f"{row.subject.title} less none, on kept connections")
    _scaled(found, shipped, list(each), cost.value / US, cost.spread / US, each, cost.note)


def speed(made: Calibration) -> float:
    """How fast this machine is, relative to the shipped profile's: for the costs that were not measured."""
    shipped, found = costs.load(), measured(made)
    known = [path for path in ("http1.read_us", *list(HANDSHAKES.values())[:3]) if path in found]
    return float(np.median([shipped[path].value / found[path].value for path in known]))


def laid_over_shipped(made: Calibration) -> CostProfile:
    """The shipped profile with the calibration laid over it, as `--costs` would."""
    with TemporaryDirectory(prefix="gwsim-costs-") as folder:
        file = Path(folder) / "calibration.yaml"
        file.write_text(text(made), encoding="utf-8")
        return costs.load().merge(file)


# --- the file --------------------------------------------------------------------------------------------------


def text(made: Calibration) -> str:
    """The profile as YAML."""
    import yaml

    shipped = costs.load()
    source = f"measured {made.date}, Envoy {made.envoy}"
    tree: dict[str, Any] = {}
    for path, one in sorted(measured(made).items(), key=lambda item: list(shipped.costs).index(item[0])):
        steps = path.split(".")
        at = tree
        for step in steps[:-1]:
            at = at.setdefault(step, {})
        at[steps[-1]] = one.leaf(shipped[path].unit, source)
    document = {
        "apiVersion": "gwsim.costs/v1", "name": f"calibration of {made.date}", "calibrated": True, "speed": float(f"{speed(made):.3g}"),
        "machine": {
            **made.machine, "envoy": made.envoy, "measured": made.date, "seconds": round(made.seconds),
            "realtime_priority": made.realtime, "slices_rejected": float(f"{made.rejected:.3g}"),
            "detection_limit_us": float(f"{made.limit_s * US:.3g}"),
            "service_time": [
                {
                    "rps": round(one.rate_rps), "utilisation": float(f"{one.utilisation:.3g}"), "us_per_request": float(f"{one.service_s * US:.4g}"),
                    "spread_us": float(f"{one.spread_s * US:.3g}"), "wakeups_per_request": float(f"{one.sleeps:.3g}"), "model_over_measured": float(f"{1 + off:.3g}"),
                }
                for one, off in zip(made.points, made.loop.residuals, strict=True)
            ],
            "below_resolution": [one.subject.title for one in made.rows if not one.resolved],
            "not_measured": [*(f"{name}: {why}" for name, why in made.refused.items()), *made.left_out],
        },
        "costs": tree,
    }  # fmt: skip
    head = (
        "# Costs measured by gwsim calibrate on the machine below. Use: gwsim run --costs THIS_FILE\n"
        "# `speed` is for the costs that are not here (Istio's own filters among them): stock Envoy does not have them.\n"
    )
    return head + str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=160, default_flow_style=None))


__all__ = ["Calibration", "Measured", "laid_over_shipped", "measured", "speed", "text"]
