"""Ctrl-C: the process ends soon, also while kernels run that hear nothing."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gwsim.errors import ExitCode

GRACE_S = 2.0
MESSAGE = "gwsim: interrupted"
_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def heard() -> Iterator[None]:
    """While it lasts, an interrupt that does not get through within two seconds ends the process.

    A replication in a thread cannot be stopped, and may take minutes. Nothing is lost: files are replaced whole, and
    only after the last replication. Outside the main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    timer = threading.Timer(GRACE_S, _leave)
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


def _leave() -> None:
    import multiprocessing

    for child in multiprocessing.active_children():
        child.kill()
    print((_SHOW_CURSOR if sys.stderr.isatty() else "") + MESSAGE, file=sys.stderr, flush=True)
    os._exit(int(ExitCode.INTERRUPTED))


__all__ = ["MESSAGE", "heard"]
