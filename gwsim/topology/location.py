"""Where redirects point and what rewrites make of a path.

Source: envoyproxy/envoy source/common/router/config_impl.cc (`newUri`, `rewritePathHeader`),
source/common/http/utility.cc (`createSslRedirectPath`).
"""

from __future__ import annotations

import re2

from gwsim.topology.decision import Location
from gwsim.topology.matching import RequestView
from gwsim.topology.routes import PathMatch, PathRewrite, Redirect

_DEFAULT_PORTS = {"http": 80, "https": 443}


def _split(authority: str) -> tuple[str, int | None]:
    name, colon, port = authority.rpartition(":")
    if colon and port.isdigit() and not authority.endswith("]"):
        return name, int(port)
    return authority, None


def location_of(action: Redirect, match: PathMatch | None, view: RequestView, *, plain_upgrade: bool) -> Location:
    """The Location header. `plain_upgrade`: a virtual host's https redirect, which keeps the host as it is."""
    scheme = action.scheme or view.scheme
    host, port = _split(action.host or view.authority)
    if action.port is not None:
        port = action.port
    elif not plain_upgrade and not action.host and scheme != view.scheme and port == _DEFAULT_PORTS.get(view.scheme):
        port = None
    return Location(scheme=scheme, host=host, port=port, path=_target_path(action, match, view))


def _target_path(action: Redirect, match: PathMatch | None, view: RequestView) -> str:
    if action.prefix_rewrite is not None:
        return _replace_matched(action.prefix_rewrite, match or PathMatch(), view.path) + view.query
    if not action.path:
        return view.path_and_query
    return action.path if "?" in action.path else action.path + view.query


def _replace_matched(value: str, match: PathMatch, path: str) -> str:
    """The path with the part that the route matched replaced; exact and regex matches cover all of it."""
    if match.kind in ("exact", "regex"):
        return value
    matched = len(match.value) if match.kind != "any" else 1
    return value + path[matched:]


def rewritten_path(rewrite: PathRewrite, match: PathMatch, view: RequestView) -> str:
    """The path (with query) that the backend sees."""
    if rewrite.kind == "full":
        return rewrite.value + view.query
    if rewrite.kind == "prefix":
        return _replace_matched(rewrite.value, match, view.path) + view.query
    try:
        return str(re2.sub(rewrite.pattern, rewrite.value, view.path)) + view.query
    except re2.error:
        return view.path_and_query
