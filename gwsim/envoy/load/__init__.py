"""A small open-loop load generator: requests leave when they are due, whatever became of those before.

    load = Load(target=Target(port=8080), requests=(Request(path="/cart"),), schedule=poisson(500, 10, seed=1))
    sent = send(load)
    sent.check()                       # raises when the generator itself was late
    sent.latency_s, sent.statuses()

Latency counts from the instant a request was due, so that a stall shows in every request it delayed (no coordinated
omission). HTTP/1.1 keep-alive, HTTP/2, TLS with resumption; connections are kept as the clients of a scenario keep
them (`gwsim.scenario.model.Connection`).
"""

from gwsim.envoy.load.plan import Backend, Load, Request, Target, Tls
from gwsim.envoy.load.schedule import Schedule, paced, poisson, recorded
from gwsim.envoy.load.sender import send
from gwsim.envoy.load.sent import CLOSED, REFUSED, TIMED_OUT, Late, Sent

__all__ = [
    "CLOSED", "REFUSED", "TIMED_OUT", "Backend", "Late", "Load", "Request", "Schedule", "Sent", "Target", "Tls", "paced", "poisson",
    "recorded", "send",
]  # fmt: skip
