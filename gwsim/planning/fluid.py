"""A gateway fleet and its autoscaler as fluids: how many pods there are over a day, in milliseconds of computing.

The load is a rate, spread evenly over the pods that serve; CPU is proportional to it. What is exact is the autoscaler: its
metrics with their lag, starting pods, tolerance, stabilisation and policies are those of the reference engine. What is left
out is told by a full run: connections that stay on old pods, queues, random arrivals.
"""

from __future__ import annotations

from dataclasses import dataclass

from gwsim.planning.day import Day
from gwsim.scenario.model import Scaling

FINE_S, COARSE_S = 1.0, 5.0
STEPS = 7200
"""More steps than this are longer ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What a pod is: CPU of a request (s), cores it has, seconds until a new one serves."""

    request_cpu_s: float
    cores: float
    start_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What comes of a day: pods' time, how long a pod had more than its share though there might be more pods, and the most pods there were."""

    pod_s: float
    short_s: float
    most_pods: int


@dataclass(slots=True)
class _Pod:
    serves_s: float
    scrapes: int = 0


def course(day: Day, fleet: Fleet, scaling: Scaling, pod_rps: float) -> Course:
    """The pods over a day; a pod is to carry `pod_rps` at most."""
    from gwsim.engine.reference.autoscaling import Autoscaler

    step = FINE_S if day.duration_s <= STEPS * FINE_S else COARSE_S
    loads = day.every(step)
    pods = [_Pod(-1.0) for _ in range(rest(loads[0], fleet, scaling))]
    scaler, used, since = Autoscaler(scaling), 0.0, 0.0
    pod_s, short_s, most, sample = 0.0, 0.0, len(pods), 0.0
    scrape_at, sync_at = scaling.scrape_s, scaling.period_s
    for n, load in enumerate(loads):
        now = (n + 1) * step
        serving = [one for one in pods if one.serves_s < now]
        each = load / max(len(serving), 1)
        used += min(each * fleet.request_cpu_s, fleet.cores) * step
        pod_s += len(pods) * step
        short_s += step if each > pod_rps * (1.0 + 1e-9) and len(serving) < scaling.maximum else 0.0
        if now >= scrape_at:
            sample, used, since, scrape_at = used / (now - since), 0.0, now, scrape_at + scaling.scrape_s
            for one in serving:
                one.scrapes += 1
        if now >= sync_at:
            sync_at += scaling.period_s
            known = sum(one.scrapes > 1 or one.serves_s < 0.0 for one in serving) if scrape_at > scaling.scrape_s else 0
            wanted = scaler.sync(int(now * 1e9), len(pods), [sample] * known, len(serving) - known, len(pods) - len(serving))
            pods += [_Pod(now + fleet.start_s) for _ in range(wanted - len(pods))]
            del pods[wanted:]
            most = max(most, len(pods))
    return Course(pod_s=pod_s, short_s=short_s, most_pods=most)


def rest(load_rps: float, fleet: Fleet, scaling: Scaling) -> int:
    """The pods that the autoscaler rests at under a steady load."""
    each = scaling.target_utilization * scaling.cpu_request_cores if scaling.target_utilization is not None else scaling.target_cores
    asked = load_rps * fleet.request_cpu_s / each
    return min(max(-int(-asked // 1), scaling.minimum, 1), scaling.maximum)


__all__ = ["Course", "Fleet", "course", "rest"]
