"""A VirtualService's HTTP match as a RouteMatch. Source: istio/istio pilot/pkg/networking/core/route/route.go
(`TranslateRouteMatch`, `sourceMatchHTTP`), pkg/jwt/routing.go (claims).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gwsim.resources.models import HTTPMatchRequest
from gwsim.resources.models import StringMatch as Text
from gwsim.topology.from_istio.registry import contains
from gwsim.topology.routes import ClaimMatch, HeaderMatch, PathMatch, QueryMatch, RouteMatch, StringMatch

_CLAIMS = "@request.auth.claims"


def applies(match: HTTPMatchRequest, *, port: int, gateway: str, labels: Mapping[str, str], namespace: str, names: tuple[str, ...]) -> bool:
    """Whether a match concerns this gateway at all. `names` are the match's gateways with namespaces."""
    if match.port is not None and match.port != port:
        return False
    if names:
        return gateway in names
    if not contains(labels, match.source_labels):
        return False
    return match.source_namespace in (None, "", namespace)


def string_match(text: Text) -> StringMatch:
    """exact, prefix or regex; nothing, or the regex `*`, is presence."""
    if text.exact is not None:
        return StringMatch(kind="exact", value=text.exact)
    if text.prefix is not None:
        return StringMatch(kind="prefix", value=text.prefix)
    if text.regex is not None and text.regex != "*":
        return StringMatch(kind="regex", value=text.regex)
    return StringMatch(kind="present")


def route_match(match: HTTPMatchRequest | None, *, segments: bool = False) -> RouteMatch:
    """All conditions of one match that a request can be tested for. `segments`: prefixes are of whole segments."""
    if match is None:
        return RouteMatch()
    plain = {name: text for name, text in match.headers.items() if not name.startswith(_CLAIMS)}
    inverted = {name: text for name, text in match.without_headers.items() if not name.startswith(_CLAIMS)}
    claims = [_claim(name, text, invert=False) for name, text in match.headers.items() if name not in plain]
    claims += [_claim(name, text, invert=True) for name, text in match.without_headers.items() if name not in inverted]
    return RouteMatch(
        path=_path(match.uri, match.ignore_uri_case, segments),
        headers=_headers(plain),
        without_headers=_headers(inverted),
        query_params=tuple(
            QueryMatch(name=name, match=string_match(text)) for name, text in sorted(match.query_params.items())
        ),
        claims=tuple(claims),
        method=string_match(match.method) if match.method else None,
        authority=string_match(match.authority) if match.authority else None,
        scheme=string_match(match.scheme) if match.scheme else None,
    )


def _headers(matches: Mapping[str, Text]) -> tuple[HeaderMatch, ...]:
    return tuple(HeaderMatch(name=name.lower(), match=string_match(text)) for name, text in sorted(matches.items()))


def _path(uri: Text | None, ignore_case: bool, segments: bool) -> PathMatch:
    if uri is None:
        return PathMatch(kind="prefix", value="/")
    if uri.exact is not None:
        return PathMatch(kind="exact", value=uri.exact, ignore_case=ignore_case)
    if uri.prefix is not None and segments and uri.prefix != "/":
        return PathMatch(kind="path_separated_prefix", value=uri.prefix.removesuffix("/"), ignore_case=ignore_case)
    if uri.prefix is not None:
        return PathMatch(kind="prefix", value=uri.prefix, ignore_case=ignore_case)
    return PathMatch(kind="regex", value=uri.regex or ".*")


def _claim(name: str, text: Text, *, invert: bool) -> ClaimMatch:
    rest = name[len(_CLAIMS) :]
    if rest.startswith("["):
        path = tuple(re.findall(r"\[([^\]]*)\]", rest))
    else:
        path = tuple(part for part in rest.split(".") if part)
    return ClaimMatch(path=path, match=string_match(text), invert=invert)
