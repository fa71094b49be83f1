"""`gwsim version`."""

from __future__ import annotations

from typing import Annotated

import typer

from gwsim._version import __version__
from gwsim.cli.output import write


def version(
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="The libraries it runs on, too: for a report of a fault.")] = False,
) -> None:
    """Print the version."""
    write(f"gwsim {__version__}\n")
    if verbose:
        import platform
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as installed

        write(f"python {platform.python_version()} ({platform.platform()})\n")
        for name in ("numpy", "numba", "simpy", "pandas", "matplotlib", "pydantic", "typer"):
            try:
                write(f"{name} {installed(name)}\n")
            except PackageNotFoundError:
                write(f"{name} is not installed\n")


def show_and_end(asked: bool) -> None:
    """What `gwsim --version` does."""
    if asked:
        write(f"gwsim {__version__}\n")
        raise typer.Exit


__all__ = ["show_and_end", "version"]
