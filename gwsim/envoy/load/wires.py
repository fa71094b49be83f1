"""Connections of the nopython loop: opened, shaken hands on, written to, read, closed; edge-triggered, never blocking."""

from __future__ import annotations

import numpy as np
from numba import carray

from gwsim.engine.compiled.kernel import kernel
from gwsim.envoy.load import calls
from gwsim.envoy.load.layout import CHUNK, CONNECTING, NONE, READY, SHAKING

IN, OUT, ERR, HUP, RDHUP, EDGE = 0x1, 0x4, 0x8, 0x10, 0x2000, np.uint32(0x80000000)
BACKEND = np.uint64(1 << 63)
"""In an event's data: the rest is the descriptor of a connection that is answered, not the number and slot of one that asks."""
AGAIN, IN_PROGRESS = 11, 115
_INET, _STREAM, _NONBLOCK_CLOEXEC = 2, 1, 0o2004000
_TCP, _NODELAY, _SOCKET, _ERROR = 6, 1, 1, 4
_NOSIGNAL = 0x4000
_ADD = 1
_WANT_READ, _WANT_WRITE = 2, 3
_SERVER_NAME, _HOST_NAME = 55, 0
_BOTH_SHUT = 3


@kernel
def errno():
    """Of the last call."""
    return carray(calls.errno_location(), 1)[0]


@kernel
def watch(state, fd, data):
    """Have a descriptor's events told."""
    wanted = state.wanted[0]
    wanted.events, wanted.data = np.uint32(IN | OUT | RDHUP) | EDGE, data
    return calls.epoll_ctl(state.run[0].poll, _ADD, fd, state.wanted.ctypes.data) == 0


@kernel
def without_delay(state, fd):
    """Small writes leave at once."""
    state.scratch.view(np.int32)[8] = 1
    calls.setsockopt(fd, _TCP, _NODELAY, state.scratch.ctypes.data + np.uint64(32), 4)


@kernel
def open_wire(state, s):
    """Set out to connect; False when there is no descriptor, or the connection is refused at once."""
    run, slot = state.run[0], state.slots[s]
    fd = calls.socket(_INET, _STREAM | _NONBLOCK_CLOEXEC, 0)
    if fd < 0:
        return False
    without_delay(state, fd)
    if calls.connect(fd, state.address.ctypes.data, len(state.address)) < 0 and errno() != IN_PROGRESS:
        calls.close(fd)
        return False
    slot.fd, slot.state, slot.number, slot.used = fd, CONNECTING, run.opened, 0
    run.opened += 1
    if run.context:
        secure = calls.ssl_new(run.context)
        slot.ssl = secure
        calls.ssl_set_fd(secure, fd)
        if len(state.name) > 1:
            calls.ssl_ctrl(secure, _SERVER_NAME, _HOST_NAME, state.name.ctypes.data)
        if run.session and state.offers[slot.number]:
            calls.ssl_set_session(secure, run.session)
    if not watch(state, fd, np.uint64(slot.number) << np.uint64(24) | np.uint64(s)):
        close_wire(state, s)
        return False
    return True


@kernel
def close_wire(state, s):
    """End it without telling. The session stays usable, as it would not if OpenSSL thought the connection cut off."""
    slot = state.slots[s]
    if slot.ssl:
        calls.ssl_set_shutdown(slot.ssl, _BOTH_SHUT)
        calls.ssl_free(slot.ssl)
        slot.ssl = 0
    if slot.state != NONE:
        calls.close(slot.fd)
    slot.fd, slot.state, slot.used = -1, NONE, 0


