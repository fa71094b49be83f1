"""What the filters before the router do to a request, and what hashing policies hash: parts of a `Model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class HashRule:
    """One value that goes into a request's hash for RING_HASH and MAGLEV.

    `fixed`: the `text` that all requests of the shape carry; `user`: each request comes from one of `users` equal users;
    `connection`: every connection slot of the client is a user of its own (its address, or a cookie it was given).
    """

    kind: Literal["fixed", "user", "connection"]
    text: str = ""
    users: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBucket:
    """A local rate limit's bucket: state per gateway pod, starts full. Refill is continuous, as in Envoy."""

    max_tokens: int
    tokens_per_fill: int = 1
    fill_interval_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """`percent` of the requests wait `delay_s` (fault injection)."""

    percent: float
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """`percent` of the requests are answered with `status` (fault injection)."""

    percent: float
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Each of `buckets` (indices into `Model.buckets`) must give a token; otherwise `status`, in `enforced_percent` of the cases."""

    buckets: tuple[int, ...]
    enabled_percent: float = 100.0
    enforced_percent: float = 100.0
    status: int = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call to a service (external authorization, rate limit service) that the request waits for.

    Its answer below 400 lets the request pass, 4xx refuses it with that status. An error (5xx, time-out, no
    connection) lets it pass with `fail_open`, else answers `error_status`.
    """

    cluster: int
    request_bytes: int = 0
    body_max_bytes: int = 0
    """Of the request's body so many bytes are sent along."""
    response_bytes: int = 0
    timeout_s: float = 0.0
    fail_open: bool = False
    error_status: int = 403
    deny_flag: str = "UAEX"
    error_flag: str = "UAEX"


Operation = Delay | Abort | Bucket | Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A copy of `percent` of the requests to a cluster (-1: one that does not exist), whose answer nobody waits for."""

    cluster: int
    percent: float = 100.0


__all__ = ["Abort", "Bucket", "Call", "Delay", "HashRule", "Mirror", "Operation", "TokenBucket"]
