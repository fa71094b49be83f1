"""From the functions of the engine to the object code of a kernel, by way of numba: nothing of this is loaded once that is there.

Numba would optimise every function with all that it calls, then once more as a part of each of its callers. Here a function is
typed and lowered by itself, and linked and optimised once, in the kernel: the same machine code, several times sooner.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import binding as llvm
from llvmlite import ir as llvm_ir
from numba import _dynfunc, types
from numba.core import config, ir
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import FunctionPass, LoweringPass, register_pass
from numba.core.extending import intrinsic
from numba.core.ir_utils import get_definition, guard
from numba.core.registry import cpu_target
from numba.core.typed_passes import NativeLowering
from numba.core.untyped_passes import IRProcessing

from gwsim.engine.cache import cache_directory
from gwsim.engine.compiled.machine_code import SYMBOL
from gwsim.engine.compiled.world_type import WorldType

WRAPPER = """
declare i32 @"{entry}"(ptr, ptr, ptr, i64)
define i64 @{symbol}(ptr %world, i64 %events) {{
  %answer = alloca i64
  %fault = alloca ptr
  %status = call i32 @"{entry}"(ptr %answer, ptr %fault, ptr %world, i64 %events)
  %value = load i64, ptr %answer
  ret i64 %value
}}
"""
"""A C function around what numba makes of a function (which could raise an exception; those of the engine do not)."""
CALLED = re.compile(r'call [^@\n]*@(?:llvm\.(exp2?|log|pow|sin|cos)\.f64|(?!"?llvm\.)"?([^"(\n]+))')
"""What a line of LLVM's language calls: a function of the C library, in either form, or another."""
BY_LLVM = ("memcpy", "memmove", "memset")
"""Functions of the C library that LLVM may call where its input does not."""


class _Part(JITCodeLibrary):
    """Code of one function, to be linked into a kernel, and never to be machine code by itself."""

    def finalize(self) -> None:
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True


class _Whole(JITCodeLibrary):
    """A kernel: all its parts, linked once."""

    def finalize(self) -> None:
        self._linking_libraries = parts_of(self)[-2::-1]  # callers first: LLVM takes what has been referred to
        super().finalize()


class _Object(_Whole):
    """A kernel as object code, kept in `code` and not loaded; `imports` are the functions of the C library that it calls."""

    entry = ""
    imports: tuple[str, ...] = ()
    code = b""

    def _optimize_final_module(self) -> None:
        self._final_module.link_in(llvm.parse_assembly(WRAPPER.format(symbol=SYMBOL, entry=self.entry)))
        for function in self._final_module.functions:
            if not function.is_declaration and function.name != SYMBOL:
                function.linkage = "internal"
        super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        defined = {one.name for one in self._final_module.functions if not one.is_declaration}
        called = {intrinsic or name for intrinsic, name in CALLED.findall(str(self._final_module))} - {""}
        self.imports = tuple(sorted(called - defined | set(BY_LLVM)))
        self.code = self._codegen._tm.emit_object(self._final_module)
        self._finalized = True


def parts_of(library: Any) -> list[Any]:
    """Everything that a library is made of, itself last, each after all that it calls."""
    order: dict[int, Any] = {}

    def visit(one: Any) -> None:
        for other in one._linking_libraries:
            if id(other) not in order:
                visit(other)
        order[id(one)] = one

    visit(library)
    return list(order.values())


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
    """Puts constants in the place of the attributes that the type of an argument calls `constants` (`kernel`)."""

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


class _Pipeline(CompilerBase):
    """How a function is compiled into code of `library`."""

    library: type[JITCodeLibrary] = _Part

    def define_pipelines(self) -> list[Any]:
        state = self.state
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        passes = DefaultPassBuilder.define_nopython_pipeline(state)
        passes.add_pass_after(_Flags, IRProcessing)
        self.add_passes(passes)
        passes.finalize()
        return [passes]

    def add_passes(self, passes: Any) -> None:
        """Passes besides those that all have."""


class _Inner(_Pipeline):
    """The compiler of inner functions."""

    def define_pipelines(self) -> list[Any]:
        self.state.flags.no_compile = True
        return super().define_pipelines()

    def add_passes(self, passes: Any) -> None:
        passes.add_pass_after(_Insertion, NativeLowering)


class _Alone(_Inner):
    """The compiler of kernels that are object code."""

    library = _Object


class _Outer(_Pipeline):
    """The compiler of functions that Python calls."""

    library = _Whole


def part(function: Callable[..., Any], pipeline: type[CompilerBase] = _Inner) -> Any:
    """An inner function as numba's dispatcher, which compiles it for the types that it is called with.

    Numba would compile it once more for every constant: that is left to LLVM, which sees all callers.
    """
    made = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy", pipeline_class=pipeline)(function)
    template = made.get_call_template
    made.get_call_template = lambda args, kws: template([types.unliteral(one) for one in args], kws)
    return made


def instruction_type(name: str) -> Any:
    """The numba type of a function below that is a machine instruction."""
    cpu_target.typing_context.refresh()
    return cpu_target.typing_context.resolve_value_type(globals()[name])


@intrinsic
def bit_length(typing_context: Any, v: Any) -> Any:
    """Number of bits of a non-negative int64."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zeros = builder.ctlz(arguments[0], llvm_ir.Constant(llvm_ir.IntType(1), 0))
        return builder.sub(llvm_ir.Constant(llvm_ir.IntType(64), 64), zeros)

    return types.int64(types.int64), codegen


def object_code(function: Callable[..., Any], name: str) -> tuple[tuple[str, ...], bytes]:
    """Object code of `function` (of a world and an integer) with the features of kernel `name`, for this processor.

    Gives the functions of the C library that it calls, and the code.
    """
    made = part(function, _Alone)
    arguments = (WorldType(name), types.int64)
    made.compile(arguments)
    compiled = made.overloads[arguments]
    compiled.library.entry = compiled.fndesc.llvm_func_name
    with global_compiler_lock:
        compiled.library.finalize()
    return compiled.library.imports, compiled.library.code


def entry(function: Callable[..., Any], folder: str) -> Any:
    """Compile a function that Python calls with arrays; machine code cached on disk where possible (`cache_directory`).

    Numba takes its cache directory from a global setting when it decorates, so that is set for that long only:
    other users of numba in the process keep theirs.
    """
    directory = cache_directory(folder)
    options = {"nogil": True, "error_model": "numpy", "pipeline_class": _Outer}
    if directory is None:
        return numba.njit(**options)(function)
    before = config.CACHE_DIR
    config.CACHE_DIR = str(directory)
    try:
        return numba.njit(cache=True, **options)(function)
    finally:
        config.CACHE_DIR = before
