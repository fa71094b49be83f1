"""A client's slots: the queue of the free ones, who waits on them, and the attempts that are on them."""

from __future__ import annotations

from gwsim.engine.compiled.draws import fold
from gwsim.engine.compiled.kernel import kernel

CLOSED, OPENING, OPEN = 0, 1, 2


@kernel
def queue_slot(w, c, j):
    """Slot `j` goes to the tail of its client's free slots."""
    if w.clients[c].loops > 0:
        return
    q = w.queues[w.slots[j].queue]
    w.slots[j].next_free = -1
    w.slots[j].queued = 1
    if q.head < 0:
        q.head = j
    else:
        w.slots[q.tail].next_free = j
    q.tail = j


@kernel
def new_slot(w, c, queue):
    """One more slot for client `c` (closed) in one of its queues."""
    g = w.g[0]
    q = w.queues[queue]
    j = g.slots
    g.slots += 1
    s = w.slots[j]
    s.client = c
    s.queue = queue
    s.index = q.made
    s.key = fold(q.key, q.made)
    q.made += 1
    s.generation = 0
    s.state = CLOSED
    s.in_use = 0
    s.remaining = w.clients[c].per_connection
    s.ticket_pod = -1
    s.not_before_ns = 0
    s.conn = -1
    s.waiting_head = -1
    s.waiting_tail = -1
    s.queued = 0
    s.retiring = 0
    s.attempt_head = -1
    return j


@kernel
def free_slot(w, c, queue):
    """The slot of a queue that client `c` has not used for longest, else a new one."""
    q = w.queues[queue]
    j = q.head
    if j < 0:
        return new_slot(w, c, queue)
    q.head = w.slots[j].next_free
    if q.head < 0:
        q.tail = -1
    w.slots[j].queued = 0
    return j


@kernel
def retire(w, j):
    """Slot `j` takes no more requests; it is closed when it carries none."""
    s = w.slots[j]
    if s.retiring == 1:
        return
    s.retiring = 1
    if s.queued == 0:
        return
    s.queued = 0
    q = w.queues[s.queue]
    before, at = -1, q.head
    while at != j:
        before, at = at, w.slots[at].next_free
    if before < 0:
        q.head = s.next_free
    else:
        w.slots[before].next_free = s.next_free
    if q.tail == j:
        q.tail = before


@kernel
def wait_on(w, s, x):
    """Stream `x` waits for the connection of slot `s`."""
    r = w.streams[x]
    r.waiting_next = -1
    r.waiting_prev = s.waiting_tail
    if s.waiting_tail < 0:
        s.waiting_head = x
    else:
        w.streams[s.waiting_tail].waiting_next = x
    s.waiting_tail = x


@kernel
def stop_waiting(w, s, x):
    """Stream `x` waits no longer."""
    r = w.streams[x]
    if r.waiting_prev < 0:
        s.waiting_head = r.waiting_next
    else:
        w.streams[r.waiting_prev].waiting_next = r.waiting_next
    if r.waiting_next < 0:
        s.waiting_tail = r.waiting_prev
    else:
        w.streams[r.waiting_next].waiting_prev = r.waiting_prev


@kernel
def join_slot(w, s, x):
    """Stream `x` is one of the attempts on slot `s`."""
    r = w.streams[x]
    r.slot_prev = -1
    r.slot_next = s.attempt_head
    if s.attempt_head >= 0:
        w.streams[s.attempt_head].slot_prev = x
    s.attempt_head = x


@kernel
def leave_slot(w, s, x):
    """Stream `x` is on slot `s` no longer."""
    r = w.streams[x]
    if r.slot_prev < 0:
        s.attempt_head = r.slot_next
    else:
        w.streams[r.slot_prev].slot_next = r.slot_next
    if r.slot_next >= 0:
        w.streams[r.slot_next].slot_prev = r.slot_prev
