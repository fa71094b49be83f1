"""Which requests of the mix go somewhere else, or get another time-out or retries, in a second configuration."""

from __future__ import annotations

from dataclasses import dataclass

from gwsim.scenario.model import Outcome
from gwsim.scenario.resolved import Resolved
from gwsim.topology import RetryPolicy
from gwsim.units import format_duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerouted:
    """An entry of a client's mix and what becomes of it before and after, in words."""

    client: str
    shape: str
    before: str
    after: str


def rerouted(a: Resolved, b: Resolved) -> tuple[Rerouted, ...]:
    """The entries of both scenarios whose fate differs, and those that only one of them has."""
    left, right = _fates(a), _fates(b)
    return tuple(
        Rerouted(client=key[0], shape=key[1], before=left.get(key, "not in the mix"), after=right.get(key, "not in the mix"))
        for key in dict.fromkeys([*left, *right]) if left.get(key) != right.get(key)
    )


def _fates(resolved: Resolved) -> dict[tuple[str, str], str]:
    return {
        (client.name, shape.name): fate(shape.outcome) for client in resolved.model.clients for shape in client.mix
    }


def fate(outcome: Outcome) -> str:
    """What becomes of a request, in one line."""
    if not outcome.targets:
        flags = f" {','.join(outcome.flags)}" if outcome.flags else ""
        return f"{outcome.route}: answered {outcome.local_status}{flags}" if outcome.route else f"answered {outcome.local_status}{flags}"
    total = sum(target.weight for target in outcome.targets) or 1
    parts = [
        target.name if len(outcome.targets) == 1 else f"{100 * target.weight / total:g} % {target.name}" for target in outcome.targets
    ]
    timeout = f", time-out {format_duration_s(outcome.timeout_s)}" if outcome.timeout_s else ""
    return f"{outcome.route}: {' + '.join(parts)}{timeout}{_retries(outcome.retry)}"


def _retries(policy: RetryPolicy | None) -> str:
    if policy is None or not policy.num_retries:
        return ", no retries"
    each = f" of {format_duration_s(policy.per_try_timeout_s)}" if policy.per_try_timeout_s else ""
    return f", {policy.num_retries} retries{each} on {','.join(policy.retry_on)}"


__all__ = ["Rerouted", "fate", "rerouted"]
