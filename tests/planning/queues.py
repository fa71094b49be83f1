"""Scenarios whose answer is known: a gateway that costs nothing before one exponential server is M/M/1."""

from __future__ import annotations

from dataclasses import replace

from synthetic import model

from gwsim.scenario.model import Distribution, Model, Network


def mm1(load: float, *, service_rps: float = 1000.0, **run: object) -> Model:
    """M/M/1 at `load`: Poisson arrivals, one exponential server, no other cost; 1 ms of round trip to the client."""
    made = model(routes=("r",), rate=load * service_rps, concurrency=1, **run)
    service = Distribution(kind="exponential", a=1.0 / service_rps, mean=1.0 / service_rps)
    return replace(
        made, stations=(replace(made.stations[0], service_time_s=service),),
        fleets=(replace(made.fleets[0], wakeup_s=0.0, iteration_s=0.0),),
        network=Network(same_zone_rtt_s=0.0, cross_zone_rtt_s=0.0),
    )


def busy_gateway(cpu_s: float, *, pods: int = 2, rate: float = 1000.0, **run: object) -> Model:
    """A gateway that spends `cpu_s` of CPU on a request, before a fast backend."""
    made = model(routes=("r",), rate=rate, concurrency=None, **run)
    client, fleet = made.clients[0], made.fleets[0]
    first = fleet.pods[0]
    station = replace(made.stations[0], service_time_s=Distribution(kind="constant", a=0.001, mean=0.001))
    return replace(
        made, clients=(replace(client, costs=replace(client.costs, read_s=cpu_s)),), stations=(station,),
        fleets=(replace(
            fleet, wakeup_s=0.0, iteration_s=0.0, front="round_robin",
            pods=tuple(replace(first, name=f"gw-{i}") for i in range(pods)),
        ),),
    )
