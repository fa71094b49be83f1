"""What the filters of a gateway do with an entry of a mix, as the program that the engines run.

Order and rules: Envoy's fault filter delays first, then aborts (source/extensions/filters/http/fault/fault_filter.cc).
"""

from __future__ import annotations

from gwsim.scenario.model import Abort, Delay, Operation
from gwsim.topology import Decision
from gwsim.topology import Outcome as Kind

GRPC_HTTP_STATUS = 200
"""Status of an answer whose failure is told as a gRPC status."""


def program_of(decision: Decision) -> tuple[Operation, ...]:
    """The operations before the router, in order."""
    return faults(decision)


def faults(decision: Decision) -> tuple[Operation, ...]:
    """Injected faults; an abort of all requests is the decision's own answer."""
    program: list[Operation] = []
    delay, abort = decision.fault_delay, decision.fault_abort
    if delay is not None and delay.percent > 0.0:
        program.append(Delay(percent=delay.percent, delay_s=delay.delay_s))
    if abort is not None and abort.percent > 0.0 and decision.outcome is not Kind.FAULT_ABORT:
        program.append(Abort(percent=abort.percent, status=abort.status or GRPC_HTTP_STATUS))
    return tuple(program)


__all__ = ["faults", "program_of"]
