"""The first run after an installation: the reference engine simulates while the compiled engine is being compiled.

Both are child processes that talk in pickles over their pipes, so either can be stopped at any time:
`python -m gwsim.engine.race compile` and `python -m gwsim.engine.race reference`.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from gwsim.engine.cache import is_warm
from gwsim.errors import InternalError

if TYPE_CHECKING:
    from gwsim.engine.schema import Options, RawRun
    from gwsim.scenario.model import Model

_LOOK_S = 0.05
_compiler: subprocess.Popen[bytes] | None = None
_lock = threading.Lock()


def race(model: Model, replication: int, options: Options) -> RawRun | None:
    """The reference engine's answer, or None if the compiled engine was ready first."""
    compiler = _start_compiler()
    child = _child("reference")
    answer: list[bytes] = []
    reader = threading.Thread(target=lambda: answer.append(_exchange(child, model, replication, options)), daemon=True)
    reader.start()
    try:
        while reader.is_alive() and not (compiler.poll() is not None and is_warm()):
            reader.join(_LOOK_S)
        if reader.is_alive():
            return None
    finally:
        child.kill()
        child.wait()
    return _result(answer[0] if answer else b"")


def _result(data: bytes) -> RawRun:
    if not data:
        raise InternalError("the reference engine ended without an answer")
    answer = pickle.loads(data)
    if isinstance(answer, BaseException):
        raise answer
    run: RawRun = answer
    return run


def _start_compiler() -> subprocess.Popen[bytes]:
    """One compiling child per process; it goes on in the background when the reference engine wins."""
    global _compiler
    with _lock:
        if _compiler is None:
            _compiler = _child("compile")
        return _compiler


def _child(task: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gwsim.engine.race", task], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _exchange(child: subprocess.Popen[bytes], model: Model, replication: int, options: Options) -> bytes:
    try:
        return child.communicate(pickle.dumps((model, replication, options)))[0]
    except (OSError, ValueError):
        return b""


def _simulate() -> None:
    """Child: a model on standard input, its run (or the exception) on standard output."""
    from gwsim.engine import reference

    model, replication, options = pickle.load(sys.stdin.buffer)
    try:
        answer: object = reference.run(model, replication, options)
    except Exception as error:  # whatever it is, the parent raises it
        answer = error
    sys.stdout.buffer.write(pickle.dumps(answer))


def _compile() -> None:
    """Child: load the compiled engine once, so that its machine code is in the cache."""
    from gwsim.engine.compiled import driver
    from gwsim.engine.compiled.selftest import smallest

    driver.run(smallest(), 0)


def wait_for_compiler(timeout_s: float) -> bool:
    """Wait for a compiling child started by this process; whether the machine code is there."""
    end = time.monotonic() + timeout_s
    while _compiler is not None and _compiler.poll() is None and time.monotonic() < end:
        time.sleep(_LOOK_S)
    return is_warm()


if __name__ == "__main__":
    {"compile": _compile, "reference": _simulate}[sys.argv[1]]()
