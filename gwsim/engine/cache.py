"""Where the compiled engine's machine code is kept, and whether it is there; imports nothing heavy.

Numba's own cache does not notice an edit in another file (a cached caller keeps the old callee), so the
directory's name holds a hash of all engine sources: an edit anywhere starts a fresh directory.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib.metadata import version
from pathlib import Path

ENGINE = Path(__file__).resolve().parent
PREFIX = "kernels-"
ENTRY = "loop.advance_"
"""The entry kernels: their module and names, as numba's files begin; the name of a kernel (`features.KERNELS`) follows."""
KERNELS = ("lean", "full")
"""Their names, the one with the fewest features (`features.KERNELS`) first."""
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


def is_warm(*kernels: str) -> bool:
    """Whether these kernels (none given: all) of this version are in the cache, for this checkout and its files as they are now.

    Numba keeps machine code by the path of its source, and takes it for stale when the source is the newer of the two.
    """
    # not resolved: numba takes the path that the module was imported by
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "compiled")
    kept = cache_root() / f"{PREFIX}{source_hash()}" / f"compiled_{hashlib.sha1(folder.encode()).hexdigest()}"
    source = os.stat(os.path.join(folder, "loop.py")).st_mtime
    return all(_written(kept, f"{ENTRY}{name}") >= source for name in kernels or KERNELS)


def _written(kept: Path, name: str) -> float:
    """When the machine code of this name was written; long ago if it is not there."""
    return max((path.stat().st_mtime for path in kept.glob(f"{name}-*.nbi")), default=0.0) if any(kept.glob(f"{name}-*.nbc")) else 0.0
