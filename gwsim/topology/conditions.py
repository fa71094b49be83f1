"""Access rules as functions of a request.

Sources: envoyproxy/envoy source/extensions/filters/common/rbac/matchers.cc, source/common/common/matchers.cc,
source/extensions/path/match/uri_template; X-Forwarded-For: source/common/http/conn_manager_utility.cc.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

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
from gwsim.topology.matching import claim_values, text_test

if TYPE_CHECKING:
    from gwsim.topology.decision import Request
    from gwsim.topology.matching import RequestView

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(slots=True)
class Facts:
    """What rules can test; the HTTP part is None for a TCP connection.

    Addresses that nobody gave are None: they lie in no block but one that holds every address.
    """

    view: RequestView | None
    port: int
    server_name: str = ""
    peer: str = ""
    """Verified SPIFFE identity of the client, `spiffe://...`; empty: none."""
    direct: Address | None = None
    remote: Address | None = None
    destination: Address | None = None
    claims: Mapping[str, Any] | None = None


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """An address with or without a port; None for anything else."""
    text = text.strip()
    if not text:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def client_address(request: Request, trusted_hops: int) -> Address | None:
    """The client as the proxy sees it: the peer, or with trusted proxies before it an address of X-Forwarded-For.

    Envoy takes the address that the outermost trusted proxy saw: the `trusted_hops`-th from the right.
    """
    direct = parse_address(request.remote_ip)
    if trusted_hops <= 0:
        return direct
    forwarded = next((value for name, value in request.headers.items() if name.lower() == "x-forwarded-for"), "")
    addresses = [part for part in forwarded.split(",") if part.strip()]
    if len(addresses) < trusted_hops:
        return direct
    return parse_address(addresses[-trusted_hops]) or direct


def peer_of(request: Request) -> str:
    """The identity in the client's certificate with its scheme; empty when there is none."""
    name = request.principal
    return name if not name or "://" in name else f"spiffe://{name}"


Test = Callable[[Facts], bool]


def condition_test(condition: Condition) -> Test:
    """A condition as a function."""
    match condition:
        case Anything():
            return lambda facts: True
        case AllOf(parts):
            tests = tuple(condition_test(part) for part in parts)
            return lambda facts: all(test(facts) for test in tests)
        case AnyOf(parts):
            tests = tuple(condition_test(part) for part in parts)
            return lambda facts: any(test(facts) for test in tests)
        case Not(part):
            inner = condition_test(part)
            return lambda facts: not inner(facts)
        case PortIs(port):
            return lambda facts: facts.port == port
        case PeerIs(match):
            peer = text_test(match)
            return lambda facts: bool(facts.peer) and peer(facts.peer)
        case ServerNameIs(match):
            name = text_test(match)
            return lambda facts: name(facts.server_name)
        case ClaimIs(path, match):
            return _claim(path, text_test(match))
        case AddressIn(which, block):
            return _address(which, block)
        case HeaderIs() | PathIs() | PathTemplate():
            return _http(condition)
        case MetadataIs():
            return lambda facts: False


def _http(condition: HeaderIs | PathIs | PathTemplate) -> Test:
    """Conditions that no TCP connection fulfils."""
    if isinstance(condition, HeaderIs):
        name, value_test = condition.name, text_test(condition.match)

        def header(facts: Facts) -> bool:
            value = facts.view.header(name) if facts.view is not None else None
            return value is not None and value_test(value)

        return header
    path_test = text_test(condition.match) if isinstance(condition, PathIs) else template_test(condition.template)
    return lambda facts: facts.view is not None and path_test(facts.view.path)


def template_test(template: str) -> Callable[[str], bool]:
    """A path template as a function: `{*}` is one non-empty segment, `{**}` the rest of the path, which may be empty."""
    pattern = ""
    for part in re.split(r"(\{\*\*\}|\{\*\})", template):
        pattern += {"{*}": "[^/]+", "{**}": ".*"}.get(part, re.escape(part))
    full = re.compile(pattern).fullmatch
    return lambda path: full(path) is not None


def _address(which: str, block: str) -> Test:
    network = ipaddress.ip_network(block, strict=False)

    def inside(facts: Facts) -> bool:
        address: Address | None = getattr(facts, which)
        if address is None:
            return network.prefixlen == 0
        return address.version == network.version and address in network

    return inside


def _claim(path: tuple[str, ...], test: Callable[[str], bool]) -> Test:
    return lambda facts: any(test(value) for value in claim_values(facts.claims, path))


class CompiledRules:
    """Access rules with their policies as functions."""

    __slots__ = ("action", "policies")

    def __init__(self, rules: AccessRules) -> None:
        self.action = rules.action
        self.policies: tuple[tuple[AccessPolicy, Test], ...] = tuple(
            (policy, condition_test(policy.condition)) for policy in rules.policies
        )

    def match(self, facts: Facts) -> AccessPolicy | None:
        """The first policy whose condition holds."""
        return next((policy for policy, test in self.policies if test(facts)), None)

    def allows(self, matched: AccessPolicy | None) -> bool:
        """Whether a request that `matched` may pass."""
        if self.action == "LOG":
            return True
        return (matched is not None) == (self.action == "ALLOW")
