"""Where a request's time goes: every change of state charges the time since the last one."""

from __future__ import annotations

from gwsim.engine.codes import Component
from gwsim.engine.compiled.kernel import kernel

CLIENT_NETWORK = int(Component.CLIENT_NETWORK)
CONNECTION_SETUP = int(Component.CONNECTION_SETUP)
WORKER_QUEUE = int(Component.WORKER_QUEUE)
PROXY_CPU = int(Component.PROXY_CPU)
POOL_WAIT = int(Component.POOL_WAIT)
UPSTREAM_NETWORK = int(Component.UPSTREAM_NETWORK)
UPSTREAM_QUEUE = int(Component.UPSTREAM_QUEUE)
UPSTREAM_SERVICE = int(Component.UPSTREAM_SERVICE)
RETRY_BACKOFF = int(Component.RETRY_BACKOFF)
CLIENT_BACKOFF = int(Component.CLIENT_BACKOFF)
FILTER_CALLS, INJECTED_DELAY = int(Component.FILTER_CALLS), int(Component.INJECTED_DELAY)

SETUP, SENT, ARMED, PENDING, UPSTREAM, BACKOFF, RETURNING, RESTING, CALLING, DELAYED = range(10)
"""States of a stream: waiting for its connection; sent; armed on the worker (either way); in a pool's queue; sent
upstream; in the gateway's back-off; answer on its way to the client; in the client's back-off; waiting for a filter's
call; delayed by a fault."""


@kernel
def settle(r, t):
    """Charge the time of stream `r` since its last change of state up to `t`.

    `t` may lie inside a visit or a wait that was charged ahead (a client gives up at any instant): then what lies
    beyond `t` is taken back from the component that it was charged to.
    """
    since = r.since_ns
    r.since_ns = t
    state = r.state
    if t < since:
        r.component[CLIENT_BACKOFF if state == SETUP else PROXY_CPU] -= since - t
    elif state == ARMED:
        r.component[WORKER_QUEUE] += t - since
    elif state == SENT:
        due = min(t, r.due_ns)
        r.component[CLIENT_NETWORK] += due - since
        r.component[WORKER_QUEUE] += t - due
    elif state == UPSTREAM:
        _settle_upstream(r, since, t)
    elif state == RETURNING:
        r.component[CLIENT_NETWORK] += t - since
    elif state == SETUP:
        r.component[CONNECTION_SETUP] += t - since
    elif state == PENDING:
        r.component[POOL_WAIT] += t - since
    elif state == BACKOFF:
        due = min(t, r.backoff_at_ns)
        r.component[RETRY_BACKOFF] += due - since
        r.component[WORKER_QUEUE] += t - due
    elif state == CALLING:
        r.component[FILTER_CALLS] += t - since
    elif state == DELAYED:
        due = min(t, r.due_ns)
        r.component[INJECTED_DELAY] += due - since
        r.component[WORKER_QUEUE] += t - due
    else:
        r.component[CLIENT_BACKOFF] += t - since


@kernel
def _settle_upstream(r, since, t):
    arrive = min(t, r.arrive_ns)
    service = min(t, r.service_ns)
    depart = min(t, r.depart_ns)
    answer = min(t, r.answer_ns)
    r.component[UPSTREAM_NETWORK] += arrive - since + (answer - depart)
    r.component[UPSTREAM_QUEUE] += service - arrive
    r.component[UPSTREAM_SERVICE] += depart - service
    r.component[WORKER_QUEUE] += t - answer


@kernel
def serve(r, s, cost):
    """Stream `r` is served by a visit of `cost` ns starting at `s`."""
    settle(r, s)
    r.component[PROXY_CPU] += cost
    r.since_ns = s + cost
