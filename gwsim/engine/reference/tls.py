"""TLS with the client: how many flights a handshake takes, what it costs, when a ticket is taken.

A full handshake of TLS 1.2 takes two round trips (RFC 5246 figure 1), a resumed one and TLS 1.3 take one
(RFC 5077 figure 2, RFC 8446 figure 1). Tickets are sealed with keys that a pod draws at its start, so that only the
pod that issued a ticket can open it; its workers share the keys (Envoy, source/common/tls/server_context_impl.cc).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsim.engine.codes import Part, Purpose
from gwsim.engine.reference.sampling import u01

if TYPE_CHECKING:
    from gwsim.engine.reference.connections import Connection


def resumes(offers_ticket: float, ticket_pod: int, pod: int, connection_key: int) -> bool:
    """Whether the client offers a ticket and the pod takes it."""
    offered = ticket_pod >= 0 and u01(connection_key, Purpose.TICKET) < offers_ticket
    return offered and ticket_pod == pod


def hello_read(connection: Connection, end: int) -> None:
    """The CLIENT_HELLO visit ends at `end`: the server's first flight leaves."""
    if connection.link is not None:
        connection.link.hello_read(end)
        return
    finished = end + connection.down + connection.up
    connection.deliver(finished, Part.FINISHED, connection.opener, None)
    if connection.client.tls == "1.3" or connection.resumed:
        connection.client.connected_at(connection, end + connection.down)


def finished_read(connection: Connection, end: int) -> None:
    """The FINISHED visit ends at `end`: in a full handshake of TLS 1.2 the client has waited for it."""
    if connection.client.tls == "1.2" and not connection.resumed:
        connection.client.connected_at(connection, end + connection.down)
