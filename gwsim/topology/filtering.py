"""What the HTTP filters of a chain, in their order, make of a request: which of them act, and whether one answers.

Route choice finds the route first, because filters have configuration of their routes; what the filters refuse is
refused all the same, even where no route matched or the route only redirects: those answers come from the router,
which is the last filter. Fault aborts and answers to CORS preflights stay with the route: their filters come last.
Source: envoyproxy/envoy source/common/http/filter_manager.cc, source/extensions/filters/http.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gwsim.topology import filters as f
from gwsim.topology.conditions import (
    CompiledRules,
    Facts,
    client_address,
    parse_address,
    peer_of,
)
from gwsim.topology.decision import ActiveFilter, Step
from gwsim.topology.rate_limiting import descriptors_of, rules_of
from gwsim.topology.tokens import MISSING, Verdict, carried_on, verify

if TYPE_CHECKING:
    from gwsim.topology.access import AccessPolicy, AccessRules
    from gwsim.topology.decision import Request
    from gwsim.topology.listeners import FilterChain, HttpConnectionManager, HttpFilter
    from gwsim.topology.matching import RequestView
    from gwsim.topology.routes import Route, VirtualHost

Steps = list[Step] | None

DENIED = "RBAC: access denied"
"""Envoy's body of a request that access rules refuse."""
_ALWAYS = f.MetadataExchange | f.GrpcStats | f.Alpn | f.IstioStats
_BY_ROUTE = _ALWAYS | f.Fault | f.CorsFilter


@dataclass(frozen=True, slots=True)
class Answer:
    """A filter's refusal."""

    status: int
    reason: str
    body: str
    by: str


@dataclass(frozen=True, slots=True)
class Passage:
    """What the filters did: those that acted, and the answer of one of them (None: on to the router)."""

    active: tuple[ActiveFilter, ...]
    answer: Answer | None = None


class CompiledFilters:
    """The filters of a connection manager, with their rules as functions."""

    __slots__ = ("chain", "jwt", "plain", "rules")

    def __init__(self, chain: tuple[HttpFilter, ...]) -> None:
        self.chain = chain
        self.jwt = next((one.config for one in chain if isinstance(one.config, f.JwtAuthn)), None)
        self.rules: dict[int, CompiledRules] = {}
        self.plain: tuple[ActiveFilter, ...] | None = None
        if all(isinstance(one.config, _BY_ROUTE) for one in chain):
            self.plain = tuple(_active(one) for one in chain if isinstance(one.config, _ALWAYS))

    def compiled(self, rules: AccessRules) -> CompiledRules:
        """The rules as functions, made on first use."""
        found = self.rules.get(id(rules))
        if found is None:
            found = self.rules[id(rules)] = CompiledRules(rules)
        return found


_tables: dict[int, tuple[weakref.ref[HttpConnectionManager], CompiledFilters]] = {}


def filters_of(manager: HttpConnectionManager) -> CompiledFilters:
    """The compiled filters of a connection manager, made on first use and kept as long as it lives."""
    key = id(manager)
    entry = _tables.get(key)
    if entry is not None and entry[0]() is manager:
        return entry[1]
    compiled = CompiledFilters(manager.http_filters)
    _tables[key] = (weakref.ref(manager, lambda _: _tables.pop(key, None)), compiled)
    return compiled


def token_of(compiled: CompiledFilters, request: Request, view: RequestView) -> Verdict:
    """What becomes of the request's token; without a filter that checks it, it does not count."""
    return verify(compiled.jwt, request, view) if compiled.jwt is not None else MISSING


def after_token(compiled: CompiledFilters, token: Verdict, request: Request) -> Request:
    """The request as the filter that checks tokens leaves it."""
    return carried_on(compiled.jwt, token, request) if compiled.jwt is not None else request


def facts_of(request: Request, view: RequestView | None, chain: FilterChain, port: int, sni: str, hops: int = 0) -> Facts:
    """What rules can test of a request on a filter chain."""
    mutual = chain.tls is not None and chain.tls.mode != "simple" and request.client_certificate is not False
    return Facts(
        view=view,
        port=port,
        server_name=sni,
        peer=peer_of(request) if mutual else "",
        direct=parse_address(request.remote_ip),
        remote=client_address(request, hops),
        destination=parse_address(request.destination),
        claims=view.claims if view is not None else None,
    )


