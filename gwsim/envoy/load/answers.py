"""Answers in HTTP/1.1, read as their bytes come: by content-length, in chunks, or to the end of the connection."""

from __future__ import annotations

import numpy as np

from gwsim.engine.compiled.kernel import kernel
from gwsim.envoy.load.layout import (
    CHUNK_DATA,
    CHUNK_END,
    CHUNK_SIZE,
    HEAD,
    HEAD_BYTES,
    KEPT_BYTES,
    LENGTH,
    TO_END,
    TRAILER,
)

MORE, DONE, BROKEN = range(3)
CR, LF, COLON, SEMICOLON = 13, 10, 58, 59
_LENGTH_NAME = np.frombuffer(b"content-length:", np.uint8)
_CHUNKED = np.frombuffer(b"transfer-encoding: chunked", np.uint8)
_CLOSE = np.frombuffer(b"connection: close", np.uint8)


@kernel
def feed(state, s, count):
    """Take `count` bytes of the buffer for slot `s`: MORE is to come, the answer is DONE, or BROKEN."""
    slot, data = state.slots[s], state.buffer
    slot.got += count
    at = 0
    while True:
        if slot.phase == HEAD:
            taken = _head(state, s, data, at, count)
            if taken < 0:
                return BROKEN
            at += taken
            if slot.phase == HEAD and at >= count:
                return MORE
            continue
        if slot.phase == LENGTH:
            took = min(slot.left, count - at)
            slot.left -= took
            return DONE if slot.left == 0 else MORE
        if slot.phase == TO_END:
            return MORE
        while at < count:
            if _chunked(slot, data[at]):
                return DONE
            if slot.phase == CHUNK_DATA and slot.left > 0:
                took = min(slot.left, count - at - 1)
                slot.left -= took
                at += took
                if slot.left == 0:
                    slot.phase = CHUNK_END
            at += 1
        return MORE


@kernel
def _head(state, s, data, at, count):
    """Bytes taken of the buffer for the head; below 0: too long, or none of HTTP's. The phase tells whether it is whole."""
    slot, head = state.slots[s], state.heads[s]
    begun, have = slot.have, slot.have
    while at < count and have < HEAD_BYTES:
        byte = data[at]
        head[have] = byte
        have += 1
        at += 1
        if byte == LF and have >= 4 and head[have - 2] == CR and head[have - 3] == LF and head[have - 4] == CR:
            slot.have = 0
            return have - begun if _understood(state, s, head, have) else -1
    slot.have = have
    return -1 if have == HEAD_BYTES else have - begun


@kernel
def _understood(state, s, head, have):
    """Status, and how long the body is; False for what is no status line."""
    slot = state.slots[s]
    status = 0
    for at in range(9, 12):
        if head[at] < 48 or head[at] > 57:
            return False
        status = 10 * status + head[at] - 48
    if status < 200:
        return True
    slot.status, slot.goes_on, slot.phase, slot.left = status, 1, TO_END, 0
    for at in range(have - 4):
        if head[at] != LF:
            continue
        if _says(head, at + 1, have, _LENGTH_NAME):
            slot.left, slot.phase = _number(head, at + 1 + len(_LENGTH_NAME)), LENGTH
        elif _says(head, at + 1, have, _CHUNKED):
            slot.phase, slot.line, slot.left = CHUNK_SIZE, 0, 0
        elif _says(head, at + 1, have, _CLOSE):
            slot.goes_on = 0
    number = slot.request
    if status == 204 or status == 304 or (number >= 0 and state.bodiless[state.which[number]]):
        slot.phase, slot.left = LENGTH, 0
    if number >= 0 and state.run[0].keep_heads:
        kept = min(have, KEPT_BYTES)
        state.kept_heads[number, :kept] = head[:kept]
    return True


@kernel
def _says(head, at, have, text):
    """Whether a line begins so, in any case."""
    if at + len(text) > have:
        return False
    for k in range(len(text)):
        byte = head[at + k]
        if 65 <= byte <= 90:
            byte += 32
        if byte != text[k]:
            return False
    return True


@kernel
def _number(head, at):
    value = 0
    while head[at] == 32:
        at += 1
    while 48 <= head[at] <= 57:
        value = 10 * value + head[at] - 48
        at += 1
    return value


@kernel
def _chunked(slot, byte):
    """One byte of a chunked body that is no chunk's data but its first; True at the end of it all. `line`: bytes of this line."""
    if slot.phase == CHUNK_DATA:
        slot.left -= 1
        if slot.left == 0:
            slot.phase = CHUNK_END
    elif slot.phase == CHUNK_END:
        if byte == LF:
            slot.phase, slot.line = CHUNK_SIZE, 0
    elif slot.phase == CHUNK_SIZE:
        if byte == LF:
            slot.phase, slot.line = (CHUNK_DATA if slot.left > 0 else TRAILER), 0
        elif slot.line >= 0:
            digit = _hexadecimal(byte)
            # What comes after the size (an extension) is of no interest.
            slot.line = 1 if digit >= 0 else -1
            if digit >= 0:
                slot.left = 16 * slot.left + digit
    elif byte == LF:
        if slot.line == 0:
            return True
        slot.line = 0
    elif byte != CR:
        slot.line += 1
    return False


@kernel
def _hexadecimal(byte):
    if 48 <= byte <= 57:
        return byte - 48
    if 97 <= byte <= 102:
        return byte - 87
    if 65 <= byte <= 70:
        return byte - 55
    return -1


__all__ = ["BROKEN", "DONE", "MORE", "feed"]
