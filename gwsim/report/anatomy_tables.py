"""Tables of the tail anatomy: causes with what is busy there, traits of the slow requests, and the slowest one by one."""

from __future__ import annotations

from gwsim.engine.codes import Component
from gwsim.engine.schema import RECORD_FIELDS
from gwsim.report.anatomy import Places, cause_name, listed, trait_text
from gwsim.report.emit.streams import flag_text
from gwsim.report.flags import NO_ANSWER
from gwsim.report.html_tables import NONE, Cell, Heading, Table
from gwsim.report.names import COMPONENTS
from gwsim.report.report import Report
from gwsim.report.text import milliseconds
from gwsim.units import format_duration_s, format_share

SLOWEST = 12


def tables(report: Report) -> tuple[Table, ...]:
    """Those that have rows."""
    if not report.results.verdict.meaningful:
        return ()
    return tuple(table for table in (_causes(report), _traits(report), _slowest(report)) if table.rows)


def _causes(report: Report) -> Table:
    made = report.results.anatomy
    headings = (
        Heading("Cause", False), Heading("p50 ms"), Heading("p95 ms"), Heading("p99 ms"), Heading("of the p99"), Heading("of the gap"),
        Heading("Busiest there", False),
    )
    if made is None:
        return Table("causes", "Causes of the tail", headings, ())
    places = Places(report.results)
    rows = [
        (
            Cell(cause_name(one, made, report.names)), *(Cell(_ms(time), time) for time in one.times_s),
            Cell(format_share(made.share(one, -1), 2), made.share(one, -1)), Cell(_signed(made.gap(one)), made.gap(one)), Cell(places.of(one) or NONE),
        )
        for one in listed(made)
    ]
    total = (
        Cell("all", style="total"), *(Cell(milliseconds(group.total_s), group.total_s) for group in made.groups), Cell("100 %", 1.0), Cell("100 %", 1.0), Cell(NONE),
    )
    counts = " / ".join(f"{group.count:,}" for group in made.groups)
    note = f"Means over the {counts} requests around the p50, the p95 and the p99. The gap is from the p50 to the p99."
    if made.estimated:
        note += " What happens beyond the first proxy is divided as the requests there were that took as long."
    return Table("causes", "Causes of the tail", headings, (*rows, total), note)


def _ms(seconds: float) -> str:
    return "0" if seconds < 5e-6 else milliseconds(seconds)


def _signed(share: float) -> str:
    return "0 %" if abs(share) < 0.0005 else format_share(share, 2) if share > 0 else f"−{format_share(-share, 2)}"


def _traits(report: Report) -> Table:
    made = report.results.contrast
    headings = (Heading("A slow request", False), Heading("of the slow"), Heading("of all"), Heading("times as often"))
    if made is None:
        return Table("traits", "What slow requests have in common", headings, ())
    rows = [
        (Cell(trait_text(one, report.names)), Cell(format_share(one.slow, 2), one.slow), Cell(format_share(one.usual, 2), one.usual), Cell(f"{one.factor:.3g} ×", one.factor))
        for one in made.traits
    ]
    note = (
        f"Slow: above the p{made.percent:g} ({format_duration_s(made.from_s)}), {made.records:,} of {made.sampled:,} sampled requests. "
        "Listed is what chance does not explain; it says where to look, not why."
    )
    return Table("traits", "What slow requests have in common", headings, tuple(rows), note)


def _slowest(report: Report) -> Table:
    headings = (
        Heading("Request", False), Heading("Route", False), Heading("sent at s"), Heading("ms"), Heading("Status", False), Heading("Worker", False),
        Heading("Backend pod", False), Heading("Mostly", False),
    )
    found = [
        (r, dict(zip(RECORD_FIELDS, row, strict=True)))
        for r, raw in enumerate(report.results.raws) for row in raw.slowest.tolist()
    ]
    sent = [(r, one) for r, one in found if not report.results.labels.classes[one["class_id"]].derived]
    ordered = sorted(sent, key=lambda pair: (pair[1]["start_ns"] - pair[1]["end_ns"], pair[0], pair[1]["source"], pair[1]["number"]))
    rows = tuple(_request(report, r, one) for r, one in ordered[:SLOWEST])
    return Table("slowest", "The slowest requests", headings, rows, "Of all replications: client, number of its request, and (after the dot) of the replication.")


def _request(report: Report, replication: int, one: dict[str, int]) -> tuple[Cell, ...]:
    labels = report.results.labels
    label, took = labels.classes[one["class_id"]], one["end_ns"] - one["start_ns"]
    largest = max(Component, key=lambda c: one[f"{c.name.lower()}_ns"])
    share = one[f"{largest.name.lower()}_ns"] / took if took else 0.0
    status = NO_ANSWER if one["status"] == 0 else str(one["status"])
    flags = flag_text(one["flags"])
    reached = one["gw_start_ns"] >= 0
    backend = report.names.backends[labels.stations[one["station"]].name] if one["station"] >= 0 else NONE
    return (
        Cell(f"{label.client} {one['number']} · {replication}"), Cell(label.route if label.route not in ("", "-") else "no route"),
        Cell(f"{one['start_ns'] * 1e-9:.3f}", one["start_ns"] * 1e-9), Cell(milliseconds(took * 1e-9), took * 1e-9),
        Cell(status if flags in ("", "-") else f"{status} {flags}"), Cell(labels.workers[one["worker"]].name if reached else NONE),
        Cell(backend), Cell(f"{COMPONENTS[largest]} {format_share(share, 2)}"),
    )


__all__ = ["tables"]
