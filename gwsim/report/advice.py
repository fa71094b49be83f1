"""The next command to try: one change that is likely to help, or the next question worth asking."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gwsim.diagnostics import Span
from gwsim.report.names import Names
from gwsim.resources.models import DestinationRule
from gwsim.results.evaluation import Answer, Budgets
from gwsim.results.headline import Word, headline_of
from gwsim.results.parts import Limit, Status
from gwsim.results.results import Results
from gwsim.scenario.model import UNLIMITED
from gwsim.scenario.project import Project
from gwsim.scenario.resolved import FleetLabel, Resolved

COMFORTABLE = 0.7
"""Utilisation that a resource is brought down to."""
NEAR = 0.5
"""Below this utilisation a resource is not why a budget fails."""
FULL = 0.95
"""Share of the first limit that the next load is to reach."""
MOST_REPLICATIONS = 200
MOST_CLIENTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to add to the command, and why. `settings` are values of `--set`, `options` other words."""

    reason: str
    settings: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def command(target: str, given: tuple[str, ...], advice: Advice | None = None) -> str:
    """`gwsim run` with the words given before and those of the advice, as a shell takes it."""
    words = ["gwsim", "run", target, *given]
    if advice is not None:
        words = [*words[:3], *_kept(given, advice)]
        for setting in advice.settings:
            words += ["--set", setting]
        words += advice.options
    return " ".join(shlex.quote(word) for word in words)


def _kept(given: tuple[str, ...], advice: Advice) -> Iterator[str]:
    """The words given before that the advice does not replace."""
    paths = {setting.partition("=")[0] for setting in advice.settings}
    flags = {option for option in advice.options if option.startswith("-")}
    i = 0
    while i < len(given):
        word, value = given[i], given[i + 1] if i + 1 < len(given) else ""
        if word == "--set" or (word.startswith("-") and value and not value.startswith("-")):
            if not (word in flags or (word == "--set" and value.partition("=")[0] in paths)):
                yield word
                yield value
            i += 2
            continue
        if word not in flags:
            yield word
        i += 1


def advise(results: Results, budgets: Budgets, resolved: Resolved, project: Project | None = None) -> Advice | None:
    """The advice on a run; None where nothing sensible can be said."""
    word = headline_of(results, budgets).word
    if word is Word.UNDECIDED:
        return _more_data(results, budgets)
    if word is Word.METASTABLE and (budget := _retry_budget(resolved)) is not None:
        return budget
    if word in (Word.SATURATED, Word.METASTABLE, Word.FAIL):
        for limit in results.bottleneck.limits[:3]:
            if limit.utilisation >= NEAR or limit.exhausted > 0:
                change = _relief(limit, results, resolved, project)
                if change is not None:
                    return change
        if word is Word.FAIL and (mended := _mended_backend(results, resolved)) is not None:
            return mended
        return _load(resolved, 0.5, "half the load: if the budget still fails, load is not the cause")
    first = results.bottleneck.first
    if results.verdict.status is Status.TOO_SHORT or first is None or not math.isfinite(first.headroom):
        return _more_data(results, budgets) if results.verdict.status is Status.TOO_SHORT else None
    factor = first.headroom * FULL
    what = Names.of(results.labels).shorten(first.name)
    return _load(resolved, factor, f"{factor:.2g} times the load: what happens when {what} is nearly full?")


def _retry_budget(resolved: Resolved) -> Advice | None:
    """A budget for the retries of clients that have none: what keeps a disturbance going is mostly these."""
    names = [one.name for one in resolved.model.clients if one.retry is not None and one.retry.budget is None and one.retry.attempts]
    settings = tuple(f"clients.{name}.retries.budget=10%" for name in names)
    return Advice(reason="retries keep it going: with a budget for them", settings=settings) if settings else None


