"""Faults by schedule: backend pods that are slow, failing or standing still for a time."""

from __future__ import annotations

from gwsim.engine.compiled.kernel import kernel


@kernel
def slow_at(w, s, t):
    """By what factor the service of station `s` takes longer at `t`."""
    for j in range(s.mode_first, s.mode_first + s.modes):
        mode = w.modes[j]
        if mode.slow != 1.0 and mode.from_ns <= t < mode.to_ns:
            return mode.slow
    return 1.0


@kernel
def errors_at(w, s, t):
    """Where the shares of errors of station `s` at `t` are, and how many: (first, number)."""
    for j in range(s.mode_first, s.mode_first + s.modes):
        mode = w.modes[j]
        if mode.errors >= 0 and mode.from_ns <= t < mode.to_ns:
            return mode.error_first, mode.errors
    return s.error_first, s.errors


@kernel
def done_at(w, s, t, work):
    """When work of station `s` that begins at `t` is done, with the stalls in between."""
    for j in range(s.stall_first, s.stall_first + s.stalls):
        stall = w.stalls[j]
        if t + work <= stall.from_ns:
            break
        if stall.to_ns > t:
            work -= max(0, stall.from_ns - t)
            t = stall.to_ns
    return t + work
