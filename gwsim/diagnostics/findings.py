"""Findings as data: what was noticed, how bad it is, and where in the user's files.

A finding is a value: it can be compared, sorted, serialised and rendered by any report. Nothing here
prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gwsim.diagnostics.codes import CODES, Level
from gwsim.errors import InputError

__all__ = ["Collector", "Finding", "Level", "Span"]


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a file. `line` and `column` count from 1; 0 means "the file as a whole".

    `file` is written as the user gave it. `text` is the line itself, when it is at hand and may be
    shown (never for a Secret).
    """

    file: str
    line: int = 0
    column: int = 0
    text: str | None = None

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed about the input.

    `code` is a row of `gwsim.diagnostics.codes.CODES`; `message` is one line; `help` says what would
    be right; `object_ref` is `Kind/namespace/name`, with the field path after a space where there is one.
    """

    code: str
    level: Level
    message: str
    span: Span | None = None
    help: str | None = None
    object_ref: str | None = None


def _sort_key(finding: Finding) -> tuple[str, int, str, int, str]:
    span = finding.span
    if span is None:
        return ("", 0, finding.code, 0, finding.message)
    return (span.file, span.line, finding.code, span.column, finding.message)


class Collector:
    """Gathers the findings of a whole run, so that the user sees all problems at once.

    Equal findings are kept once. Iteration and `findings` are sorted by file, line and code. Not
    safe for use from several threads at once.
    """

    def __init__(self) -> None:
        self._findings: dict[Finding, None] = {}
        self._sorted: tuple[Finding, ...] | None = ()

    def add(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        help: str | None = None,
        object_ref: str | None = None,
        level: Level | None = None,
    ) -> Finding:
        """Record a finding; its level is the code's default unless given.

        Raises KeyError for a code that is not in the table of codes.
        """
        finding = Finding(code, level or CODES[code].level, message, span, help, object_ref)
        self.extend((finding,))
        return finding

    def extend(self, findings: Iterable[Finding]) -> None:
        """Record findings made elsewhere."""
        for finding in findings:
            self._findings[finding] = None
        self._sorted = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything recorded, each once, by file, line and code."""
        if self._sorted is None:
            self._sorted = tuple(sorted(self._findings, key=_sort_key))
        return self._sorted

    def at(self, level: Level) -> tuple[Finding, ...]:
        """The findings of exactly this level."""
        return tuple(f for f in self.findings if f.level is level)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make the input unusable."""
        return self.at(Level.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings of level warning."""
        return self.at(Level.WARNING)

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return any(f.level is Level.ERROR for f in self._findings)

    def raise_if_errors(self) -> None:
        """Raise `InputError`, carrying every finding (warnings and notes too), if any is an error."""
        errors = self.errors
        if errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            where = f"{errors[0].span}: " if errors[0].span else ""
            raise InputError(f"{where}{errors[0].message}{more}", self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self._findings)