class Run:
    """One request on its way through the filters."""

    __slots__ = ("active", "compiled", "facts", "host", "route", "steps", "token", "view")

    def __init__(
        self,
        compiled: CompiledFilters,
        facts: Facts,
        token: Verdict,
        host: VirtualHost | None,
        route: Route | None,
        steps: Steps,
    ) -> None:
        assert facts.view is not None
        self.compiled, self.facts, self.token = compiled, facts, token
        self.host, self.route, self.steps = host, route, steps
        self.view = facts.view
        self.active: list[ActiveFilter] = []

    def through(self) -> Passage:
        """The filters in order, until one answers."""
        for one in self.compiled.chain:
            answer = self._one(one)
            if answer is not None:
                return Passage(tuple(self.active), answer)
        return Passage(tuple(self.active))

    def _one(self, one: HttpFilter) -> Answer | None:
        config = self._config(one)
        if isinstance(config, f.Disabled):
            return None
        if isinstance(config, f.Rbac):
            return self._rbac(one, config)
        if isinstance(config, f.JwtAuthn):
            return self._jwt(one)
        if isinstance(config, f.ExtAuthz):
            self._ext_authz(one, config)
        elif isinstance(config, f.RateLimit):
            self._rate_limit(one, config)
        elif isinstance(config, f.LocalRateLimit):
            self._local_rate_limit(one, config)
        elif self._acts(config):
            self._add(one, config)
        return None

    def _acts(self, config: f.HttpConfig) -> bool:
        """Whether a filter that depends on its route has anything to do."""
        route = self.route
        if isinstance(config, f.CorsFilter):
            return route is not None and route.cors is not None
        if isinstance(config, f.Fault):
            by_route = route is not None and bool(route.fault_delay or route.fault_abort)
            return by_route or bool(config.delay or config.abort)
        return True

    def _config(self, one: HttpFilter) -> f.HttpConfig:
        """The route's own configuration, else the virtual host's, else the filter's."""
        for holder in (self.route, self.host):
            if holder is not None and one.name in holder.filter_config:
                return holder.filter_config[one.name]
        return one.config

    def _add(self, one: HttpFilter, config: f.HttpConfig, *, descriptors: tuple[f.Descriptor, ...] = ()) -> None:
        self.active.append(ActiveFilter(name=one.name, config=config, descriptors=descriptors, origin=one.origin))

    def _note(self, name: str, taken: bool, why: str, one: HttpFilter | AccessPolicy) -> None:
        if self.steps is not None:
            self.steps.append(Step(kind="filter", name=name, taken=taken, why=why, span=one.origin))

    def _rbac(self, one: HttpFilter, config: f.Rbac) -> Answer | None:
        self._add(one, config)
        if config.shadow_rules is not None and self.steps is not None:
            would = evaluate(self.compiled.compiled(config.shadow_rules), self.facts, self.steps, dry_run=True)
            self._note(one.name, True, "dry run: would pass" if would is None else f"dry run: would be refused, {would}", one)
        if config.rules is None:
            return None
        refusal = evaluate(self.compiled.compiled(config.rules), self.facts, self.steps)
        if refusal is None:
            return None
        self._note(one.name, True, f"refuses: {refusal}", one)
        return Answer(config.status, f"{DENIED}: {refusal}", DENIED, one.name)

    def _jwt(self, one: HttpFilter) -> Answer | None:
        self._add(one, one.config)
        verdict = self.token
        self._note(one.name, bool(verdict.status) or verdict.claims is not None, verdict.reason, one)
        return Answer(verdict.status, verdict.reason, verdict.reason, one.name) if verdict.status else None

    def _ext_authz(self, one: HttpFilter, config: f.ExtAuthz) -> None:
        if config.only is not None:
            self.active.append(ActiveFilter(name=f.RBAC, config=f.Rbac(shadow_rules=config.only), origin=one.origin))
            matched = self.compiled.compiled(config.only).match(self.facts)
            if matched is None:
                self._note(one.name, False, "no CUSTOM rule matches: the authorization service is not asked", one)
                return
            self._note(matched.name, True, f"the CUSTOM rule matches: {config.cluster} is asked", matched)
        self._add(one, config)

    def _rate_limit(self, one: HttpFilter, config: f.RateLimit) -> None:
        rules = rules_of(self.route, self.host)
        descriptors = descriptors_of(rules, config.stage, self.facts, self.view, self.route)
        if not descriptors:
            self._note(one.name, False, "no rate limit rule of the route fits: the service is not asked", one)
            return
        shown = "; ".join(", ".join(f"{key}={value}" for key, value in one) for one in descriptors)
        self._note(one.name, True, f"the rate limit service is asked about {shown}", one)
        self._add(one, config, descriptors=descriptors)

    def _local_rate_limit(self, one: HttpFilter, config: f.LocalRateLimit) -> None:
        if config.bucket is None and not config.descriptors:
            self._note(one.name, False, "no token bucket for this route", one)
            return
        rules = config.rules or rules_of(self.route, self.host)
        self._add(one, config, descriptors=descriptors_of(rules, config.stage, self.facts, self.view, self.route))
        if self.steps is not None and config.bucket is not None:
            bucket = config.bucket
            rate = f"{bucket.tokens_per_fill} every {bucket.fill_interval_s:g} s, at most {bucket.max_tokens}"
            self._note(one.name, True, f"takes a token of the pod's bucket ({rate})", one)


def evaluate(rules: CompiledRules, facts: Facts, steps: Steps, *, dry_run: bool = False) -> str | None:
    """Why the rules refuse; None when they do not."""
    matched = rules.match(facts)
    if steps is not None:
        prefix = "dry run: " if dry_run else ""
        for policy, _ in rules.policies:
            verb = "matches" if policy is matched else "does not match"
            why = f"{prefix}the {rules.action} rule {verb}"
            steps.append(Step(kind="filter", name=policy.name, taken=policy is matched, why=why, span=policy.origin))
            if policy is matched:
                break
    if rules.allows(matched):
        return None
    return f"matched {matched.name}" if matched is not None else "no ALLOW rule matches"


def _active(one: HttpFilter) -> ActiveFilter:
    return ActiveFilter(name=one.name, config=one.config, origin=one.origin)


def pass_filters(
    compiled: CompiledFilters,
    facts: Callable[[], Facts],
    token: Verdict,
    host: VirtualHost | None,
    route: Route | None,
    steps: Steps,
) -> Passage:
    """The passage of a request that found `host` and `route` (None: did not).

    `facts` are asked for only where some filter tests them: most gateways have none.
    """
    if compiled.plain is not None and not (route is not None and (route.cors or route.fault_delay or route.fault_abort)):
        return Passage(compiled.plain)
    return Run(compiled, facts(), token, host, route, steps).through()
