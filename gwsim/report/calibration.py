"""A calibration on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from gwsim import costs
from gwsim.envoy.calibrate.profile import Calibration, measured
from gwsim.report.lines import EMPTY, Column, Line, Part, line, paragraph, table
from gwsim.report.text import INDENT

US = 1e6


def lines(made: Calibration, wrote: Sequence[str] = ()) -> list[Line]:
    """What was measured, the costs it comes to beside the shipped ones, and what could not be told."""
    machine = made.machine
    rows = [line(Part("CALIBRATION".ljust(INDENT), "bold"), f"{machine.get('cpu')}, {machine.get('cores')} cores, Envoy {made.envoy}, {made.date}, {made.seconds:.0f} s")]
    rows += [EMPTY, *_rows(made), EMPTY, *_loop(made), EMPTY, *_costs(made), EMPTY]
    rejected = f"{made.rejected:.0%} of the slices were thrown away: the worker waited for its core"
    notes = [rejected, *(f"{name} was not measured: {why}" for name, why in made.refused.items()), *made.left_out]
    if made.realtime:
        notes.append("measured with real-time priority: other work on the machine waited meanwhile")
    for n, note in enumerate(notes):
        rows += paragraph("" if n else "NOTES", note, indent=INDENT)
    if wrote:
        rows += paragraph("WROTE", f"{wrote[0]}; use it with gwsim run --costs {wrote[0]}", indent=INDENT)
    return rows


def _rows(made: Calibration) -> list[Line]:
    columns = [Column("MEASURED, us of worker CPU a request", right=False), Column("gross"), Column("net"), Column("±"), Column("slices")]
    body: list[list[str | Part]] = []
    for one in made.rows:
        net: str | Part = f"{one.net_s * US:.1f}" if one.resolved else Part("below resolution", "yellow")
        body.append([one.subject.title, f"{one.gross_s * US:.1f}", net, f"{one.spread_s * US:.1f}" if one.resolved else "", str(one.kept)])
    note = f"gross: less wake-ups at {made.loop.wakeup_s * US:.0f} us; net: less what it is held against; detection limit {made.limit_s * US:.1f} us (A/A)"
    return [*table(columns, body), *paragraph("", note, indent=2)]


def _loop(made: Calibration) -> list[Line]:
    columns = [Column("OPEN LOOP", right=False), Column("busy"), Column("us a request"), Column("±"), Column("wake-ups"), Column("model ÷ measured")]
    body: list[list[str | Part]] = [
        [f"{one.rate_rps:,.0f} rps", f"{one.utilisation:.0%}", f"{one.service_s * US:.1f}", f"{one.spread_s * US:.1f}", f"{one.sleeps:.2f}", f"{1 + off:.2f}"]
        for one, off in zip(made.points, made.loop.residuals, strict=True)
    ]
    return table(columns, body)


def _costs(made: Calibration) -> list[Line]:
    shipped = costs.load()
    columns = [Column("COST", right=False), Column("value"), Column("range"), Column("shipped"), Column("shipped range")]
    body: list[list[str | Part]] = []
    for path, one in measured(made).items():
        known = shipped[path]
        body.append([path, f"{one.value:.4g}", f"{max(one.value - one.spread, 0):.4g} to {one.value + one.spread:.4g}", f"{known.value:g}", f"{known.low:g} to {known.high:g}"])
    return table(columns, body)


__all__ = ["lines"]
