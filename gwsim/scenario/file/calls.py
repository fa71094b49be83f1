"""What a backend asks of other services to serve a request: the `calls` of a backend."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from gwsim.scenario.file.base import FileModel, PositiveDuration, Share
from gwsim.scenario.file.clients import ClientRetries
from gwsim.scenario.file.distributions import Sizes

_HOST = re.compile(r"[^\s/:]+(:[0-9]{1,5})?")


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"{value!r} is not host or host:port, e.g. payments.shop:8080")
    return value


Host = Annotated[str, AfterValidator(_host)]


class _Said(FileModel):
    """What is said of a call, whatever it calls."""

    name: str | None = Field(default=None, min_length=1, description="label in reports and budgets; default: method, host and path")
    method: str = Field(default="GET", min_length=1, description="HTTP method")
    path: str = Field(default="/", pattern="^[/*]", description="path, with its query string if any")
    headers: dict[str, str] = Field(default={}, description="headers that routes may look at")
    request_size: Sizes | None = Field(default=None, description="bytes of the request's body")
    response_size: Sizes | None = Field(default=None, description="bytes of the response's body")
    share: Share = Field(default=1.0, description="share of the requests served that need it")
    critical: bool = Field(default=True, description="whether its failure (5xx, time-out, reset) is the failure of the request served")
    for_: tuple[str, ...] = Field(default=(), alias="for", description="only requests of these routes or entries of the mix need it; none given: all do")
    timeout: PositiveDuration | None = Field(default=None, description="after which the backend gives it up; none: never")
    retries: ClientRetries | None = Field(default=None, description="the backend's own retries of it")


class Call(_Said):
    """A request to another service."""

    to: Host = Field(min_length=1, description="whom it calls, as the application says it: host or host:port; port 80 unless given")


class CallStage(_Said):
    """A call (`to`), or calls made at the same time (`parallel`); the next begins when all have ended."""

    to: Host | None = Field(default=None, description="whom it calls, as the application says it: host or host:port; port 80 unless given")
    parallel: tuple[Call, ...] = Field(default=(), description="calls made at the same time, in place of one")

    @model_validator(mode="after")
    def _one_or_many(self) -> CallStage:
        if (self.to is None) == (not self.parallel):
            raise ValueError("give either to (a call) or parallel (a list of calls)")
        more = [field.alias or name for name, field in _Said.model_fields.items() if getattr(self, name) != field.default]
        if self.parallel and more:
            raise ValueError(f"{', '.join(more)} belongs to each of the parallel calls")
        return self

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls of the stage."""
        if self.to is None:
            return self.parallel
        said = {name: getattr(self, name) for name in _Said.model_fields}
        return (Call.model_construct(to=self.to, **said),)


__all__ = ["Call", "CallStage"]
