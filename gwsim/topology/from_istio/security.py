"""The filters that security policies give a workload's filter chains.

Sources: istio/istio pilot/pkg/security/authz/builder/{builder,extauthz}.go, pilot/pkg/security/authn/policy_applier.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gwsim.diagnostics import Span
from gwsim.resources.models import AuthorizationPolicy, JwtRule, RequestAuthentication
from gwsim.topology import filters as f
from gwsim.topology.access import AccessPolicy, AccessRules, Anything, Not
from gwsim.topology.from_istio.attachment import Attached, PolicyIndex, attached
from gwsim.topology.from_istio.authorization import RuleBuilder, TrustDomains
from gwsim.topology.from_istio.context import Context, place
from gwsim.topology.from_istio.providers import Providers
from gwsim.topology.listeners import HttpFilter, NetworkFilter

DRY_RUN = "istio.io/dry-run"
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})


class SecurityFilters:
    """What AuthorizationPolicies and RequestAuthentications put on the chains of one workload."""

    def __init__(self, ctx: Context, index: PolicyIndex, workload: Attached, providers: Providers) -> None:
        self.ctx, self.providers = ctx, providers
        self.policies = attached(index.authorization, workload)
        self.tokens = attached(index.authentication, workload)
        self.trust = TrustDomains(*providers.trust_domains)
        self.root = workload.root_namespace

    def _of(self, action: str) -> list[AuthorizationPolicy]:
        return [one for one in self.policies if one.action == action]

    def custom(self, *, tcp: bool = False) -> list[tuple[f.Rbac | f.ExtAuthz, AuthorizationPolicy]]:
        """CUSTOM policies: a call to the provider for what their rules match; no such provider refuses that."""
        groups: dict[str, list[AuthorizationPolicy]] = {}
        for policy in self._of("CUSTOM"):
            groups.setdefault(policy.provider.name if policy.provider else "", []).append(policy)
        made: list[tuple[f.Rbac | f.ExtAuthz, AuthorizationPolicy]] = []
        for name, policies in sorted(groups.items()):
            enforced = [one for one in policies if not is_dry_run(one)]
            if not enforced:
                continue
            rules = AccessRules(action="DENY", policies=tuple(self._rules(enforced, tcp=tcp)))
            call = self.providers.ext_authz(name, policies[0]) if len(groups) == 1 else None
            if len(groups) > 1:
                self.providers.report_several(sorted(groups), policies[0])
            if call is None:
                made.append((f.Rbac(rules=rules), policies[0]))
            elif not tcp or call.protocol == "grpc":
                made.append((replace(call, only=rules), policies[0]))
        return made

    def access(self, *, tcp: bool = False) -> list[tuple[f.Rbac, AuthorizationPolicy]]:
        """AUDIT, DENY and ALLOW, in that order."""
        groups: list[tuple[str, list[AuthorizationPolicy]]] = [
            ("LOG", self._of("AUDIT")), ("DENY", self._of("DENY")), ("ALLOW", self._of("ALLOW"))
        ]  # fmt: skip
        return [(self._rbac(action, policies, tcp=tcp), policies[0]) for action, policies in groups if policies]

    def _rbac(self, action: str, policies: Sequence[AuthorizationPolicy], *, tcp: bool) -> f.Rbac:
        """One filter; dry runs are evaluated beside the rules, and refuse nothing."""
        parts: dict[bool, AccessRules | None] = {}
        for dry in (False, True):
            chosen = [one for one in policies if is_dry_run(one) == dry]
            rules = tuple(self._rules(chosen, tcp=tcp))
            parts[dry] = AccessRules(action=action, policies=rules) if chosen else None  # type: ignore[arg-type]
        return f.Rbac(rules=parts[False], shadow_rules=parts[True])

    def _rules(self, policies: Sequence[AuthorizationPolicy], *, tcp: bool) -> list[AccessPolicy]:
        builder = RuleBuilder(self.trust, tcp=tcp)
        made: list[AccessPolicy] = []
        for policy in policies:
            made.extend(builder.policies(policy, policy.span_of))
            if not policy.rules:
                name = f"ns[{policy.namespace}]-policy[{policy.name}]-rule[0]"
                made.append(AccessPolicy(name=name, condition=Not(Anything()), origin=policy.span))
            self._report_unfollowed(policy)
        return made

    def _report_unfollowed(self, policy: AuthorizationPolicy) -> None:
        for position, rule in enumerate(policy.rules):
            for number, condition in enumerate(rule.when):
                if condition.key.startswith("experimental.envoy.filters."):
                    self.ctx.find(
                        "NOT_MODELLED",
                        f"{policy.ref}: {condition.key} has no effect in the model: metadata of other filters is not "
                        "followed, the condition never holds",
                        policy,
                        f"rules[{position}].when[{number}]",
                    )

    def jwt(self) -> tuple[HttpFilter, ...]:
        """The filter that checks tokens; none when no policy has a rule."""
        rules = [(rule, policy) for policy in self.tokens for rule in policy.jwt_rules]
        if not rules:
            return ()
        rules.sort(key=lambda one: one[0].issuer)
        config = f.JwtAuthn(providers=tuple(provider(rule) for rule, _ in rules))
        return (HttpFilter(name=f.JWT_AUTHN, config=config, origin=_rule_place(rules[0][1])),)

    def http_custom(self) -> tuple[HttpFilter, ...]:
        """HTTP filters of CUSTOM policies."""
        return tuple(
            HttpFilter(name=f.EXT_AUTHZ if isinstance(config, f.ExtAuthz) else f.RBAC, config=config, origin=policy.span)
            for config, policy in self.custom()
        )

    def http_access(self) -> tuple[HttpFilter, ...]:
        """HTTP filters of the other policies."""
        return tuple(HttpFilter(name=f.RBAC, config=config, origin=policy.span) for config, policy in self.access())

    def network(self) -> tuple[NetworkFilter, ...]:
        """Network filters of a chain that proxies TCP."""
        made = [
            NetworkFilter(
                name=f.NETWORK_EXT_AUTHZ if isinstance(config, f.ExtAuthz) else f.NETWORK_RBAC,
                config=config,
                origin=policy.span,
            )
            for config, policy in self.custom(tcp=True)
        ]
        made += [NetworkFilter(name=f.NETWORK_RBAC, config=rbac, origin=one.span) for rbac, one in self.access(tcp=True)]
        return tuple(made)


def _rule_place(policy: RequestAuthentication) -> Span:
    return place(policy, "jwtRules[0]")


def is_dry_run(policy: AuthorizationPolicy) -> bool:
    """Whether the policy is only evaluated."""
    return policy.meta.annotations.get(DRY_RUN, "") in _TRUE


def provider(rule: JwtRule) -> f.JwtProvider:
    """A JWT rule as Envoy's provider. Keys are in the configuration: istiod fetches them, by default."""
    headers = tuple(f.JwtLocation(kind="header", name=one.name.lower(), prefix=one.prefix) for one in rule.from_headers)
    params = tuple(f.JwtLocation(kind="param", name=one) for one in rule.from_params)
    cookies = tuple(f.JwtLocation(kind="cookie", name=one) for one in rule.from_cookies)
    return f.JwtProvider(
        issuer=rule.issuer,
        audiences=rule.audiences,
        locations=headers + params + cookies or f.BEARER,
        jwks_uri=rule.jwks_uri,
        fetch_timeout_s=5.0 if rule.timeout_s is None else rule.timeout_s,
        space_delimited_claims=tuple(sorted({"permission", "scope", *rule.space_delimited_claims})),
        forward=rule.forward_original_token,
        claims_to_headers=tuple((one.header.lower(), tuple(one.claim.split("."))) for one in rule.output_claim_to_headers),
    )
