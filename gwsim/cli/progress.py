"""A progress bar on standard error for runs that take longer than a second."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gwsim.planning import Progress

AFTER_S = 1.0
_WORDS = {"pilot": "pilot: finding the warm-up", "replicas": "pilot: settling the replicas", "replications": "replications"}


class Bar:
    """Requests done and their rate, once the run has taken a second; nothing where standard error is no terminal.

    The bar is made and drawn in threads of its own, so a long replication shows that time passes.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled and sys.stderr.isatty()
        self._lock = threading.Lock()
        self._bar: Any = None
        self._task: Any = None
        self._last: Progress | None = None
        self._finished = 0
        self._began = time.monotonic()
        self._timer = threading.Timer(AFTER_S, self._show)
        self._timer.daemon = True

    def __enter__(self) -> Bar:
        if self._enabled:
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        with self._lock:
            self._enabled = False
            if self._bar is not None:
                self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Told by the planner after every replication."""
        with self._lock:
            self._last = progress
            if progress.done == progress.total:
                self._finished += progress.requests
            self._update()

    def _show(self) -> None:
        with self._lock:
            if not self._enabled:
                return
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(), console=Console(stderr=True), transient=True,
            )
            self._task = self._bar.add_task("simulating", total=None, rate="")
            self._bar.start()
            self._update()

    def _update(self) -> None:
        last = self._last
        if self._bar is None or last is None:
            return
        requests = self._finished + (0 if last.done == last.total else last.requests)
        rate = requests / max(time.monotonic() - self._began, 1e-9)
        self._bar.update(
            self._task, description=_WORDS[last.stage], completed=last.done, total=last.total,
            rate=f"{requests:,} requests, {rate:,.0f}/s",
        )


class Points:
    """Points done, on standard error, for tables of many runs; told after each."""

    def __init__(self, total: int, *, enabled: bool) -> None:
        self._total, self._done = total, 0
        self._enabled = enabled and sys.stderr.isatty()
        self._bar: Any = None

    def __enter__(self) -> Points:
        if self._enabled:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("points"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                console=Console(stderr=True), transient=True,
            )
            self._bar.add_task("points", total=self._total)
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, row: object) -> None:
        """One more is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)


__all__ = ["Bar", "Points"]
