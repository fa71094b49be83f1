"""RBAC rules and token checks of a dump. Source: envoyproxy/envoy api/envoy/config/rbac/v3/rbac.proto."""

from __future__ import annotations

import re
from typing import Any, cast

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
from gwsim.topology.filters import BEARER, JwtAuthn, JwtLocation, JwtProvider, Rbac
from gwsim.topology.from_config_dump.matches import headers, string
from gwsim.topology.from_config_dump.nodes import Node
from gwsim.topology.routes import StringMatch

_WILDCARD = re.compile(r"(?<!\{)(?<!\*)\*{1,2}(?!\*)(?!\})")
"""A bare wildcard of a path template; Istio writes it in braces."""
MISSING_KEY = "gwsim-missing"
JWT_FILTER = "envoy.filters.http.jwt_authn"
_JOINED = (("andRules", "rules", AllOf), ("andIds", "ids", AllOf), ("orRules", "rules", AnyOf), ("orIds", "ids", AnyOf))
_ADDRESSES = (
    ("destinationIp", "destination"), ("directRemoteIp", "direct"), ("remoteIp", "remote"), ("sourceIp", "direct"),
)  # fmt: skip


def rbac(node: Node) -> Rbac:
    """An RBAC filter of HTTP or of connections."""
    rules, shadow = node.node("rules"), node.node("shadowRules")
    node.ignore("shadowRulesStatPrefix")
    return Rbac(
        rules=_rules(rules) if rules is not None else None, shadow_rules=_rules(shadow) if shadow is not None else None
    )


def _rules(node: Node) -> AccessRules:
    action = node.text("action", "ALLOW")
    return AccessRules(
        action=cast(Any, action if action in ("DENY", "LOG") else "ALLOW"),
        policies=tuple(AccessPolicy(name=name, condition=_policy(one)) for name, one in node.entries("policies")),
    )


def _policy(node: Node) -> Condition:
    what = [_condition(one) for one in node.nodes("permissions")]
    who = [_condition(one) for one in node.nodes("principals")]
    return simplified(AllOf((AnyOf(tuple(what)), AnyOf(tuple(who)))))


def _condition(node: Node) -> Condition:
    for name, inner, join in _JOINED:
        several = node.node(name)
        if several is not None:
            return join(tuple(_condition(one) for one in several.nodes(inner)))
    opposite = node.node("notRule") or node.node("notId")
    if opposite is not None:
        return Not(_condition(opposite))
    if node.flag("any"):
        return Anything()
    return _leaf(node)


def _leaf(node: Node) -> Condition:
    for name, which in _ADDRESSES:
        block = node.node(name)
        if block is not None:
            return AddressIn(cast(Any, which), f"{block.text('addressPrefix')}/{block.integer('prefixLen')}")
    if "header" in node:
        return _header(node)
    path, server, peer = node.node("urlPath"), node.node("requestedServerName"), node.node("authenticated")
    if path is not None:
        inner = path.node("path")
        return PathIs(string(inner) if inner is not None else StringMatch(kind="present"))
    if server is not None:
        return ServerNameIs(string(server))
    if peer is not None:
        inner = peer.node("principalName")
        return PeerIs(string(inner) if inner is not None else StringMatch(kind="present"))
    if "destinationPort" in node:
        return PortIs(node.integer("destinationPort"))
    template = node.node("uriTemplate")
    typed = template.typed() if template is not None else None
    if template is not None and typed is not None:
        template.ignore("name")
        bare = typed.text("pathTemplate")
        return PathTemplate(_WILDCARD.sub(lambda found: "{" + found[0] + "}", bare))
    return _metadata(node)


