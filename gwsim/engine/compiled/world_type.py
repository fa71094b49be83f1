"""The numba type under which kernels see a `World`: a pointer to its table, whose attributes are arrays and flags."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.extending import lower_getattr_generic, register_model
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.np import arrayobj

from gwsim.engine.compiled.layout import ARRAYS
from gwsim.engine.compiled.world import FLAGS, INDEX, STRIDE
from gwsim.engine.features import KERNELS


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
    first = INDEX[attr] * STRIDE

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
