"""What `generate` adds to a model for each `Feature`: drawn from a stream of its own, so that the models of a seed stay
what they were when a feature is added.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from gwsim.engine.features import Feature
from gwsim.scenario.model import (
    Abort,
    Bucket,
    Call,
    Change,
    Client,
    Delay,
    Distribution,
    Fleet,
    HashRule,
    Host,
    Lifecycle,
    LongStream,
    MessageCosts,
    Messages,
    Mirror,
    Mode,
    Model,
    Operation,
    Outage,
    Outcome,
    Placement,
    Pod,
    PortPool,
    Scaling,
    Shape,
    SimCluster,
    Station,
    TokenBucket,
    WeightedTarget,
    constant,
)
from gwsim.topology import LbPolicy, OutlierDetection, RetryBudget, ScalingPolicy, ScalingRules, SlowStart

SHARE = 0.6
"""Of the models, that use a feature."""
VIEWS = ("", "near", "far")


def decorate(model: Model, seed: int, lattice: bool, features: frozenset[Feature]) -> Model:
    """`model` with some of `features`."""
    for feature, change in CHANGES.items():
        random = Random(f"{feature.name}/{seed}")
        if feature in features and random.random() < SHARE:
            model = change(model, random, lattice)
    return model


def _span(random: Random, low: float, high: float, lattice: bool) -> float:
    x = random.uniform(low, high)
    return round(x * 1e3) / 1e3 if lattice else x


# --- load balancing ------------------------------------------------------------------------------------------


def _load_balancing(model: Model, random: Random, lattice: bool) -> Model:
    fleets = tuple(
        replace(fleet, pods=tuple(replace(pod, view=random.choice(VIEWS)) for pod in fleet.pods)) for fleet in model.fleets
    )
    clients = tuple(
        replace(one, mix=tuple(replace(s, outcome=replace(s.outcome, hash=_rules(random))) for s in one.mix)) for one in model.clients
    )
    clusters = tuple(_balanced(one, random, lattice) for one in model.clusters)
    clients = tuple(replace(one, mix=tuple(replace(s, outcome=_avoiding(s.outcome, random)) for s in one.mix)) for one in clients)
    stations = tuple(replace(one, errors=((0.3, 503),)) if random.random() < 0.5 else one for one in model.stations)
    return replace(model, fleets=fleets, clients=clients, clusters=clusters, stations=stations)


def _avoiding(outcome: Outcome, random: Random) -> Outcome:
    """Retries that look for another host, so that a policy is asked for its second choice."""
    again, attempts = random.random() < 0.7, random.choice((1, 2, 5))
    if outcome.retry is None or not again:
        return outcome
    on = tuple(dict.fromkeys((*outcome.retry.retry_on, "5xx")))
    return replace(outcome, retry=replace(outcome.retry, retry_on=on, previous_hosts=True, host_selection_retry_max_attempts=attempts))


def _rules(random: Random) -> tuple[HashRule, ...]:
    def rule() -> HashRule:
        kind = random.choice(("fixed", "user", "connection"))
        return HashRule(kind=kind, text=random.choice(("alice", "bob")), users=random.choice((1, 3, 100)))  # type: ignore[arg-type]

    return tuple(rule() for _ in range(random.choice((0, 1, 1, 2))))


def _balanced(sim: SimCluster, random: Random, lattice: bool) -> SimCluster:
    n = len(sim.stations)
    policies = [policy for policy in LbPolicy if policy is not LbPolicy.ORIGINAL_DST]
    slow = random.random() < 0.3
    cluster = replace(
        sim.cluster, lb_policy=random.choice(policies), choice_count=random.choice((2, 2, 3, 5)),
        panic_threshold_percent=random.choice((0.0, 50.0, 50.0, 100.0)), ring_size=random.choice((7, 17, 101)),
        slow_start=SlowStart(
            window_s=random.choice((0.05, 0.3)), min_weight_percent=random.choice((0.0, 10.0, 50.0)), aggression=random.choice((1.0, 2.0, 0.5))
        ) if slow else None,
    )
    weighted, ill = random.random() < 0.5, random.random() < 0.5
    hosts = tuple(
        Host(
            key=f"10.0.0.{random.randrange(1, 250)}:80",
            weight=random.choice((1, 2, 7)) if weighted else 1,
            health=random.choice(("healthy", "healthy", "degraded", "unhealthy")) if ill else "healthy",  # type: ignore[arg-type]
            joined_s=_span(random, -0.1, 0.1, lattice) if slow and random.random() < 0.5 else None,
        )
        for _ in range(n)
    )
    placements = {view: _placement(n, random) for view in VIEWS[1:] if random.random() < 0.6}
    return replace(sim, cluster=cluster, hosts=hosts, placements=placements)


def _placement(n: int, random: Random) -> Placement:
    priorities = tuple(random.choice((-1, 0, 0, 0, 1, 1, 2)) for _ in range(n))
    groups = tuple(max(0, p) * 2 + random.randrange(2) for p in priorities)
    weights = tuple(random.choice((0, 1, 1, 2, 5)) for _ in range(6)) if random.random() < 0.5 else None
    return Placement(priorities=priorities, groups=groups, group_weights=weights)


# --- outlier detection ---------------------------------------------------------------------------------------


def _outliers(model: Model, random: Random, lattice: bool) -> Model:
    def watched(sim: SimCluster) -> SimCluster:
        if random.random() < 0.2:
            return sim
        settings = OutlierDetection(
            consecutive_5xx=random.choice((0, 1, 2, 3)), enforcing_consecutive_5xx=random.choice((0, 50, 100, 100)),
            consecutive_gateway_failure=random.choice((1, 2, 5)), enforcing_consecutive_gateway_failure=random.choice((0, 100)),
            consecutive_local_origin_failure=random.choice((1, 2)), split_external_local_origin_errors=random.random() < 0.3,
            interval_s=_span(random, 1e-3, 60e-3, lattice), base_ejection_time_s=_span(random, 1e-3, 50e-3, lattice),
            max_ejection_time_s=_span(random, 1e-3, 200e-3, lattice), max_ejection_percent=random.choice((10.0, 34.0, 50.0, 100.0)),
            success_rate_minimum_hosts=random.choice((1, 2, 5)), success_rate_request_volume=random.choice((1, 5)),
            success_rate_stdev_factor=random.choice((0.0, 500.0, 1900.0)), enforcing_success_rate=random.choice((0, 100)),
            failure_percentage_threshold=random.choice((10.0, 50.0)), failure_percentage_minimum_hosts=random.choice((1, 3)),
            failure_percentage_request_volume=random.choice((1, 4)), enforcing_failure_percentage=random.choice((0, 60)),
        )
        window = _span(random, 1e-3, 60e-3, lattice)
        cluster = replace(sim.cluster, outlier_detection=settings, update_merge_window_s=window)
        return replace(sim, cluster=replace(cluster, panic_threshold_percent=random.choice((0.0, 50.0))))

    return replace(model, clusters=tuple(watched(one) for one in model.clusters))


# --- filters -------------------------------------------------------------------------------------------------


def _filters(model: Model, random: Random, lattice: bool) -> Model:
    clusters = len(model.clusters)

    def percent() -> float:
        return random.choice((0.0, 30.0, 70.0, 100.0))

    def operation() -> Operation:
        kind = random.randrange(4 if clusters else 3)
        if kind == 0:
            return Delay(percent=percent(), delay_s=_span(random, 0.0, 8e-3, lattice))
        if kind == 1:
            return Abort(percent=random.choice((0.0, 10.0, 100.0)), status=random.choice((200, 404, 500, 503)))
        if kind == 2:
            buckets = tuple(random.randrange(len(limits)) for _ in range(random.choice((0, 1, 1, 2))))
            return Bucket(buckets=buckets, enabled_percent=percent(), enforced_percent=percent(), status=random.choice((429, 503)))
        return Call(
            cluster=random.randrange(clusters), request_bytes=random.choice((0, 500)), body_max_bytes=random.choice((0, 1000)),
            response_bytes=random.choice((0, 300)), timeout_s=random.choice((0.0, max(1e-3, _span(random, 1e-3, 10e-3, lattice)))),
            fail_open=random.random() < 0.5, error_status=random.choice((403, 500)), deny_flag=random.choice(("UAEX", "RL")),
            error_flag=random.choice(("UAEX", "RLSE")),
        )

    def filtered(outcome: Outcome) -> Outcome:
        mirrors = tuple(Mirror(cluster=random.randrange(-1, clusters), percent=percent()) for _ in range(random.choice((0, 0, 1, 2))))
        program = tuple(operation() for _ in range(random.choice((0, 1, 1, 2, 3))))
        return replace(outcome, program=program, mirrors=mirrors, local_bytes=random.choice((0, 700)))

    limits = tuple(
        TokenBucket(max_tokens=random.choice((1, 5, 20)), tokens_per_fill=random.choice((1, 10)), fill_interval_s=random.choice((0.05, 0.1)))
        for _ in range(random.randint(1, 3))
    )
    clients = tuple(replace(one, mix=tuple(replace(s, outcome=filtered(s.outcome)) for s in one.mix)) for one in model.clients)
    return replace(model, clients=clients, buckets=limits)


# --- upstream connections ------------------------------------------------------------------------------------


def _connections(model: Model, random: Random, lattice: bool) -> Model:
    def some(p: float, low: float, high: float) -> float | None:
        return max(1e-3, _span(random, low, high, lattice)) if random.random() < p else None

    def lasting(sim: SimCluster) -> SimCluster:
        budget = RetryBudget(percent=random.choice((0.0, 20.0, 100.0)), min_retry_concurrency=random.choice((0, 1, 3)))
        breakers = replace(sim.cluster.circuit_breakers, retry_budget=budget if random.random() < 0.5 else None)
        cluster = replace(
            sim.cluster, idle_timeout_s=some(0.5, 1e-3, 30e-3) or 3600.0, max_connection_duration_s=some(0.4, 2e-3, 80e-3),
            max_requests_per_connection=random.choice((None, 1, 2, 10)), max_concurrent_streams=random.choice((None, 1, 2, 5)),
            connect_timeout_s=some(0.7, 1e-3, 8e-3) or 0.3, circuit_breakers=breakers,
        )
        return replace(sim, cluster=cluster, costs=replace(sim.costs, close_s=random.choice((0.0, 1e-3)) if lattice else random.uniform(0.0, 40e-6)))

    def closing(station: Station) -> Station:
        outages = tuple(
            Outage(from_s=start, to_s=start + _span(random, 1e-3, 40e-3, lattice), kind=random.choice(("refuse", "drop")))  # type: ignore[arg-type]
            for start in sorted(_span(random, 0.0, 0.3, lattice) for _ in range(random.choice((0, 0, 1, 3))))
        )
        return replace(station, keepalive_s=some(0.5, 1e-3, 20e-3), outages=outages)

    def patient(outcome: Outcome) -> Outcome:
        if outcome.retry is None:
            return outcome
        more = tuple(one for one in ("connect-failure", "reset-before-request", "refused-stream") if random.random() < 0.5)
        return replace(outcome, retry=replace(outcome.retry, retry_on=(*outcome.retry.retry_on, *more)))

    clients = tuple(replace(one, mix=tuple(replace(s, outcome=patient(s.outcome)) for s in one.mix)) for one in model.clients)
    clusters = tuple(lasting(one) if random.random() < 0.8 else one for one in model.clusters)
    return replace(model, clients=clients, clusters=clusters, stations=tuple(closing(one) for one in model.stations))


# --- CPU limits and the front ----------------------------------------------------------------------------------


def _front(model: Model, random: Random, lattice: bool) -> Model:
    nodes = random.choice((0, 0, 1, 2))

    def limited(pod: Pod) -> Pod:
        node = f"node-{random.randrange(nodes)}" if nodes else ""
        return replace(pod, cpu_limit_cores=random.choice((None, 0.3, 0.6, 2.0)), node=node)

    fleets = tuple(
        replace(
            fleet, pods=tuple(limited(pod) for pod in fleet.pods), cross_zone=random.random() < 0.5,
            balance=random.choice(("kernel", "exact")),  # type: ignore[arg-type]
        )
        for fleet in model.fleets
    )
    return _bounded(replace(model, fleets=fleets))


def _bounded(model: Model) -> Model:
    """What little is left of a gateway may never catch up: no client waits for ever."""
    return replace(model, clients=tuple(replace(one, timeout_s=one.timeout_s or 0.25) for one in model.clients))


# --- faults by schedule ----------------------------------------------------------------------------------------


def _modes(model: Model, random: Random, lattice: bool) -> Model:
    def changing(station: Station) -> Station:
        modes, standing = [], 0.0
        for _ in range(random.choice((0, 1, 2, 4))):
            start = _span(random, 0.0, 0.3, lattice)
            end = start + _span(random, 1e-3, 60e-3, lattice)
            stall = random.random() < 0.4 and start >= standing
            standing = max(standing, end) if stall else standing
            errors = random.choice((None, (), ((0.5, 503),), ((0.3, 500), (0.3, 404))))
            modes.append(Mode(from_s=start, to_s=end, slow=random.choice((1.0, 0.0, 2.0, 5.0)), errors=errors, stall=stall))
        return replace(station, modes=tuple(modes))

    return replace(model, stations=tuple(changing(one) for one in model.stations))


# --- pods that come and go -------------------------------------------------------------------------------------


def _lifecycle(model: Model, random: Random, lattice: bool) -> Model:
    def living(fleet: Fleet) -> Fleet:
        if random.random() < 0.2:
            return fleet
        pods = fleet.pods + tuple(replace(random.choice(fleet.pods), name=f"more{i}") for i in range(random.choice((0, 1, 2))))
        changes = tuple(
            Change(at_s=at, kind=random.choice(("add", "remove", "kill")), pods=random.choice((1, 1, 2)))  # type: ignore[arg-type]
            for at in sorted(_span(random, 0.0, 0.3, lattice) for _ in range(random.choice((0, 1, 3, 6))))
        )
        lifecycle = Lifecycle(
            initial=random.randint(0, len(pods)), start_s=_span(random, 0.0, 50e-3, lattice), deregister_s=_span(random, 0.0, 60e-3, lattice),
            drain_s=_span(random, 0.0, 60e-3, lattice), changes=changes,
        )
        return replace(fleet, pods=pods, lifecycle=lifecycle)

    return _bounded(replace(model, fleets=tuple(living(one) for one in model.fleets)))


# --- autoscaling -----------------------------------------------------------------------------------------------


def _autoscaling(model: Model, random: Random, lattice: bool) -> Model:
    def rules() -> ScalingRules:
        policies = tuple(
            ScalingPolicy(kind=random.choice(("pods", "percent")), value=random.choice((1, 2, 50, 100)), period_s=random.choice((0.02, 0.06)))  # type: ignore[arg-type]
            for _ in range(random.choice((1, 2)))
        )
        return ScalingRules(
            stabilization_s=random.choice((0.0, 0.03, 0.1)), policies=policies, select=random.choice(("max", "max", "min", "disabled"))  # type: ignore[arg-type]
        )

    def scaled(fleet: Fleet) -> Fleet:
        pods = fleet.pods + tuple(replace(fleet.pods[0], name=f"scaled{i}") for i in range(2))
        utilization = random.choice((None, 0.1, 0.5))
        scaling = Scaling(
            minimum=random.choice((1, 2)), maximum=random.choice((2, 3, len(pods))), cpu_request_cores=random.choice((0.1, 0.5)),
            target_utilization=utilization, target_cores=random.choice((0.02, 0.1)), tolerance=random.choice((0.0, 0.1)),
            period_s=random.choice((0.01, 0.025)), scrape_s=random.choice((0.01, 0.02)), up=rules(), down=rules(),
        )
        given = fleet.lifecycle or Lifecycle(initial=len(fleet.pods), start_s=0.015, deregister_s=0.01, drain_s=0.02)
        return replace(fleet, pods=pods, lifecycle=replace(given, scaling=scaling))

    return replace(model, fleets=tuple(scaled(one) if random.random() < 0.8 else one for one in model.fleets))


# --- byte streams ----------------------------------------------------------------------------------------------


def _tcp(model: Model, random: Random, lattice: bool) -> Model:
    clusters = len(model.clusters)

    def handed_on(client: Client) -> Client:
        if not clusters or random.random() < 0.3:
            return client
        names = [random.randrange(-1 if random.random() < 0.1 else 0, clusters) for _ in range(random.choice((1, 1, 2)))]
        targets = tuple(WeightedTarget(cluster=one, weight=random.choice((1, 3)), name=f"c{one}") for one in names)
        outcome = Outcome(
            route="stream", targets=targets, tcp=True, passthrough=client.connection.tls is not None and random.random() < 0.6,
            hash=random.choice(((), (HashRule(kind="connection"),))), idle_timeout_s=random.choice((0.0, max(1e-3, _span(random, 1e-3, 30e-3, lattice)))),
            max_duration_s=random.choice((0.0, max(1e-3, _span(random, 5e-3, 80e-3, lattice)))),
        )
        mix = tuple(replace(one, outcome=outcome) for one in client.mix)
        return replace(client, mix=mix)

    def greeting(station: Station) -> Station:
        return replace(station, tls_hello_s=max(0.0, _span(random, -2e-3, 4e-3, lattice)))

    clients = tuple(handed_on(one) for one in model.clients)
    return replace(model, clients=clients, stations=tuple(greeting(one) for one in model.stations))


# --- connections of clients that age -------------------------------------------------------------------------


def _ageing(model: Model, random: Random, lattice: bool) -> Model:
    clients = []
    for client in model.clients:
        if random.random() < 0.7 and not any(shape.outcome.tcp for shape in client.mix):
            age_s = max(1e-3, _span(random, 0.01, 0.15, lattice))
            client = replace(client, max_connection_duration_s=age_s, drain_s=max(1e-3, _span(random, 0.0, 0.05, lattice)))
        clients.append(client)
    return replace(model, clients=tuple(clients))


# --- source ports --------------------------------------------------------------------------------------------


def _ports(model: Model, random: Random, lattice: bool) -> Model:
    def pool(name: str) -> PortPool:
        return PortPool(
            name=name, ports=random.choice((1, 2, 4, 8, 20)), hold_s=_span(random, 0.0, 40e-3, lattice),
            hold_remote_s=random.choice((0.0, _span(random, 0.0, 20e-3, lattice))),
            scope=random.choice(("pod", "shared")), when_empty=random.choice(("refuse", "drop")),  # type: ignore[arg-type]
        )

    def patient(sim: SimCluster) -> SimCluster:
        if random.random() < 0.3:
            return sim
        return replace(sim, cluster=replace(sim.cluster, connect_timeout_s=max(1e-3, _span(random, 1e-3, 40e-3, lattice))))

    pools = tuple(pool(f"ports{j}") for j in range(random.choice((1, 2))))
    stations = tuple(replace(one, ports=random.randrange(-1, len(pools))) for one in model.stations)
    return replace(model, port_pools=pools, stations=stations, clusters=tuple(patient(one) for one in model.clusters))


# --- routes that change --------------------------------------------------------------------------------------


def _updates(model: Model, random: Random, lattice: bool) -> Model:
    outcomes = [shape.outcome for client in model.clients for shape in client.mix if not shape.outcome.tcp]

    def another() -> Outcome:
        outcome = random.choice(outcomes)
        if not outcome.targets or random.random() < 0.5:
            return outcome
        return replace(outcome, targets=(replace(outcome.targets[0], cluster=random.randrange(len(model.clusters))),))

    def changing(shape: Shape) -> Shape:
        if shape.outcome.tcp:
            return shape
        instants = sorted(_span(random, 0.0, 0.2, lattice) for _ in range(random.choice((0, 1, 3, 12))))
        return replace(shape, later=tuple((at, another()) for at in instants))

    return replace(model, clients=tuple(replace(one, mix=tuple(changing(shape) for shape in one.mix)) for one in model.clients))


# --- backend pods that come and go ---------------------------------------------------------------------------


def _membership(model: Model, random: Random, lattice: bool) -> Model:
    def passing(host: Host) -> Host:
        from_s = _span(random, 0.0, 0.2, lattice) if random.random() < 0.4 else 0.0
        to_s = from_s + max(1e-3, _span(random, 1e-3, 0.15, lattice)) if random.random() < 0.5 else None
        return replace(host, from_s=from_s, to_s=to_s)

    def moving(sim: SimCluster) -> SimCluster:
        if random.random() < 0.3:
            return sim
        hosts = sim.hosts or tuple(Host(key=model.stations[s].name) for s in sim.stations)
        return replace(sim, hosts=tuple(passing(one) for one in hosts))

    def ending(station: Station) -> Station:
        begin = _span(random, 0.0, 0.3, lattice)
        if random.random() < 0.5 or any(begin < one.to_s for one in station.outages):
            return station
        return replace(station, outages=(*station.outages, Outage(from_s=begin, to_s=begin + _span(random, 1e-3, 1.0, lattice), kind="end")))

    clusters = tuple(moving(one) for one in model.clusters)
    return replace(model, clusters=clusters, stations=tuple(ending(one) for one in model.stations))


# --- long streams ----------------------------------------------------------------------------------------------


def _long_streams(model: Model, random: Random, lattice: bool) -> Model:
    def gap(low: float, high: float) -> Distribution:
        x = max(1e-3, _span(random, low, high, lattice))
        return constant(x) if lattice or random.random() < 0.3 else Distribution(kind="exponential", a=x, mean=x)

    def cost() -> float:
        return 1e-3 * random.choice((0, 0, 1)) if lattice else random.uniform(0.0, 3e-4)

    def flow() -> Messages | None:
        return None if random.random() < 0.3 else Messages(every_s=gap(1e-3, 40e-3), size=constant(random.choice((0.0, 100.0, 5000.0))))

    def lasting(shape: Shape, websocket: bool) -> Shape:
        if random.random() < 0.3:
            return shape
        complete = not websocket and random.random() < 0.4
        costs = MessageCosts(**{f"{visit}_s": cost() for visit in VISITS}, **{f"{visit}_byte_s": 0.0 if lattice else 1e-8 for visit in VISITS})
        idle_s = random.choice((0.0, max(1e-3, _span(random, 2e-3, 50e-3, lattice))))
        long = LongStream(
            websocket=websocket, duration_s=gap(5e-3, 0.2), costs=costs, up=None if complete else flow(), down=flow(), request_complete=complete,
            ping_s=max(1e-3, _span(random, 1e-3, 60e-3, lattice)) if websocket and random.random() < 0.5 else None,
        )
        return replace(shape, long=long, outcome=replace(shape.outcome, idle_timeout_s=idle_s))

    def talking(client: Client) -> Client:
        websocket = client.connection.http == 1 and client.connection.streams == 1
        if random.random() < 0.2 or (client.connection.streams > 1 and client.connection.http != 2) or any(one.outcome.tcp for one in client.mix):
            return client
        return replace(client, mix=tuple(lasting(one, websocket) for one in client.mix))

    return replace(model, clients=tuple(talking(one) for one in model.clients))


VISITS = ("read", "write_up", "read_up", "write_down")
CHANGES: dict[Feature, Callable[[Model, Random, bool], Model]] = {
    Feature.LOAD_BALANCING: _load_balancing,
    Feature.OUTLIERS: _outliers,
    Feature.FILTERS: _filters,
    Feature.CONNECTIONS: _connections,
    Feature.FRONT: _front,
    Feature.MODES: _modes,
    Feature.LIFECYCLE: _lifecycle,
    Feature.AUTOSCALING: _autoscaling,
    Feature.TCP: _tcp,
    Feature.AGEING: _ageing,
    Feature.PORTS: _ports,
    Feature.UPDATES: _updates,
    Feature.MEMBERSHIP: _membership,
    Feature.LONG_STREAMS: _long_streams,
}
