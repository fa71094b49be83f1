"""Who sends requests: the `clients` section."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from gwsim.scenario.file.arrivals import Arrivals
from gwsim.scenario.file.base import Count, FileModel, Number, Port, PositiveDuration, Share, Whole
from gwsim.scenario.file.distributions import Sizes, Times
from gwsim.scenario.file.streams import Stream


def _http(value: Any) -> Any:
    names = {"1": 1, "1.0": 1, "1.1": 1, "http/1.1": 1, "2": 2, "2.0": 2, "h2": 2, "http/2": 2}
    return names.get(str(value).lower(), value) if not isinstance(value, bool) else value


def _tls(value: Any) -> Any:
    if value is None or value is False:
        return "none"
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


HttpVersion = Annotated[Literal[1, 2], BeforeValidator(_http), WithJsonSchema({"enum": ["1.1", "2", 1, 1.1, 2]})]
TlsVersion = Annotated[
    Literal["auto", "none", "1.2", "1.3"],
    BeforeValidator(_tls),
    WithJsonSchema({"enum": ["auto", "none", "1.2", "1.3", 1.2, 1.3]}),
]


_WORKLOAD = re.compile(r"[^/\s]+(/[^/\s]+){1,2}")


def _workload(value: str) -> str:
    if not _WORKLOAD.fullmatch(value):
        raise ValueError(f"{value!r} names no workload; write [cluster/]namespace/name, e.g. shop/orders")
    return value


Workload = Annotated[str, AfterValidator(_workload)]
"""A workload by name: `[cluster/]namespace/name`."""


class Connection(FileModel):
    """How the clients keep connections."""

    http: HttpVersion = Field(default=1, description="1 (HTTP/1.1) or 2 (HTTP/2)")
    count: Count = Field(default=100, description="connections kept; more are added when all are busy")
    requests: Whole = Field(default=0, description="requests per connection, then it is closed; 0: no limit")
    streams: Count | None = Field(default=None, description="concurrent requests per connection; default 1 for HTTP/1.1, 100 for HTTP/2")
    tls: TlsVersion = Field(default="auto", description="1.2, 1.3, none, or auto: 1.3 where the gateway's port terminates TLS")
    offers_ticket: Share = Field(default=0.0, description="share of reconnects that offer a session ticket")
    reconnect_delay: Times | None = Field(default=None, description="pause before opening again after a time-out")

    @model_validator(mode="after")
    def _streams_need_http2(self) -> Connection:
        if self.http == 1 and (self.streams or 1) > 1:
            raise ValueError("streams above 1 needs http: 2")
        return self


class BackOff(FileModel):
    """Exponential back-off with full jitter: retry k waits up to base * 2^(k-1), at most max."""

    base: PositiveDuration = Field(default=0.1, description="bound of the first pause")
    max: PositiveDuration = Field(default=10.0, description="bound of every pause")

    @model_validator(mode="after")
    def _ordered(self) -> BackOff:
        if self.max < self.base:
            raise ValueError("max is below base")
        return self


class ClientRetries(FileModel):
    """Retries by the clients themselves, on top of those of the gateway."""

    attempts: Count = Field(description="retries at the most")
    retry_on: tuple[Literal["5xx", "timeout"], ...] = Field(default=("5xx", "timeout"), min_length=1, description="what is retried")
    back_off: BackOff = Field(default=BackOff(), description="pauses before retries")
    budget: Share | None = Field(default=None, description="retries per request in the long run, e.g. 10%; none: no limit")


class MixEntry(FileModel):
    """One kind of request."""

    name: str | None = Field(default=None, min_length=1, description="label in reports and budgets; default: method, host and path")
    method: str = Field(default="GET", min_length=1, description="HTTP method")
    host: str | None = Field(default=None, min_length=1, description="Host header; default: the client's sni; none where the gateway's port is TCP")
    port: Port | None = Field(default=None, description="of clients in the mesh: the port they dial; default: 80, or 443 with TLS")
    path: str = Field(default="/", pattern="^[/*]", description="path, with its query string if any")
    headers: dict[str, str] = Field(default={}, description="headers that routes may look at")
    weight: Number = Field(default=1.0, description="share of the requests, relative to the other entries")
    request_size: Sizes | None = Field(default=None, description="bytes of the request's body")
    response_size: Sizes | None = Field(default=None, description="bytes of the response's body")
    stream: Stream | None = Field(default=None, description="the request stays open and carries messages (WebSocket, gRPC stream); none: it ends with its answer")


def _weighted(mix: tuple[MixEntry, ...]) -> tuple[MixEntry, ...]:
    if not sum(one.weight for one in mix) > 0:
        raise ValueError("all weights are 0; give at least one entry a weight above 0")
    names = [one.name for one in mix if one.name]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice:
        raise ValueError(f"the name {twice!r} is given twice; names label reports and budgets")
    return mix


class Client(FileModel):
    """A population of equal clients: of one gateway port (`target`), or the pods of a workload in the mesh (`from`)."""

    target: str | None = Field(
        default=None, min_length=1, description="where they connect: [cluster/]Service/namespace/name:port, or Deployment/namespace/name:port"
    )
    from_: Workload | None = Field(
        default=None, alias="from",
        description="the workload they are: [cluster/]namespace/name of a Deployment, StatefulSet, DaemonSet or WorkloadEntry; its sidecar decides where each request goes",
    )
    arrivals: Arrivals = Field(description="when requests come")
    mix: Annotated[tuple[MixEntry, ...], AfterValidator(_weighted)] = Field(min_length=1, description="what they ask for")
    sni: str | None = Field(default=None, description="server name of the TLS handshake; default: the host of the first entry")
    connection: Connection = Field(default=Connection(), description="how they keep connections")
    rtt: Times | None = Field(
        default=None, description="round trip to the gateway, once per connection; default: internet clients, and to a sidecar that within a node"
    )
    timeout: PositiveDuration | None = Field(default=None, description="after which they give up; none: never")
    retries: ClientRetries | None = Field(default=None, description="their own retries")
    users: Count | None = Field(
        default=None, description="different users behind the requests: values of the header, cookie or parameter that session affinity hashes"
    )
    client_certificate: bool | None = Field(default=None, description="whether they have one; default: when the gateway asks")

    @model_validator(mode="after")
    def _hosts(self) -> Client:
        if self.from_ is not None and self.sni is None and any(one.host is None for one in self.mix):
            raise ValueError("an entry of the mix has no host, and the client no sni to take it from")
        return self

    @model_validator(mode="after")
    def _where(self) -> Client:
        if (self.target is None) == (self.from_ is None):
            raise ValueError("give either target (a gateway's port) or from (a workload of the mesh)")
        if self.target is not None and any(one.port is not None for one in self.mix):
            raise ValueError("port in the mix is for clients in the mesh (from); here the target has the port")
        return self


__all__ = ["BackOff", "Client", "ClientRetries", "Connection", "MixEntry"]
