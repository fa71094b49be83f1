"""security.istio.io AuthorizationPolicy and RequestAuthentication.

Source modelled: istio/api security/v1beta1/{authorization_policy,request_authentication}.proto, 1.30.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from gwsim.resources.models.base import Json, Seconds
from gwsim.resources.models.policy import Policy

AuthorizationAction = Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationSource:
    """Who asks: fields are joined by and, values of a field by or."""

    principals: tuple[str, ...] = ()
    not_principals: tuple[str, ...] = ()
    request_principals: tuple[str, ...] = ()
    not_request_principals: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    not_namespaces: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    not_service_accounts: tuple[str, ...] = ()
    ip_blocks: tuple[str, ...] = ()
    not_ip_blocks: tuple[str, ...] = ()
    remote_ip_blocks: tuple[str, ...] = ()
    not_remote_ip_blocks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationFrom:
    """One source; the sources of a rule are joined by or."""

    source: AuthorizationSource


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationOperation:
    """What is asked for."""

    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    not_ports: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    not_methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationTo:
    """One operation; the operations of a rule are joined by or."""

    operation: AuthorizationOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCondition:
    """A further condition on an attribute."""

    key: str
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRule:
    """A rule: some source, some operation and every condition. An empty one matches everything."""

    from_: Annotated[tuple[AuthorizationFrom, ...], Json("from")] = ()
    to: tuple[AuthorizationTo, ...] = ()
    when: tuple[AuthorizationCondition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationProvider:
    """Name of an extension provider of the mesh config."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AuthorizationPolicy(Policy):
    """Who may do what. An ALLOW policy without rules allows nothing."""

    rules: tuple[AuthorizationRule, ...] = ()
    action: AuthorizationAction = "ALLOW"
    provider: AuthorizationProvider | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtHeader:
    """A header that holds a token, behind `prefix`."""

    name: str
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimToHeader:
    """A claim copied into a request header."""

    header: str
    claim: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtRule:
    """An issuer whose tokens are accepted. `jwks` are keys in the object itself."""

    issuer: str = ""
    audiences: tuple[str, ...] = ()
    jwks_uri: str = ""
    jwks: str = ""
    from_headers: tuple[JwtHeader, ...] = ()
    from_params: tuple[str, ...] = ()
    from_cookies: tuple[str, ...] = ()
    output_payload_to_header: str = ""
    output_claim_to_headers: tuple[ClaimToHeader, ...] = ()
    forward_original_token: bool = False
    timeout_s: Seconds | None = None
    space_delimited_claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RequestAuthentication(Policy):
    """Tokens that are checked; a request without one passes."""

    jwt_rules: tuple[JwtRule, ...] = ()

