"""AuthorizationPolicies and RequestAuthentications that Istio's webhook refuses.

Source modelled: istio pkg/config/validation/validation.go (`ValidateAuthorizationPolicy`, `validateJwtRule`) and
pkg/config/security/security.go, 1.30.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import fields
from urllib.parse import urlsplit

from gwsim.diagnostics import did_you_mean
from gwsim.resources.models.security import (
    AuthorizationCondition,
    AuthorizationOperation,
    AuthorizationPolicy,
    AuthorizationRule,
    AuthorizationSource,
    JwtRule,
    RequestAuthentication,
)
from gwsim.resources.validation.check import Check
from gwsim.resources.validation.policy import check_attachment, no_empty

PLAIN_KEYS = frozenset(
    {
        "source.ip", "remote.ip", "source.namespace", "source.principal", "source.serviceAccount", "destination.ip",
        "destination.port", "connection.sni", "request.auth.principal", "request.auth.audiences", "request.auth.presenter",
    }
)  # fmt: skip
"""Attributes of a `when` condition without a part in brackets."""
BRACKETED_KEYS = ("request.headers", "request.experimental.inline.headers", "request.auth.claims", "experimental.envoy.filters.")
_IDENTITY_FIELDS = (
    "principals", "not_principals", "namespaces", "not_namespaces", "service_accounts", "not_service_accounts",
    "request_principals", "not_request_principals",
)  # fmt: skip
_TCP_SOURCE_FIELDS = (
    "principals", "not_principals", "namespaces", "not_namespaces", "service_accounts", "not_service_accounts", "ip_blocks",
    "not_ip_blocks", "remote_ip_blocks", "not_remote_ip_blocks",
)  # fmt: skip
_LITERAL = re.compile(r"[a-zA-Z0-9\-._~%!$&'()+,;:@=]+")
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def check_authorization_policy(policy: AuthorizationPolicy, check: Check) -> None:
    """Report what would be refused about an AuthorizationPolicy."""
    check_attachment(policy, check)
    provider = policy.provider
    if policy.action == "CUSTOM":
        if policy.rules and (provider is None or not provider.name):
            check.missing("provider.name", "action CUSTOM needs provider.name: an extension provider of the mesh config")
    elif provider is not None:
        check.conflict("provider", f"provider goes with action CUSTOM only, not with {policy.action}")
    if policy.action in ("CUSTOM", "DENY") and not policy.rules:
        message = f"a {policy.action} policy without rules never does anything"
        check.missing("rules", message, "write rules: [{}] to match every request")
    for index, rule in enumerate(policy.rules):
        _rule(policy, rule, f"rules[{index}]", check)


def _rule(policy: AuthorizationPolicy, rule: AuthorizationRule, path: str, check: Check) -> None:
    for index, one in enumerate(rule.from_):
        _source(one.source, f"{path}.from[{index}].source", check)
    for index, to in enumerate(rule.to):
        _operation(to.operation, f"{path}.to[{index}].operation", check)
    for index, condition in enumerate(rule.when):
        _condition(condition, f"{path}.when[{index}]", check)
    if policy.action == "CUSTOM":
        _custom(rule, path, check)
    if policy.action == "DENY" and _http_only(rule):
        message = "only HTTP attributes: on TCP ports this DENY rule refuses every connection"
        check.warn(path, message, "name the HTTP ports: to: [{operation: {ports: [...]}}]")


def _http_only(rule: AuthorizationRule) -> bool:
    from_tcp = any(getattr(one.source, name) for one in rule.from_ for name in _TCP_SOURCE_FIELDS)
    to_tcp = any(one.operation.ports or one.operation.not_ports for one in rule.to)
    return (bool(rule.from_) and not rule.to and not from_tcp) or (bool(rule.to) and not to_tcp)


def _custom(rule: AuthorizationRule, path: str, check: Check) -> None:
    """CUSTOM is decided before tokens are checked, and takes no identities."""
    for index, one in enumerate(rule.from_):
        for name in _IDENTITY_FIELDS:
            if getattr(one.source, name):
                field = _camel(name)
                check.conflict(f"{path}.from[{index}].source.{field}", f"{field} does not go with action CUSTOM")
    for index, condition in enumerate(rule.when):
        key = condition.key
        if key in ("source.namespace", "source.serviceAccount", "source.principal") or key.startswith("request.auth."):
            check.conflict(f"{path}.when[{index}].key", f"{key} does not go with action CUSTOM")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def _source(source: AuthorizationSource, path: str, check: Check) -> None:
    names = [field.name for field in fields(source)]
    if not any(getattr(source, name) for name in names):
        check.missing(path, "an empty source matches nothing anybody could mean", "leave from out to match every source")
    accounts = source.service_accounts or source.not_service_accounts
    others = source.principals or source.not_principals or source.namespaces or source.not_namespaces
    if accounts and others:
        check.conflict(f"{path}.serviceAccounts", "serviceAccounts excludes principals and namespaces")
    for name in names:
        values, where = getattr(source, name), f"{path}.{_camel(name)}"
        if name.endswith("ip_blocks"):
            _addresses(values, where, check)
        elif name.endswith("service_accounts"):
            _accounts(values, where, check)
        else:
            no_empty(values, where, check)


def _addresses(values: tuple[str, ...], path: str, check: Check) -> None:
    for index, value in enumerate(values):
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            check.bad(f"{path}[{index}]", f"{value!r} is neither an IP address nor a CIDR range")


def _accounts(values: tuple[str, ...], path: str, check: Check) -> None:
    if len(values) > 16:
        check.bad(path, f"there are {len(values)} service accounts; Istio allows 16")
    for index, value in enumerate(values):
        parts = value.split("/")
        if len(parts) > 2 or not all(parts) or "*" in value or len(value) > 320:
            check.bad(f"{path}[{index}]", f"{value!r} is not a service account", "write name or namespace/name, without wildcards")


def _operation(operation: AuthorizationOperation, path: str, check: Check) -> None:
    names = [field.name for field in fields(operation)]
    if not any(getattr(operation, name) for name in names):
        check.missing(path, "an empty operation matches nothing anybody could mean", "leave to out to match every operation")
    for name in names:
        values, where = getattr(operation, name), f"{path}.{_camel(name)}"
        if name.endswith("ports"):
            _ports(values, where, check)
            continue
        no_empty(values, where, check)
        if name.endswith("paths"):
            for index, value in enumerate(values):
                _template(value, f"{where}[{index}]", check)


def _ports(values: tuple[str, ...], path: str, check: Check) -> None:
    for index, value in enumerate(values):
        if not value.isascii() or not value.isdigit() or int(value) > 65535:
            check.bad(f"{path}[{index}]", f"{value!r} is not a port", 'write a number in quotes: "8080"')


def _template(path: str, where: str, check: Check) -> None:
    """A path with `{*}` or `{**}`: whole segments only, `{**}` last."""
    templated = "{*}" in path or "{**}" in path
    rest_taken = False
    for segment in path.strip("/").split("/"):
        if segment in ("{*}", "{**}"):
            if rest_taken:
                check.bad(where, f"{path!r}: nothing with braces may follow {{**}}")
                return
            rest_taken = segment == "{**}"
        elif "{" in segment or "}" in segment:
            check.bad(where, f"{path!r}: braces stand only for whole segments", "write {*} for one segment, {**} for the rest")
            return
        elif templated and not _LITERAL.fullmatch(segment):
            check.bad(where, f"{path!r}: {segment!r} is not a plain segment beside a template")
            return


def _condition(condition: AuthorizationCondition, path: str, check: Check) -> None:
    key = condition.key
    if not key:
        check.missing(f"{path}.key", "a condition needs a key")
        return
    if not condition.values and not condition.not_values:
        check.missing(path, f"the condition on {key} needs values or notValues")
    bracketed = next((one for one in BRACKETED_KEYS if key.startswith(one)), None)
    if bracketed is not None:
        opened = key.find("[")
        if not key.endswith("]") or not 0 < opened < len(key) - 2:
            check.bad(f"{path}.key", f"{key!r} lacks its part in brackets", f"write {bracketed}[name]")
    elif key not in PLAIN_KEYS:
        check.bad(f"{path}.key", f"there is no attribute {key!r}", did_you_mean(key, sorted(PLAIN_KEYS)))
    for name, values in (("values", condition.values), ("notValues", condition.not_values)):
        _condition_values(key, values, f"{path}.{name}", check)


def _condition_values(key: str, values: tuple[str, ...], path: str, check: Check) -> None:
    no_empty(values, path, check)
    given = tuple(value for value in values if value)
    if key in ("source.ip", "remote.ip", "destination.ip"):
        _addresses(given, path, check)
    elif key == "destination.port":
        _ports(given, path, check)
    elif key == "source.serviceAccount":
        _accounts(given, path, check)


def check_request_authentication(policy: RequestAuthentication, check: Check) -> None:
    """Report what would be refused about a RequestAuthentication."""
    check_attachment(policy, check)
    for index, rule in enumerate(policy.jwt_rules):
        _jwt_rule(rule, f"jwtRules[{index}]", check)


def _jwt_rule(rule: JwtRule, path: str, check: Check) -> None:
    if not rule.issuer and not rule.jwks_uri:
        check.missing(path, "a rule needs issuer or jwksUri")
    if rule.jwks_uri and urlsplit(rule.jwks_uri).scheme not in ("http", "https"):
        check.bad(f"{path}.jwksUri", f"{rule.jwks_uri!r} is neither an http nor an https URL")
    if rule.jwks and not _is_key_set(rule.jwks):
        check.bad(f"{path}.jwks", "jwks is no JSON Web Key Set")
    if rule.jwks and rule.jwks_uri:
        check.warn(f"{path}.jwksUri", "jwksUri is ignored beside jwks")
    for index, header in enumerate(rule.from_headers):
        if not header.name:
            check.missing(f"{path}.fromHeaders[{index}].name", "a header needs a name")
    no_empty(rule.audiences, f"{path}.audiences", check)
    no_empty(rule.from_params, f"{path}.fromParams", check)
    no_empty(rule.from_cookies, f"{path}.fromCookies", check)
    for index, copied in enumerate(rule.output_claim_to_headers):
        where = f"{path}.outputClaimToHeaders[{index}]"
        if not copied.claim or not copied.header:
            check.missing(where, "claim and header must not be empty")
        elif not _HEADER.fullmatch(copied.header):
            check.bad(f"{where}.header", f"{copied.header!r} is not the name of a header")


def _is_key_set(text: str) -> bool:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and (isinstance(found.get("keys"), list) or "kty" in found)
