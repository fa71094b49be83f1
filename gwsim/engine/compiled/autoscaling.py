"""A fleet's HorizontalPodAutoscaler: how many pods it wants of what the pods have used, and how fast it lets that change.

Source: kubernetes pkg/controller/podautoscaler/{replica_calculator,horizontal}.go.
"""

from __future__ import annotations

import math

from gwsim.engine.draws import ns
from gwsim.scenario.model import Scaling
from gwsim.topology import ScalingRules


class Autoscaler:
    """One autoscaler, with what it has recommended and changed so far: (instant, pods)."""

    def __init__(self, scaling: Scaling) -> None:
        self.scaling = scaling
        self.recommended: list[tuple[int, int]] = []
        self.changed: list[tuple[int, int]] = []

    def sync(self, now: int, pods: int, metrics: list[float], unmeasured: int, starting: int) -> int:
        """How many pods there should be instead of `pods`; `metrics` are the cores of those measured."""
        if not metrics:
            return pods
        wanted = self._limit(now, pods, self._stabilise(now, pods, self._desired(pods, metrics, unmeasured, starting)))
        if wanted != pods:
            self.changed.append((now, wanted - pods))
        return wanted

    # --- from CPU to pods ---------------------------------------------------------------------------------------

    def _ratio(self, usage: float, n: int) -> float:
        """What `n` pods use together, of what they should."""
        a = self.scaling
        if a.target_utilization is None:
            return usage / n / a.target_cores
        return int(100.0 * usage / (a.cpu_request_cores * n)) / int(a.target_utilization * 100.0 + 0.5)

    def _is_tolerable(self, q: float) -> bool:
        return abs(q - 1.0) <= self.scaling.tolerance

    def _desired(self, pods: int, metrics: list[float], unmeasured: int, starting: int) -> int:
        """What the metrics ask for; who has none is counted so that it changes less."""
        usage, n = 0.0, len(metrics)
        for cores in metrics:
            usage += cores
        q = self._ratio(usage, n)
        if unmeasured == 0 and (q <= 1.0 or starting == 0):
            return pods if self._is_tolerable(q) else math.ceil(q * n)
        n += unmeasured
        if q > 1.0:
            n += starting
        elif q < 1.0 and unmeasured > 0:
            usage += unmeasured * (self.scaling.cpu_request_cores if self.scaling.target_utilization is not None else self.scaling.target_cores)
        again = self._ratio(usage, n)
        if self._is_tolerable(again) or (again < 1.0) is not (q < 1.0):
            return pods
        asked = math.ceil(again * n)
        return max(asked, pods) if again > 1.0 else min(asked, pods)

    # --- how fast -----------------------------------------------------------------------------------------------

    def _stabilise(self, now: int, pods: int, desired: int) -> int:
        up, down = ns(self.scaling.up.stabilization_s), ns(self.scaling.down.stabilization_s)
        low = min([desired, *(n for at, n in self.recommended if now - at < up)])
        high = max([desired, *(n for at, n in self.recommended if now - at < down)])
        self.recommended.append((now, desired))
        if pods < low:
            pods = low
        return min(pods, high)

    def _limit(self, now: int, pods: int, wanted: int) -> int:
        a = self.scaling
        if wanted > pods:
            wanted = min(wanted, a.maximum, max(pods, self._farthest(now, pods, a.up, 1)))
        elif wanted < pods:
            wanted = max(wanted, a.minimum, min(pods, self._farthest(now, pods, a.down, -1)))
        return max(a.minimum, min(a.maximum, wanted))

    def _farthest(self, now: int, pods: int, rules: ScalingRules, sign: int) -> int:
        """As far up (1) or down (-1) as the policies let it go."""
        if rules.select == "disabled":
            return pods
        out = []
        for policy in rules.policies:
            begin = pods - sum(n for at, n in self.changed if now - at < ns(policy.period_s))
            if policy.kind == "pods":
                out.append(begin + sign * int(policy.value))
            elif sign > 0:
                out.append(math.ceil(begin * (1.0 + policy.value / 100.0)))
            else:
                out.append(int(begin * (1.0 - policy.value / 100.0)))
        return max(out) if (rules.select == "max") is (sign > 0) else min(out)
