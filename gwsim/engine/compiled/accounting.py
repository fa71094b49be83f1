"""Where a request's time goes: every change of state charges the time since the last one."""

from __future__ import annotations

from gwsim.engine.codes import Component
from gwsim.engine.compiled.cpu import stopped
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
THROTTLING, NEXT_HOP = int(Component.THROTTLING), int(Component.NEXT_HOP)

SETUP, SENT, ARMED, PENDING, UPSTREAM, BACKOFF, RETURNING, RESTING, CALLING, DELAYED, CUT = range(11)
"""States of a stream: waiting for its connection; sent; armed on the worker (either way); in a pool's queue; sent
upstream; in the gateway's back-off; answer on its way to the client; in the client's back-off; waiting for a filter's
call; delayed by a fault; waiting for a connection that will not be."""


@kernel
def settle(w, r, t):
    """Charge the time of stream `r` since its last change of state up to `t`.

    `t` may lie inside a visit or a wait that was charged ahead (a client gives up at any instant): then what lies
    beyond `t` is taken back from the component that it was charged to.
    """
    since = r.since_ns
    r.since_ns = t
    state = r.state
    x, component = t, WORKER_QUEUE
    if t < since:
        component = CLIENT_BACKOFF if state == SETUP else PROXY_CPU
        r.component[component] -= since - t
        x = t if state == SETUP else since
    elif state == ARMED:
        r.component[WORKER_QUEUE] += t - since
        x = since
    elif state == SENT:
        x = min(t, r.due_ns)
        r.component[CLIENT_NETWORK] += x - since
        r.component[WORKER_QUEUE] += t - x
    elif state == UPSTREAM:
        x = _settle_upstream(w, r, since, t)
    elif state == RETURNING or state == CUT:
        r.component[CLIENT_NETWORK] += t - since
    elif state == SETUP:
        r.component[CONNECTION_SETUP] += t - since
    elif state == PENDING:
        r.component[POOL_WAIT] += t - since
    elif state == BACKOFF:
        x = min(t, r.backoff_at_ns)
        r.component[RETRY_BACKOFF] += x - since
        r.component[WORKER_QUEUE] += t - x
    elif w.has_filters and state == CALLING:
        r.component[FILTER_CALLS] += t - since
    elif w.has_filters and state == DELAYED:
        x = min(t, r.due_ns)
        r.component[INJECTED_DELAY] += x - since
        r.component[WORKER_QUEUE] += t - x
    else:
        r.component[CLIENT_BACKOFF] += t - since
    if w.has_front and w.g[0].limited == 1 and x != t:
        _throttle(w, r, component, x, t)


@kernel
def _throttle(w, r, component, x, t):
    """The time from `x` to `t` was charged to a component: not that in which the worker was stopped."""
    throttled = stopped(w, r.conn, t) - stopped(w, r.conn, x)
    r.component[component] -= throttled
    r.component[THROTTLING] += throttled


@kernel
def _settle_upstream(w, r, since, t):
    """Intervals of an attempt upstream; when its answer was ready."""
    arrive = min(t, r.arrive_ns)
    service = min(t, r.service_ns)
    depart = min(t, r.depart_ns)
    answer = min(t, r.answer_ns)
    r.component[UPSTREAM_NETWORK] += arrive - since + (answer - depart)
    r.component[UPSTREAM_QUEUE] += service - arrive
    r.component[UPSTREAM_SERVICE] += depart - service
    if w.has_chains:
        served = min(depart, r.served_ns)
        r.component[UPSTREAM_SERVICE] -= depart - served
        r.component[NEXT_HOP] += depart - served
    r.component[WORKER_QUEUE] += t - answer
    return answer


@kernel
def serve(w, r, s, cost):
    """Stream `r` is served by a visit that starts at `s` and takes `cost` ns."""
    settle(w, r, s)
    r.component[PROXY_CPU] += cost
    r.since_ns = s + cost
    if w.has_front and w.g[0].limited == 1:
        _throttle(w, r, PROXY_CPU, s, s + cost)
