"""The router, with which every filter chain ends: route, cluster, attempts, and what the client gets.

Envoy: `Router::Filter` (source/common/router/router.cc): it takes the route, picks the cluster once for all retries,
arms the route time-out, starts attempts and decides what the client gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsim.engine.codes import Counter, Flag, Purpose, Visit
from gwsim.engine.draws import below, draw64, fold, name64, ns
from gwsim.engine.hashing import rotl64, xxh64
from gwsim.engine.reference.accounting import PROXY_CPU, RETRY_BACKOFF, WORKER_QUEUE
from gwsim.engine.reference.conversations import Conversation
from gwsim.engine.reference.load_balancing import NONE
from gwsim.engine.reference.retries import Retries
from gwsim.engine.reference.streams import UpstreamRequest
from gwsim.engine.schema import ANSWER_LOCAL, ANSWER_TIMEOUT, ANSWER_UPSTREAM
from gwsim.scenario.model import Outcome

if TYPE_CHECKING:
    from gwsim.engine.reference.fleets import WorkerCluster
    from gwsim.engine.reference.recording import Recorder
    from gwsim.engine.reference.streams import Stream
    from gwsim.engine.reference.worker import Worker

USER = name64("user")


class Route:
    """What the topology does with a request shape."""

    __slots__ = (
        "flags", "hash", "idle_ns", "local_bytes", "local_status", "mirrors", "program", "retries", "targets", "time_out_ns", "weights",
    )

    def __init__(self, outcome: Outcome) -> None:
        self.targets = [target.cluster for target in outcome.targets]
        self.weights = [target.weight for target in outcome.targets]
        self.local_status = outcome.local_status
        self.local_bytes = outcome.local_bytes
        self.hash = outcome.hash
        self.program = outcome.program
        self.mirrors = outcome.mirrors
        self.flags = 0
        for flag in outcome.flags:
            self.flags |= Flag[flag]
        self.idle_ns = max(1, ns(outcome.idle_timeout_s)) if outcome.idle_timeout_s > 0.0 else 0
        self.time_out_ns = max(1, ns(outcome.timeout_s)) if outcome.timeout_s > 0.0 else 0
        self.retries = None if outcome.retry is None else Retries(outcome.retry, self.time_out_ns)

    def choose(self, stream_key: int) -> int:
        """One of the weighted clusters; the draw is the stream's, so that retries stay there."""
        if len(self.targets) == 1:
            return self.targets[0]
        point = below(draw64(stream_key, Purpose.CLUSTER), sum(self.weights))
        for target, weight in zip(self.targets, self.weights, strict=True):
            if point < weight:
                return target
            point -= weight
        return self.targets[-1]

    def hash_of(self, stream: Stream) -> int | None:
        """The hash of a request by the route's policies (Envoy: `HashPolicyImpl::generateHash`)."""
        x: int | None = None
        for rule in self.hash:
            if rule.kind == "fixed":
                v = xxh64(rule.text)
            elif rule.kind == "user":
                v = fold(USER, below(draw64(stream.request.root.key, Purpose.HASH), rule.users))
            else:
                v = stream.slot.key
            x = v if x is None else rotl64(x, 1) ^ v
        return x


def timed(stream: Stream) -> bool:
    """Whether the route's time-outs run: they begin when the request is complete, and that of many a long stream never is."""
    long = stream.request.traffic.long
    return long is None or long.complete


