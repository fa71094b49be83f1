"""Filters of HTTPRoutes and GRPCRoutes as parts of a VirtualService's rule.

Source: istio/istio pilot/pkg/config/kube/gateway/conversion.go (`createHeadersFilter`, `createRedirectFilter`,
`createRewriteFilter`, `createMirrorFilter`, `createCorsFilter`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gwsim.resources.models import (
    CORSFilter,
    CorsPolicy,
    GRPCRouteFilter,
    HeaderModifier,
    HeaderOperations,
    Headers,
    HTTPHeader,
    HTTPMirrorPolicy,
    HTTPRedirect,
    HTTPRewrite,
    HTTPRouteFilter,
    PathModifier,
    Percent,
    RegexRewrite,
    RequestMirror,
    RequestRedirect,
    Resource,
    StringMatch,
    URLRewrite,
)
from gwsim.topology.from_gateway_api.backends import Backends, NotTranslated
from gwsim.topology.from_istio.converted import PREFIX_MARK

ANY_PATH = "/.*"
ANY_ORIGIN = r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+"

Fields = dict[str, Any]
"""Keyword arguments of Istio's HTTPRoute."""
Filter = HTTPRouteFilter | GRPCRouteFilter


def rule_fields(filters: Sequence[Filter], route: Resource, path: str, backends: Backends, *, granted: bool) -> Fields:
    """What the filters of a rule come to. Raises NotTranslated for one that Istio does not support."""
    fields: Fields = {}
    mirrors: list[HTTPMirrorPolicy] = []
    for position, one in enumerate(filters):
        where = f"{path}[{position}]"
        if one.type == "RequestMirror" and one.request_mirror is not None:
            mirror = _mirror(one.request_mirror, route, where, backends, granted=granted)
            if mirror is not None:
                mirrors.append(mirror)
        elif isinstance(one, HTTPRouteFilter) and one.type in ("RequestRedirect", "URLRewrite", "CORS"):
            fields |= _http_only(one)
        elif one.type not in ("RequestHeaderModifier", "ResponseHeaderModifier"):
            raise NotTranslated(where, f"Istio does not support filters of type {one.type}")
    headers = headers_of(filters, path)
    if headers is not None:
        fields["headers"] = headers
    if mirrors:
        fields["mirrors"] = tuple(mirrors)
    return fields


def _http_only(one: HTTPRouteFilter) -> Fields:
    if one.request_redirect is not None:
        return {"redirect": _redirect(one.request_redirect)}
    if one.url_rewrite is not None:
        rewrite = _rewrite(one.url_rewrite)
        return {"rewrite": rewrite} if rewrite is not None else {}
    return {"cors_policy": _cors(one.cors)} if one.cors is not None else {}


def backend_headers(filters: Sequence[Filter], path: str) -> Headers | None:
    """The header changes of one backend. Raises NotTranslated for any other filter."""
    for position, one in enumerate(filters):
        if one.type not in ("RequestHeaderModifier", "ResponseHeaderModifier"):
            raise NotTranslated(f"{path}[{position}]", f"Istio does not support filters of type {one.type} on a backend")
    return headers_of(filters, path)


def headers_of(filters: Sequence[Filter], path: str) -> Headers | None:
    """Header changes; of each direction the last filter counts."""
    request = response = None
    for one in filters:
        if one.type == "RequestHeaderModifier" and one.request_header_modifier is not None:
            request = _operations(one.request_header_modifier)
        elif one.type == "ResponseHeaderModifier" and one.response_header_modifier is not None:
            response = _operations(one.response_header_modifier)
    return Headers(request=request, response=response) if request or response else None


def _operations(modifier: HeaderModifier) -> HeaderOperations:
    return HeaderOperations(set=_by_name(modifier.set), add=_by_name(modifier.add), remove=modifier.remove)


def _by_name(headers: Sequence[HTTPHeader]) -> dict[str, str]:
    """Values by name in lower case; of a name given twice the first counts."""
    values: dict[str, str] = {}
    for one in headers:
        values.setdefault(one.name.lower(), one.value)
    return values


def _mirror(
    mirror: RequestMirror, route: Resource, path: str, backends: Backends, *, granted: bool
) -> HTTPMirrorPolicy | None:
    where = f"{path}.requestMirror.backendRef"
    destination = backends.destination(mirror.backend_ref, route, where, granted=granted)
    if not destination.host or not backends.ctx.registry.host(destination.host, route.namespace):
        # A mirror that leads nowhere is left out; the rule stays.
        if destination.host:
            message = f"{route.ref}: there is no service {destination.host}, so nothing is mirrored"
            backends.ctx.find("BACKEND_REFUSED", message, route, where)
        return None
    percent = 100.0
    if mirror.fraction is not None:
        percent = 100.0 * mirror.fraction.numerator / (mirror.fraction.denominator or 100)
    elif mirror.percent is not None:
        percent = float(mirror.percent)
    return HTTPMirrorPolicy(destination=destination, percentage=Percent(value=percent))


def _redirect(redirect: RequestRedirect) -> HTTPRedirect:
    """Without a port the one of the scheme counts, or that of the request when no scheme is given either."""
    derived: Any = None
    if redirect.port is None:
        derived = "FROM_PROTOCOL_DEFAULT" if redirect.scheme else "FROM_REQUEST_PORT"
    return HTTPRedirect(
        uri=_redirected_path(redirect.path),
        authority=redirect.hostname,
        scheme=redirect.scheme,
        port=redirect.port,
        derive_port=derived,
        redirect_code=redirect.status_code,
    )


def _redirected_path(modifier: PathModifier | None) -> str | None:
    if modifier is None:
        return None
    if modifier.type == "ReplaceFullPath":
        return modifier.replace_full_path
    return f"{PREFIX_MARK}{modifier.replace_prefix_match or ''}"


def _rewrite(rewrite: URLRewrite) -> HTTPRewrite | None:
    uri = regex = None
    modifier = rewrite.path
    if modifier is not None and modifier.type == "ReplacePrefixMatch":
        uri = (modifier.replace_prefix_match or "").removesuffix("/") or "/"
    elif modifier is not None:
        regex = RegexRewrite(match=ANY_PATH, rewrite=modifier.replace_full_path or "")
    if uri is None and regex is None and not rewrite.hostname:
        return None
    return HTTPRewrite(uri=uri, uri_regex_rewrite=regex, authority=rewrite.hostname)


def _cors(cors: CORSFilter | None) -> CorsPolicy | None:
    if cors is None:
        return None
    return CorsPolicy(
        allow_origins=tuple(_origin(one) for one in cors.allow_origins if one),
        allow_methods=cors.allow_methods,
        allow_headers=cors.allow_headers,
        expose_headers=cors.expose_headers,
        max_age_s=float(cors.max_age) if cors.max_age else None,
        allow_credentials=True if cors.allow_credentials else None,
        unmatched_preflights="IGNORE",
    )


def _origin(origin: str) -> StringMatch:
    """An origin; `*` stands for all, and within a host for any labels."""
    if "*" not in origin:
        return StringMatch(exact=origin)
    if origin == "*":
        return StringMatch(regex=ANY_ORIGIN)
    return StringMatch(regex=".*".join(re.escape(part) for part in origin.split("*")))
