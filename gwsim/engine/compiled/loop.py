"""The table of contents of the compiled engine: which event is next, and which component handles it.

There is no global queue of events. Each kind has a structure of its own: deliveries to stations and to clients are in
two heaps; what clients do next is known per source; a worker has one next instant, of its next visit or poll.
`advance_lean` and `advance_full` are the only kernels that Python calls, two of one source (`kernel`): the first without the features that most
models do not use (`features.KERNELS`). They run until the end, until an array is full (GROW: the driver
doubles it and calls again), until a control event is next (CONTROL: the driver carries it out) or until its budget of events is used up (so that the driver can show progress).
"""

from __future__ import annotations

from gwsim.engine.codes import Counter
from gwsim.engine.compiled.backends import arrive as arrive_at_station
from gwsim.engine.compiled.clients import act, deliver_to_client, next_act
from gwsim.engine.compiled.connections import open_warm
from gwsim.engine.compiled.heaps import MAX_SOURCES, key_a, key_b
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import FREE_FOREVER
from gwsim.engine.compiled.lifecycle import end_pods
from gwsim.engine.compiled.lifetimes import idles
from gwsim.engine.compiled.membership import drain_left
from gwsim.engine.compiled.outliers import finish_tick
from gwsim.engine.compiled.pools import (
    ORDER_DURATION,
    WARM_WORKER,
    await_end,
    make_ready,
    new_cx,
    open_cx,
    upstream_timer,
)
from gwsim.engine.compiled.recording import advance_area
from gwsim.engine.compiled.relays import open_warm_link
from gwsim.engine.compiled.slots import new_slot, queue_slot
from gwsim.engine.compiled.source_ports import take_port
from gwsim.engine.compiled.sources import CLOSED, DERIVED, schedule_open, start_loop
from gwsim.engine.compiled.state import drop_cx
from gwsim.engine.compiled.worker import turn

DONE, MORE, GROW, CONTROL = 0, 1, 2, 3
UNCHECKED = 8
"""Events between two looks at whether the arrays have room (they leave room for that many)."""
MS = 1_000_000
CX_TOTAL = int(Counter.UPSTREAM_CX_TOTAL)


@kernel
def _start(w):
    """The state at time 0: connections and pools open (warm) or not (cold), first arrivals known."""
    g = w.g[0]
    g.started = 1
    for i in range(w.workers.shape[0]):
        w.workers[i].asleep = w.pods[w.workers[i].pod].serving
        w.workers[i].timer_at_ns = FREE_FOREVER
        w.next_at[i] = FREE_FOREVER
    if g.warm == 1:
        _warm_pools(w)
    for c in range(w.clients.shape[0]):
        client = w.clients[c]
        client.slot_first = g.slots
        for queue in range(client.queue_first, client.queue_first + client.queues):
            for _ in range(client.slot_count):
                j = new_slot(w, c, queue)
                queue_slot(w, c, j)
                if g.warm == 1 and w.fleets[client.fleet].zones > 0:
                    open_warm(w, c, j)
    if g.warm == 1:
        for i in range(w.workers.shape[0]):
            at = w.workers[i].timer_at_ns
            if at < FREE_FOREVER:
                w.next_at[i] = (at + MS - 1) // MS * MS + w.workers[i].wakeup_ns
    for c in range(w.clients.shape[0]):
        client = w.clients[c]
        if client.arrivals == CLOSED:
            client.next_at_ns = FREE_FOREVER
            for j in range(client.loops):
                start_loop(w, c, j)
        elif client.arrivals == DERIVED:
            client.next_at_ns = FREE_FOREVER
        else:
            schedule_open(w, c)
            if client.next_at_ns < g.horizon_ns:
                g.open_sources += 1
    g.act_at_ns, g.act_kind, g.act_client = next_act(w)
    g.act_known = 1


@kernel
def _warm_pools(w):
    """One idle connection per worker and endpoint that can be picked, as far as the breakers let it."""
    for k in range(w.clusters.shape[0]):
        c = w.clusters[k]
        for d in range(w.pods.shape[0]):
            q = w.podclusters[d, k]
            if q.connections < 0 or w.pods[d].serving == 0:
                q.connections = 0
                continue
            for i in range(w.pods[d].worker_first, w.pods[d].worker_first + w.pods[d].workers):
                for ep in range(c.endpoint_first, c.endpoint_first + c.endpoints):
                    if w.podhosts[d, ep].warm == 1 and q.connections < c.max_connections:
                        n = new_cx(w, i, ep)
                        if w.has_ports and w.stations[w.endpoints[ep].station].ports >= 0 and not take_port(w, w.upstream[n], 0):
                            drop_cx(w, n)
                            continue
                        q.connections += 1
                        open_cx(w, n)
                        make_ready(w, n)
                        if w.has_chains and w.stations[w.endpoints[ep].station].relay >= 0:
                            zone, other = w.workers[i].zone, w.stations[w.endpoints[ep].station].zone
                            open_warm_link(w, n, w.rtt[zone, other, 0], w.rtt[zone, other, 1])
                        if w.has_connections:
                            _warm_connection(w, i, n, k, ep - c.endpoint_first)
                        w.cluster_out[k, CX_TOTAL] += 1


