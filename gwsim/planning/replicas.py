"""The number of gateway pods a HorizontalPodAutoscaler settles at under a steady load.

The autoscaler asks for `ceil(pods · usage / target)` pods whenever usage is more than its tolerance (10 %) away
from the target, within its bounds; usage is the CPU used as a share of the CPU requested, averaged over the pods.
Here that rule is applied to short pilots until it asks for no change. If it swings between two numbers, the larger
one stays: scaling down waits for 300 s of agreement by default, scaling up does not.

Source: Kubernetes documentation, Horizontal Pod Autoscaling, "Algorithm details".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from gwsim.engine import EngineName, suited
from gwsim.engine.schema import RawRun
from gwsim.planning.executors import executor
from gwsim.planning.replications import PILOT_FIRST, Progress, Runs
from gwsim.scenario.model import Model
from gwsim.scenario.resolved import FleetLabel, Resolved
from gwsim.topology import Autoscaler
from gwsim.units import format_cores, format_share

ROUNDS = 12
PILOTS = 2
PILOT_NUMBER = 2 * PILOT_FIRST
PILOT_S = 20.0
PILOT_IN_FLIGHT = 20_000
"""A pilot with too few pods is stopped early: all that is asked of it is how busy the pods are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One pilot: with so many `pods`, usage per pod, and how many pods the autoscaler then asks for.

    `usage` and `target` are CPU as a share of the CPU requested (`metric` is `utilization`), or cores.
    """

    gateway: str
    pods: int
    metric: Literal["utilization", "cores"]
    usage: float
    target: float
    desired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The scenario at the replicas its autoscalers settle at, how they got there, and the texts that tell it."""

    resolved: Resolved
    replicas: Mapping[str, int]
    steps: tuple[Step, ...] = ()
    assumptions: tuple[str, ...] = ()


def settle_replicas(
    resolved: Resolved,
    with_replicas: Callable[[Mapping[str, int]], Resolved],
    *,
    engine: EngineName = "auto",
    workers: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> Settled:
    """Find the replicas of every fleet that an autoscaler owns; only for steady runs.

    `with_replicas` resolves the scenario afresh with the replicas of some gateways given by name. Fleets whose
    replicas are fixed, or whose autoscaler follows no CPU metric, stay as they are (the latter is told).
    """
    followed = [fleet for fleet in resolved.fleets if _follows(fleet)]
    texts = [
        f"gateway {fleet.name}: autoscaler {fleet.autoscaler.name} follows no CPU figure that can be modelled; "
        f"{fleet.replicas} pods are kept"
        for fleet in resolved.fleets
        if fleet.autoscaler is not None and not fleet.replicas_fixed and not _follows(fleet)
    ]
    if not followed or resolved.model.run.kind != "steady":
        return Settled(resolved=resolved, replicas={}, assumptions=tuple(texts))
    now = {fleet.name: _clamped(fleet.replicas, fleet.autoscaler) for fleet in followed if fleet.autoscaler}
    here = with_replicas(now)
    steps: list[Step] = []
    seen: dict[str, set[int]] = {name: set() for name in now}
    engine = suited(here.model, engine)
    with executor("processes" if engine == "reference" else "threads", workers) as pool:
        runs = Runs(pool, engine, progress)
        for _ in range(ROUNDS):
            cores = _cores(here.model, _pilot(here.model, runs))
            taken = [_step(fleet, now[fleet.name], cores[fleet.name]) for fleet in followed]
            steps += taken
            asked = {step.gateway: _next(step, seen[step.gateway]) for step in taken}
            if asked == now:
                break
            now, here = asked, with_replicas(asked)
    texts += [_told(name, count, [s for s in steps if s.gateway == name]) for name, count in now.items()]
    return Settled(resolved=here, replicas=now, steps=tuple(steps), assumptions=tuple(texts))


def desired_replicas(pods: int, usage: float, target: float, autoscaler: Autoscaler) -> int:
    """What the autoscaler asks for, within its bounds; no change within its tolerance."""
    ratio = usage / target
    # The margin keeps 3 · 0.9 / 0.9 at 3 in floating point.
    wanted = pods if abs(ratio - 1.0) <= autoscaler.tolerance else math.ceil(pods * ratio - 1e-9)
    return _clamped(wanted, autoscaler)


def _clamped(count: int, autoscaler: Autoscaler | None) -> int:
    if autoscaler is None:
        return count
    return min(max(count, autoscaler.min_replicas, 1), autoscaler.max_replicas)


def _follows(fleet: FleetLabel) -> bool:
    scaler = fleet.autoscaler
    if scaler is None or fleet.replicas_fixed:
        return False
    by_share = scaler.target_cpu_utilization is not None and bool(fleet.cpu_request_cores)
    return by_share or scaler.target_cpu_cores is not None


def _pilot(model: Model, runs: Runs) -> list[RawRun]:
    """Short replications of a scenario."""
    run = model.run
    length, full = min(run.duration_s, PILOT_S), min(run.max_in_flight, PILOT_IN_FLIGHT)
    short = replace(run, duration_s=length, warmup_s=min(run.warmup_s, length / 2.0), max_in_flight=full)
    return runs.all(replace(model, run=short), range(PILOT_NUMBER, PILOT_NUMBER + PILOTS), stage="replicas")


def _cores(model: Model, raws: list[RawRun]) -> dict[str, float]:
    """Cores a pod of each fleet uses on average, over the whole of the runs."""
    time_ns = sum(int(raw.stop_ns[0]) for raw in raws)
    used, first = {}, 0
    for fleet in model.fleets:
        end = first + sum(pod.workers for pod in fleet.pods)
        cpu_ns = sum(int(raw.worker_cpu[first:end].sum()) for raw in raws)
        used[fleet.name] = cpu_ns / time_ns / max(len(fleet.pods), 1) if time_ns else 0.0
        first = end
    return used


def _step(fleet: FleetLabel, pods: int, cores: float) -> Step:
    """Usage and wish; with both a share and a number of cores as targets, the larger wish counts."""
    scaler = fleet.autoscaler
    assert scaler is not None
    steps = []

    def add(metric: Literal["utilization", "cores"], usage: float, target: float) -> None:
        desired = desired_replicas(pods, usage, target, scaler)
        steps.append(Step(gateway=fleet.name, pods=pods, metric=metric, usage=usage, target=target, desired=desired))

    if scaler.target_cpu_utilization is not None and fleet.cpu_request_cores:
        add("utilization", cores / fleet.cpu_request_cores, scaler.target_cpu_utilization)
    if scaler.target_cpu_cores is not None:
        add("cores", cores, scaler.target_cpu_cores)
    return max(steps, key=lambda step: step.desired)


def _next(step: Step, seen: set[int]) -> int:
    """The next number to try: what is asked for, unless that swings back to a smaller number already tried."""
    seen.add(step.pods)
    return step.pods if step.desired < step.pods and step.desired in seen else step.desired


def _told(gateway: str, count: int, steps: list[Step]) -> str:
    last = steps[-1]
    path = " -> ".join(map(str, dict.fromkeys([*(step.pods for step in steps), count])))
    pods = f"{count} pod{'' if count == 1 else 's'}"
    if last.metric == "cores":
        usage, target = f"{format_cores(last.usage)} cores", f"{format_cores(last.target)} cores"
    else:
        usage, target = f"{format_share(last.usage)} of the CPU requested", format_share(last.target)
    settled = last.desired <= last.pods == count
    how = "settles at" if settled else f"had not settled after {ROUNDS} steps, left at"
    return f"gateway {gateway}: its autoscaler {how} {pods} (tried {path}; each uses {usage}, target {target})"
