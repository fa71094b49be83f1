"""Access rules and token checks as Envoy's RBAC and JwtAuthentication.

Envoy tells permissions (what is asked for) from principals (who asks); a rule of the model may mix them. Where one
part of a rule needs both, it is written as several policies, of which any may match.
Source: envoyproxy/envoy api/envoy/config/rbac/v3/rbac.proto, extensions/filters/http/jwt_authn/v3/config.proto.
"""

from __future__ import annotations

from itertools import product

from gwsim.topology.access import (
    AccessPolicy,
    AccessRules,
    AddressIn,
    AllOf,
    AnyOf,
    Anything,
    ClaimIs,
    Condition,
    HeaderIs,
    MetadataIs,
    Not,
    PathIs,
    PathTemplate,
    PeerIs,
    PortIs,
    ServerNameIs,
)
from gwsim.topology.filters import BEARER, JwtAuthn, JwtProvider, Rbac
from gwsim.topology.routes import HeaderMatch
from gwsim.topology.to_envoy.limits import header
from gwsim.topology.to_envoy.words import Json, any_of, duration, extension, matcher, unless, without_none

JWT_FILTER = "envoy.filters.http.jwt_authn"
PAYLOAD = "payload"
_MODULUS = (
    "sWFxDzrJ5QR7CRvq9OeyNRX7VTklL1j5QKYQTTnTOeIHGmOwa8w2uptUBFmOnD5rw1-8hg2t_K4q5MFxiaCJUe"
    "_M31g-rIb0AL0LOEE1Pggw-MWGky8pAvCnefXiOP1tRprYCAElhWE1yAc6rGS9Hh-X4FGQv4zXlswELtSd0LNH"
    "J5Lql88wEgMLT2KEsj3Jc52ZK1OklXz76qvrVeFYplY8ssp9kPU64kBgH8i2K28cn2qg3WWBP09zg6UabkUDJu"
    "lCSkMOZMF6WM3LsPOjSQhg69CCKNxCOngw1wCBEPwt4zgalwHVhms_Mhh1MlzuFPsggTgPxGo6UxV_Y3zXQw"
)
_KEY = '{{"keys":[{{"kty":"RSA","alg":"RS256","use":"sig","kid":"{kid}","e":"AQAB","n":"{n}"}}]}}'
UNTOLD_KEY = _KEY.format(kid="gwsim-untold", n=_MODULUS)
"""Stands for the issuer's keys, which the model does not hold. Nobody has its private half."""
MISSING_KEY = _KEY.format(kid="gwsim-missing", n=_MODULUS)
"""As istiod does for keys it cannot fetch: a key of nobody, so that no token verifies."""
_TEMPLATE = "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
_WHO = (PeerIs,)
_WHAT = (PathTemplate, PortIs, ServerNameIs)


def rbac(one: Rbac, *, network: bool = False) -> Json:
    """An RBAC filter of HTTP, or of connections."""
    kind = "network" if network else "http"
    return any_of(
        f"envoy.extensions.filters.{kind}.rbac.v3.RBAC",
        rules=None if one.rules is None else _rules(one.rules),
        shadowRules=None if one.shadow_rules is None else _rules(one.shadow_rules),
        statPrefix="tcp." if network else None,
    )


def _rules(rules: AccessRules) -> Json:
    policies: Json = {}
    for policy in rules.policies:
        policies |= _policies(policy)
    return without_none({"action": unless(rules.action, "ALLOW"), "policies": policies or None})


def _policies(policy: AccessPolicy) -> Json:
    pairs = _split(policy.condition)
    return {
        policy.name if n == 0 else f"{policy.name}#{n + 1}": {
            "permissions": [_condition(what, "permission")], "principals": [_condition(who, "principal")],
        }
        for n, (what, who) in enumerate(pairs)
    }  # fmt: skip


def _fits(condition: Condition, side: str) -> bool:
    """Whether Envoy can test it as a permission, or as a principal."""
    if isinstance(condition, (AllOf, AnyOf)):
        return all(_fits(part, side) for part in condition.parts)
    if isinstance(condition, Not):
        return _fits(condition.part, side)
    if isinstance(condition, AddressIn):
        return (condition.which == "destination") == (side == "permission")
    return not isinstance(condition, _WHO if side == "permission" else _WHAT)


def _split(condition: Condition) -> list[tuple[Condition, Condition]]:
    """Alternatives of (permission, principal), any of which makes the condition hold."""
    if _fits(condition, "permission"):
        return [(condition, Anything())]
    if _fits(condition, "principal"):
        return [(Anything(), condition)]
    if isinstance(condition, AnyOf):
        return [pair for part in condition.parts for pair in _split(part)]
    if isinstance(condition, AllOf):
        return [_joined(pairs) for pairs in product(*(_split(part) for part in condition.parts))]
    assert isinstance(condition, Not)
    return _split(_pushed(condition.part))


def _joined(pairs: tuple[tuple[Condition, Condition], ...]) -> tuple[Condition, Condition]:
    sides = []
    for side in (0, 1):
        parts = tuple(pair[side] for pair in pairs if not isinstance(pair[side], Anything))
        sides.append(parts[0] if len(parts) == 1 else AllOf(parts) if parts else Anything())
    return sides[0], sides[1]


