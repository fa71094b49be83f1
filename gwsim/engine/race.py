"""The first run after an installation: the reference engine simulates while the compiled engine is being compiled.

Both are child processes that talk in pickles over their pipes, so either can be stopped at any time:
`python -m gwsim.engine.race compile KERNEL` and `python -m gwsim.engine.race reference`.
"""

from __future__ import annotations

import atexit
import pickle
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, cast

from gwsim.engine.cache import KERNELS, is_warm
from gwsim.engine.features import kernels
from gwsim.errors import InternalError

if TYPE_CHECKING:
    from gwsim.engine.schema import Options, RawRun
    from gwsim.scenario.model import Model

_LOOK_S = 0.05
_compilers: dict[str, subprocess.Popen[bytes]] = {}
_lock = threading.Lock()
_idle: list[subprocess.Popen[bytes]] = []


def race(model: Model, replication: int, options: Options) -> RawRun | None:
    """The reference engine's answer, or None if the compiled engine was ready first."""
    kernel = kernels(model)[0]
    compiler = _start_compiler(kernel)
    child = _simulator()
    answer: list[object] = []
    reader = threading.Thread(target=lambda: answer.append(_exchange(child, (model, replication, options))), daemon=True)
    reader.start()
    try:
        while reader.is_alive() and not (compiler.poll() is not None and is_warm(kernel)):
            reader.join(_LOOK_S)
        if reader.is_alive():
            return None
    finally:
        if answer and answer[0] is not None:
            with _lock:
                _idle.append(child)
        else:
            child.kill()
            child.wait()
    return _result(answer[0])


def _result(answer: object) -> RawRun:
    if answer is None:
        raise InternalError("the reference engine ended without an answer")
    if isinstance(answer, BaseException):
        raise answer
    return cast("RawRun", answer)


def _simulator() -> subprocess.Popen[bytes]:
    """A child that simulates: one that has answered before, if there is one, since starting Python takes a while."""
    with _lock:
        return _idle.pop() if _idle else _child("reference")


@atexit.register
def _end_children() -> None:
    for child in _idle:
        child.kill()
        child.wait()


def compile_all() -> None:
    """Compile what is not in the cache yet, side by side; returns when that is done."""
    for child in [_start_compiler(name) for name in KERNELS if not is_warm(name)]:
        child.wait()


def _start_compiler(kernel: str) -> subprocess.Popen[bytes]:
    """One compiling child per process and kernel; it goes on in the background when the reference engine wins."""
    with _lock:
        if kernel not in _compilers:
            _compilers[kernel] = _child("compile", kernel)
        return _compilers[kernel]


def _child(*task: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gwsim.engine.race", *task], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _exchange(child: subprocess.Popen[bytes], task: object) -> object:
    """Send a task to a child and wait for its answer; None if the child has ended."""
    assert child.stdin is not None and child.stdout is not None
    try:
        pickle.dump(task, child.stdin)
        child.stdin.flush()
        return cast("object", pickle.load(child.stdout))
    except (OSError, EOFError, ValueError, pickle.UnpicklingError):
        return None


def _simulate() -> None:
    """Child: models on standard input, their runs (or the exception) on standard output."""
    from gwsim.engine import reference

    while True:
        try:
            model, replication, options = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer: object = reference.run(model, replication, options)
        except Exception as error:  # whatever it is, the parent raises it
            answer = error
        pickle.dump(answer, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _compile(kernel: str) -> None:
    """Child: run this kernel of the compiled engine once, so that its machine code is in the cache."""
    from gwsim.engine.compiled import driver
    from gwsim.engine.compiled.selftest import smallest

    driver.run(smallest(), 0, kernel=kernel)


if __name__ == "__main__":
    _compile(sys.argv[2]) if sys.argv[1] == "compile" else _simulate()
