"""The filters before the router: faults, rate limits, calls to other services; and mirrored copies.

A route's filters are a program of few operations, run in order when a request is read. An operation lets the request go
on, rejects it, or suspends the program until a later visit. Envoy: source/extensions/filters/http/{fault,local_ratelimit,
ext_authz,ratelimit}, source/common/router/shadow_writer_impl.cc.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsim.engine.codes import Counter, Flag, Purpose, Visit
from gwsim.engine.draws import draw64, fold, name64, ns, uniform
from gwsim.engine.reference.accounting import (
    FILTER_CALLS,
    INJECTED_DELAY,
    PROXY_CPU,
    WORKER_QUEUE,
    Unaccounted,
)
from gwsim.engine.reference.load_balancing import NONE
from gwsim.engine.reference.streams import UpstreamRequest
from gwsim.scenario.model import Abort, Bucket, Call, Delay, Operation

if TYPE_CHECKING:
    from gwsim.engine.reference.router import Router
    from gwsim.engine.reference.streams import Stream
    from gwsim.engine.reference.worker import Worker

FIRST_CALL, FIRST_MIRROR = 3000, 3500
"""Numbers, in place of an attempt's, of what filters send."""


def chance(stream_key: int, purpose: Purpose, i: int, percent: float) -> bool:
    """Whether a share of the requests has this one in it."""
    return uniform(draw64(stream_key, purpose, i)) * 100.0 < percent