def _pushed(condition: Condition) -> Condition:
    """The opposite of a condition, negations moved to its leaves."""
    if isinstance(condition, AllOf):
        return AnyOf(tuple(_pushed(part) for part in condition.parts))
    if isinstance(condition, AnyOf):
        return AllOf(tuple(_pushed(part) for part in condition.parts))
    return condition.part if isinstance(condition, Not) else Not(condition)


def _condition(condition: Condition, side: str) -> Json:
    what = side == "permission"
    match condition:
        case Anything():
            return {"any": True}
        case AllOf(parts) if parts:
            inner = [_condition(part, side) for part in parts]
            return {"andRules": {"rules": inner}} if what else {"andIds": {"ids": inner}}
        case AllOf():
            return {"any": True}
        case AnyOf(parts) if parts:
            inner = [_condition(part, side) for part in parts]
            return {"orRules": {"rules": inner}} if what else {"orIds": {"ids": inner}}
        case AnyOf():
            return {"notRule" if what else "notId": {"any": True}}
        case Not(part):
            return {"notRule" if what else "notId": _condition(part, side)}
        case HeaderIs(name, match):
            return {"header": header(HeaderMatch(name=name, match=match))}
        case PathIs(match):
            return {"urlPath": {"path": matcher(match)}}
        case AddressIn(which, block):
            names = {"destination": "destinationIp", "direct": "directRemoteIp", "remote": "remoteIp"}
            return {names[which]: _block(block)}
        case PeerIs(match):
            return {"authenticated": {"principalName": matcher(match)}}
        case PathTemplate(template):
            # Envoy's own templates write wildcards bare.
            bare = template.replace("{**}", "**").replace("{*}", "*")
            return {"uriTemplate": extension("uri-template", _TEMPLATE, pathTemplate=bare)}
        case PortIs(port):
            return {"destinationPort": port}
        case ServerNameIs(match):
            return {"requestedServerName": matcher(match)}
        case ClaimIs(path, match):
            text = {"stringMatch": matcher(match)}
            value = {"orMatch": {"valueMatchers": [{"listMatch": {"oneOf": text}}, text]}}
            return {"metadata": {"filter": JWT_FILTER, "path": [{"key": one} for one in (PAYLOAD, *path)], "value": value}}
        case MetadataIs(name, key, match):
            return {"metadata": {"filter": name, "path": [{"key": key}], "value": {"stringMatch": matcher(match)}}}


def _block(text: str) -> Json:
    host, slash, bits = text.partition("/")
    return {"addressPrefix": host, "prefixLen": int(bits) if slash else 128 if ":" in host else 32}


# --- tokens --------------------------------------------------------------------------------------------------------


def jwt_authn(one: JwtAuthn) -> Json:
    """A JwtAuthentication: each provider's token may be absent if `allow_missing`, as Istio has it."""
    providers = {f"origins-{n}": _provider(provider) for n, provider in enumerate(one.providers)}
    each = [_required(name, one.allow_missing) for name in providers]
    rules = [{"match": {"prefix": "/"}, "requires": each[0] if len(each) == 1 else {"requiresAll": {"requirements": each}}}]
    return any_of(
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        providers=providers,
        rules=rules if each else None,
        bypassCorsPreflight=one.bypass_cors_preflight or None,
    )


def _required(name: str, allow_missing: bool) -> Json:
    if not allow_missing:
        return {"providerName": name}
    return {"requiresAny": {"requirements": [{"providerName": name}, {"allowMissing": {}}]}}


def _provider(one: JwtProvider) -> Json:
    places = one.locations if one.locations != BEARER else ()
    headers = [without_none({"name": p.name, "valuePrefix": p.prefix or None}) for p in places if p.kind == "header"]
    keys: Json = {"localJwks": {"inlineString": MISSING_KEY if one.keys == "missing" else UNTOLD_KEY}}
    if one.keys == "remote":
        timeout = duration(one.fetch_timeout_s)
        keys = {"remoteJwks": {"httpUri": {"uri": one.jwks_uri, "cluster": one.cluster, "timeout": timeout}}}
    return without_none({
        "issuer": one.issuer,
        "audiences": list(one.audiences) or None,
        **keys,
        "forward": one.forward or None,
        "fromHeaders": headers or None,
        "fromParams": [p.name for p in places if p.kind == "param"] or None,
        "fromCookies": [p.name for p in places if p.kind == "cookie"] or None,
        "payloadInMetadata": PAYLOAD,
        # The route is chosen again once claims are known (istio: `JwtFilter(clearRouteCache)` for gateways).
        "clearRouteCache": True,
        "normalizePayloadInMetadata": {"spaceDelimitedClaims": list(one.space_delimited_claims)}
        if one.space_delimited_claims
        else None,
        "claimToHeaders": [
            {"headerName": name, "claimName": ".".join(path)} for name, path in one.claims_to_headers
        ]
        or None,
    })
