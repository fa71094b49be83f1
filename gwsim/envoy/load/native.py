"""The loop that sends HTTP/1.1, in nopython code: a request leaves within microseconds of when it is due.

Connections are taken in the order in which they were last used. The same loop can be the backend: it then answers what comes
to a listening socket, so that generator and backend do not wait for each other's processor.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from gwsim.engine.cache import PREFIX
from gwsim.engine.compiled.compiler import entry
from gwsim.engine.compiled.kernel import kernel
from gwsim.envoy.load import calls, wires
from gwsim.envoy.load.answers import BROKEN, DONE, feed
from gwsim.envoy.load.layout import CHUNK, EVENTS, HEAD, NONE, READY, TO_END
from gwsim.envoy.load.sent import CLOSED, REFUSED, TIMED_OUT
from gwsim.envoy.load.wires import BACKEND, ERR, HUP, IN, OUT, RDHUP

_MONOTONIC = 1
_SECOND = 1_000_000_000
_SLOT_BITS = np.uint64((1 << 24) - 1)


@kernel
def clock(state):
    """Nanoseconds, as time.perf_counter_ns has them."""
    calls.clock_gettime(_MONOTONIC, state.scratch.ctypes.data)
    return state.scratch[0] * _SECOND + state.scratch[1]


@kernel
def sleep(state, length_ns):
    """Until something happens, at most so long. Other than epoll_wait, ppoll does not sleep whole milliseconds."""
    state.scratch[2], state.scratch[3] = length_ns // _SECOND, length_ns % _SECOND
    state.scratch[6] = np.int64(state.run[0].poll) | (np.int64(IN) << 32)
    base = state.scratch.ctypes.data
    calls.ppoll(base + np.uint64(48), 1, base + np.uint64(16), 0)


# --- slots and what waits for them ---------------------------------------------------------------------------


@kernel
def takes_more(state, s):
    """Whether a request can go out on this slot now."""
    run, slot = state.run[0], state.slots[s]
    return slot.request < 0 and not (run.limit and slot.used >= run.limit)


@kernel
def free_slot(state):
    """The least recently used slot with room, or a new one; -1: no room for more."""
    run = state.run[0]
    if run.frees:
        s = state.free[run.free]
        run.free = (run.free + 1) % len(state.free)
        run.frees -= 1
        state.slots[s].listed = 0
        return s
    if run.slots == len(state.slots):
        return -1
    run.slots += 1
    return run.slots - 1


@kernel
def room(state, s, now):
    """A slot that may have room: it takes what waits for it, or goes to the end of the list."""
    run, slot = state.run[0], state.slots[s]
    while slot.first >= 0 and takes_more(state, s):
        number = slot.first
        slot.first = state.next_waiting[number]
        if not state.status[number] and not place(state, s, number, now):
            record(state, number, REFUSED, now)
    if state.wants[0] < 0 and not slot.listed and takes_more(state, s):
        slot.listed = 1
        state.free[(run.free + run.frees) % len(state.free)] = s
        run.frees += 1


@kernel
def begin(state, number, now):
    """A request is due."""
    s = state.wants[number] if state.wants[number] >= 0 else free_slot(state)
    if s < 0:
        state.acted_ns[number] = now - state.run[0].start_ns
        record(state, number, REFUSED, now)
        return
    slot = state.slots[s]
    if slot.request >= 0 or slot.first >= 0:
        state.acted_ns[number] = now - state.run[0].start_ns
        if slot.first < 0:
            slot.first = number
        else:
            state.next_waiting[slot.last] = number
        slot.last = number
        return
    if not place(state, s, number, now):
        record(state, number, REFUSED, now)
    if slot.request < 0:
        room(state, s, now)


@kernel
def place(state, s, number, now):
    """Send a request on an idle slot, which connects first if need be; False when it cannot."""
    run, slot = state.run[0], state.slots[s]
    if state.acted_ns[number] < 0:
        state.acted_ns[number] = now - run.start_ns
    if slot.state == NONE:
        if not wires.open_wire(state, s):
            return False
        state.opened[number] = True
    state.pending[run.pendings] = number
    run.pendings += 1
    slot.request, slot.written, slot.phase, slot.have, slot.got = number, 0, HEAD, 0, 0
    slot.used += 1
    state.carrier[number], state.home[number] = slot.number, s
    if slot.state == READY and not wires.write(state, s):
        ended(state, s, CLOSED, now)
    return True


# --- what becomes of requests --------------------------------------------------------------------------------


@kernel
def record(state, number, status, now):
    """The end of a request, once."""
    run = state.run[0]
    if state.status[number] == 0:
        state.status[number] = status
        state.done_ns[number] = now - run.start_ns
        run.finished += 1


@kernel
def ended(state, s, why, now):
    """A connection is over; an answer without a length ends with it."""
    slot = state.slots[s]
    number = slot.request
    if number >= 0:
        if why == CLOSED and slot.phase == TO_END:
            why = slot.status
            state.read[number] = slot.got
        record(state, number, why, now)
    slot.request = -1
    wires.close_wire(state, s)


@kernel
def answered(state, s, now):
    """The whole answer is here."""
    run, slot = state.run[0], state.slots[s]
    number = slot.request
    slot.request = -1
    if number < 0:
        return
    state.read[number] = slot.got
    record(state, number, slot.status, now)
    if slot.ssl and run.resumes:
        wires.keep_session(state, s)
    if not slot.goes_on or (run.limit and slot.used >= run.limit):
        wires.close_wire(state, s)


@kernel
def give_up(state, now):
    """Requests that have waited for too long; their connections go with them."""
    run = state.run[0]
    while run.pending < run.pendings:
        number = state.pending[run.pending]
        if state.status[number] == 0:
            if now - run.start_ns - state.acted_ns[number] < run.timeout_ns:
                return
            s = state.home[number]
            ended(state, s, TIMED_OUT, now)
            room(state, s, now)
        run.pending += 1


# --- events --------------------------------------------------------------------------------------------------


@kernel
def handle(state, s, mask, now):
    """What epoll tells of a slot's connection."""
    slot, mask = state.slots[s], np.int64(mask)
    if slot.state < READY:
        step = wires.establish(state, s)
        if step < 0:
            ended(state, s, REFUSED, now)
            room(state, s, now)
        if step <= 0:
            return
        mask |= OUT | (IN if slot.ssl else 0)
    if mask & OUT and slot.request >= 0 and not wires.write(state, s):
        ended(state, s, CLOSED, now)
        room(state, s, now)
        return
    number = slot.number
    while slot.number == number and slot.state == READY and mask & ~OUT:
        got = wires.read(state, s)
        if got < 0:
            return
        if got == 0:
            ended(state, s, CLOSED, now)
        else:
            whole = feed(state, s, got)
            if whole == BROKEN:
                ended(state, s, CLOSED, now)
            elif whole == DONE:
                answered(state, s, now)
        if slot.request < 0:
            room(state, s, now)
        # A plain socket that gave less than was asked for is empty; what comes later is told anew.
        if not slot.ssl and got < CHUNK and not mask & (RDHUP | HUP | ERR):
            return


