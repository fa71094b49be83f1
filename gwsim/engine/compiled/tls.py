"""The gateway's side of a TLS handshake: what each visit answers, and when the client may send.

Source: RFC 8446 section 2, RFC 5246 section 7.3 (round trips); RFC 8446 section 4.6.1 (tickets).
"""

from __future__ import annotations

from gwsim.engine.codes import Part
from gwsim.engine.compiled.heaps import key_b, push
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.relays import hello_read
from gwsim.engine.compiled.state import deliver_conn

PART_FINISHED = int(Part.FINISHED)
PLAINTEXT, TLS12, TLS13 = 0, 12, 13


@kernel
def hello_answered(w, n, e):
    """The CLIENT_HELLO visit of connection `n` ends at `e`: its answer leaves then, without being armed."""
    c = w.conns[n]
    if w.has_chains and c.link >= 0:
        hello_read(w, n, e)
        return
    b = key_b(c.k, 0, PART_FINISHED, n)
    c.refs += 1
    deliver_conn(w, n, e + c.down_ns + c.up_ns, c.a, b)
    if w.clients[c.client].tls == TLS13 or c.resumed == 1:
        connected_at(w, n, e + c.down_ns)


@kernel
def finished_answered(w, n, e):
    """The FINISHED visit of connection `n` ends at `e`; a full TLS 1.2 handshake needs its answer before data."""
    c = w.conns[n]
    if w.clients[c.client].tls == TLS12 and c.resumed == 0:
        connected_at(w, n, e + c.down_ns)


@kernel
def connected_at(w, n, t):
    """The client of connection `n` may send from `t`."""
    c = w.conns[n]
    g = w.g[0]
    c.refs += 1
    push(w.client_heap, g.client_n, t, c.a, key_b(c.k, 0, 0, n))
    g.client_n += 1
