"""Memory of the nopython loop: one record a connection, one for the run, arrays by request."""

from __future__ import annotations

import platform
import struct
from typing import Any, NamedTuple

import numpy as np

from gwsim.envoy.load.plan import Load, descriptors

NONE, CONNECTING, SHAKING, READY = range(4)
"""States of a slot's connection."""
HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, TO_END = range(7)
"""What of an answer comes next."""
HEAD_BYTES = 8192
"""Longest head of an answer; a longer one is a protocol error."""
KEPT_BYTES = 4096
"""Of each head, where values of it are wanted."""
CHUNK = 1 << 16
EVENTS = 64

SLOT = np.dtype(
    [
        ("fd", "i4"), ("state", "i4"), ("number", "i8"), ("ssl", "u8"), ("used", "i8"), ("request", "i8"), ("written", "i8"), ("listed", "i4"),
        ("resumed", "i4"), ("phase", "i4"), ("status", "i4"), ("goes_on", "i4"), ("line", "i4"), ("have", "i8"), ("left", "i8"), ("got", "i8"),
        ("first", "i8"), ("last", "i8"),
    ],
    align=True,
)  # fmt: skip
"""A place for a connection: `request` in flight (-1), bytes of it `written`, `used` requests on this connection, requests waiting
from `first` to `last`."""
RUN = np.dtype(
    [
        ("start_ns", "i8"), ("spin_ns", "i8"), ("timeout_ns", "i8"), ("poll", "i4"), ("answering", "i4"), ("at", "i8"), ("finished", "i8"),
        ("slots", "i8"), ("opened", "i8"), ("limit", "i8"), ("free", "i8"), ("frees", "i8"), ("busy_ns", "i8"), ("backend_ns", "i8"), ("pending", "i8"), ("pendings", "i8"),
        ("context", "u8"), ("session", "u8"), ("keep_heads", "i4"), ("resumes", "i4"),
    ],
    align=True,
)  # fmt: skip
EVENT = np.dtype([("events", "u4"), ("data", "u8")], align=platform.machine() not in ("x86_64", "AMD64"))


class State(NamedTuple):
    """Everything the loop works on."""

    run: Any
    slots: Any
    heads: Any
    due_ns: Any
    wants: Any
    """Slot of each request (recorded connections), else -1."""
    which: Any
    texts: Any
    ends: Any
    """Where each request's text ends in `texts`."""
    bodiless: Any
    """By request of the load: whether its answer has no body."""
    offers: Any
    """By number of the connection: whether it offers the session."""
    acted_ns: Any
    done_ns: Any
    own_ns: Any
    """By request: time in which the loop worked for it."""
    status: Any
    carrier: Any
    home: Any
    opened: Any
    resumed: Any
    read: Any
    kept_heads: Any
    next_waiting: Any
    free: Any
    pending: Any
    events: Any
    wanted: Any
    scratch: Any
    """Small things for system calls, 8 bytes each: clock, sleep, option, poll."""
    buffer: Any
    address: Any
    name: Any
    matched: Any
    """By descriptor of a connection that is answered: how much of a request's end has come."""
    answer: Any


def state_of(load: Load, context: int, poll: int, wants: Any, named: int) -> State:
    """A run's memory. `named`: slots that the schedule names; pages that are never touched cost nothing."""
    n, plan = len(load.schedule), load.schedule
    capacity = max(named, min(load.connections + n, descriptors())) + 1
    connections = max(load.connections, named) + n + 1
    texts = [one.http1() for one in load.requests]
    run = np.zeros(1, RUN)
    run[0]["spin_ns"], run[0]["timeout_ns"] = int(min(load.spin_s, 1e6) * 1e9), int(load.timeout_s * 1e9)
    run[0]["poll"], run[0]["limit"], run[0]["context"] = poll, load.per_connection, context
    run[0]["answering"] = load.backend.fileno() if load.backend is not None else -1
    run[0]["keep_heads"] = bool(load.capture)
    tls = load.target.tls
    share = tls.offers_ticket if tls is not None else 0.0
    run[0]["resumes"] = share > 0
    slots = np.zeros(capacity, SLOT)
    slots["fd"] = slots["request"] = slots["first"] = slots["last"] = slots["number"] = -1
    port = struct.pack("<H", 2) + struct.pack(">H", load.target.port) + bytes(map(int, load.target.address.split("."))) + bytes(8)
    return State(
        run=run, slots=slots, heads=np.zeros((capacity, HEAD_BYTES), np.uint8), due_ns=(plan.times_s * 1e9).astype(np.int64), wants=wants,
        which=plan.requests, texts=_bytes(b"".join(texts)), ends=np.cumsum([0, *map(len, texts)]).astype(np.int64),
        bodiless=np.array([one.method == "HEAD" for one in load.requests], np.bool_),
        offers=np.random.default_rng(load.seed).random(connections) < share, acted_ns=np.full(n, -1, np.int64), done_ns=np.full(n, -1, np.int64),
        own_ns=np.zeros(n, np.int64), status=np.zeros(n, np.int64), carrier=np.full(n, -1, np.int64), home=np.full(n, -1, np.int64), opened=np.zeros(n, np.bool_),
        resumed=np.zeros(connections, np.bool_), read=np.zeros(n, np.int64), kept_heads=np.zeros((n if load.capture else 1, KEPT_BYTES), np.uint8),
        next_waiting=np.full(n, -1, np.int64), free=np.zeros(capacity, np.int64), pending=np.zeros(n, np.int64), events=np.zeros(EVENTS, EVENT), wanted=np.zeros(1, EVENT),
        scratch=np.zeros(8, np.int64), buffer=np.zeros(CHUNK, np.uint8), address=_bytes(port),
        name=_bytes((tls.sni if tls is not None else "").encode() + b"\0"),
        matched=load.backend.matched if load.backend is not None else np.zeros(1, np.int64),
        answer=_bytes(load.backend.answer if load.backend is not None else b""),
    )  # fmt: skip


def _bytes(text: bytes) -> Any:
    return np.frombuffer(text or b"\0", np.uint8).copy()


__all__ = ["State", "state_of"]