@kernel
def poll(state):
    """Deal with what has happened: one thing where it may be a handshake, so that requests that are due go before the next.
    Gives how many there were."""
    run = state.run[0]
    count = calls.epoll_wait(run.poll, state.events.ctypes.data, 1 if run.context else EVENTS, 0)
    for k in range(count):
        data, mask = state.events[k].data, state.events[k].events
        now = clock(state)
        if data == BACKEND:
            wires.take_in(state)
        elif data & BACKEND:
            wires.answer(state, np.int64(data ^ BACKEND), mask)
            run.backend_ns += clock(state) - now
        else:
            s = np.int64(data & _SLOT_BITS)
            number = state.slots[s].request
            if state.slots[s].state != NONE and state.slots[s].number == np.int64(data >> np.uint64(24)):
                handle(state, s, mask, now)
                if number >= 0:
                    state.own_ns[number] += clock(state) - now
    return count


def _sources() -> str:
    """Hash of the files that go into this machine code."""
    here = Path(__file__).parent
    made = hashlib.sha256()
    for name in ("answers", "calls", "layout", "native", "sent", "wires"):
        made.update((here / f"{name}.py").read_bytes())
    return made.hexdigest()[:16]


def _entry(function):
    return entry(function, f"{PREFIX}load-{_sources()}")


@_entry
def advance(state, until_ns):
    """Go on until then, or until all is answered."""
    run = state.run[0]
    n = len(state.due_ns)
    now = clock(state)
    while run.finished < n and now < until_ns:
        most, began = run.at + EVENTS, now  # answers are read in between, however late the run is
        while run.at < min(n, most) and state.due_ns[run.at] <= now - run.start_ns:
            begin(state, run.at, now)
            state.own_ns[run.at] -= now
            now = clock(state)
            state.own_ns[run.at] += now
            run.at += 1
        give_up(state, now)
        run.busy_ns += now - began
        wait = min(until_ns - now, run.start_ns + state.due_ns[run.at] - now if run.at < n else until_ns - now)
        if run.pending < run.pendings:
            wait = min(wait, run.start_ns + state.acted_ns[state.pending[run.pending]] + run.timeout_ns - now)
        if wait > run.spin_ns:
            sleep(state, wait - run.spin_ns)
        began = clock(state)
        events = poll(state)
        now = clock(state)
        if events:
            run.busy_ns += now - began


@_entry
def stand(state, count, until_ns):
    """Open so many connections and shake hands, until then."""
    for s in range(count):
        wires.open_wire(state, s)
    under_way = count
    while under_way and clock(state) < until_ns:
        sleep(state, 1_000_000)
        poll(state)
        under_way = 0
        for s in range(count):
            under_way += NONE < state.slots[s].state < READY


@_entry
def listen(state):
    """Watch the port that is answered, and what was accepted there before."""
    wires.watch(state, state.run[0].answering, BACKEND)
    for fd in range(len(state.matched)):
        if state.matched[fd] >= 0:
            wires.watch(state, fd, BACKEND | np.uint64(fd))


@_entry
def shut(state):
    """Close every connection."""
    for s in range(len(state.slots)):
        if state.slots[s].state != NONE:
            wires.close_wire(state, s)
    if state.run[0].session:
        calls.ssl_session_free(state.run[0].session)


__all__ = ["advance", "listen", "shut", "stand"]
