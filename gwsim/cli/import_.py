"""`gwsim import`: clients, backends, replay logs and costs from what a running system recorded."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gwsim.cli.output import notice, write


class As(StrEnum):
    """What a file is."""

    AUTO = "auto"
    ACCESS_LOG = "access-log"
    FORTIO = "fortio"
    NIGHTHAWK = "nighthawk"
    PROMETHEUS = "prometheus"
    KUBERNETES = "kubernetes"


class ArrivalsOption(StrEnum):
    """How the arrivals of a log are written."""

    REPLAY = "replay"
    POISSON = "poisson"
    PROFILE = "profile"


def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Access logs (Istio's or Envoy's text, JSON), Fortio or Nighthawk JSON, answers of Prometheus (files or a folder), kubectl get -o yaml. Several are put together.", show_default=False)],
    kind: Annotated[As, typer.Option("--as", help="What the files are.")] = As.AUTO,
    target: Annotated[str, typer.Option("--target", metavar="TARGET", help="Where the clients connect: Service/namespace/name:port.", show_default=False)] = "",
    arrivals: Annotated[ArrivalsOption, typer.Option(help="How a log's arrivals are kept: as they were, as a Poisson rate, or as a rate in pieces.")] = ArrivalsOption.REPLAY,
    plain: Annotated[bool, typer.Option("--plain", help="Metrics only: the clients use no TLS.")] = False,
    config: Annotated[list[str] | None, typer.Option("--config", "-c", metavar="PATH", help="Istio YAML: a whole scenario is written, not its sections only. Repeatable.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write scenario.yaml (or sections.yaml), replay logs and costs.yaml there instead of printing.", show_default=False)] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Nothing on standard error but errors.")] = False,
) -> None:
    """Make the parts of a scenario from what a running system recorded, and say what was inferred and what could not be."""
    from dataclasses import replace

    from gwsim.files import folder_for_writing, write_whole
    from gwsim.observed.fragment import as_yaml
    from gwsim.observed.sources import import_files

    made = import_files(files, kind=kind.value, target=target, arrivals=arrivals.value, tls=not plain)
    if out is None:
        if made.files:
            notice(f"gwsim: {', '.join(made.files)} would be written beside it: use --out DIR", quiet=quiet)
        write(as_yaml(made, _beside(config, Path())))
        return
    folder = folder_for_writing(out)
    made = replace(made, clusters={one: {**section, "config": _beside(section["config"], folder)} for one, section in made.clusters.items()})
    name = "scenario.yaml" if config else "sections.yaml"
    for file, text in {**made.files, name: as_yaml(made, _beside(config, folder))}.items():
        write_whole(folder / file, text)
    for title, texts in (("inferred", made.inferred), ("assumed", made.assumed), ("not to be known", made.unknown)):
        for text in texts:
            notice(f"gwsim: {title}: {text}", quiet=quiet)
    write("".join(f"{folder / file}\n" for file in (name, *made.files)))


def _beside(config: list[str] | None, folder: Path) -> list[str]:
    """Paths as the scenario in `folder` has to write them."""
    import os

    from gwsim.errors import UsageError

    for path in config or ():
        if not Path(path).exists():
            raise UsageError(f"there is no file or folder {path}")
    return [os.path.relpath(path, folder) for path in config or ()]


__all__ = ["import_"]
