"""A gateway and a backend on this machine, pinned to cores of their own, for measuring."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gwsim.envoy.calibrate import subjects as on
from gwsim.envoy.calibrate.subjects import Subject
from gwsim.envoy.load import Backend
from gwsim.envoy.process import RealEnvoy
from gwsim.envoy.stock import free_ports
from gwsim.envoy.workers import Thread, pin, pinned, two_cores, worker_of

BACKEND_PRIORITY, GENERATOR_PRIORITY = 2, 1
SHARED_SPIN_S, NEVER_SLEEP_S = 2e-5, 1e3


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where the subjects listen, and the gateway's worker."""

    ports: dict[str, int]
    worker: Thread
    version: str
    backend: Backend
    """Answers requests for LOOP_PATH, in the loop of the load that names it."""
    spin_s: float
    """Of such loads: a core of their own is never left; one shared by priority is, or the kernel takes it away for a while."""


@contextmanager
def bench(subjects: Sequence[Subject], *, realtime: bool = False) -> Iterator[Bench]:
    """Both Envoys, started, pinned, and ended again; this thread is pinned beside the backend meanwhile.

    Raises EnvoyFailed or UsageError when they cannot be started.
    """
    own, other = two_cores()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gwsim-calibrate-")))
        keys = on.certificates(subjects, folder)
        free = free_ports(len(subjects) + 4)
        ports = {one.name: port for one, port in zip(subjects, free, strict=False)}
        first, second, admin, admin2 = free[len(subjects) :]
        loop = stack.enter_context(Backend())
        back = stack.enter_context(_started(folder / "backend.json", on.backend((first, second), admin2), admin2))
        pin(back.pid, other, realtime=BACKEND_PRIORITY if realtime else 0)
        front = stack.enter_context(_started(folder / "gateway.json", on.gateway(subjects, ports, (first, second, loop.port), keys, admin), admin))
        pin(front.pid, own, realtime=BACKEND_PRIORITY if realtime else 0)
        version = str(json.loads(front.get("/server_info")).get("version", "")).split("/")
        stack.enter_context(pinned(other, realtime=GENERATOR_PRIORITY if realtime else 0))
        yield Bench(ports=ports, worker=worker_of(front.pid), version=version[1] if len(version) > 1 else "", backend=loop, spin_s=SHARED_SPIN_S if realtime else NEVER_SLEEP_S)


def _started(path: Path, config: dict[str, object], admin: int) -> RealEnvoy:
    path.write_text(json.dumps(config), encoding="utf-8")
    return RealEnvoy(path, admin_port=admin, concurrency=1)


__all__ = ["Bench", "bench"]
