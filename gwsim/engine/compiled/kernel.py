"""The decorators of the compiled engine.

Only the entry kernel is callable from Python and cached on disk (`gwsim.engine.cache`); everything else is
compiled into it, without a Python wrapper and without machine code of its own (which would be a fifth of the compile time).

**One source, several kernels.** What belongs to a feature of the model stands behind `if w.has_<feature>` (`world.FLAGS`, one for
each `features.Feature`). The type of `w` knows which features a kernel has (`features.KERNELS`), and the pass below puts True or
False in the place of the flag before numba looks for dead branches: code behind a flag that is False is neither typed nor
compiled nor loaded, and a flag that is True costs nothing at run time. So a new feature costs the models without it nothing;
a condition on the model's data stays beside the flag: `if w.has_outliers and c.outlier >= 0`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba import _dynfunc
from numba.core import config, ir
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, LoweringPass, register_pass
from numba.core.ir_utils import get_definition, guard
from numba.core.typed_passes import NativeLowering
from numba.core.untyped_passes import IRProcessing

from gwsim.engine.cache import cache_directory


class _Part(JITCodeLibrary):
    """Code to be linked into its callers, and never to be machine code itself."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=False, analysis_only=True)
class _Insertion(LoweringPass):
    """Makes a function known to its callers, as `NativeLowering` does for those that have machine code."""

    _name = "gwsim_insertion"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        lowered = state["cr"]
        where, name = lowered.fndesc.lookup_module(), lowered.fndesc.qualname
        handle = _dynfunc.make_function(where, name, name, 0, lowered.env, (state.library,))
        state.targetctx.insert_user_function(handle, lowered.fndesc, [state.library])
        state["cr"] = lowered._replace(cfunc=handle)
        return True


@register_pass(mutates_CFG=False, analysis_only=False)
class _Flags(FunctionPass):
    """Puts constants in the place of the attributes that the type of an argument calls `constants`."""

    _name = "gwsim_flags"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        found = False
        for block in state.func_ir.blocks.values():
            for assign in block.find_insts(ir.Assign):
                value = self._constant(state, assign.value)
                if value is not None:
                    definitions = state.func_ir._definitions[assign.target.name]
                    definitions[definitions.index(assign.value)] = value
                    assign.value = value
                    found = True
        return found

    def _constant(self, state: Any, value: Any) -> Any:
        if not isinstance(value, ir.Expr) or value.op != "getattr":
            return None
        of = guard(get_definition, state.func_ir, value.value)
        constants = getattr(state.args[of.index], "constants", {}) if isinstance(of, ir.Arg) else {}
        return ir.Const(constants[value.attr], value.loc) if value.attr in constants else None


class _Inner(CompilerBase):
    """The compiler of inner functions."""

    def define_pipelines(self) -> list[Any]:
        state = self.state
        state.flags.no_compile = True
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        passes = DefaultPassBuilder.define_nopython_pipeline(state)
        passes.add_pass_after(_Flags, IRProcessing)
        passes.add_pass_after(_Insertion, NativeLowering)
        passes.finalize()
        return [passes]


def kernel(function: Callable[..., Any]) -> Any:
    """Compile an inner function: callable from kernels only."""
    return numba.njit(
        nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy", pipeline_class=_Inner,
    )(function)


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