@kernel
def establish(state, s):
    """The next step of connecting or of the handshake; below 0: refused, 0: not yet, 1: ready."""
    slot = state.slots[s]
    if slot.state == CONNECTING:
        option = state.scratch.view(np.int32)
        option[8], option[10] = 0, 4
        base = state.scratch.ctypes.data
        calls.getsockopt(slot.fd, _SOCKET, _ERROR, base + np.uint64(32), base + np.uint64(40))
        if option[8]:
            return -1
        slot.state = SHAKING
    if slot.ssl:
        calls.err_clear_error()
        done = calls.ssl_connect(slot.ssl)
        if done != 1:
            why = calls.ssl_get_error(slot.ssl, done)
            return 0 if why == _WANT_READ or why == _WANT_WRITE else -1
        state.resumed[slot.number] = calls.ssl_session_reused(slot.ssl) != 0
    slot.state = READY
    return 1


@kernel
def write(state, s):
    """What is left of the request in flight, as far as it goes; False when the connection has ended."""
    slot = state.slots[s]
    which = state.which[slot.request]
    begin = state.ends[which] + slot.written
    left = state.ends[which + 1] - begin
    if left <= 0:
        return True
    text = state.texts.ctypes.data + np.uint64(begin)
    if slot.ssl:
        calls.err_clear_error()
        sent = np.int64(calls.ssl_write(slot.ssl, text, np.int32(left)))
        failed = sent <= 0 and calls.ssl_get_error(slot.ssl, np.int32(sent)) not in (_WANT_READ, _WANT_WRITE)
    else:
        sent = calls.send(slot.fd, text, left, _NOSIGNAL)
        failed = sent < 0 and errno() != AGAIN
    slot.written += max(sent, 0)
    return not failed


@kernel
def read(state, s):
    """Bytes now in the buffer; 0: the connection has ended, below 0: none yet."""
    slot = state.slots[s]
    buffer = state.buffer.ctypes.data
    if slot.ssl:
        calls.err_clear_error()
        got = np.int64(calls.ssl_read(slot.ssl, buffer, CHUNK))
        if got > 0:
            return got
        return -1 if calls.ssl_get_error(slot.ssl, np.int32(got)) in (_WANT_READ, _WANT_WRITE) else 0
    got = calls.recv(slot.fd, buffer, CHUNK, 0)
    return got if got >= 0 else -1 if errno() == AGAIN else 0


@kernel
def keep_session(state, s):
    """Of an answered connection, for later ones to resume."""
    run, slot = state.run[0], state.slots[s]
    session = calls.ssl_get1_session(slot.ssl)
    if session:
        if run.session:
            calls.ssl_session_free(run.session)
        run.session = session


# --- connections that are answered ---------------------------------------------------------------------------


@kernel
def take_in(state):
    """Accept what waits at the port that is answered."""
    while True:
        fd = calls.accept4(state.run[0].answering, 0, 0, _NONBLOCK_CLOEXEC)
        if fd < 0:
            return
        if fd >= len(state.matched):
            calls.close(fd)
            continue
        without_delay(state, fd)
        state.matched[fd] = 0
        watch(state, fd, BACKEND | np.uint64(fd))


@kernel
def answer(state, fd, mask):
    """Answer every request whose head has come; requests have no bodies."""
    while True:
        got = calls.recv(fd, state.buffer.ctypes.data, CHUNK, 0)
        if got == 0 or (got < 0 and errno() != AGAIN):
            calls.close(fd)
            state.matched[fd] = -1
            return
        if got < 0:
            return
        matched = state.matched[fd]
        for at in range(got):
            # CR LF CR LF: an even number so far wants CR (13), an odd one LF (10).
            byte = state.buffer[at]
            matched = matched + 1 if byte == (10 if matched % 2 else 13) else np.int64(byte == 13)
            if matched == 4:
                matched = 0
                calls.send(fd, state.answer.ctypes.data, len(state.answer), _NOSIGNAL)
        state.matched[fd] = matched
        if got < CHUNK and not mask & (RDHUP | HUP | ERR):
            return


__all__ = [
    "BACKEND", "ERR", "HUP", "IN", "OUT", "RDHUP", "answer", "close_wire", "establish", "keep_session", "open_wire", "read", "take_in", "watch", "write",
]  # fmt: skip
