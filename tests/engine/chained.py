"""Random models with chains: a generated model some of whose backends are pods of a further proxy or call other services.

Three layers, so that no chain runs in circles: what `generate` makes; the fleet `mid`, which its relays lead to and its
backends call; the fleet `end`, which relays and backends of the second layer lead to and call.
"""

from __future__ import annotations

from dataclasses import replace

from generate import Generator, generate, is_lattice

from gwsim.engine.features import Feature
from gwsim.scenario.model import (
    CallOut,
    Client,
    Fleet,
    Model,
    OnDemand,
    Outcome,
    Pod,
    Relay,
    Shape,
    SimCluster,
    Station,
    WeightedTarget,
)

FEATURES = frozenset(Feature) - {Feature.LONG_STREAMS}
MID, END = "mid", "end"


def chained(seed: int, features: frozenset[Feature] = FEATURES, byte_streams: bool = True) -> Model:
    """The model of that seed, with any of `features` where its chains begin, and perhaps a proxy that hands bytes on."""
    return _Chains(seed, features, byte_streams).model()


class _Chains:
    def __init__(self, seed: int, features: frozenset[Feature], byte_streams: bool) -> None:
        self.parts = Generator(seed + 1_000_003)
        self.parts.lattice = is_lattice(seed)
        self.random = self.parts.random
        self.byte_streams = byte_streams
        self.base = generate(seed, features)

    def model(self) -> Model:
        base, random = self.base, self.random
        mid, end = len(base.fleets), len(base.fleets) + 1
        first_mid = len(base.stations)
        first_end = first_mid + random.randint(1, 3)
        stations = [*base.stations, *(self.parts.station(i) for i in range(first_mid, first_end + random.randint(1, 2)))]
        k_mid, k_end = len(base.clusters), len(base.clusters) + 1
        clusters = (
            *base.clusters, self.cluster(k_mid, range(first_mid, first_end)), self.cluster(k_end, range(first_end, len(stations))),
        )
        fleets = (*base.fleets, self.fleet(MID), self.fleet(END))
        n = len(base.clients)
        clients = (
            *base.clients, self.client("relay-mid", mid, k_mid), self.client("relay-end", end, k_end),
            self.client("call-mid", mid, k_mid), self.client("call-end", end, k_end),
        )
        for s in range(first_end):
            to = 0 if s < first_mid else 1
            if random.random() < 0.5:
                stations[s] = self.relay(stations[s], n + to, clients, fleets)
            elif random.random() < 0.6:
                stations[s] = self.calling(stations[s], n + 2 + to, clients, fleets)
        return replace(base, clients=clients, fleets=fleets, clusters=clusters, stations=tuple(stations))

    def fleet(self, name: str) -> Fleet:
        pods = tuple(Pod(name=f"{name}-{i}", zone=self.random.choice("ab"), workers=self.random.randint(1, 2)) for i in range(self.random.randint(1, 3)))
        return replace(
            self.parts.fleet(0), name=name, pods=pods, balance=self.random.choice(("kernel", "kernel", "exact")), cross_zone=self.random.random() < 0.7
        )

    def cluster(self, index: int, stations: range) -> SimCluster:
        made = self.parts.cluster(index, len(stations))
        return replace(made, stations=tuple(stations), cluster=replace(made.cluster, max_requests_per_connection=self.random.choice((None, None, 1, 3))))

    def client(self, name: str, fleet: int, cluster: int) -> Client:
        made = self.parts.client(0, 1, 0)
        tls = self.random.choice((None, "1.3"))
        mix = tuple(self.shape(f"s{i}", cluster) for i in range(2))
        if name == "relay-mid" and self.random.random() < 0.4 and self.byte_streams:
            mix = self.bytes_only(mix, cluster, tls is not None and self.random.random() < 0.7)
        own = name.startswith("call") and self.random.random() < 0.5
        return replace(
            made, name=name, fleet=fleet, arrivals=OnDemand(), mix=mix, own_pod=own,
            connection=replace(made.connection, tls=tls if name.startswith("relay") else made.connection.tls),
        )

    def shape(self, name: str, cluster: int) -> Shape:
        local = self.parts.outcome(0)
        timeout = self.parts.patience(2e-3, 20e-3) if self.parts.maybe(0.4) else 0.0
        routed = Outcome(
            route="chain", targets=(WeightedTarget(cluster=cluster, weight=1, name="chain"),), timeout_s=timeout,
            retry=self.parts.retry_policy() if self.parts.maybe(0.4) else None,
        )
        return Shape(name=name, weight=1.0, outcome=local if self.parts.maybe(0.1) else routed, request_bytes=self.parts.size(), response_bytes=self.parts.size())

    def bytes_only(self, mix: tuple[Shape, ...], cluster: int, passthrough: bool) -> tuple[Shape, ...]:
        """The same sizes through a proxy that hands bytes on."""
        span = self.random.choice((0.0, 0.0, 0.02))
        outcome = Outcome(
            route="bytes", targets=(WeightedTarget(cluster=cluster, weight=1, name="bytes"),), tcp=True, passthrough=passthrough,
            idle_timeout_s=span, max_duration_s=2.0 * span,
        )
        return tuple(replace(shape, outcome=outcome) for shape in mix)

    def relay(self, station: Station, client: int, clients: tuple[Client, ...], fleets: tuple[Fleet, ...]) -> Station:
        pods = fleets[clients[client].fleet].pods
        pod = self.random.choice((None, *range(len(pods))))
        shapes = {(c, s): self.random.randrange(2) for c, one in enumerate(clients) for s in range(len(one.mix))}
        zone = station.zone if pod is None else pods[pod].zone
        return Station(name=station.name, zone=zone, service_time_s=station.service_time_s, ports=station.ports, relay=Relay(client=client, pod=pod, shapes=shapes))

    def calling(self, station: Station, client: int, clients: tuple[Client, ...], fleets: tuple[Fleet, ...]) -> Station:
        random = self.random
        some = frozenset((c, s) for c, one in enumerate(clients) for s in range(len(one.mix)) if random.random() < 0.7)

        def call() -> CallOut:
            return CallOut(
                client=client, shape=random.randrange(2), percent=random.choice((100.0, 100.0, 50.0)), critical=random.random() < 0.7,
                classes=some if random.random() < 0.3 else None,
            )

        stages = tuple(tuple(call() for _ in range(random.randint(1, 2))) for _ in range(random.randint(1, 2)))
        pods = len(fleets[clients[client].fleet].pods)
        return replace(station, calls=stages, call_error_status=random.choice((500, 503, 502)), pod=random.randrange(pods))
