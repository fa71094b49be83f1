"""Rules of AuthorizationPolicies as access rules.

Sources: istio/istio pilot/pkg/security/authz/model/{model,generator}.go, pilot/pkg/security/authz/matcher,
pilot/pkg/security/trustdomain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gwsim.diagnostics import Span
from gwsim.resources.models import (
    AuthorizationOperation,
    AuthorizationPolicy,
    AuthorizationRule,
    AuthorizationSource,
)
from gwsim.topology.access import (
    AccessPolicy,
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
from gwsim.topology.routes import StringMatch

SPIFFE = "spiffe://"
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
ANY_TEXT = StringMatch(kind="regex", value=".+")
"""Istio's `*`: anything but nothing."""


def string_match(value: str, prefix: str = "", *, ignore_case: bool = False) -> StringMatch:
    """A value with its `*` at the beginning or the end, behind `prefix`. Source: authz/matcher/string.go."""
    if value == "*":
        return ANY_TEXT
    if value.startswith("*"):
        if prefix:
            return StringMatch(kind="regex", value=f"{prefix}.*{value[1:]}")
        return StringMatch(kind="suffix", value=value[1:], ignore_case=ignore_case)
    if value.endswith("*"):
        return StringMatch(kind="prefix", value=prefix + value[:-1], ignore_case=ignore_case)
    return StringMatch(kind="exact", value=prefix + value, ignore_case=ignore_case)


def header_is(name: str, value: str, *, ignore_case: bool = False) -> HeaderIs:
    """A header with that value; `*` takes any, even an empty one. Source: authz/matcher/header.go."""
    if value == "*":
        return HeaderIs(name, StringMatch(kind="present"))
    return HeaderIs(name, string_match(value, ignore_case=ignore_case))


def _inline_header(name: str, value: str) -> HeaderIs:
    """A header one of whose comma-separated values is that one."""
    if value == "*":
        return HeaderIs(name, StringMatch(kind="present"))
    text = re.escape(value.strip("*"))
    if value.startswith("*"):
        text = f"[^,]*{text}"
    elif value.endswith("*"):
        text = f"{text}[^,]*"
    return HeaderIs(name, StringMatch(kind="regex", value=f"(?:.*,)?{text}(?:,.*)?"))


def _path(value: str) -> Condition:
    return PathTemplate(value) if "{*}" in value or "{**}" in value else PathIs(string_match(value))


def _namespace(value: str) -> Condition:
    return PeerIs(StringMatch(kind="regex", value=f".*/ns/{value.replace('*', '.*')}/.*"))


def _service_account(value: str, own_namespace: str) -> Condition:
    namespace, slash, account = value.partition("/")
    if not slash:
        namespace, account = own_namespace, value
    return PeerIs(StringMatch(kind="regex", value=f"{SPIFFE}.+/ns/{namespace}/(.+/|)sa/{account}(/.+)?"))


def _request_principal(value: str) -> Condition:
    """`issuer/subject`, split at the last slash; each part may be a wildcard."""
    issuer, slash, subject = value.rpartition("/")
    if not slash:
        issuer, subject = value, ""
    wild_issuer: StringMatch = StringMatch(kind="exact", value=issuer)
    wild_subject: StringMatch = StringMatch(kind="exact", value=subject)
    if value == "*":
        wild_issuer = wild_subject = ANY_TEXT
    elif value.startswith("*"):
        if slash:
            wild_issuer = ANY_TEXT if issuer == "*" else StringMatch(kind="suffix", value=issuer[1:])
        else:
            wild_issuer, wild_subject = ANY_TEXT, StringMatch(kind="suffix", value=value[1:])
    elif value.endswith("*"):
        if slash:
            wild_subject = ANY_TEXT if subject == "*" else StringMatch(kind="prefix", value=subject[:-1])
        else:
            wild_issuer, wild_subject = StringMatch(kind="prefix", value=value[:-1]), ANY_TEXT
    return AllOf((ClaimIs(("iss",), wild_issuer), ClaimIs(("sub",), wild_subject)))


@dataclass(frozen=True, slots=True)
class _Field:
    """Values of a field and how each is tested. `http`: TCP connections have nothing of the kind."""

    values: Sequence[str]
    not_values: Sequence[str]
    make: Callable[[str], Condition]
    http: bool = False


class HttpOnly(Exception):
    """An ALLOW rule of HTTP attributes on a TCP chain: the whole rule is left out."""


@dataclass(frozen=True, slots=True)
class TrustDomains:
    """The mesh's own trust domain, and further ones that stand for it."""

    own: str = "cluster.local"
    aliases: tuple[str, ...] = ()

    def expand(self, principal: str) -> list[str]:
        """The principal in every trust domain that stands for its own. `cluster.local` always means the mesh's."""
        domain, slash, rest = principal.partition("/")
        every = tuple(dict.fromkeys((self.own, *self.aliases)))
        if not slash or (domain not in every and domain != "cluster.local"):
            return [principal]
        return [f"{one}/{rest}" for one in every]