@kernel
def _warm_connection(w, i, n, k, position):
    """What may end the connection `n` that is there from the start; a name of its own."""
    u = w.upstream[n]
    u.a = key_a(k & (MAX_SOURCES - 1), WARM_WORKER * i + position)
    u.b = key_b(4095, 0, 0, 0)
    if w.has_membership:
        await_end(w, n, 0)
    idles(w, n, 0, 0, u.a, u.b)
    if w.clusters[k].duration_ns > 0:
        upstream_timer(w, i, n, w.clusters[k].duration_ns, u.a, u.b, ORDER_DURATION)


@kernel
def _has_room(w):
    """Whether every array can take what the next events may add (`slack` covers `UNCHECKED` of them)."""
    g = w.g[0]
    s = g.slack
    more = g.fan * s
    return (
        g.streams_live + 2 * UNCHECKED + g.extra * (g.pending + s) + more < w.streams.shape[0]
        and g.conns_live + 2 * UNCHECKED + g.chained * (g.extra * g.pending + s) + more < w.conns.shape[0]
        and g.slots + 2 * UNCHECKED + more < w.slots.shape[0]
        and g.hold_used + s + g.links_live + more < w.hold.shape[0]
        and g.jobs_live + 2 * UNCHECKED < w.jobs.shape[0]
        and g.cx_live + g.extra * g.pending + s < w.upstream.shape[0]
        and g.stops_max + g.stops_slack < w.stops.shape[1]
        and g.ports * (g.rest_used + g.cx_live + s) < w.resting.shape[0]
        and g.uptimers_max + 3 * s < w.uptimers.shape[1]
        and g.downtimers_max + s < w.downtimers.shape[1]
        and g.station_n + 2 * UNCHECKED + (g.fragile + g.chained) * s < w.station_heap.shape[0]
        and g.client_n + s + g.living * g.slots + more < w.client_heap.shape[0]
        and g.act_n + s < w.act_heap.shape[0]
        and g.ready_max + s + g.links_live + more < w.ready.shape[1]
        and g.accept_max + s + g.chained * g.extra * g.pending + more < w.accept.shape[1]
        and g.backoff_max + s < w.backoff.shape[1]
        and g.armed_max + (1 + g.extra) * (g.pending + s) < w.armed.shape[1]
    )


@kernel
def _has_room_for_list(w, i):
    k = w.workers[i]
    return k.ready_n + k.armed_n + k.timers_n + k.backoff_n + k.uptimers_n + k.downtimers_n + 2 < w.tasks.shape[1]


@kernel
def _first_worker(w):
    """Worker with the earliest next event; the lowest of equals."""
    best = 0
    t = w.next_at[0]
    for i in range(1, w.next_at.shape[0]):
        if w.next_at[i] < t:
            t = w.next_at[i]
            best = i
    return t, best


@kernel
def _stop(w, t):
    g = w.g[0]
    g.done = 1
    g.stop_ns = t
    advance_area(w, t)


@kernel
def _client_act(w):
    """Carry out the earliest act of the clients; `act_at_ns` is exact if `act_known`, else a lower bound."""
    g = w.g[0]
    if g.act_known == 0:
        t = g.act_at_ns
        g.act_at_ns, g.act_kind, g.act_client = next_act(w)
        g.act_known = 1
        if g.act_at_ns != t:
            return
    t = g.act_at_ns
    act(w, g.act_kind, g.act_client)
    if g.in_flight > g.max_in_flight:
        g.saturated = 1
        _stop(w, t)
    g.act_at_ns, g.act_kind, g.act_client = next_act(w)
    g.act_known = 1


@kernel
def advance(w, budget):
    """Run up to `budget` events; DONE, MORE, GROW or CONTROL."""
    g = w.g[0]
    if w.has_ports:
        g.now_ns = g.stop_ns
    if w.has_outliers and g.tick_pod >= 0:
        finish_tick(w)
    if w.has_membership and g.leavings == 1:
        drain_left(w)
    if w.has_lifecycle and g.endings == 1:
        end_pods(w)
    if g.started == 0:
        _start(w)
    for n in range(budget):
        if n % UNCHECKED == 0 and not _has_room(w):
            return GROW
        t, i = _first_worker(w)
        what = 3
        if g.act_at_ns <= t:
            t, what = g.act_at_ns, 2
        if g.client_n > 0 and w.client_heap[0].t <= t:
            t, what = w.client_heap[0].t, 1
        if g.station_n > 0 and w.station_heap[0].t <= t:
            t, what = w.station_heap[0].t, 0
        if g.control_at_ns <= t:
            return CONTROL
        if w.has_ports:
            g.now_ns = t
        if what == 3:
            if t == FREE_FOREVER:
                _stop(w, g.stop_ns)
                return DONE
            if not _has_room_for_list(w, i):
                return GROW
            turn(w, i, t)
        elif what == 0:
            if not arrive_at_station(w):
                continue
        elif what == 1:
            if not deliver_to_client(w):
                continue
        elif t == FREE_FOREVER:
            _stop(w, g.stop_ns)
            return DONE
        else:
            _client_act(w)
        g.events += 1
        g.stop_ns = t
        if g.measured == 0 and g.open_sources == 0 and g.area_since_ns == t and g.done == 0:
            if g.closed_clients == 0 or t >= g.horizon_ns:
                _stop(w, t)
        if g.done == 1:
            return DONE
    return MORE
