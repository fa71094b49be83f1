"""Gateway fleets: how many pods, how many workers, where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gwsim.diagnostics import Collector, Span, code, nearest
from gwsim.scenario.file import GatewayOverride
from gwsim.scenario.lifecycles import lifecycle_of
from gwsim.scenario.model import Fleet, Lifecycle, Pod
from gwsim.scenario.placement import locality_of, view_of
from gwsim.scenario.reading import LoadedScenario
from gwsim.scenario.resolved import FleetLabel, PodLabel
from gwsim.topology import Proxy, Topology
from gwsim.units import format_duration_s

SIDECAR = "sidecar"


def fleet_name(proxy: Proxy) -> str:
    """`[cluster/]namespace/name`: how reports, budgets and `replicas` name a gateway; a sidecar has the word before it."""
    name = f"{proxy.cluster}/{proxy.key}" if proxy.cluster else proxy.key
    return f"{SIDECAR} {name}" if proxy.kind == "sidecar" else name


def names_of(proxy: Proxy) -> tuple[str, ...]:
    """The names under which users may speak of a gateway, the full one first."""
    return (fleet_name(proxy), proxy.key, proxy.name)


def refuse_under_autoscaler(proxy: Proxy, span: Span, collector: Collector) -> None:
    """Report that the replicas of a gateway are set although its autoscaler would undo that."""
    if proxy.autoscaler is None:
        return
    message = f"the replicas of gateway {fleet_name(proxy)} are set by HorizontalPodAutoscaler {proxy.autoscaler.name}"
    help = "fix the replicas (--fix-replicas) to take the autoscaler out, or change its bounds"
    collector.add(code("REPLICAS_UNDER_HPA"), message, span, help=help)


def zone_of(region: str, zone: str) -> str:
    """One word for where a pod runs."""
    return zone or region


@dataclass(slots=True)
class Fleets:
    """The fleets that clients of a scenario use, in the order of their first use."""

    loaded: LoadedScenario
    topology: Topology
    replicas: Mapping[str, int]
    fix_replicas: bool
    collector: Collector
    used: list[Proxy] = field(default_factory=list)
    assumptions: dict[str, None] = field(default_factory=dict)
    overrides: dict[str, GatewayOverride] = field(default_factory=dict)
    """By full name of the gateway."""
    further: set[str] = field(default_factory=set)
    """Full names of those that other proxies send requests to; their pods stay as they are."""

    def read_overrides(self) -> None:
        """Match the `gateway` section with the gateways there are; report names that match none or several."""
        for name, override in self.loaded.scenario.gateway.items():
            found = [one for one in self.topology.proxies if name in names_of(one)]
            if len(found) == 1:
                self.overrides[fleet_name(found[0])] = override
                self._refuse_under_autoscaler(name, found[0], override)
                self._refuse_of_sidecar(name, found[0], override)
                continue
            known = [fleet_name(one) for one in self.topology.proxies]
            what = f"{name} names several gateways" if found else f"there is no gateway {name}"
            near = nearest(name, [*known, *(one.name for one in self.topology.proxies)])
            listed = [fleet_name(one) for one in found] or known
            help = f"did you mean {near}?" if near and not found else f"write one of {', '.join(listed)}" if listed else None
            self.collector.add(code("GATEWAY_UNKNOWN"), what, self.loaded.span("gateway", name), help=help)

    def _refuse_under_autoscaler(self, name: str, proxy: Proxy, override: GatewayOverride) -> None:
        if override.replicas is not None and not self.fix_replicas:
            refuse_under_autoscaler(proxy, self.loaded.span("gateway", name, "replicas"), self.collector)

    def _refuse_of_sidecar(self, name: str, proxy: Proxy, override: GatewayOverride) -> None:
        """A sidecar has the pods of its workload."""
        if proxy.kind != "sidecar":
            return
        for what in ("replicas", "changes"):
            if getattr(override, what):
                help = f"--set Deployment/{proxy.key}:spec.replicas=N changes its pods" if what == "replicas" else None
                span = self.loaded.span("gateway", name, what)
                self.collector.add(code("SCENARIO_VALUE"), f"{name} is a sidecar: its pods are those of its workload", span, help=help)

    def index(self, proxy: Proxy) -> int:
        """The index of the proxy's fleet, which is added at its first use."""
        for at, one in enumerate(self.used):
            if one is proxy:
                return at
        self.used.append(proxy)
        return len(self.used) - 1

    def pods_of(self, proxy: Proxy) -> tuple[Pod, ...]:
        """The pods that a gateway has at the start."""
        workers = self._workers(proxy)
        return tuple(self._pod(proxy, ordinal, workers) for ordinal in range(self._count(proxy)[0]))

    def _workers(self, proxy: Proxy) -> int:
        return self.overrides.get(fleet_name(proxy), GatewayOverride()).workers or proxy.workers

    def _count(self, proxy: Proxy) -> tuple[int, bool]:
        """Replicas, and whether they were given from outside."""
        asked = next((self.replicas[name] for name in names_of(proxy) if name in self.replicas), None)
        if asked is not None:
            return asked, True
        override = self.overrides.get(fleet_name(proxy), GatewayOverride())
        return (override.replicas, True) if override.replicas is not None else (proxy.replicas, False)

    def build(self, wakeup_s: float, iteration_s: float) -> tuple[tuple[Fleet, ...], tuple[FleetLabel, ...]]:
        """The fleets of the model and their labels."""
        pairs = [self._fleet(proxy, wakeup_s, iteration_s) for proxy in self.used]
        return tuple(fleet for fleet, _ in pairs), tuple(label for _, label in pairs)

    def _fleet(self, proxy: Proxy, wakeup_s: float, iteration_s: float) -> tuple[Fleet, FleetLabel]:
        name, (replicas, fixed) = fleet_name(proxy), self._count(proxy)
        workers = self._workers(proxy)
        override = self.overrides.get(name, GatewayOverride())
        scales = self.loaded.scenario.run.kind == "timeline" and not fixed
        sidecar = proxy.kind == "sidecar"
        lifecycle, places = lifecycle_of(proxy, replicas, override, self.loaded.scenario.front.deregistration, scales=scales)
        if lifecycle is not None and name in self.further:
            self._tell_kept(name, proxy)
            lifecycle, places = None, replicas
        pods = tuple(self._pod(proxy, ordinal, workers) for ordinal in range(places))
        self._tell(name, pods[:replicas], workers, proxy, fixed)
        self._tell_nodes(name, pods[:replicas], proxy)
        if lifecycle is not None:
            self._tell_changes(name, lifecycle)
        if not replicas:
            self.collector.add(
                code("SCENARIO_VALUE"),
                f"gateway {name} has no replica, so nothing answers its clients",
                proxy.origin,
                help="give it at least one replica",
            )
        fleet = Fleet(
            name=name, pods=pods, wakeup_s=wakeup_s, iteration_s=iteration_s,
            # Every pod of a client has connections of its own to the sidecar beside it.
            front="round_robin" if sidecar else self.loaded.scenario.front.policy,
            cross_zone=sidecar or (self.loaded.scenario.front.cross_zone and not self._stays_on_node(proxy)),
            balance=override.balance,
            lifecycle=lifecycle,
        )
        label = FleetLabel(
            name=name,
            proxy=proxy,
            replicas=replicas,
            workers=workers,
            autoscaler=proxy.autoscaler,
            cpu_request_cores=proxy.cpu_request_cores,
            cpu_limit_cores=proxy.cpu_limit_cores,
            memory_request_bytes=proxy.memory_request_bytes,
            memory_limit_bytes=proxy.memory_limit_bytes,
            replicas_fixed=fixed,
        )
        return fleet, label

    def _pod(self, proxy: Proxy, ordinal: int, workers: int) -> Pod:
        """A pod of the topology, or one more that goes on with the round through the zones."""
        where = locality_of(proxy, ordinal)
        # With a core for every worker the quota is never spent.
        limit = proxy.cpu_limit_cores if proxy.cpu_limit_cores is not None and proxy.cpu_limit_cores < workers else None
        name = proxy.pods[ordinal].name if ordinal < len(proxy.pods) else f"{proxy.name}-{ordinal}"
        view = view_of(fleet_name(proxy), where)
        if proxy.kind == "sidecar":
            view += f"|{name}"  # Its application is its own.
        return Pod(
            name=name, zone=zone_of(where.region, where.zone), workers=workers, view=view, cpu_limit_cores=limit,
            node=self._node(proxy, ordinal) if self._stays_on_node(proxy) else "",
        )

    def _stays_on_node(self, proxy: Proxy) -> bool:
        """Whether a connection that comes to a node is for the pods on it: kube-proxy with `externalTrafficPolicy: Local`."""
        if self.loaded.scenario.front.targets != "nodes" or proxy.kind == "sidecar":
            return False
        outside = [one for one in proxy.services if one.type in ("LoadBalancer", "NodePort")]
        return any(one.external_traffic_policy == "Local" for one in outside)

    def _node(self, proxy: Proxy, ordinal: int) -> str:
        nodes = self.overrides.get(fleet_name(proxy), GatewayOverride()).nodes
        return f"node-{ordinal % nodes if nodes else ordinal}"

    def _tell_nodes(self, name: str, pods: tuple[Pod, ...], proxy: Proxy) -> None:
        """What a front whose targets are nodes does with the fleet's connections."""
        if self.loaded.scenario.front.targets != "nodes":
            if any(one.external_traffic_policy == "Local" for one in proxy.services):
                text = "externalTrafficPolicy: Local makes no difference, as the targets of its load balancer are taken to be pods (front.targets)"
                self.assumptions[f"gateway {name}: {text}"] = None
            return
        if proxy.kind == "sidecar":
            return
        if self._stays_on_node(proxy):
            count = len({pod.node for pod in pods})
            text = f"{len(pods)} pods on {count} nodes, and each node gets as many connections (externalTrafficPolicy: Local)"
        else:
            text = "every node sends connections to all pods alike (externalTrafficPolicy: Cluster); the way from node to node adds no time"
        self.assumptions[f"gateway {name}: {text}"] = None

    def _tell_kept(self, name: str, proxy: Proxy) -> None:
        span = self.loaded.span("gateway", name) if self.loaded.has("gateway", name) else proxy.origin or self.loaded.span("run", "kind")
        text = f"gateway {name}: other proxies send requests to it, and its pods do not come and go in that case"
        self.collector.add(code("SCENARIO_NOT_MODELLED"), text, span)

    def _tell_changes(self, name: str, lifecycle: Lifecycle) -> None:
        scaling = lifecycle.scaling
        if scaling is not None:
            text = f"gateway {name}: its autoscaler acts during the run, between {scaling.minimum} and {scaling.maximum} pods"
            self.assumptions[text] = None
        starts, leaves = format_duration_s(lifecycle.start_s), format_duration_s(lifecycle.deregister_s)
        drains = format_duration_s(lifecycle.drain_s)
        text = f"gateway {name}: a new pod serves {starts} after its creation; one that leaves gets connections for {leaves} more and ends after {drains}"
        self.assumptions[text] = None

    def _tell(self, name: str, pods: tuple[Pod, ...], workers: int, proxy: Proxy, fixed: bool) -> None:
        zones: dict[str, int] = {}
        for pod in pods:
            zones[pod.zone] = zones.get(pod.zone, 0) + 1
        placed = ", ".join(f"{count} in zone {zone}" for zone, count in zones.items() if zone)
        why = "as given" if fixed else "at the start, within the autoscaler's bounds" if proxy.autoscaler else "as its Deployment says"
        if not proxy.autoscaler and proxy.origin is None and not fixed:
            why = "assumed"
        who = f"gateway {name}"
        if proxy.kind == "sidecar":
            who, why = name, "as its workload has" if proxy.origin is not None else "assumed"
        text = f"{who}: {len(pods)} pod{'' if len(pods) == 1 else 's'} ({why}) of {workers} worker{'' if workers == 1 else 's'}"
        self.assumptions[text + (f"; {placed}" if placed else "; all in one zone")] = None


def pod_labels(fleets: tuple[Fleet, ...]) -> tuple[tuple[PodLabel, ...], tuple[int, ...]]:
    """All pods in order, and the pod of every worker."""
    pods = tuple(PodLabel(name=pod.name, fleet=at, zone=pod.zone) for at, fleet in enumerate(fleets) for pod in fleet.pods)
    workers = [pod.workers for fleet in fleets for pod in fleet.pods]
    return pods, tuple(at for at, count in enumerate(workers) for _ in range(count))


__all__ = ["Fleets", "fleet_name", "names_of", "pod_labels", "refuse_under_autoscaler", "zone_of"]
