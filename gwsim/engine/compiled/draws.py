"""The draws of `gwsim.engine.draws`, compiled: integers as uint64, floating point from the very same source."""

from __future__ import annotations

import types

import numpy as np

from gwsim.engine import draws as plain
from gwsim.engine.compiled.kernel import kernel

_S30, _S27, _S31, _S12 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(12)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@kernel
def mix64(z):
    """Mix 64 bits."""
    z ^= z >> _S30
    z *= _M1
    z ^= z >> _S27
    z *= _M2
    return z ^ (z >> _S31)


@kernel
def fold(h, x):
    """Key of the child `x` (an integer of any type) of `h` (uint64)."""
    return mix64(h ^ mix64(np.uint64(x) + _GOLDEN))


@kernel
def draw64(key, purpose, i):
    """The i-th draw of `key` for `purpose`."""
    return fold(key, purpose * 256 + i)


@kernel
def uniform(z):
    """64 bits to (0, 1)."""
    return (float(z >> _S12) + 0.5) * 2.0**-52


@kernel
def below(z, n):
    """64 bits to 0..n-1."""
    return np.int64(z % np.uint64(n))


normal_quantile = kernel(plain.normal_quantile)
quantile = kernel(types.FunctionType(plain.quantile.__code__, {**vars(plain), "normal_quantile": normal_quantile}))
"""The same source, calling the compiled `normal_quantile`."""
interpolate = kernel(plain.interpolate)
ramp_time = kernel(plain.ramp_time)


@kernel
def ns(seconds):
    """Seconds to integer nanoseconds."""
    return np.int64(seconds * 1e9 + 0.5)
