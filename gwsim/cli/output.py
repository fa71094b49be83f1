"""Writing: data to standard output, everything else to standard error; and when to use colour."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gwsim.report.lines import Line


class Color(StrEnum):
    """Whether to colour the terminal report."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Format(StrEnum):
    """What is printed on standard output."""

    TEXT = "text"
    JSON = "json"


def use_color(color: Color) -> bool:
    """Whether standard output gets colour: NO_COLOR and FORCE_COLOR count where the option says auto."""
    if color is not Color.AUTO:
        return color is Color.ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def write(text: str) -> None:
    """Print data. A reader that has gone (`| head`) is no fault, and does not change the exit code."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_lines(lines: Iterable[Line], color: Color) -> None:
    """Print a terminal report."""
    from gwsim.report import lines as rendering

    write(rendering.coloured(lines) if use_color(color) else rendering.plain(lines))


def notice(text: str, *, quiet: bool = False) -> None:
    """Say something on standard error, unless quiet."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


__all__ = ["Color", "Format", "notice", "use_color", "write", "write_lines"]