class Router:
    """The router filter of one worker's streams."""

    __slots__ = ("clusters", "recorder", "worker")

    def __init__(self, worker: Worker, recorder: Recorder) -> None:
        self.worker = worker
        self.recorder = recorder
        self.clusters: dict[int, WorkerCluster] = {}

    def begin(self, stream: Stream, start: int, end: int) -> None:
        """The filters before it have let the request pass (Envoy: `decodeHeaders`)."""
        route = stream.route
        if not route.targets:
            stream.flags |= route.flags
            self._respond(stream, route.local_status, ANSWER_LOCAL, route.local_bytes, end)
            return
        target = route.choose(stream.key)
        if target < 0:
            self.reply(stream, 503, Flag.NC, end)
            return
        stream.cluster = self.clusters[target]
        self.recorder.cluster_chosen(stream.request, target)
        terms = stream.request.traffic.long
        if terms is not None:
            stream.conversation = Conversation(stream, terms, self)
            stream.conversation.moved(end)
        if route.time_out_ns and timed(stream):
            self.worker.set_timer(end + route.time_out_ns, stream.name, Visit.ROUTE_TIMEOUT, stream)
        self.attempt(stream, start, end)

    def attempt(self, stream: Stream, start: int, end: int) -> None:
        """One more attempt: pick a host and enter its pool (Envoy: `createConnPool`, `UpstreamRequest`)."""
        cluster = stream.cluster
        assert cluster is not None
        a = stream.attempts
        upstream = UpstreamRequest(stream, a, fold(stream.key, a), self, stream.timeline)
        retries = stream.route.retries
        if retries is not None and timed(stream):
            upstream.per_try_ns = retries.per_try_ns
        host = self._pick(cluster, upstream, start)
        if host == NONE:
            cluster.shared.count(Counter.UPSTREAM_CX_NONE_HEALTHY)
            self._release_retry(stream)
            self.reply(stream, 503, Flag.UH, end)
            return
        stream.attempts += 1
        stream.upstream = upstream
        upstream.pool = cluster.pools[host]
        upstream.pool.admit(upstream, start, end)

    def _pick(self, cluster: WorkerCluster, upstream: UpstreamRequest, start: int) -> int:
        """A host, avoiding those tried before if the retry policy says so (Envoy: `shouldSelectAnotherHost`)."""
        stream = upstream.stream
        route = stream.route
        x = route.hash_of(stream) if cluster.hashed else None
        if route.retries is None:
            return cluster.balancer.pick(upstream.key, 0, start, x)
        if stream.tried is None:
            stream.tried = set()
        more = route.retries.reselections if upstream.a > 0 else 0
        for t in range(1 + more):
            host = cluster.balancer.pick(upstream.key, t, start, x)
            if host not in stream.tried:
                break
        stream.tried.add(host)
        return host

    def leave(self, now: int) -> None:
        """The worker is gone: proxies behind it hear so."""
        for index in sorted(self.clusters):
            for pool in (*self.clusters[index].pools, *self.clusters[index].tcp_pools):
                if pool.links is not None:
                    pool.links.end(now)

    # --- how a stream ends -----------------------------------------------------------------------------------

    def reply(self, stream: Stream, status: int, flags: int, end: int, answer: int = ANSWER_LOCAL) -> None:
        """A local reply (Envoy: `sendLocalReply`)."""
        stream.flags |= flags
        self._respond(stream, status, answer, 0, end)

    def overflow(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """A breaker refused the attempt; never retried (Envoy: `PoolFailureReason::Overflow`)."""
        upstream.over = True
        self._release_retry(upstream.stream)
        self.reply(upstream.stream, 503, Flag.UO, end)

    def _respond(self, stream: Stream, status: int, answer: int, size: int, end: int) -> None:
        """The stream has its answer: it is armed on the downstream connection."""
        stream.status = status
        stream.answer = answer
        stream.response_bytes = size
        stream.timeline.enter(end, WORKER_QUEUE)
        self._end(stream, end, counted=answer != ANSWER_LOCAL)
        stream.connection.answer(stream)

    def _end(self, stream: Stream, end: int, counted: bool) -> None:
        stream.gw_end = end
        stream.over = True
        stream.upstream = None
        del stream.connection.streams[stream.name]
        self.recorder.stream_ended(stream, counted)

    def answered(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """The answer was read and its connection is free again (Envoy: `onUpstreamHeaders`, complete)."""
        stream = upstream.stream
        cluster = stream.cluster
        assert cluster is not None
        status = upstream.status
        self._release_retry(stream)
        retries = stream.route.retries
        if retries is not None and retries.on_status(status) and self._retry(upstream, start, end):
            return
        if upstream.a > 0 and status < 500 and (stream.conversation is None or not stream.conversation.opened):
            cluster.shared.count(Counter.UPSTREAM_RQ_RETRY_SUCCESS)
        self._respond(stream, status, ANSWER_UPSTREAM, upstream.answer_bytes, end)

    def route_time_out(self, stream: Stream, start: int) -> int:
        """ROUTE_TIMEOUT visit (Envoy: `onResponseTimeout`)."""
        upstream = stream.upstream
        end = self.interrupt(Visit.ROUTE_TIMEOUT, stream, start)
        self.blame(upstream, start)
        assert stream.cluster is not None
        stream.cluster.shared.count(Counter.UPSTREAM_RQ_TIMEOUT)
        if stream.conversation is not None and stream.conversation.opened:
            stream.conversation.cut(Flag.UT, end)
        else:
            self.reply(stream, 504, Flag.UT, end, ANSWER_TIMEOUT)
        return end

    def timed_out(self, upstream: UpstreamRequest, start: int) -> int:
        """TRY_TIMEOUT visit (Envoy: `onPerTryTimeout`)."""
        stream = upstream.stream
        end = self.worker.spend(Visit.TRY_TIMEOUT, upstream.name, start, self._timer_cost(stream))
        if stream.conversation is not None and stream.conversation.opened:
            return end  # something has been sent to the client: only the route's time-out matters
        self._interrupt(stream, start)
        assert stream.cluster is not None
        stream.cluster.shared.count(Counter.UPSTREAM_RQ_PER_TRY_TIMEOUT)
        self._stop_upstream(stream, start, end)
        self.blame(upstream, start)
        retries = stream.route.retries
        if retries is None or not retries.on_time_out or not self._retry(upstream, start, end):
            self.reply(stream, 504, Flag.UT, end, ANSWER_TIMEOUT)
        return end

    def failed(self, upstream: UpstreamRequest, flag: Flag, start: int, end: int) -> None:
        """An attempt has lost its connection, or found none (Envoy: `onUpstreamReset`)."""
        stream = upstream.stream
        self._interrupt(stream, start)
        self._release_retry(stream)
        if stream.conversation is not None and stream.conversation.opened:
            stream.conversation.cut(flag, end)
            return
        retries = stream.route.retries
        if retries is None or not retries.on_failure(flag, upstream.written >= 0) or not self._retry(upstream, start, end):
            self.reply(stream, 503, flag, end)

    def back_off_over(self, upstream: UpstreamRequest, start: int) -> int:
        """BACKOFF visit (Envoy: `doRetry`)."""
        stream = upstream.stream
        end = self.worker.spend(Visit.BACKOFF, upstream.name, start, self._timer_cost(stream))
        stream.timeline.enter(start, PROXY_CPU)
        self.attempt(stream, start, end)
        return end

    def cancel(self, stream: Stream, start: int, end: int) -> None:
        """The client gave the stream up (Envoy: `onDestroy`); nobody waits for an answer."""
        self._stop_upstream(stream, start, end)
        stream.flags |= Flag.DC
        stream.status = 0
        if stream.conversation is not None:
            stream.conversation.forget()
        self._end(stream, end, counted=False)

    # --- long streams ----------------------------------------------------------------------------------------

    def settled(self, upstream: UpstreamRequest) -> None:
        """A long stream has been accepted: it is not tried again."""
        self._release_retry(upstream.stream)
        if upstream.a > 0:
            upstream.pool.limits.count(Counter.UPSTREAM_RQ_RETRY_SUCCESS)

    def interrupt(self, visit: Visit, stream: Stream, start: int) -> int:
        """A timer visit that ends what runs upstream; returns its end."""
        end = self.worker.spend(visit, stream.name, start, self._timer_cost(stream))
        self._interrupt(stream, start)
        self._stop_upstream(stream, start, end)
        return end

    def ended(self, stream: Stream, status: int, flags: int, end: int) -> None:
        """An open long stream is reset."""
        stream.flags |= flags
        stream.status = status
        self._end(stream, end, counted=bool(flags & Flag.UT))

    # --- helpers ---------------------------------------------------------------------------------------------

    def _timer_cost(self, stream: Stream) -> int:
        return stream.connection.client.costs.timer

    def _interrupt(self, stream: Stream, start: int) -> None:
        """A time-out cuts off what lay ahead of the stream."""
        stream.timeline.cut(start)
        stream.timeline.enter(start, PROXY_CPU)

    def _stop_upstream(self, stream: Stream, start: int, end: int) -> None:
        """End the attempt that runs, if any, without its answer; a retry slot held is released."""
        upstream = stream.upstream
        if upstream is not None:
            upstream.pool.abandon(upstream, start, end)
            stream.upstream = None
        if stream.call is not None:
            stream.call.pool.abandon(stream.call, start, end)
            stream.call = None
        self._release_retry(stream)

    def blame(self, upstream: UpstreamRequest | None, start: int) -> None:
        """Outlier detection hears of a time-out of an attempt that had a connection."""
        if upstream is not None and upstream.connection is not None and upstream.pool.limits.detector is not None:
            upstream.pool.limits.detector.failed(upstream.pool.endpoint, start, 504)

    def _release_retry(self, stream: Stream) -> None:
        if stream.retry_slot:
            assert stream.cluster is not None
            stream.retry_slot = False
            stream.cluster.shared.retries -= 1

    def _retry(self, upstream: UpstreamRequest, start: int, end: int) -> bool:
        """Try again after a back-off, if the policy's number and the breaker allow it."""
        stream = upstream.stream
        cluster, retries = stream.cluster, stream.route.retries
        assert cluster is not None and retries is not None
        if not retries.admit(stream, cluster.shared):
            return False
        stream.upstream = None
        stream.failed_ns += start - upstream.admitted
        deadline = end + retries.back_off(stream, upstream.key)
        stream.timeline.enter(end, RETRY_BACKOFF)
        stream.timeline.enter(deadline, WORKER_QUEUE)
        self.worker.set_timer(deadline, upstream.name, Visit.BACKOFF, upstream)
        return True
