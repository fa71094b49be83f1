"""`gwsim calibrate`: what a request costs on this machine, as a cost profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.options import Quiet
from gwsim.cli.output import Color, notice, write_lines

if TYPE_CHECKING:
    from gwsim.envoy.calibrate.subjects import OfUser


def calibrate(
    scenario: Annotated[str, typer.Argument(metavar="[SCENARIO]", help="A scenario or Istio YAML whose filters are to be measured too.", show_default=False)] = "",
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The cost profile to write.")] = Path("costs.yaml"),
    realtime: Annotated[bool, typer.Option("--realtime", help="Measure with real-time priority: right on a busy machine, which waits meanwhile. Needs the right to it.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order of slices and of the arrivals.")] = 1,
    quiet: Quiet = False,
    color: Annotated[Color, typer.Option(help="Colour of the report; NO_COLOR is heard.")] = Color.AUTO,
) -> None:
    """Measure what requests, connections, handshakes and filters cost a real Envoy here, in under two minutes on two cores.

    Refuses to write a profile when the machine is too noisy. Sockets on loopback only.
    """
    from gwsim.envoy.calibrate import profile, run
    from gwsim.files import folder_for_writing, write_whole
    from gwsim.report import calibration

    own = _own(scenario) if scenario else None
    folder_for_writing(out.parent)
    stage = ""

    def told(now: str, done: int, total: int) -> None:
        nonlocal stage
        if now != stage:
            notice(f"gwsim: measuring {now} ...", quiet=quiet)
            stage = now

    made = run.calibrate(own, realtime=realtime, seed=seed, told=told)
    write_whole(out, profile.text(made))
    write_lines(calibration.lines(made, [str(out)]), color)


def _own(path: str) -> OfUser:
    from gwsim.envoy.calibrate.own_filters import of_topology
    from gwsim.planning.preparation import Given, prepare

    return of_topology(prepare(Given(paths=(path,))).project.topology)


__all__ = ["calibrate"]
