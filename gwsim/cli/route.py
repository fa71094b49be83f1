"""`gwsim route`: which way a request goes, and why; `gwsim route test`: whether that is the way it should go."""

from __future__ import annotations

import typer

from gwsim.cli import route_test


def commands() -> typer.Typer:
    """The commands of the group."""
    group = typer.Typer(help="Where requests go.", no_args_is_help=True, rich_markup_mode=None)
    group.command("test", short_help="Compare files of requests with the answers they should get.")(route_test.test)
    return group


__all__ = ["commands"]