def _mended_backend(results: Results, resolved: Resolved) -> Advice | None:
    """Without the errors that the scenario gives a backend: do the budgets hold then?"""
    given = [name for name, one in resolved.effective.get("backends", {}).items() if one.get("errors")]
    failing = {
        name: sum((one.errors.value or 0.0) * (one.requests_per_s.value or 0.0) for one in results.backends if f"/{one.backend}".endswith(f"/{name}"))
        for name in given
    }
    worst = max(given, key=lambda name: failing[name], default="")
    if not failing.get(worst):
        return None
    return Advice(reason=f"nothing is full, and {worst} answers with errors: what holds without them?", settings=(f"backends.{worst}.errors={{}}",))


def _more_data(results: Results, budgets: Budgets) -> Advice:
    """More replications where intervals are too wide, longer ones where each is too short for its percentiles."""
    open_ = [one for one in budgets.checked if one.answer is Answer.UNDECIDED]
    wanted = max((one.more_requests or 0 for one in open_), default=0)
    factor = 1.0 + wanted / max(results.requests, 1)
    if not open_ or any(not one.observed.trusted for one in open_):
        longer = _nice(max(2.0, factor) * results.labels.duration_s)
        return Advice(reason="longer replications, so that percentiles can be trusted", options=("--duration", f"{longer:g}s"))
    count = min(max(math.ceil(results.replications * max(factor, 2.0) * 1.1), 4), MOST_REPLICATIONS)
    return Advice(reason="enough replications to decide, or nearly", options=("--replications", str(count)))


def _nice(number: float) -> float:
    """Rounded up to two figures."""
    step = 10.0 ** (math.floor(math.log10(number)) - 1)
    return math.ceil(number / step - 1e-9) * step


def _relief(limit: Limit, results: Results, resolved: Resolved, project: Project | None) -> Advice | None:
    if limit.kind in ("worker", "cpu"):
        return _more_pods(limit, results, resolved)
    if limit.kind == "backend":
        return _more_backends(limit, results, resolved)
    return _larger_pool(limit, results, resolved, project)


def _more_pods(limit: Limit, results: Results, resolved: Resolved) -> Advice | None:
    """Enough gateway pods to bring the busiest worker down; through the autoscaler's bounds where it is at its end."""
    pods = limit.name.rpartition("/")[0] if limit.kind == "worker" else limit.name
    owners = {pod.pod: pod.gateway for pod in results.pods}
    fleet = next((one for one in resolved.fleets if one.name == owners.get(pods)), None)
    if fleet is None:
        return None
    offered = results.throughput.offered_rps.value or 0.0
    served = results.throughput.served_rps.value or offered
    level = limit.utilisation * (max(offered / served, 1.0) if served else 1.0)
    wanted = max(math.ceil(fleet.replicas * level / COMFORTABLE), fleet.replicas + 1)
    name = Names.of(results.labels).gateways[fleet.name]
    reason = f"{wanted} pods of {name} instead of {fleet.replicas}, for workers about {COMFORTABLE:.0%} busy"
    return _replicas(fleet, name, wanted, reason)


def _replicas(fleet: FleetLabel, name: str, wanted: int, reason: str) -> Advice:
    scaler = fleet.autoscaler
    if scaler is not None and not fleet.replicas_fixed and fleet.replicas >= scaler.max_replicas:
        path = f"HorizontalPodAutoscaler/{fleet.proxy.namespace}/{scaler.name}:spec.maxReplicas"
        return Advice(reason=f"let the autoscaler go up to {wanted} pods of {name}", settings=(f"{path}={wanted}",))
    fixed = ("--fix-replicas",) if scaler is not None else ()
    key = f'["{name}"]' if "/" in name or "." in name else f".{name}"
    return Advice(reason=reason, settings=(f"gateway{key}.replicas={wanted}",), options=fixed)


