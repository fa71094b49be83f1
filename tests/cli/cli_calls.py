"""What the tests of the command line share: how a command ended, and options for a quick run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

QUICK = (
    "--engine", "reference", "-j", "1", "-q", "--duration", "1s", "-n", "2", "--set", "run.warmup=100ms",
    "--set", "clients.web.arrivals.poisson=150rps", "--set", "clients.web.connection.count=20",
)
"""Some 300 requests through the reference engine: no machine code is needed."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]
