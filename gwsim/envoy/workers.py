"""CPU and waiting of a process's threads, and where they run.

Source: Linux `/proc/PID/task/TID/schedstat`: nanoseconds on a CPU, nanoseconds runnable but waiting for one; and
`status`: voluntary context switches, which are wake-ups from sleep.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gwsim.errors import UndecidedError, UsageError

WORKER = "wrk:"
"""How Envoy names its worker threads."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a thread used: seconds on a CPU, seconds it could have run but another did, and how often it went to sleep."""

    run_s: float
    wait_s: float
    sleeps: int

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.run_s - other.run_s, self.wait_s - other.wait_s, self.sleeps - other.sleeps)


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of another process."""

    pid: int
    tid: int

    def usage(self) -> Usage:
        """Now. Raises UndecidedError where the kernel does not tell."""
        folder = Path(f"/proc/{self.pid}/task/{self.tid}")
        try:
            run, wait, _ = (folder / "schedstat").read_text(encoding="ascii").split()
            status = (folder / "status").read_text(encoding="utf-8", errors="replace")
            sleeps = status.split("\nvoluntary_ctxt_switches:", 1)[1].split(None, 1)[0]
        except (OSError, ValueError, IndexError):
            raise UndecidedError("this kernel does not tell the CPU time of threads (/proc/PID/task/TID/schedstat)") from None
        return Usage(int(run) * 1e-9, int(wait) * 1e-9, int(sleeps))


def this_thread() -> Thread:
    """The calling one."""
    return Thread(os.getpid(), threading.get_native_id())


def stolen_s() -> float:
    """Seconds since the start of this machine that its host gave to others, mean of the cores; 0 where it does not tell."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        return int(fields[8]) / os.sysconf("SC_CLK_TCK") / (os.cpu_count() or 1)
    except (OSError, ValueError, IndexError):
        return 0.0


def worker_of(pid: int) -> Thread:
    """The worker of an Envoy that has one. Raises UndecidedError when it cannot be told."""
    found = [tid for tid in threads_of(pid) if _name(pid, tid).startswith(WORKER)]
    if len(found) != 1:
        raise UndecidedError(f"process {pid} has {len(found)} Envoy workers, not one")
    return Thread(pid, found[0])


def threads_of(pid: int) -> list[int]:
    """Its threads."""
    return sorted(int(one) for one in os.listdir(f"/proc/{pid}/task"))


def _name(pid: int, tid: int) -> str:
    try:
        return Path(f"/proc/{pid}/task/{tid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def two_cores() -> tuple[int, int]:
    """One core for the gateway, one for everything else. Raises UsageError with fewer than two."""
    if not hasattr(os, "sched_setaffinity"):
        raise UsageError("measuring needs Linux: threads are pinned to cores")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise UsageError("measuring needs two cores: one for the gateway's worker, one for the backend and the load generator")
    return cores[0], cores[1]


def pin(pid: int, core: int, *, realtime: int = 0) -> None:
    """Let all threads of a process run on one core only; `realtime` above 0 is a FIFO priority, which needs the right to it."""
    for tid in threads_of(pid):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(tid, {core})
            if realtime:
                try:
                    os.sched_setscheduler(tid, os.SCHED_FIFO, os.sched_param(realtime))
                except PermissionError:
                    raise UsageError("--realtime needs the right to real-time priorities (CAP_SYS_NICE)") from None


@contextlib.contextmanager
def pinned(core: int, *, realtime: int = 0) -> Iterator[None]:
    """This thread on one core, for as long as it lasts."""
    before, policy, parameter = os.sched_getaffinity(0), os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setaffinity(0, {core})
    try:
        if realtime:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(realtime))
        yield
    finally:
        os.sched_setscheduler(0, policy, parameter)
        os.sched_setaffinity(0, before)


def machine_class() -> dict[str, object]:
    """What matters of this machine for its speed: no name, no path."""
    model = ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": model or os.uname().machine, "cores": os.cpu_count() or 1, "memory_gib": round(memory / 2**30), "kernel": os.uname().release.split("-")[0]}


def quiet(usages: Sequence[Usage], seconds: Sequence[float], accepted: float) -> list[bool]:
    """Which stretches had a worker that waited for its core no more than that share of the time."""
    return [one.wait_s <= accepted * length for one, length in zip(usages, seconds, strict=True)]


__all__ = ["Thread", "Usage", "machine_class", "pin", "pinned", "quiet", "stolen_s", "this_thread", "threads_of", "two_cores", "worker_of"]
