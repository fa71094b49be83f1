"""Requests that stay open: `stream` in an entry of a mix."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from gwsim.scenario.file.base import FileModel, PositiveDuration
from gwsim.scenario.file.distributions import Sizes, Times

Kind = Literal["websocket", "grpc", "grpc-server", "grpc-client"]


class Messages(FileModel):
    """What one side says on an open stream."""

    every: Times = Field(description="time from one message to the next; a plain duration: evenly, {exponential: 1s}: at random")
    size: Sizes = Field(description="bytes of a message, framing included")


class Stream(FileModel):
    """The request stays open and carries messages: a WebSocket over HTTP/1.1, a gRPC stream over HTTP/2."""

    kind: Kind | None = Field(
        default=None,
        description="websocket, grpc (both sides talk), grpc-server (the request is complete, only the backend talks) or grpc-client; "
        "default: websocket over HTTP/1.1, grpc over HTTP/2",
    )
    duration: Times = Field(description="from the moment the backend accepts it until the backend ends it")
    messages_up: Messages | None = Field(default=None, description="what clients say; none: nothing")
    messages_down: Messages | None = Field(default=None, description="what the backend says; none: nothing")
    ping: PositiveDuration | None = Field(default=None, description="WebSockets: the client sends a ping so often, which the backend answers")

    @model_validator(mode="after")
    def _ways(self) -> Stream:
        if self.kind == "grpc-server" and self.messages_up is not None:
            raise ValueError("clients say nothing on a grpc-server stream; leave messages_up out, or make it kind: grpc")
        if self.kind == "grpc-client" and self.messages_down is not None:
            raise ValueError("the backend says nothing on a grpc-client stream; leave messages_down out, or make it kind: grpc")
        if self.ping is not None and self.kind not in (None, "websocket"):
            raise ValueError("ping is for WebSockets: an HTTP/2 PING keeps a connection, and no stream; give messages instead")
        return self


__all__ = ["Messages", "Stream"]
