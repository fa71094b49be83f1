"""The one decorator of the compiled engine, and where its machine code is kept.

Numba's own cache does not notice an edit in another file (a cached caller keeps the old callee), so the cache
directory's name holds a hash of all engine sources: an edit anywhere starts a fresh directory. Only the entry
kernels are cached and callable from Python; everything else is compiled into them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import config

ENGINE = Path(__file__).resolve().parent.parent


def source_hash() -> str:
    """Hash of every source file of the engine (names and contents)."""
    h = hashlib.sha256(numba.__version__.encode())
    for path in sorted(ENGINE.glob("**/*.py")):
        if "reference" in path.relative_to(ENGINE).parts:
            continue
        h.update(str(path.relative_to(ENGINE)).encode())
        h.update(path.read_bytes())
    return h.hexdigest()[:16]


def cache_root() -> Path:
    """Directory of all kernel caches: `GWSIM_CACHE_DIR`, else `XDG_CACHE_HOME`/gwsim, else ~/.cache/gwsim."""
    if os.environ.get("GWSIM_CACHE_DIR"):
        return Path(os.environ["GWSIM_CACHE_DIR"])
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gwsim"


def cache_directory() -> Path | None:
    """Directory of this version's kernels, made if need be; None if nothing can be written there."""
    path = cache_root() / f"kernels-{source_hash()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        return None
    return path


def is_warm() -> bool:
    """Whether the entry kernel of this version is in the cache."""
    path = cache_root() / f"kernels-{source_hash()}"
    return any(path.glob("**/*.nbc"))


def kernel(function: Callable[..., Any]) -> Any:
    """Compile an inner function: callable from kernels only, so that no Python wrapper is built for it."""
    return numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy")(function)


def entry(function: Callable[..., Any]) -> Any:
    """Compile an entry kernel: callable from Python, machine code cached on disk where possible."""
    directory = cache_directory()
    if directory is None:
        return numba.njit(nogil=True, error_model="numpy")(function)
    before = config.CACHE_DIR
    config.CACHE_DIR = str(directory)
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = before
