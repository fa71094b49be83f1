"""The `World`: all arrays of a run, and the numba type under which kernels see it.

Kernels take one argument `w` and write `w.streams[x].since_ns`. As a tuple of arrays that would pass hundreds of
values, with a reference count each, through every call; measured, it made the engine fifty times slower and its
compilation four times longer. So `w` is a pointer to a table of addresses and shapes; an attribute is three loads
that give an array without a reference count. `World` (Python) owns the arrays for as long as the kernel runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.extending import intrinsic, lower_getattr_generic, register_model
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.np import arrayobj

from gwsim.engine.compiled.layout import ARRAYS
from gwsim.engine.features import KERNELS, Feature

STRIDE = 4
"""Integers per array in the table: address and up to three lengths."""
_INDEX = {name: i for i, name in enumerate(ARRAYS)}
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
        row = self.table[_INDEX[name] * STRIDE :]
        row[0] = array.ctypes.data
        row[1 : 1 + ndim] = array.shape

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class WorldType(types.Type):
    """Numba type of a pointer to a `World`'s table, as a kernel of certain features sees it."""

    def __init__(self, kernel: str) -> None:
        self.constants = {flag: feature in KERNELS[kernel] for flag, feature in FLAGS.items()}
        super().__init__(name=f"gwsim.World({kernel})")


_TYPES = {name: types.Array(from_dtype(np.dtype(dtype)), ndim, "C") for name, (dtype, ndim) in ARRAYS.items()}


@register_model(WorldType)
class _WorldModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, ir.IntType(64).as_pointer())


@infer_getattr
class _WorldAttributes(AttributeTemplate):
    key = WorldType

    def generic_resolve(self, value: Any, attr: str) -> Any:
        return _TYPES.get(attr)


@lower_getattr_generic(WorldType)
def _get(context: Any, builder: Any, _: Any, value: Any, attr: str) -> Any:
    array_type = _TYPES[attr]
    word = ir.IntType(64)
    first = _INDEX[attr] * STRIDE

    def load(i: int) -> Any:
        # the table changes between calls of the kernel only: LLVM may keep what it has read across stores
        instruction = builder.load(builder.gep(value, [ir.Constant(word, first + i)]))
        instruction.set_metadata("invariant.load", builder.module.add_metadata([]))
        return instruction

    array = context.make_array(array_type)(context, builder)
    item = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
    shape = [load(1 + d) for d in range(array_type.ndim)]
    strides = [ir.Constant(word, item)]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    data = builder.inttoptr(load(0), array.data.type)
    arrayobj.populate_array(
        array, data=data, shape=cgutils.pack_array(builder, shape), strides=cgutils.pack_array(builder, strides),
        itemsize=ir.Constant(word, item), meminfo=None,
    )
    return array._getvalue()


@intrinsic
def bit_length(typing_context: Any, v: Any) -> Any:
    """Number of bits of a non-negative int64."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zeros = builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))
        return builder.sub(ir.Constant(ir.IntType(64), 64), zeros)

    return types.int64(types.int64), codegen


def world_of(kernel: str) -> Any:
    """What gives the world behind a table (int64 array) to a kernel of this name."""

    @intrinsic
    def as_world(typing_context: Any, table: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return context.make_array(signature.args[0])(context, builder, arguments[0]).data

        return WorldType(kernel)(table), codegen

    return as_world
