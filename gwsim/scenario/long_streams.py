"""Requests that stay open, as the engines run them: part of `gwsim.scenario.model`."""

from __future__ import annotations

from dataclasses import dataclass

from gwsim.scenario.arrivals import Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """What one side of a long stream says: a message of so many bytes every so often (each gap drawn anew)."""

    every_s: Distribution
    size: Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCosts:
    """CPU of visits that carry messages, seconds (bytes: seconds per byte of message)."""

    read_s: float
    read_byte_s: float
    write_up_s: float
    write_up_byte_s: float
    read_up_s: float
    read_up_byte_s: float
    write_down_s: float
    write_down_byte_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LongStream:
    """A request that stays open and carries messages: a WebSocket (upgraded HTTP/1.1), or a gRPC stream (HTTP/2)."""

    websocket: bool
    """Opened by 101, and the end of both its connections; else by 200."""
    duration_s: Distribution
    """From the moment the backend accepts it until the backend ends it."""
    costs: MessageCosts
    up: Messages | None = None
    down: Messages | None = None
    ping_s: float | None = None
    """The client sends a ping so often, and the backend answers each with a pong."""
    request_complete: bool = False
    """The client says nothing after the request (gRPC server streaming): the route's time-outs run from then on."""


__all__ = ["LongStream", "MessageCosts", "Messages"]
