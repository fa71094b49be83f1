"""The smallest model there is: enough to compile every kernel."""

from __future__ import annotations

from gwsim.scenario.model import (
    Client,
    Connection,
    DownstreamCosts,
    Fleet,
    Model,
    Network,
    Outcome,
    Paced,
    Pod,
    Run,
    Shape,
    constant,
)

_FREE = DownstreamCosts(
    accept_s=0.0, client_hello_full_s=0.0, client_hello_resumed_s=0.0, finished_full_s=0.0, finished_resumed_s=0.0,
    read_s=0.0, read_stream_s=0.0, read_byte_s=0.0, write_down_s=0.0, write_down_stream_s=0.0, write_down_byte_s=0.0,
    timer_s=0.0, close_s=0.0,
)


def smallest() -> Model:
    """One client, one worker, three requests, each answered 404 by the gateway itself."""
    shape = Shape(
        name="any", weight=1.0, outcome=Outcome(route="none", local_status=404, flags=("NR",)),
        request_bytes=constant(0.0), response_bytes=constant(0.0),
    )
    client = Client(
        name="client", fleet=0, arrivals=Paced(rate_rps=3.0), connection=Connection(), rtt_s=constant(0.001),
        costs=_FREE, mix=(shape,),
    )
    fleet = Fleet(name="gateway", pods=(Pod(name="pod", zone="", workers=1),), wakeup_s=0.0, iteration_s=0.0)
    return Model(
        clients=(client,), fleets=(fleet,), clusters=(), stations=(), network=Network(same_zone_rtt_s=0.0, cross_zone_rtt_s=0.0),
        run=Run(duration_s=1.0, replications=1),
    )
