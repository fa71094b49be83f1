"""The command line: one file a command, thin; whatever is heavy is imported where a command needs it.

`main` turns every outcome into an exit code of `gwsim.errors.ExitCode`. Help needs typer only: neither numpy nor
anything that imports it (`import typer` takes about 0.1 s, its coloured help as much again, so help is plain text).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

DEBUG = "--debug"
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and end the process with its exit code."""
    code = int(execute(sys.argv[1:] if arguments is None else arguments))
    if code == INTERRUPTED:
        # Python remembers an interrupt within code that `exec` ran (that of a dataclass, say), and would end by the signal.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def execute(arguments: Sequence[str]) -> int:
    """Run a command; gives its exit code. `--debug` counts wherever it stands."""
    from gwsim.cli import faults

    debug = DEBUG in arguments
    given = [word for word in arguments if word != DEBUG]
    try:
        from gwsim.cli.app import application

        code = application()(args=given, prog_name="gwsim", standalone_mode=False)
        if code == INTERRUPTED:
            # Newer versions of typer turn an interrupt into this code.
            raise KeyboardInterrupt
        return int(code or 0)
    except BaseException as error:
        return faults.tell(error, debug=debug)


__all__ = ["execute", "main"]
