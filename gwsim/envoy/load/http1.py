"""HTTP/1.1, by the nopython loop: its memory made, run in pieces so that it can be interrupted and watched, and read out."""

from __future__ import annotations

import select
import time

import numpy as np

from gwsim.envoy.load.plan import Load
from gwsim.envoy.load.sent import Sent, Watch

_LEAD_S = 0.02
_WARM_S = 10.0
_ALPN = b"\x08http/1.1"


def send_http1(load: Load, watch: Watch, every_s: float) -> Sent:
    """Run a load to its end. Raises UsageError where TLS cannot be had."""
    from gwsim.envoy.load import calls

    calls.link()
    from gwsim.envoy.load import native
    from gwsim.envoy.load.layout import state_of

    plan, tls = load.schedule, load.target.tls
    named, wants = np.zeros(0, np.int64), np.full(max(len(plan), 1), -1, np.int64)
    if plan.connections is not None:
        named, wants = np.unique(plan.connections, return_inverse=True)
    context = calls.Context(tls, _ALPN) if tls is not None else None
    poll = select.epoll()
    state = state_of(load, context.address if context is not None else 0, poll.fileno(), wants.astype(np.int64), len(named))
    run = state.run[0]
    try:
        native.advance(state, 0)  # compiled before anything is due
        if plan.connections is None:
            run["slots"] = run["frees"] = load.connections
            state.free[: load.connections] = np.arange(load.connections)
            state.slots["listed"][: load.connections] = 1
        else:
            run["slots"] = len(named)
        if load.backend is not None:
            native.listen(state)
        if load.warm and plan.connections is None:
            native.stand(state, load.connections, time.perf_counter_ns() + int(_WARM_S * 1e9))
        started_at = time.time() + _LEAD_S
        start = time.perf_counter_ns() + int(_LEAD_S * 1e9)
        run["start_ns"] = start
        until = start
        watch(0.0)
        while run["finished"] < len(plan):
            until += int(every_s * 1e9)
            native.advance(state, until)
            watch((time.perf_counter_ns() - start) * 1e-9)
    finally:
        native.shut(state)
        poll.close()
        if context is not None:
            context.close()
    heads = [bytes(one).partition(b"\r\n\r\n")[0] for one in state.kept_heads] if load.capture else []
    return Sent(
        due_s=plan.times_s, acted_s=_seconds(state.acted_ns), done_s=_seconds(state.done_ns), status=state.status, request=plan.requests,
        connection=state.carrier, started_at_s=started_at, opened=state.opened, resumed=state.resumed[state.carrier] & state.opened,
        bytes_read=state.read, busy_s=float(run["busy_ns"]) * 1e-9,
        own_s=(state.own_ns + int(run["backend_ns"]) / max(len(plan), 1)) * 1e-9,
        captured=tuple(tuple(value(head, name) for head in heads) for name in load.capture),
    )  # fmt: skip


def _seconds(ns: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.where(ns < 0, np.nan, ns * 1e-9)


def value(head: bytes, name: str) -> str:
    """A header's value in the head of an answer."""
    at = head.lower().find(f"\r\n{name.lower()}:".encode())
    return head[at + len(name) + 3 :].split(b"\r\n", 1)[0].strip().decode("latin-1") if at >= 0 else ""


__all__ = ["send_http1", "value"]
