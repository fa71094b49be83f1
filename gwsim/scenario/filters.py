"""What the filters of a gateway do with an entry of a mix, as the program that the engines run.

Route choice says which filters act on the entry, in order, and with what configuration; here each becomes the operation
it comes to: a token bucket, a call, an injected fault. What only costs CPU is priced with the gateway's visits.
Order and rules: envoyproxy/envoy source/extensions/filters/http/{fault,local_ratelimit,ratelimit,ext_authz,lua}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gwsim.scenario.model import Abort, Bucket, Call, Delay, Operation, TokenBucket
from gwsim.topology import ActiveFilter, Decision, Proxy
from gwsim.topology import Outcome as Kind
from gwsim.topology import filters as envoy
from gwsim.topology.rate_limiting import bucket_for

GRPC_HTTP_STATUS = 200
"""Status of an answer whose failure is told as a gRPC status."""
CHECK_BYTES = 1000
"""Size of a check request: the attributes and headers of a usual request."""
ANSWER_BYTES = 100
"""Size of the answer to a check."""
Find = Callable[[Proxy, str], int | None]
"""Index of a proxy's cluster in the model; None, which is reported, when the proxy has no such cluster."""


@dataclass(slots=True)
class Programs:
    """Makes programs, and gathers the token buckets they share.

    A bucket belongs to one configuration on one filter chain (or route, or virtual host) of a gateway: entries that
    meet the same configuration draw from the same bucket.
    """

    find: Find
    buckets: list[TokenBucket] = field(default_factory=list)
    _known: dict[tuple[object, ...], int] = field(default_factory=dict)

    def of(self, proxy: Proxy, decision: Decision) -> tuple[Operation, ...]:
        """The operations before the router, in order. Filters after one that answers never see the request."""
        program: list[Operation] = []
        injected = faults(decision)
        for one in decision.filters:
            if isinstance(one.config, envoy.Fault):
                program += injected
                injected = ()
            program += self._operations(proxy, decision, one)
        return (*program, *injected)

    def _operations(self, proxy: Proxy, decision: Decision, one: ActiveFilter) -> list[Operation]:
        match one.config:
            case envoy.LocalRateLimit() as limit:
                return self._limit(proxy, decision, one, limit)
            case envoy.ExtAuthz() as check:
                status = check.status_on_error
                return self._call(proxy, check.cluster, check.timeout_s, check.fail_open, status, check.with_body_max_bytes)
            case envoy.RateLimit() as limit:
                fail_open, status = not limit.failure_mode_deny, limit.status_on_error
                return self._call(proxy, limit.cluster, limit.timeout_s, fail_open, status, flags=("RL", "RLSE"))
            case envoy.Lua() as script:
                calls = [one for one in script.calls if one.cluster and not one.asynchronous]
                return [made for one in calls for made in self._call(proxy, one.cluster, one.timeout_s, True, 503)]
            case _:
                return []

    def _limit(self, proxy: Proxy, decision: Decision, one: ActiveFilter, limit: envoy.LocalRateLimit) -> list[Operation]:
        if limit.enabled_percent <= 0.0:
            return []
        scope = (proxy.cluster, proxy.key, decision.listener, decision.filter_chain, one.name, id(limit))
        own = bucket_for(limit, one.descriptors)
        used = [self._bucket((*scope, own.entries), own.bucket)] if own is not None else []
        if limit.bucket is not None and (own is None or limit.always_consume_default):
            used.append(self._bucket(scope, limit.bucket))
        if not used:
            return []
        return [
            Bucket(
                buckets=tuple(used),
                enabled_percent=limit.enabled_percent,
                enforced_percent=limit.enforced_percent,
                status=limit.status,
            )
        ]

    def _bucket(self, scope: tuple[object, ...], bucket: envoy.TokenBucket) -> int:
        if scope not in self._known:
            self._known[scope] = len(self.buckets)
            made = TokenBucket(
                max_tokens=bucket.max_tokens,
                tokens_per_fill=bucket.tokens_per_fill,
                fill_interval_s=bucket.fill_interval_s,
            )
            self.buckets.append(made)
        return self._known[scope]

    def _call(
        self,
        proxy: Proxy,
        name: str,
        timeout_s: float,
        fail_open: bool,
        status: int,
        body_bytes: int = 0,
        flags: tuple[str, str] = ("UAEX", "UAEX"),
    ) -> list[Operation]:
        cluster = self.find(proxy, name)
        if cluster is None:
            # Nobody to ask: the filter's own answer to an error, at once.
            return [] if fail_open else [Abort(percent=100.0, status=status)]
        return [
            Call(
                cluster=cluster,
                request_bytes=CHECK_BYTES,
                body_max_bytes=body_bytes,
                response_bytes=ANSWER_BYTES,
                timeout_s=timeout_s,
                fail_open=fail_open,
                error_status=status,
                deny_flag=flags[0],
                error_flag=flags[1],
            )
        ]


def faults(decision: Decision) -> tuple[Operation, ...]:
    """Injected faults; an abort of all requests is the decision's own answer."""
    program: list[Operation] = []
    delay, abort = decision.fault_delay, decision.fault_abort
    if delay is not None and delay.percent > 0.0:
        program.append(Delay(percent=delay.percent, delay_s=delay.delay_s))
    if abort is not None and abort.percent > 0.0 and decision.outcome is not Kind.FAULT_ABORT:
        program.append(Abort(percent=abort.percent, status=abort.status or GRPC_HTTP_STATUS))
    return tuple(program)


__all__ = ["Programs", "faults"]
