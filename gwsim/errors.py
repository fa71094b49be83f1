"""The exceptions gwsim raises on purpose, and the exit code each of them means.

This is the one table of exit codes; every output format uses the same ones. Anything that is not a
`GwsimError` and reaches the command line is a fault of gwsim itself (70).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What a gwsim process says when it ends."""

    OK = 0
    """Done: all budgets hold, no findings, no difference."""
    ANSWER_IS_NO = 1
    """Done, and the answer is no: a budget failed, findings, worse than the baseline, nothing feasible."""
    INPUT = 2
    """Could not do it: the usage or the input is wrong."""
    UNDECIDED = 3
    """The interval straddles the limit, there is no data, or nothing exercised the change."""
    INTERNAL = 70
    """A fault inside gwsim."""
    INTERRUPTED = 130
    """Stopped by the user; what was finished is on disk."""


# An incomplete answer must not be read as a plain "no", so 2 outranks 1.
_SEVERITY = (
    ExitCode.OK,
    ExitCode.UNDECIDED,
    ExitCode.ANSWER_IS_NO,
    ExitCode.INPUT,
    ExitCode.INTERNAL,
    ExitCode.INTERRUPTED,
)


def worst(codes: Iterable[int]) -> ExitCode:
    """The exit code of several answers together: 130 > 70 > 2 > 1 > 3 > 0. No codes at all is 0.

    Raises ValueError for a number that is not an exit code of gwsim.
    """
    return max((ExitCode(code) for code in codes), key=_SEVERITY.index, default=ExitCode.OK)


class GwsimError(Exception):
    """Base of every exception gwsim raises on purpose. `exit_code` is what the command line returns."""

    exit_code: ExitCode = ExitCode.INTERNAL


class InputError(GwsimError):
    """The files given are wrong. `findings` holds all that was found, not only the first.

    The findings are `gwsim.diagnostics.Finding`s; they are typed loosely here because this module
    imports nothing of gwsim.
    """

    exit_code = ExitCode.INPUT

    def __init__(self, message: str, findings: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.findings: tuple[Any, ...] = tuple(findings)

    def __reduce__(self) -> tuple[type[InputError], tuple[str, tuple[Any, ...]]]:
        return type(self), (str(self), self.findings)


class UsageError(GwsimError):
    """The command or the call is wrong: an unknown flag or path, arguments that exclude each other."""

    exit_code = ExitCode.INPUT


class AnswerIsNo(GwsimError):
    """The question was answered, with no: a budget failed, or no plan is feasible."""

    exit_code = ExitCode.ANSWER_IS_NO


class UndecidedError(GwsimError):
    """The question could not be decided: too few data, or an interval across the limit."""

    exit_code = ExitCode.UNDECIDED


class InternalError(GwsimError):
    """gwsim contradicts itself. Always a bug worth reporting."""

    exit_code = ExitCode.INTERNAL


class Interrupted(GwsimError):
    """The user stopped the run; partial results are on disk and can be resumed."""

    exit_code = ExitCode.INTERRUPTED


def exit_code_of(error: BaseException) -> ExitCode:
    """The exit code an exception means; KeyboardInterrupt is 130, anything foreign is 70."""
    if isinstance(error, GwsimError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    return ExitCode.INTERNAL