def _more_backends(limit: Limit, results: Results, resolved: Resolved) -> Advice | None:
    """More pods of the Deployment behind the busiest backend pod."""
    at = next((i for i, one in enumerate(resolved.stations) if one.name == limit.name), None)
    for cluster in resolved.model.clusters:
        if at not in cluster.stations:
            continue
        endpoint = cluster.cluster.endpoints[cluster.stations.index(at)]
        namespace, _, name = endpoint.workload.partition("/")
        if not name or not endpoint.pod:
            return None
        now = sum(one.workload == endpoint.workload for one in cluster.cluster.endpoints)
        asked = limit.utilisation / max(1.0 - limit.exhausted, 0.1)
        wanted = max(math.ceil(now * asked / COMFORTABLE), now + 1)
        return Advice(
            reason=f"{wanted} pods of {name} instead of {now}",
            settings=(f"Deployment/{namespace}/{name}:spec.replicas={wanted}",),
        )
    return None


def _larger_pool(limit: Limit, results: Results, resolved: Resolved, project: Project | None) -> Advice | None:
    """Twice the limit of the DestinationRule that sets it."""
    if limit.name not in resolved.clusters or project is None:
        return None
    cluster = resolved.model.clusters[resolved.clusters.index(limit.name)].cluster
    rule = _rule_of(cluster.origin, project)
    breakers = cluster.circuit_breakers
    bounds = {
        "tcp.maxConnections": breakers.max_connections,
        "http.http1MaxPendingRequests": breakers.max_pending_requests,
        "http.http2MaxRequests": breakers.max_requests,
    }
    known = {path: bound for path, bound in bounds.items() if bound < UNLIMITED}
    if rule is None or not known:
        return None
    base = "trafficPolicy"
    for i, subset in enumerate(rule.subsets):
        pool = subset.traffic_policy.connection_pool if subset.traffic_policy is not None else None
        if subset.name == cluster.subset and pool is not None:
            base = f"subsets[{i}].trafficPolicy"
    prefix = f"DestinationRule/{rule.namespace}/{rule.name}:{base}.connectionPool"
    return Advice(
        reason=f"twice the limits on cluster {Names.of(results.labels).clusters.get(limit.name, limit.name)}",
        settings=tuple(f"{prefix}.{path}={2 * bound}" for path, bound in known.items()),
    )


def _rule_of(origin: Span | None, project: Project) -> DestinationRule | None:
    """The DestinationRule that a policy stands in: the last one of the file that begins before it."""
    rules = [rule for one in project.resources.values() for rule in one.destination_rules]
    before = [rule for rule in rules if origin and rule.span.file == origin.file and rule.span.line <= origin.line]
    return max(before, key=lambda rule: rule.span.line, default=None)


def _load(resolved: Resolved, factor: float, reason: str) -> Advice | None:
    """All clients' rates times a factor; None where a rate cannot be scaled by one setting each."""
    clients = resolved.effective.get("clients", {})
    settings = [_scaled(name, client.get("arrivals", {}), factor) for name, client in clients.items()]
    known = [one for one in settings if one is not None]
    if not known or len(known) < len(settings) or len(known) > MOST_CLIENTS:
        return None
    return Advice(reason=reason, settings=tuple(known))


def _scaled(client: str, arrivals: Mapping[str, Any], factor: float) -> str | None:
    key = f'clients["{client}"]' if "." in client else f"clients.{client}"
    for kind in ("poisson", "paced"):
        if isinstance(arrivals.get(kind), (int, float)):
            return f"{key}.arrivals.{kind}={_rate(arrivals[kind] * factor)}"
    closed = arrivals.get("closed")
    if isinstance(closed, Mapping) and isinstance(closed.get("rate"), (int, float)):
        return f"{key}.arrivals.closed.rate={_rate(closed['rate'] * factor)}"
    return None


def _rate(rps: float) -> str:
    """Rounded to three figures, without an exponent."""
    digits = max(2 - math.floor(math.log10(rps)), 0) if rps > 0 else 0
    rounded = round(rps, -int(math.floor(math.log10(rps)) - 2)) if rps >= 100 else round(rps, digits)
    return f"{rounded:.{digits}f}".rstrip("0").rstrip(".") + "rps" if digits else f"{rounded:.0f}rps"


__all__ = ["Advice", "advise", "command"]
