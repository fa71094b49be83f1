"""Whether a request's token is accepted, and what it claims.

A request either says what its token is (`claims`, `token_rejected`) or carries one in the places where it is looked
for; such a token is taken to verify when it can be decoded, since keys are not looked at.
Sources: envoyproxy/envoy source/extensions/filters/http/jwt_authn/{filter,verifier,authenticator,extractor}.cc; how
several providers are joined: istio pilot/pkg/security/authn/policy_applier.go `convertToEnvoyJwtConfig`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gwsim.topology.filters import JwtAuthn, JwtLocation, JwtProvider

if TYPE_CHECKING:
    from gwsim.topology.decision import Request
    from gwsim.topology.matching import RequestView


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the tokens: `status` 0 passes, with the claims of the one that was accepted (None: no token)."""

    status: int = 0
    reason: str = "no token, which is allowed"
    claims: Mapping[str, Any] | None = None
    provider: JwtProvider | None = None
    """Whose token it is."""
    carrier: str = ""
    """The header that the token came in."""
    checked: bool = True


MISSING = Verdict()


def is_preflight(view: RequestView) -> bool:
    """A CORS preflight, as Envoy tells it."""
    return view.method == "OPTIONS" and bool(view.header("origin")) and bool(view.header("access-control-request-method"))


def verify(config: JwtAuthn, request: Request, view: RequestView) -> Verdict:
    """One provider that accepts its token is enough; else none of them may have been shown a bad one."""
    if config.bypass_cors_preflight and is_preflight(view):
        return Verdict(reason="a CORS preflight is not checked", checked=False)
    verdicts = [_by_provider(config, provider, request, view) for provider in config.providers]
    accepted = next((one for one in verdicts if one.claims is not None), None)
    if accepted is not None:
        return accepted
    refused = [one for one in verdicts if one.status]
    if not refused:
        return MISSING if config.allow_missing else Verdict(401, "Jwt is missing")
    # A token of an issuer that another provider is for says less than why that provider refused it.
    return next((one for one in refused if one.reason != _UNKNOWN_ISSUER), refused[0])


_UNKNOWN_ISSUER = "Jwt issuer is not configured"


def _by_provider(config: JwtAuthn, provider: JwtProvider, request: Request, view: RequestView) -> Verdict:
    if request.token_rejected:
        return Verdict(401, "Jwt verification fails")
    claims: Mapping[str, Any] | None = request.claims
    places = ((one, token_at(one, view)) for one in provider.locations)
    place, text = next(((one, found) for one, found in places if found is not None), (None, None))
    if claims is None:
        if text is None:
            return MISSING
        claims = decoded(text)
        if claims is None:
            return Verdict(401, "Jwt is not in the form of Header.Payload.Signature")
    issuer = claims.get("iss")
    if issuer is None:
        # A token that is only described is taken to be one of the first issuer.
        if provider is not config.providers[0]:
            return MISSING
        claims = {"iss": provider.issuer, **claims}
    elif provider.issuer and issuer != provider.issuer:
        return Verdict(401, _UNKNOWN_ISSUER)
    if provider.keys == "missing":
        return Verdict(401, "Jwks doesn't have key to match kid or alg from Jwt")
    if not _audience_fits(provider, claims):
        return Verdict(403, "Audiences in Jwt are not allowed")
    carrier = place.name.lower() if place is not None and place.kind == "header" else ""
    reason = f"the token of {claims['iss']} is accepted"
    return Verdict(0, reason, _split(claims, provider.space_delimited_claims), provider, carrier)


def carried_on(config: JwtAuthn, verdict: Verdict, request: Request) -> Request:
    """The request behind the filter: headers for claims hold what the accepted token says, and nothing the client wrote
    there; the token itself goes no further unless its provider forwards it. The route is chosen after that."""
    named = {header for one in config.providers for header, _ in one.claims_to_headers}
    provider = verdict.provider
    gone = named | ({verdict.carrier} if provider is not None and not provider.forward else set())
    if not verdict.checked or not gone - {""}:
        return request
    headers = {name: value for name, value in request.headers.items() if name.lower() not in gone}
    if provider is not None and verdict.claims is not None:
        for header, path in provider.claims_to_headers:
            value = _claim(verdict.claims, path)
            if value is not None:
                headers[header] = value
    return replace(request, headers=headers)


def _claim(claims: Mapping[str, Any], path: tuple[str, ...]) -> str | None:
    """A claim as the text of a header; lists and objects are base64 of their JSON."""
    value: Any = claims
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def _audience_fits(provider: JwtProvider, claims: Mapping[str, Any]) -> bool:
    audience = claims.get("aud")
    if not provider.audiences or audience is None:
        return True
    wanted = {_sanitized(one) for one in provider.audiences}
    given = audience if isinstance(audience, list | tuple) else [audience]
    return any(isinstance(one, str) and _sanitized(one) in wanted for one in given)


def _sanitized(audience: str) -> str:
    """Audiences are compared without scheme and trailing slash (envoyproxy/envoy jwt_verify_lib)."""
    for scheme in ("https://", "http://"):
        audience = audience.removeprefix(scheme)
    return audience.removesuffix("/")


def _split(claims: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    """Claims that hold several values in one text, as lists."""
    texts = {name: claims[name].split(" ") for name in names if isinstance(claims.get(name), str)}
    return {**claims, **texts} if texts else claims


def token_at(location: JwtLocation, view: RequestView) -> str | None:
    """The text where a token is looked for."""
    if location.kind == "param":
        return view.param(location.name)
    if location.kind == "cookie":
        for part in (view.header("cookie") or "").split(";"):
            name, equals, cookie = part.strip().partition("=")
            if equals and name == location.name:
                return cookie
        return None
    value = view.header(location.name.lower())
    if value is None or not location.prefix:
        return value
    at = value.find(location.prefix)
    return None if at == -1 else value[at + len(location.prefix) :]


def decoded(token: str) -> Mapping[str, Any] | None:
    """The claims of a token, unverified; None when it is none."""
    parts = token.strip().split(".")
    if len(parts) != 3:
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None
