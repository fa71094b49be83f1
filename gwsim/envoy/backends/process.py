"""The process the backends run in, as its parent sees it. It ends when its parent does: it reads until its input closes."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gwsim.envoy.certificates import KeyPair
from gwsim.errors import GwsimError

READY_S = 20.0
STOP_S = 5.0


class BackendsFailed(GwsimError):
    """The backends did not start, or did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """What serves requests: as `gwsim.scenario.model.Station`, with times that are drawn from quantiles."""

    name: str
    service_time: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 0.0))
    """(probability, seconds) from 0 to 1, linear in between."""
    concurrency: int | None = None
    queue: int | None = None
    errors: tuple[tuple[float, int], ...] = ()
    failures: tuple[tuple[float, float, int], ...] = ()
    """(from, to, status), seconds after `reset`: every request is answered with that status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A port that leads to a station; `name` is told in every answer."""

    name: str
    station: int = 0


@dataclass(slots=True)
class BackendProcess:
    """A context manager: the process, and the port of each endpoint (`ports`, in their order)."""

    endpoints: Sequence[Endpoint]
    stations: Sequence[Station]
    pair: KeyPair | None = None
    seed: int = 1
    ports: tuple[int, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "gwsim.envoy.backends.server"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        pair = None if self.pair is None else {"certificate": str(self.pair.certificate), "key": str(self.pair.key)}
        try:
            told = self._ask({
                "endpoints": [asdict(one) for one in self.endpoints], "stations": [asdict(one) for one in self.stations],
                "pair": pair, "seed": self.seed,
            })  # fmt: skip
        except BaseException:
            self.stop()
            raise
        self.ports = tuple(told["ports"])
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _ask(self, what: Any) -> Any:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(what).encode() + b"\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(READY_S):
                raise BackendsFailed(f"the backends said nothing for {READY_S:g} s")
        line = process.stdout.readline()
        if not line:
            raise BackendsFailed(f"the backends ended with {process.wait(STOP_S)}")
        return json.loads(line)

    def reset(self) -> None:
        """Forget what arrived; schedules of failures begin now."""
        self._ask({"do": "reset"})

    def counts(self) -> dict[str, int]:
        """Requests arrived since the last reset, by the name of the endpoint."""
        return {str(name): int(count) for name, count in self._ask({"do": "counts"}).items()}

    def stop(self) -> None:
        """End it: by closing its input, then for certain."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        deadline = time.monotonic() + STOP_S
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is None:
            process.kill()
            process.wait(STOP_S)
        if process.stdout is not None:
            process.stdout.close()


__all__ = ["BackendProcess", "BackendsFailed", "Endpoint", "Station"]
