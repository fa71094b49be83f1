"""The decorators of the compiled engine.

Only the entry kernel is callable from Python and cached on disk (`gwsim.engine.cache`); everything else is
compiled into it, without a Python wrapper of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core import config

from gwsim.engine.cache import cache_directory


def kernel(function: Callable[..., Any]) -> Any:
    """Compile an inner function: callable from kernels only."""
    return numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy")(function)


def entry(function: Callable[..., Any], folder: str = "") -> Any:
    """Compile an entry kernel: callable from Python, machine code cached on disk where possible (`cache_directory`).

    Numba takes its cache directory from a global setting when it decorates, so that is set for that long only:
    other users of numba in the process keep theirs.
    """
    directory = cache_directory(folder)
    if directory is None:
        return numba.njit(nogil=True, error_model="numpy")(function)
    before = config.CACHE_DIR
    config.CACHE_DIR = str(directory)
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = before
