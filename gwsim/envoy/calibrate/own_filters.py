"""The filters of the user's own gateways that a stock Envoy runs by itself, each as a subject to measure."""

from __future__ import annotations

from gwsim.envoy.calibrate.subjects import OfUser, Subject, filter_subject
from gwsim.topology import HttpConnectionManager, HttpFilter, Topology, filters
from gwsim.topology.to_envoy.filters import http_filters

MOST = 6
_NEEDS = {
    filters.ExtAuthz: "it calls a service", filters.RateLimit: "it calls a service", filters.ExtProc: "it calls a service",
    filters.Wasm: "its module has to be fetched", filters.JwtAuthn: "it needs a token in every request",
}  # fmt: skip


def of_topology(topology: Topology) -> OfUser:
    """One subject a distinct filter; and the filters left out, with the reason."""
    subjects: list[Subject] = []
    left_out: dict[str, None] = {}
    seen: set[object] = set()
    for one in _all(topology):
        kind = type(one.config)
        if kind in _NEEDS:
            left_out[f"filter {one.name}: {_NEEDS[kind]}"] = None
            continue
        spec = _spec(one)
        if spec is None or one.config in seen:
            continue
        seen.add(one.config)
        if len(subjects) >= MOST:
            left_out[f"filter {one.name}: {MOST} others are measured already"] = None
            continue
        listed = http_filters([one])[:-1]
        subjects.append(filter_subject(f"filter{len(subjects)}", f"filter {one.name}", listed, spec))
    return OfUser(subjects=tuple(subjects), left_out=tuple(left_out))


def _all(topology: Topology) -> list[HttpFilter]:
    return [
        one
        for proxy in topology.proxies if proxy.kind == "gateway"
        for listener in proxy.listeners
        for chain in listener.filter_chains if isinstance(chain.filter, HttpConnectionManager)
        for one in chain.filter.http_filters
    ]  # fmt: skip


def _spec(one: HttpFilter) -> str | None:
    """Its name in the cost profile, with its count; None for what costs nothing of its own."""
    config = one.config
    if isinstance(config, filters.Rbac):
        count = sum(len(rules.policies) for rules in (config.rules, config.shadow_rules) if rules is not None)
        return f"rbac:{count}" if count else None
    if isinstance(config, filters.Lua):
        return "lua"
    return "rate_limit_local" if isinstance(config, filters.LocalRateLimit) else None


__all__ = ["of_topology"]
