"""The decorators of the compiled engine.

Only the entry kernel is callable from Python and cached on disk (`gwsim.engine.cache`); everything else is
compiled into it, without a Python wrapper and without machine code of its own (which would be a fifth of the compile time).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba import _dynfunc
from numba.core import config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.typed_passes import NativeLowering

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


class _Inner(CompilerBase):
    """The compiler of inner functions."""

    def define_pipelines(self) -> list[Any]:
        state = self.state
        state.flags.no_compile = True
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        passes = DefaultPassBuilder.define_nopython_pipeline(state)
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
