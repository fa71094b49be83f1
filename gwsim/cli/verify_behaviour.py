"""`gwsim verify behaviour`: the suite of behaviours on a real Envoy and in the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.output import Format, notice, write
from gwsim.errors import ExitCode

if TYPE_CHECKING:
    from gwsim.envoy.verify.behaviour import Verdict


def behaviour(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these (default: all).")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the arrivals.")] = 1,
    keep: Annotated[Path | None, typer.Option("--keep", metavar="DIR", help="Leave every recording there, for `gwsim verify replay`.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Only tell which there are.")] = False,
    output: Annotated[Format, typer.Option("-o", "--output", help="text or json.")] = Format.TEXT,
) -> int:
    """Retries, time-outs, breakers, weights, load balancing, ejections, panic, rate limits, faults, mirrors: on a real
    Envoy, and in the simulator from the same arrivals; counts by status, flag and endpoint are compared.

    Exit codes: 0 all counts lie where they must in 999 of 1000 runs; 1 some do not; 2 wrong usage, or no Envoy.
    """
    from gwsim.envoy.verify.behaviour import behaviours, check

    chosen = behaviours(names or ())
    if listed:
        write("".join(f"{one.name:<18} {one.question}\n" for one in chosen))
        return int(ExitCode.OK)
    done: list[Verdict] = []
    for one in chosen:
        verdict = check(one, seed=seed, keep=keep)
        done.append(verdict)
        if output is Format.TEXT:
            write(_text(verdict))
        else:
            notice(f"{one.name}: {'agrees' if verdict.agrees else 'differs'}")
    if output is Format.JSON:
        write(json.dumps([_plain(one) for one in done], indent=1) + "\n")
    else:
        figures = [finding for one in done for finding in one.findings]
        wrong = sum(not one.agrees for one in figures)
        write(f"{len(done)} behaviours, {len(figures)} figures: {wrong} outside their interval\n")
    return int(ExitCode.OK if all(one.agrees for one in done) else ExitCode.ANSWER_IS_NO)


def _text(verdict: Verdict) -> str:
    lines = [f"{'agrees ' if verdict.agrees else 'DIFFERS'} {verdict.behaviour.name}: {verdict.behaviour.question}"]
    for one in verdict.findings:
        mark = " " if one.agrees else "!"
        lines.append(f"  {mark} {one.what:<48} measured {one.measured:>8g}  predicted {one.predicted:>9.1f}  ({one.low:.6g} to {one.high:.6g})")
    return "\n".join(lines) + "\n"


def _plain(verdict: Verdict) -> dict[str, object]:
    return {
        "name": verdict.behaviour.name, "question": verdict.behaviour.question, "requests": verdict.requests, "agrees": verdict.agrees,
        "figures": [
            {"what": one.what, "measured": one.measured, "predicted": one.predicted, "low": one.low, "high": one.high, "agrees": one.agrees}
            for one in verdict.findings
        ],
    }  # fmt: skip


__all__ = ["behaviour"]