class RuleBuilder:
    """Makes conditions of rules, for HTTP or for TCP chains."""

    def __init__(self, trust: TrustDomains, *, tcp: bool) -> None:
        self.trust, self.tcp = trust, tcp

    def policies(self, policy: AuthorizationPolicy, origin_of: Callable[[str], Span]) -> list[AccessPolicy]:
        """The rules of a policy; those that a TCP chain cannot have are left out.

        On TCP an HTTP attribute makes an ALLOW rule void, and drops out of any other rule, which then matches more.
        """
        found = []
        for position, rule in enumerate(policy.rules):
            try:
                condition = self._rule(policy, rule)
            except HttpOnly:
                continue
            name = f"ns[{policy.namespace}]-policy[{policy.name}]-rule[{position}]"
            found.append(AccessPolicy(name=name, condition=condition, origin=origin_of(f"rules[{position}]")))
        return found

    def _rule(self, policy: AuthorizationPolicy, rule: AuthorizationRule) -> Condition:
        allow = policy.action == "ALLOW"
        conditions = [self._when(one.key, one.values, one.not_values, policy.namespace) for one in rule.when]
        parts: list[Condition] = [part for one in conditions for part in self._tests(one, allow)]
        if rule.from_:
            sources = [self._all(self._source(one.source, policy.namespace), allow) for one in rule.from_]
            parts.append(sources[0] if len(sources) == 1 else AnyOf(tuple(sources)))
        if rule.to:
            operations = [self._all(self._operation(one.operation), allow) for one in rule.to]
            parts.append(operations[0] if len(operations) == 1 else AnyOf(tuple(operations)))
        return _joined(parts)

    def _all(self, fields: list[_Field], allow: bool) -> Condition:
        return _joined([part for one in fields for part in self._tests(one, allow)])

    def _tests(self, field: _Field, allow: bool) -> list[Condition]:
        """Some value, and none of the others."""
        if not field.values and not field.not_values:
            return []
        if self.tcp and field.http:
            if allow:
                raise HttpOnly
            return []
        parts: list[Condition] = []
        if field.values:
            parts.append(_either([field.make(value) for value in field.values]))
        if field.not_values:
            parts.append(Not(_either([field.make(value) for value in field.not_values])))
        return parts

    def _peers(self, values: Sequence[str]) -> list[str]:
        return list(dict.fromkeys(one for value in values for one in self.trust.expand(value)))

    def _source(self, source: AuthorizationSource, namespace: str) -> list[_Field]:
        return [
            _Field(self._peers(source.principals), self._peers(source.not_principals), _principal),
            _Field(source.request_principals, source.not_request_principals, _request_principal, http=True),
            _Field(source.namespaces, source.not_namespaces, _namespace),
            _Field(source.service_accounts, source.not_service_accounts, lambda one: _service_account(one, namespace)),
            _Field(source.ip_blocks, source.not_ip_blocks, lambda one: AddressIn("direct", one)),
            _Field(source.remote_ip_blocks, source.not_remote_ip_blocks, lambda one: AddressIn("remote", one)),
        ]

    def _operation(self, operation: AuthorizationOperation) -> list[_Field]:
        return [
            _Field(operation.hosts, operation.not_hosts, lambda one: header_is(":authority", one, ignore_case=True), http=True),
            _Field(operation.methods, operation.not_methods, lambda one: header_is(":method", one), http=True),
            _Field(operation.paths, operation.not_paths, _path, http=True),
            _Field(operation.ports, operation.not_ports, lambda one: PortIs(int(one))),
        ]

    def _when(self, key: str, values: Sequence[str], not_values: Sequence[str], namespace: str) -> _Field:
        if key == "source.principal":
            return _Field(self._peers(values), self._peers(not_values), _principal)
        if key == "source.serviceAccount":
            return _Field(values, not_values, lambda one: _service_account(one, namespace))
        make, http = _attribute(key)
        return _Field(values, not_values, make, http)


def _principal(value: str) -> Condition:
    return PeerIs(string_match(value, SPIFFE))


def _attribute(key: str) -> tuple[Callable[[str], Condition], bool]:
    """How a `when` attribute is tested, and whether only HTTP has it."""
    plain: dict[str, tuple[Callable[[str], Condition], bool]] = {
        "source.ip": (lambda one: AddressIn("direct", one), False),
        "remote.ip": (lambda one: AddressIn("remote", one), False),
        "source.namespace": (_namespace, False),
        "destination.ip": (lambda one: AddressIn("destination", one), False),
        "destination.port": (lambda one: PortIs(int(one)), False),
        "connection.sni": (lambda one: ServerNameIs(string_match(one)), False),
        "request.auth.principal": (_request_principal, True),
        "request.auth.audiences": (lambda one: ClaimIs(("aud",), string_match(one)), True),
        "request.auth.presenter": (lambda one: ClaimIs(("azp",), string_match(one)), True),
    }
    if key in plain:
        return plain[key]
    inside = tuple(_BRACKETS.findall(key))
    if key.startswith("request.auth.claims"):
        return (lambda one: ClaimIs(inside, string_match(one))), True
    name = inside[0].lower() if inside else ""
    if key.startswith("request.headers"):
        return (lambda one: header_is(name, one)), True
    if key.startswith("request.experimental.inline.headers"):
        return (lambda one: _inline_header(name, one)), True
    filter_name = key.removeprefix("experimental.").partition("[")[0]
    return (lambda one: MetadataIs(filter_name, inside[0] if inside else "", string_match(one.strip("[]")))), False


def _either(parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


def _joined(parts: list[Condition]) -> Condition:
    if not parts:
        return Anything()
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))
