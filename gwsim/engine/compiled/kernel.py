"""What the functions of the compiled engine are: Python here, machine code in a kernel.

A function under `@kernel` is compiled, by `compiler`, as a part of what calls it; in Python it is the function that it was. So these
modules are imported without the compiler, which a run does without as long as its machine code is there (`machine_code`).

**One source, several kernels.** What belongs to a feature of the model stands behind `if w.has_<feature>` (`world.FLAGS`, one for
each `features.Feature`). The type of `w` knows which features a kernel has (`features.KERNELS`), and a pass of the compiler puts True or
False in the place of the flag before numba looks for dead branches: code behind a flag that is False is neither typed nor
compiled nor loaded, and a flag that is True costs nothing at run time. So a new feature costs the models without it nothing;
a condition on the model's data stays beside the flag: `if w.has_outliers and c.outlier >= 0`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any


class Kernel:
    """A function that `compiler` makes a part of the kernels that call it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    @cached_property
    def compiled(self) -> Any:
        """What numba knows the function by."""
        from gwsim.engine.compiled import compiler

        return compiler.part(self.function)

    @property
    def _numba_type_(self) -> Any:
        """Numba asks a global of an unknown kind for its type."""
        return self.compiled._numba_type_


class Instruction(Kernel):
    """A function that kernels have from `compiler`, by the same name."""

    @property
    def _numba_type_(self) -> Any:
        from gwsim.engine.compiled import compiler

        return compiler.instruction_type(self.function.__name__)


def kernel(function: Callable[..., Any]) -> Any:
    """An inner function of the engine: callable from kernels, and from Python."""
    return function if os.environ.get("NUMBA_DISABLE_JIT") else Kernel(function)


def instruction(function: Callable[..., Any]) -> Any:
    """What `compiler` has a machine instruction for, in Python."""
    return function if os.environ.get("NUMBA_DISABLE_JIT") else Instruction(function)
