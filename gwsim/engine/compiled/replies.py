"""The end of a stream at the gateway: local replies, and answers armed on the downstream connection."""

from __future__ import annotations

from gwsim.engine.codes import Visit
from gwsim.engine.compiled.accounting import ARMED
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.recording import record_gateway
from gwsim.engine.compiled.state import arm, drop_stream
from gwsim.engine.compiled.timers import cancel_route, cancel_try

WRITE_DOWN = int(Visit.WRITE_DOWN)


@kernel
def release_retry(w, i, x):
    """The retried attempt of stream `x` has ended: its place under `max_retries` is free."""
    r = w.streams[x]
    if r.holds_retry == 1:
        r.holds_retry = 0
        w.podclusters[w.workers[i].pod, r.cluster].retries -= 1


@kernel
def link_conn(w, x):
    """Stream `x` begins on its connection."""
    r = w.streams[x]
    c = w.conns[r.conn]
    r.conn_prev = -1
    r.conn_next = c.stream_head
    if c.stream_head >= 0:
        w.streams[c.stream_head].conn_prev = x
    c.stream_head = x


@kernel
def end_stream(w, i, x, e):
    """Stream `x` ends at the gateway at `e` with the status and flags it has by now."""
    r = w.streams[x]
    cancel_route(w, i, x)
    cancel_try(w, i, x)
    release_retry(w, i, x)
    r.gw_done = 1
    r.gw_end_ns = e
    if r.conn_prev < 0:
        w.conns[r.conn].stream_head = r.conn_next
    else:
        w.streams[r.conn_prev].conn_next = r.conn_next
    if r.conn_next >= 0:
        w.streams[r.conn_next].conn_prev = r.conn_prev
    record_gateway(w, x)


@kernel
def arm_answer(w, i, x, e):
    """Arm the answer of stream `x` (whose gateway side has ended) on its connection, after whatever waits there."""
    r = w.streams[x]
    c = w.conns[r.conn]
    r.state = ARMED
    r.since_ns = e
    r.out_next = -1
    if c.out_head < 0:
        c.out_head = x
    else:
        w.streams[c.out_tail].out_next = x
    c.out_tail = x
    r.refs += 1
    if c.armed == 0:
        c.armed = 1
        c.refs += 1
        arm(w, i, WRITE_DOWN, r.conn, 0)
    drop_stream(w, x)


@kernel
def local_reply(w, i, x, status, flag, nbytes, e):
    """The gateway answers stream `x` itself."""
    r = w.streams[x]
    r.status = status
    r.flags |= flag
    r.sent_bytes = nbytes
    end_stream(w, i, x, e)
    arm_answer(w, i, x, e)