class Filters:
    """The filter chain of one worker's streams."""

    __slots__ = ("copies", "router", "worker")

    def __init__(self, worker: Worker, router: Router) -> None:
        self.worker = worker
        self.router = router
        self.copies = Copies(worker)

    # --- the program -----------------------------------------------------------------------------------------

    def begin(self, stream: Stream, start: int, end: int) -> None:
        """The request was read (Envoy: `FilterManager::decodeHeaders`)."""
        stream.gw_start = start
        stream.route = stream.request.traffic.route_at(start)
        stream.timeline.enter(start, PROXY_CPU)
        self._go_on(stream, 0, start, end)

    def _go_on(self, stream: Stream, at: int, start: int, end: int) -> None:
        """Operations from `at` on, in the visit [start, end]; after the last one the router."""
        route = stream.route
        for i in range(at, len(route.program)):
            stream.operation = i  # before it runs: a call that fails at once has gone on from here when `_operate` returns
            if not self._operate(route.program[i], i, stream, start, end):
                return
        self.router.begin(stream, start, end)
        if route.mirrors and stream.upstream is not None:
            self._mirror(stream, start, end)

    def _operate(self, operation: Operation, i: int, stream: Stream, start: int, end: int) -> bool:
        """Whether the program goes on at once."""
        if isinstance(operation, Delay):
            return not self._delay(operation, i, stream, end)
        if isinstance(operation, Abort):
            return not self._abort(operation, i, stream, end)
        if isinstance(operation, Bucket):
            return not self._limit(operation, i, stream, start, end)
        return self._call(operation, i, stream, start, end)

    def _delay(self, operation: Delay, i: int, stream: Stream, end: int) -> bool:
        if not chance(stream.key, Purpose.FAULT_DELAY, i, operation.percent):
            return False
        stream.flags |= Flag.DI
        deadline = end + max(1, ns(operation.delay_s))
        stream.timeline.enter(end, INJECTED_DELAY)
        stream.timeline.enter(deadline, WORKER_QUEUE)
        self.worker.set_timer(deadline, stream.name, Visit.DELAY, stream)
        return True

    def delay_over(self, stream: Stream, start: int) -> int:
        """DELAY visit (Envoy: `FaultFilter::postDelayInjection`)."""
        end = self.worker.spend(Visit.DELAY, stream.name, start, timer_cost(stream))
        stream.timeline.enter(start, PROXY_CPU)
        self._go_on(stream, stream.operation + 1, start, end)
        return end

    def _abort(self, operation: Abort, i: int, stream: Stream, end: int) -> bool:
        hit = chance(stream.key, Purpose.FAULT_ABORT, i, operation.percent)
        if hit:
            self.router.reply(stream, operation.status, Flag.FI, end)
        return hit

    def _limit(self, operation: Bucket, i: int, stream: Stream, start: int, end: int) -> bool:
        """Whether a rate limit refuses the request (Envoy: `LocalRateLimit::Filter::decodeHeaders`)."""
        if not chance(stream.key, Purpose.BUCKET, 2 * i, operation.enabled_percent):
            return False
        buckets = self.worker.pod.buckets
        if all(buckets[b].take(start) for b in operation.buckets):
            return False
        refused = chance(stream.key, Purpose.BUCKET, 2 * i + 1, operation.enforced_percent)
        if refused:
            self.router.reply(stream, operation.status, Flag.RL, end)
        return refused

    # --- calls -----------------------------------------------------------------------------------------------

    def _call(self, operation: Call, i: int, stream: Stream, start: int, end: int) -> bool:
        """Ask a service; whether the program goes on at once, because it could not be asked and that does not matter."""
        call = UpstreamRequest(stream, FIRST_CALL + i, fold(stream.key, name64(f"call/{i}")), self, Unaccounted())
        call.sent_bytes = operation.request_bytes + min(stream.request.request_bytes, operation.body_max_bytes)
        call.answer_bytes = operation.response_bytes
        stream.call = call
        stream.timeline.enter(end, FILTER_CALLS)
        send(self.worker, call, operation.cluster, max(1, ns(operation.timeout_s)) if operation.timeout_s > 0.0 else 0, start, end)
        return False

    def answered(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """The service has answered."""
        stream = upstream.stream
        stream.call = None
        stream.timeline.enter(start, PROXY_CPU)
        operation = stream.route.program[stream.operation]
        assert isinstance(operation, Call)
        if upstream.status >= 500:
            self._failed(stream, operation, start, end)
        elif upstream.status >= 400:
            self.router.reply(stream, upstream.status, Flag[operation.deny_flag], end)
        else:
            self._go_on(stream, stream.operation + 1, start, end)

    def overflow(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """The service could not be asked."""
        stream = upstream.stream
        upstream.over = True
        stream.call = None
        operation = stream.route.program[stream.operation]
        assert isinstance(operation, Call)
        stream.timeline.cut(start)
        stream.timeline.enter(start, PROXY_CPU)
        self._failed(stream, operation, start, end)

    def failed(self, upstream: UpstreamRequest, flag: Flag, start: int, end: int) -> None:
        """The connection to the service was lost, or there was none."""
        self.overflow(upstream, start, end)

    def timed_out(self, upstream: UpstreamRequest, start: int) -> int:
        """CALL_TIMEOUT visit of a call."""
        stream = upstream.stream
        end = give_up(self.worker, upstream, start)
        stream.call = None
        stream.timeline.enter(start, PROXY_CPU)
        operation = stream.route.program[stream.operation]
        assert isinstance(operation, Call)
        self._failed(stream, operation, start, end)
        return end

    def _failed(self, stream: Stream, operation: Call, start: int, end: int) -> None:
        if operation.fail_open:
            self._go_on(stream, stream.operation + 1, start, end)
        else:
            self.router.reply(stream, operation.error_status, Flag[operation.error_flag], end)

    # --- mirrors ---------------------------------------------------------------------------------------------

    def _mirror(self, stream: Stream, start: int, end: int) -> None:
        """Send copies (Envoy: `ShadowWriterImpl::shadow`)."""
        route = stream.route
        for j, mirror in enumerate(route.mirrors):
            if chance(stream.key, Purpose.MIRROR, j, mirror.percent) and mirror.cluster >= 0:
                key = fold(stream.key, name64(f"mirror/{j}"))
                copy = UpstreamRequest(stream, FIRST_MIRROR + j, key, self.copies, Unaccounted())
                send(self.worker, copy, mirror.cluster, route.time_out_ns, start, end)


class Copies:
    """Who hears of mirrored copies: nobody."""

    __slots__ = ("worker",)

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def answered(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """The answer is forgotten."""

    def overflow(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """The copy was not sent."""
        upstream.over = True

    def failed(self, upstream: UpstreamRequest, flag: Flag, start: int, end: int) -> None:
        """The copy was lost."""

    def timed_out(self, upstream: UpstreamRequest, start: int) -> int:
        """CALL_TIMEOUT visit of a copy."""
        return give_up(self.worker, upstream, start)


def send(worker: Worker, upstream: UpstreamRequest, cluster_index: int, time_out_ns: int, start: int, end: int) -> None:
    """Send a request of one's own: one pick, no retry (Envoy: `AsyncStreamImpl`)."""
    if time_out_ns:
        worker.set_timer(end + time_out_ns, upstream.name, Visit.CALL_TIMEOUT, upstream)
    stream = upstream.stream
    cluster = worker.router.clusters[cluster_index]
    x = stream.route.hash_of(stream) if cluster.hashed else None
    host = cluster.balancer.pick(upstream.key, 0, start, x)
    if host == NONE:
        cluster.shared.count(Counter.UPSTREAM_CX_NONE_HEALTHY)
        upstream.owner.overflow(upstream, start, end)
        return
    upstream.pool = cluster.pools[host]
    upstream.pool.admit(upstream, start, end)


def give_up(worker: Worker, upstream: UpstreamRequest, start: int) -> int:
    """The visit that ends a request of one's own without its answer."""
    end = worker.spend(Visit.CALL_TIMEOUT, upstream.name, start, timer_cost(upstream.stream))
    upstream.pool.abandon(upstream, start, end)
    worker.router.blame(upstream, start)
    return end


def timer_cost(stream: Stream) -> int:
    """CPU of a timer's visit, ns."""
    return stream.connection.client.costs.timer
