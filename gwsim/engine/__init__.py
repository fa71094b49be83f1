"""The engines: one scenario, two executors, the same result to the last bit.

`run` is the front door. The reference engine (`reference`, SimPy) starts at once; the compiled one (`compiled`,
numba) is about a hundred times faster once its machine code is there. With engine "auto" and no machine code yet, both
set out, each in a process of its own, and whichever finishes first gives the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gwsim.engine.schema import Options, RawRun
    from gwsim.scenario.model import Model

EngineName = Literal["auto", "compiled", "reference"]


def suited(model: Model, engine: EngineName) -> EngineName:
    """The engine that runs `model` when `engine` is asked for: `auto` takes the reference for what only that one has.

    Raises UsageError if `compiled` is asked for and lacks something.
    """
    from gwsim.engine.features import missing

    lacking = missing(model) if engine != "reference" else ()
    if lacking and engine == "compiled":
        from gwsim.errors import UsageError

        raise UsageError(f"the compiled engine does not have {'; '.join(lacking)} yet; take --engine reference")
    return "reference" if lacking else engine


def run(model: Model, replication: int, *, engine: EngineName = "auto", options: Options | None = None) -> RawRun:
    """One replication of `model`.

    Raises UsageError if the compiled engine is asked for and lacks what the model uses, InputError if the model is larger than the engines allow, InternalError for a fault inside an engine.
    """
    from gwsim.engine.cache import cache_directory
    from gwsim.engine.features import is_ready
    from gwsim.engine.schema import Options

    options = options or Options()
    engine = suited(model, engine)
    if engine == "reference":
        from gwsim.engine import reference

        return reference.run(model, replication, options)
    if engine == "auto" and not is_ready(model) and cache_directory() is not None:
        from gwsim.engine.race import race

        answer = race(model, replication, options)
        if answer is not None:
            return answer
    from gwsim.engine.compiled import driver

    return driver.run(model, replication, options)


__all__ = ["EngineName", "run", "suited"]
