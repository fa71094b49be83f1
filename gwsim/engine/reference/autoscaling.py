"""The HorizontalPodAutoscaler of a fleet: how many pods the CPU asks for, and how fast it may change.

Kubernetes: pkg/controller/podautoscaler/{replica_calculator,horizontal}.go. Metrics are those of the last scrape, so a
sync sees load that is up to a scrape and a sync interval old.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from gwsim.engine.draws import ns
from gwsim.scenario.model import Scaling
from gwsim.topology import ScalingRules


def ratio(scaling: Scaling, usage: float, pods: int) -> float:
    """Usage over target: whole percents of the request, or cores a pod."""
    if scaling.target_utilization is None:
        return usage / pods / scaling.target_cores
    return int(100.0 * usage / (scaling.cpu_request_cores * pods)) / int(scaling.target_utilization * 100.0 + 0.5)


def desired(scaling: Scaling, current: int, metrics: Sequence[float], missing: int, starting: int) -> int:
    """Replicas that the metrics ask for; pods without metrics are taken to be what changes least (`calcPlainMetricReplicas`)."""
    usage = 0.0
    for one in metrics:
        usage += one
    count = len(metrics)
    q = ratio(scaling, usage, count)
    if missing == 0 and (q <= 1.0 or starting == 0):
        return current if abs(q - 1.0) <= scaling.tolerance else ceil(q * count)
    if missing > 0:
        count += missing
        if q < 1.0:
            usage += missing * (scaling.target_cores if scaling.target_utilization is None else scaling.cpu_request_cores)
    if q > 1.0:
        count += starting
    q2 = ratio(scaling, usage, count)
    if abs(q2 - 1.0) <= scaling.tolerance or (q < 1.0) != (q2 < 1.0):
        return current
    wanted = ceil(q2 * count)
    if (q2 < 1.0 and wanted > current) or (q2 > 1.0 and wanted < current):
        return current
    return wanted


class Autoscaler:
    """What an autoscaler remembers: its recommendations and its changes."""

    __slots__ = ("_changes", "_recommendations", "scaling")

    def __init__(self, scaling: Scaling) -> None:
        self.scaling = scaling
        self._recommendations: list[tuple[int, int]] = []
        self._changes: list[tuple[int, int]] = []

    def sync(self, now: int, current: int, metrics: Sequence[float], missing: int, starting: int) -> int:
        """The replicas there should be."""
        if not metrics:
            return current
        wanted = self._limited(now, current, self._stabilised(now, current, desired(self.scaling, current, metrics, missing, starting)))
        if wanted != current:
            self._changes.append((now, wanted - current))
        return wanted

    def _stabilised(self, now: int, current: int, wanted: int) -> int:
        """No more than recommended all the time, no less than recommended at any time (`stabilizeRecommendationWithBehaviors`)."""
        low, high = wanted, wanted
        up, down = ns(self.scaling.up.stabilization_s), ns(self.scaling.down.stabilization_s)
        for time, one in self._recommendations:
            if now - time < up:
                low = min(low, one)
            if now - time < down:
                high = max(high, one)
        self._recommendations.append((now, wanted))
        return min(max(current, low), high)

    def _limited(self, now: int, current: int, wanted: int) -> int:
        """Within what the policies allow (`convertDesiredReplicasWithBehaviorRate`)."""
        scaling = self.scaling
        if wanted > current:
            allowed = self._proposal(now, current, scaling.up, upwards=True)
            wanted = min(wanted, scaling.maximum, max(current, allowed))
        elif wanted < current:
            allowed = self._proposal(now, current, scaling.down, upwards=False)
            wanted = max(wanted, scaling.minimum, min(current, allowed))
        return max(scaling.minimum, min(scaling.maximum, wanted))

    def _proposal(self, now: int, current: int, rules: ScalingRules, upwards: bool) -> int:
        """As far as the policies let it go."""
        if rules.select == "disabled":
            return current
        sign = 1 if upwards else -1
        proposals = []
        for policy in rules.policies:
            begin = current - sum(change for time, change in self._changes if now - time < ns(policy.period_s))
            if policy.kind == "pods":
                proposals.append(begin + sign * int(policy.value))
            elif upwards:
                proposals.append(ceil(begin * (1.0 + policy.value / 100.0)))
            else:
                proposals.append(int(begin * (1.0 - policy.value / 100.0)))
        return max(proposals) if (rules.select == "max") is upwards else min(proposals)
