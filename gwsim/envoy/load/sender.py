"""A load is sent: HTTP/1.1 by a nopython loop, HTTP/2 by one in Python."""

from __future__ import annotations

from gwsim.envoy.load.plan import Load
from gwsim.envoy.load.sent import Sent, Watch
from gwsim.errors import UsageError


def send(load: Load, *, watch: Watch | None = None, every_s: float = 0.25) -> Sent:
    """Run a load to its end: the last answer, or its time-out. Blocks; uses the calling thread alone.

    `watch` is told the time in seconds since the start, at the start and every so often. Raises UsageError for a schedule
    that names a request the load does not have.
    """
    if len(load.schedule) and int(load.schedule.requests.max()) >= len(load.requests):
        raise UsageError(f"the schedule names request {int(load.schedule.requests.max())} of {len(load.requests)}")
    if load.target.http == 2:
        if load.backend is not None:
            raise UsageError("only an HTTP/1.1 load is its own backend")
        from gwsim.envoy.load.streams import send_http2

        return send_http2(load, watch or _nobody, every_s)
    from gwsim.envoy.load.http1 import send_http1

    return send_http1(load, watch or _nobody, every_s)


def _nobody(now_s: float) -> None:
    """Nobody watches."""


__all__ = ["send"]