def _header(node: Node) -> Condition:
    inner = node.node("header")
    assert inner is not None
    wanted, unwanted = headers([inner])
    parts: list[Condition] = [HeaderIs(one.name, one.match) for one in wanted]
    parts += [Not(HeaderIs(one.name, one.match)) for one in unwanted]
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _metadata(node: Node) -> Condition:
    inner = node.node("metadata") or node.node("sourcedMetadata")
    if inner is None:
        node.ignore_all()
        node.source.not_modelled(node.path, "a condition of access rules that the model does not have; it never holds")
        return AnyOf(())
    if "metadataMatcher" in inner:
        inner = inner.node("metadataMatcher") or inner
    name = inner.text("filter")
    path = tuple(one.text("key") for one in inner.nodes("path"))
    value = inner.node("value")
    match = _value(value) if value is not None else None
    found: Condition
    if name == JWT_FILTER and len(path) > 1 and match is not None:
        found = ClaimIs(path[1:], match)
    else:
        found = MetadataIs(name, ".".join(path), match or StringMatch(kind="present"))
    return Not(found) if inner.flag("invert") else found


def _value(node: Node) -> StringMatch | None:
    text, listed, either = node.node("stringMatch"), node.node("listMatch"), node.node("orMatch")
    if text is not None:
        return string(text)
    if listed is not None:
        inner = listed.node("oneOf")
        return _value(inner) if inner is not None else None
    found = [_value(one) for one in either.nodes("valueMatchers")] if either is not None else []
    return found[0] if found and all(one == found[0] for one in found) else None


def simplified(condition: Condition) -> Condition:
    """The same condition without needless joins: parts that always hold, joins of one, joins within joins."""
    if isinstance(condition, Not):
        inner = simplified(condition.part)
        return inner.part if isinstance(inner, Not) else Not(inner)
    if not isinstance(condition, (AllOf, AnyOf)):
        return condition
    kind = type(condition)
    parts: list[Condition] = []
    for part in map(simplified, condition.parts):
        parts += part.parts if isinstance(part, kind) else (part,)
    if kind is AllOf:
        parts = [part for part in parts if not isinstance(part, Anything)]
        if not parts:
            return Anything()
    elif any(isinstance(part, Anything) for part in parts):
        return Anything()
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


# --- tokens --------------------------------------------------------------------------------------------------------


def jwt_authn(node: Node) -> JwtAuthn:
    """A JwtAuthentication. Rules other than Istio's (all paths, each provider) are not followed."""
    providers = tuple(_provider(one) for _, one in node.entries("providers"))
    rules = node.raw("rules")
    allow = not isinstance(rules, list) or "llowMissing" in str(rules) or "llow_missing" in str(rules)
    return JwtAuthn(
        providers=providers, allow_missing=allow, bypass_cors_preflight=node.flag("bypassCorsPreflight")
    )


def _provider(node: Node) -> JwtProvider:
    node.ignore("payloadInMetadata", "jwtCacheConfig", "clockSkewSeconds", "clearRouteCache")
    spaced = node.node("normalizePayloadInMetadata")
    local, remote = node.node("localJwks"), node.node("remoteJwks")
    keys, uri, cluster, timeout_s = "missing", "", "", 5.0
    if local is not None:
        text = local.text("inlineString") or local.text("inlineBytes")
        keys = "inline" if text and MISSING_KEY not in text else "missing"
    elif remote is not None:
        keys = "remote"
        remote.ignore("cacheDuration", "asyncFetch")
        http = remote.node("httpUri")
        if http is not None:
            uri, cluster, timeout_s = http.text("uri"), http.text("cluster"), http.seconds("timeout", 5.0)
    places = [
        JwtLocation(kind="header", name=one.text("name").lower(), prefix=one.text("valuePrefix"))
        for one in node.nodes("fromHeaders")
    ]
    places += [JwtLocation(kind="param", name=name) for name in node.texts("fromParams")]
    places += [JwtLocation(kind="cookie", name=name) for name in node.texts("fromCookies")]
    return JwtProvider(
        issuer=node.text("issuer"),
        audiences=node.texts("audiences"),
        locations=tuple(places) or BEARER,
        keys=cast(Any, keys),
        jwks_uri=uri,
        cluster=cluster,
        fetch_timeout_s=timeout_s,
        space_delimited_claims=spaced.texts("spaceDelimitedClaims") if spaced is not None else (),
        forward=node.flag("forward"),
        claims_to_headers=tuple(
            (one.text("headerName"), tuple(one.text("claimName").split("."))) for one in node.nodes("claimToHeaders")
        ),
    )
