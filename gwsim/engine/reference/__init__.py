"""The reference engine: gwsim's semantics, written to be read and executed with SimPy.

The rules are those of docs/background/engine-semantics.md, one component a file. Start reading at `world` (what
there is), `worker` (the event loop) and `filters` (what happens to a stream).
"""

from gwsim.engine.reference.world import run
from gwsim.engine.schema import Options

__all__ = ["Options", "run"]
