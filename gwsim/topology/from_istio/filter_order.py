"""HTTP filters of a connection manager in istiod's order.

Source: istio/istio pilot/pkg/networking/core/listener_builder.go `buildHTTPConnectionManager`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gwsim.topology import filters
from gwsim.topology.listeners import HttpFilter

_METADATA = HttpFilter(name=filters.METADATA_EXCHANGE, config=filters.MetadataExchange())
_FIXED = (
    HttpFilter(name=filters.GRPC_STATS, config=filters.GrpcStats()),
    HttpFilter(name=filters.ALPN, config=filters.Alpn()),
    HttpFilter(name=filters.FAULT, config=filters.Fault()),
    HttpFilter(name=filters.CORS, config=filters.CorsFilter()),
)
STATS = HttpFilter(name=filters.ISTIO_STATS, config=filters.IstioStats())


@dataclass(frozen=True, slots=True, kw_only=True)
class Inserts:
    """What policies and plugins add to the fixed filters; each in its own order."""

    custom: tuple[HttpFilter, ...] = ()
    """CUSTOM authorization."""
    authn: tuple[HttpFilter, ...] = ()
    """Plugins of phase AUTHN."""
    jwt: tuple[HttpFilter, ...] = ()
    authz: tuple[HttpFilter, ...] = ()
    """Plugins of phase AUTHZ."""
    rbac: tuple[HttpFilter, ...] = ()
    """AUDIT, DENY, ALLOW."""
    stats: tuple[HttpFilter, ...] = ()
    """Plugins of phase STATS."""
    rest: tuple[HttpFilter, ...] = ()
    """Plugins without a phase."""


NOTHING = Inserts()


def filter_chain(inserts: Inserts = NOTHING, *, stats: HttpFilter | None = STATS) -> tuple[HttpFilter, ...]:
    """The filters of a connection manager, the router left out; `stats` None: no metrics are kept."""
    before = (_METADATA, *inserts.custom, *inserts.authn, *inserts.jwt, *inserts.authz, *inserts.rbac)
    after = (*inserts.stats, *inserts.rest, *_FIXED)
    return (*before, *after, *((stats,) if stats else ()))
