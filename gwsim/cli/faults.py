"""How a command ends when it does not end well: one message on standard error, and the exit code."""

from __future__ import annotations

import sys

from gwsim._version import __version__
from gwsim.cli.interrupts import MESSAGE
from gwsim.errors import ExitCode, GwsimError, InputError, exit_code_of

_facts: dict[str, str] = {}


def remember(**facts: object) -> None:
    """Keep what a report of an internal fault should name, e.g. the seed."""
    _facts.update({key: str(value) for key, value in facts.items()})


def tell(error: BaseException, *, debug: bool = False) -> int:
    """Say what is wrong, on standard error; gives the exit code."""
    if _interrupted(error):
        _say(MESSAGE)
        return int(ExitCode.INTERRUPTED)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(ExitCode.INPUT if error.code else ExitCode.OK)
    usage = _usage_text(error)
    if usage is not None:
        _say(usage)
        return int(ExitCode.INPUT)
    code = exit_code_of(error)
    if isinstance(error, InputError) and error.findings:
        from gwsim.diagnostics import Level, render_all

        # Notes would bury what has to be put right.
        _say(render_all(one for one in error.findings if one.level is not Level.INFO).rstrip())
    elif isinstance(error, GwsimError) and code is not ExitCode.INTERNAL:
        _say(f"gwsim: {error}")
    else:
        _say(_internal(error, debug))
    return int(code)


def _usage_text(error: BaseException) -> str | None:
    """The message of a wrong command line, as typer says it; None for anything else."""
    import typer

    # typer brings its own copy of click, or uses the installed one: its base class is the same by either name.
    usage: type = typer.BadParameter.__mro__[1]
    if not isinstance(error, usage):
        return None
    from gwsim.diagnostics import did_you_mean

    message = str(error.format_message())  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "gwsim"
    hint = None
    if "No such command" in message and context is not None and "'" in message:
        hint = did_you_mean(message.split("'")[1], context.command.list_commands(context))
    help_ = f"; {hint}" if hint and "ean" not in message else ""
    message = message.replace("Value error, ", "")
    return f"gwsim: {message.rstrip('.')}{help_}\nTry '{path} --help'."


def _interrupted(error: BaseException) -> bool:
    import typer

    return isinstance(error, (KeyboardInterrupt, typer.Abort))


def _internal(error: BaseException, debug: bool) -> str:
    import platform

    lines = []
    if debug:
        import traceback

        lines += ["".join(traceback.format_exception(error)).rstrip()]
    text = str(error).strip().splitlines()
    facts = ", ".join([f"gwsim {__version__}", f"Python {platform.python_version()}", *(f"{k} {v}" for k, v in _facts.items())])
    lines += [
        f"gwsim: a fault inside gwsim: {type(error).__name__}" + (f": {text[0]}" if text else ""),
        f"  {facts}",
        "  Nothing is wrong with your input as far as gwsim can tell. Please report it with the scenario, the command"
        + (" and the traceback above." if debug else "\n  and what the same command prints with --debug."),
    ]
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


__all__ = ["remember", "tell"]
