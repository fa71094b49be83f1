"""Where the compiled engine's machine code is kept, and whether it is there; imports nothing heavy.

The directory's name holds a hash of all engine sources and of the compiler's version: an edit anywhere starts a fresh directory.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib.metadata import version
from pathlib import Path

ENGINE = Path(__file__).resolve().parent
PREFIX = "kernels-"
KERNELS = ("lean", "full")
"""Names of the kernels, the one with the fewest features (`features.KERNELS`) first."""
SHARED = ("codes.py", "draws.py", "features.py", "schema.py")
"""Files beside the compiled engine's own that its machine code is made of."""


@cache
def source_hash() -> str:
    """Hash of every source file that goes into the machine code (names and contents) and of numba's version."""
    h = hashlib.sha256(version("numba").encode())
    for path in sorted([*(ENGINE / name for name in SHARED), *ENGINE.glob("compiled/*.py")]):
        h.update(str(path.relative_to(ENGINE)).encode())
        h.update(path.read_bytes())
    return h.hexdigest()[:16]


def cache_root() -> Path:
    """Directory of all versions' machine code: `GWSIM_CACHE_DIR`, else `XDG_CACHE_HOME`/gwsim, else ~/.cache/gwsim."""
    if os.environ.get("GWSIM_CACHE_DIR"):
        return Path(os.environ["GWSIM_CACHE_DIR"])
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gwsim"


def cache_directory(folder: str = "") -> Path | None:
    """Directory of this version's machine code, made if need be; None if nothing can be written there.

    `folder`: a name of its own, for machine code that is not the engine's.
    """
    path = cache_root() / (folder or f"{PREFIX}{source_hash()}")
    probe = path / f".probe-{os.getpid()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError:
        return None
    return path


@cache
def processor() -> str:
    """The kind of this processor, as machine code for it is told from others'."""
    from llvmlite import binding

    told = f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def code_file(kernel: str) -> Path:
    """The file of the machine code of a kernel (`features.KERNELS`) of this version, for this processor."""
    return cache_root() / f"{PREFIX}{source_hash()}" / f"{kernel}-{processor()}"


def is_warm(*kernels: str) -> bool:
    """Whether the machine code of these kernels (none given: all) is there."""
    return all(code_file(name).exists() for name in kernels or KERNELS)
