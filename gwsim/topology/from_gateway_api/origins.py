"""Places in the objects as written, asked for by the paths of what they were converted to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gwsim.diagnostics import Span
from gwsim.resources.models import Resource
from gwsim.resources.origin import Origin

_RULES = re.compile(r"^(?:tls|tcp|http)(?=\[)")
_LISTENER = (
    ("servers[0].port.number", ".port"), ("servers[0].tls.credentialName", ".tls.certificateRefs"),
    ("servers[0].hosts", ".hostname"), ("servers[0]", ""), ("hosts", ".hostname"), ("selector", ""),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RouteOrigin(Origin):
    """Places of a route, asked for as those of a VirtualService."""

    def span_of(self, path: str) -> Span:
        """Where the rule, match or backend stands."""
        path = _RULES.sub("rules", path).replace(".route[", ".backendRefs[").replace(".match[", ".matches[")
        return Origin.span_of(self, path)


@dataclass(frozen=True, slots=True)
class ListenerOrigin(Origin):
    """Places of a listener, asked for as those of a Gateway with one server."""

    listener: str = ""
    """Path of the listener: `listeners[2]`."""

    def span_of(self, path: str) -> Span:
        """Where the part of the listener stands."""
        for begin, place in _LISTENER:
            if path.startswith(begin):
                return Origin.span_of(self, self.listener + place + path[len(begin) :])
        return Origin.span_of(self, self.listener)


def route_origin(resource: Resource) -> RouteOrigin:
    """The origin of a route for the VirtualService made of it."""
    known = resource.origin
    return RouteOrigin(known.file, known.line, known.column, known.text)


def listener_origin(resource: Resource, position: int) -> ListenerOrigin:
    """The origin of a Gateway or ListenerSet for the Gateway made of one of its listeners."""
    known = resource.origin
    return ListenerOrigin(known.file, known.line, known.column, known.text, f"listeners[{position}]")
