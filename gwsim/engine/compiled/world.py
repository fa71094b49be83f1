"""The `World`: all arrays of a run, and the table under which kernels see them (`world_type`).

Kernels take one argument `w` and write `w.streams[x].since_ns`. As a tuple of arrays that would pass hundreds of
values, with a reference count each, through every call; measured, it made the engine fifty times slower and its
compilation four times longer. So `w` is a pointer to a table of addresses and shapes; an attribute is three loads
that give an array without a reference count. `World` (Python) owns the arrays for as long as the kernel runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gwsim.engine.compiled.layout import ARRAYS
from gwsim.engine.features import Feature

STRIDE = 4
"""Integers per array in the table: address and up to three lengths."""
INDEX = {name: i for i, name in enumerate(ARRAYS)}
"""Their order in the table."""
FLAGS: dict[str, Feature] = {f"has_{feature.name.lower()}": feature for feature in Feature}
"""Attributes of `w` that tell, when a kernel is compiled, whether it has a feature (`kernel`)."""


class World:
    """The arrays of `layout.ARRAYS` by name, C-contiguous and of the declared type."""

    def __init__(self, **arrays: Any) -> None:
        missing = set(ARRAYS) ^ set(arrays)
        if missing:
            raise TypeError(f"arrays missing or unknown: {sorted(missing)}")
        self.table = np.zeros(len(ARRAYS) * STRIDE, np.int64)
        for name, array in arrays.items():
            self.replace(name, array)

    def replace(self, name: str, array: Any) -> None:
        """Put `array` in the place of array `name`."""
        dtype, ndim = ARRAYS[name]
        array = np.ascontiguousarray(array, dtype)
        if array.ndim != ndim:
            raise TypeError(f"{name} has {array.ndim} dimensions, not {ndim}")
        setattr(self, name, array.view(np.recarray) if array.dtype.names else array)
        row = self.table[INDEX[name] * STRIDE :]
        row[0] = array.ctypes.data
        row[1 : 1 + ndim] = array.shape

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)
