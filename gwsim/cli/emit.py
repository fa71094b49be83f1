"""`gwsim emit`: what the gateways of a saved run would have emitted."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gwsim.cli.output import notice, write
from gwsim.errors import UsageError


class Form(StrEnum):
    """What is emitted."""

    PROMETHEUS = "prometheus"
    ENVOY_STATS = "envoy-stats"
    ACCESS_LOG = "access-log"
    ACCESS_LOG_JSON = "access-log-json"
    OTLP = "otlp"


def emit(
    directory: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A folder that gwsim run has written.")],
    form: Annotated[Form, typer.Option("--as", help="prometheus: Istio's standard metrics; envoy-stats: statistics by name; access-log, access-log-json: Istio's defaults; otlp: spans as JSON. Logs and spans are of sampled requests.", show_default=False)],
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Where to write it (default: standard output).", show_default=False)] = None,
    replication: Annotated[int, typer.Option("--replication", min=1, help="Which replication.")] = 1,
    began: Annotated[str, typer.Option("--began", metavar="TIME", help="When the run is taken to begin, ISO 8601.")] = "2026-01-01T00:00:00Z",
) -> None:
    """Emit a saved run as its gateways would have: for dashboards, alerts, log pipelines and trace viewers.

    Counters are of one replication and of all pods of a gateway together.
    """
    from gwsim.files import write_whole
    from gwsim.report.emit import Wanted
    from gwsim.report.emit import emit as rendered
    from gwsim.results import store

    results = store.load(directory)
    if replication > results.replications:
        raise UsageError(f"--replication: the run has {results.replications} of them")
    text = rendered(results, form.value, Wanted(replication - 1, _seconds(began)))
    if to is None:
        write(text)
    else:
        write_whole(to, text)
        notice(f"gwsim: wrote {to}")


def _seconds(text: str) -> float:
    from gwsim.scenario.replay import time_of

    seconds = time_of(text)
    if seconds is None:
        raise UsageError(f"--began: {text!r} is no time; write it as 2026-01-01T00:00:00Z")
    return seconds


__all__ = ["Form", "emit"]
