"""Requests beyond the first proxy: further proxies, and calls of backends, as clients that others stand behind.

Every class of requests is followed to the stations it can reach. A station that is a pod of a further proxy gets the
class there: the request as it looks on the wire, routed by that proxy. A station whose backend makes calls gets the
clients that make them, through the sidecar beside it. So on until nothing new is found.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from gwsim.costs import Network
from gwsim.diagnostics import Collector, code, did_you_mean
from gwsim.scenario import file, limits, model
from gwsim.scenario.backends import Backends, Calling, Relaying
from gwsim.scenario.costing import Pricing
from gwsim.scenario.fleets import Fleets, fleet_name
from gwsim.scenario.inbound import listener_of
from gwsim.scenario.reading import LoadedScenario
from gwsim.scenario.shapes import Asked, Asker, Router, Steps, Taken, received
from gwsim.scenario.traffic import HTTP2_STREAMS, Traffic, retry
from gwsim.scenario.workloads import sidecar_beside
from gwsim.topology import (
    FilterChain,
    Leg,
    Listener,
    Proxy,
    Request,
    Topology,
    Wire,
    choose,
    leg_to,
    onward,
)
from gwsim.topology.dialling import dial

DEFAULT_PORT = 80
Class = tuple[int, int]
"""Position of a client, and of a shape in its mix."""


@dataclass(slots=True)
class Draft:
    """A client in the making: all but its mix, which grows."""

    client: model.Client
    asker: Asker
    chain: FilterChain | None
    caller: str = ""
    to: str = ""
    """Of calls: key of the backend that makes them, and whom it calls, as written."""
    mix: list[model.Shape] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)

    def finished(self) -> model.Client:
        """The client."""
        return replace(self.client, mix=tuple(self.mix))


@dataclass(frozen=True, slots=True)
class _Made:
    """A call of a backend as it stands in the model, but for the classes that need it."""

    call: file.Call
    client: int
    shape: int
    steps: Steps


@dataclass(slots=True)
class Chains:
    """Follows the classes of all clients; drafts are in the order of the model's clients."""

    loaded: LoadedScenario
    topology: Topology
    router: Router
    backends: Backends
    fleets: Fleets
    pricing: Pricing
    traffic: Traffic
    network: Network
    collector: Collector
    drafts: list[Draft] = field(default_factory=list)
    _further: dict[tuple[int, str, int], int] = field(default_factory=dict)
    """Derived client by cluster, gateway and port."""
    _shapes: dict[int, dict[Class, int]] = field(default_factory=dict)
    """By relaying station: the shape beyond, by class."""
    _beyond: dict[int, int] = field(default_factory=dict)
    """By relaying station: the derived client."""
    _calls: dict[int, tuple[tuple[_Made, ...], ...]] = field(default_factory=dict)
    """By calling station: its stages."""
    _callers: dict[tuple[str, str, int, int], tuple[int, int]] = field(default_factory=dict)
    _pods: dict[int, int] = field(default_factory=dict)
    """By calling station: position of its pod in the sidecar's fleet."""

    def follow(self) -> None:
        """Everything beyond the clients that are there; raises nothing, reports what is wrong."""
        waiting = deque((c, s) for c, draft in enumerate(self.drafts) for s in range(len(draft.mix)))
        paths: dict[Class, tuple[Class, ...]] = {}
        while waiting:
            one = waiting.popleft()
            for cluster in _clusters_of(self.drafts[one[0]].mix[one[1]]):
                for new in self._through(one, cluster):
                    paths[new] = (*paths.get(one, ()), one)
                    if self._circles(new, paths[new]):
                        return
                    waiting.append(new)
                waiting.extend(self._called(cluster))
        self._check_recursion()

    # --- further proxies -------------------------------------------------------------------------------------

    def _through(self, one: Class, at: int) -> Iterable[Class]:
        """A class at the gateways that a cluster leads to; the new ones."""
        new: dict[int, Class] = {}
        for station in self.backends.clusters[at].stations:
            relaying = self.backends.relays.get(station)
            if relaying is None:
                continue
            leg, wire = self._onward(one, at, relaying)
            client = self._derived(one, at, relaying, leg, wire)
            if client not in new:
                new[client] = self._add(one, client, wire, relaying.inbound)
            self._beyond[station] = client
            self._shapes.setdefault(station, {})[one] = new[client][1]
        return tuple(new.values())

    def _onward(self, one: Class, at: int, relaying: Relaying) -> tuple[Leg, Wire]:
        taken = self.drafts[one[0]].taken[one[1]]
        cluster = replace(self.backends.clusters[at].cluster, use_downstream_protocol=False)
        leg = leg_to(cluster, relaying.endpoint, taken.chain, taken.asked.wire, taken.decision)
        return leg, onward(taken.chain, leg, taken.asked.wire, taken.decision, self.drafts[one[0]].asker.proxy.identity)

    def _derived(self, one: Class, at: int, relaying: Relaying, leg: Leg, wire: Wire) -> int:
        """The client that stands for a proxy at the next one."""
        to, inbound = relaying.reached, relaying.inbound >= 0
        key = (at, fleet_name(to.proxy), to.port)
        known = self._further.get(key)
        if known is not None:
            return known
        caller = self.drafts[one[0]].asker
        self.fleets.further.add(fleet_name(to.proxy))
        tls = "1.3" if leg.tls else None
        http: Literal[1, 2] = 2 if leg.protocol == "h2" else 1
        name = self._name(f"{_short(caller.proxy)} -> {'sidecar ' if inbound else ''}{to.proxy.name}")
        asker = Asker(name=name, proxy=to.proxy, port=to.port, http=http, tls=tls, users=None, sni=leg.sni, kind="inbound" if inbound else "proxy")
        chain: FilterChain | None = None
        listener: Listener | None
        if inbound:
            listener, chain = listener_of(to.port, mutual=tls is not None)
        else:
            listener = to.proxy.listener(to.port)
            if listener is not None:
                chain = next((c for c in listener.filter_chains if c.name == self._peek(asker, wire)), None)
        costs = self.pricing.downstream(to.proxy, listener, chain, http, tls) if listener is not None else NO_COSTS
        limits.report_proxy(to.proxy, self.collector)
        if chain is not None and not inbound:
            limits.report_chain(to.proxy, chain, self.collector)
        connection = model.Connection(http=http, count=1, streams=HTTP2_STREAMS if http == 2 else 1, tls="1.3" if tls else None)
        client = model.Client(
            name=name, fleet=self.fleets.index(to.proxy), arrivals=model.OnDemand(), connection=connection,
            rtt_s=model.constant(0.0), costs=costs, mix=(),
        )
        self.drafts.append(Draft(client, asker, chain))
        self._further[key] = len(self.drafts) - 1
        return self._further[key]

    def _peek(self, asker: Asker, wire: Wire) -> str:
        """The filter chain that a request gets."""
        return choose(asker.proxy, asker.port, wire.request).filter_chain

    def _add(self, one: Class, client: int, wire: Wire, inbound: int) -> Class:
        """A class of another client as a class of a derived one."""
        draft, before = self.drafts[client], self.drafts[one[0]]
        shape, asked = before.mix[one[1]], before.taken[one[1]].asked
        name = shape.name
        if any(other.name == name for other in draft.mix):
            name = f"{before.client.name}: {name}"
        new = Asked(name=name, entry=asked.entry, wire=wire, steps=asked.steps)
        if inbound >= 0 and draft.chain is not None:
            taken = received(draft.asker, new, draft.chain, inbound)
        else:
            taken = self.router.take(draft.asker, new)
            self._check_chain(draft, taken)
        draft.taken.append(taken)
        draft.mix.append(replace(shape, name=name, weight=1.0, outcome=taken.outcome))
        return client, len(draft.mix) - 1

    def _check_chain(self, draft: Draft, taken: Taken) -> None:
        """A derived client is priced as its first requests are."""
        if draft.chain is None or taken.chain is None or taken.chain is draft.chain:
            return
        text = f"{draft.client.name}: requests belong to filter chains {draft.chain.name} and {taken.chain.name}; all are priced as those of the first"
        self.collector.add(code("SCENARIO_NOT_MODELLED"), text, self.loaded.span(*taken.asked.steps))

    def _circles(self, new: Class, path: tuple[Class, ...]) -> bool:
        """Whether a request has come back to a proxy's port, which is reported."""
        draft = self.drafts[new[0]]
        asker = draft.asker
        before = (self.drafts[c].asker for c, _ in path)
        if not any(one.proxy is asker.proxy and (one.port, one.kind == "inbound") == (asker.port, asker.kind == "inbound") for one in before):
            return False
        names = " -> ".join(fleet_name(self.drafts[c].asker.proxy) for c, _ in (*path, new))
        asked = draft.taken[new[1]].asked
        text = f"{asked.name} goes round in a circle: {names}"
        help = "a route of the last gateway sends it back; give the route a destination beyond it"
        self.collector.add(code("SCENARIO_VALUE"), text, self.loaded.span(*asked.steps), help=help)
        return True

    # --- calls -----------------------------------------------------------------------------------------------

    def _called(self, at: int) -> list[Class]:
        """The calls of a cluster's stations; those that are new."""
        new: list[Class] = []
        for station in self.backends.clusters[at].stations:
            calling = self.backends.callers.get(station)
            if calling is None or station in self._calls:
                continue
            beside = sidecar_beside(self.topology, calling.cluster, calling.endpoint)
            if beside is None:
                text = f"backend {calling.name}: {calling.endpoint.workload} has no sidecar in the model, so its calls cannot be followed"
                self.collector.add(code("SCENARIO_VALUE"), text, self.loaded.span("backends", calling.key, "calls"))
                self._calls[station] = ()
                continue
            proxy, self._pods[station] = beside
            before = {(made.client, made.shape) for stages in self._calls.values() for stage in stages for made in stage}
            self._calls[station] = self._stages(calling, proxy)
            made = {(made.client, made.shape): None for stage in self._calls[station] for made in stage}
            new += [one for one in made if one not in before]
        return new

    def _stages(self, calling: Calling, proxy: Proxy) -> tuple[tuple[_Made, ...], ...]:
        stages: list[tuple[_Made, ...]] = []
        for at, stage in enumerate(calling.backend.calls):
            base: Steps = ("backends", calling.key, "calls", at)
            made = []
            for position, call in enumerate(stage.calls):
                steps: Steps = (*base, "parallel", position) if stage.parallel else base
                client, shape = self._caller(calling, proxy, call, (at, position), steps)
                made.append(_Made(call, client, shape, steps))
            stages.append(tuple(made))
        return tuple(stages)

    def _caller(self, calling: Calling, proxy: Proxy, call: file.Call, where: tuple[int, int], steps: Steps) -> tuple[int, int]:
        """Client and shape of a call; pods beside the same sidecar fleet share them."""
        key = (fleet_name(proxy), calling.key, *where)
        if key in self._callers:
            return self._callers[key]
        host, _, written = call.to.partition(":")
        port = int(written) if written else DEFAULT_PORT
        http = calling.backend.call_connection.http
        entry = file.MixEntry(
            name=call.name, method=call.method, host=host, path=call.path, headers=call.headers,
            request_size=call.request_size, response_size=call.response_size,
        )
        label = call.name or f"{call.method} {call.to}{call.path}"
        request = Request(
            host=call.to if port != DEFAULT_PORT else host, method=call.method, path=call.path, headers=call.headers,
            destination=host, http_version="2" if http == 2 else "1.1",
        )
        client = self._calling_client(calling, proxy, call, port, Wire(request))
        draft = self.drafts[client]
        if any(one.name == label for one in draft.mix):
            label = f"{label} ({where[0] + 1})" if where[1] == 0 else f"{label} ({where[0] + 1}.{where[1] + 1})"
        taken = self.router.take(draft.asker, Asked(name=label, entry=entry, wire=Wire(request), steps=steps))
        draft.taken.append(taken)
        draft.mix.append(model.Shape(
            name=label, weight=1.0, outcome=taken.outcome,
            request_bytes=self.traffic.request_bytes(draft.client.name, entry), response_bytes=self.traffic.response_bytes(draft.client.name, entry),
        ))
        self._callers[key] = (client, len(draft.mix) - 1)
        return self._callers[key]

    def _calling_client(self, calling: Calling, proxy: Proxy, call: file.Call, port: int, wire: Wire) -> int:
        """The client of a backend's calls to one host, with one time-out and one way to retry."""
        given, timeout = retry(call.retries), call.timeout
        name = f"{calling.name} -> {call.to}"
        for at, draft in enumerate(self.drafts):
            asker = draft.asker
            same = draft.client.own_pod and asker.proxy is proxy and (draft.caller, draft.to) == (calling.key, call.to)
            if same and (draft.client.timeout_s, draft.client.retry) == (timeout, given):
                return at
        connection = calling.backend.call_connection
        asker = Asker(name=self._name(name), proxy=proxy, port=port, http=connection.http, tls=None, kind="backend")
        dialled = dial(proxy, port, wire.request)
        chain = None
        costs = NO_COSTS
        if dialled is not None:
            chains = dialled.listener.filter_chains
            chain = next((one for one in chains if one.name == self._peek(asker, wire)), None)
            costs = self.pricing.downstream(proxy, dialled.listener, chain, connection.http, None)
        limits.report_proxy(proxy, self.collector)
        client = model.Client(
            name=asker.name, fleet=self.fleets.index(proxy), arrivals=model.OnDemand(),
            connection=model.Connection(
                http=connection.http, count=connection.count, requests=connection.requests,
                streams=connection.streams or (HTTP2_STREAMS if connection.http == 2 else 1),
            ),
            rtt_s=model.constant(self.network.same_node_rtt_s), costs=costs, mix=(), timeout_s=timeout, retry=given, own_pod=True,
        )
        self.drafts.append(Draft(client, asker, chain, caller=calling.key, to=call.to))
        return len(self.drafts) - 1

    def _name(self, wanted: str) -> str:
        taken = {draft.client.name for draft in self.drafts}
        number, unique = 2, wanted
        while unique in taken:
            number, unique = number + 1, f"{wanted} ({number})"
        return unique

    def _check_recursion(self) -> None:
        """Report calls that come back to the requests that need them: they would never end."""
        done: set[Class] = set()
        for c, draft in enumerate(self.drafts):
            for s in range(len(draft.mix)):
                found = self._back_to_itself((c, s), (), done)
                if found:
                    names = " -> ".join(f"{self.drafts[a].client.name} {self.drafts[a].mix[b].name}" for a, b in found)
                    asked = self.drafts[found[-1][0]].taken[found[-1][1]].asked
                    help = "say with `for` which requests need the call, so that some do not"
                    self.collector.add(code("SCENARIO_VALUE"), f"calls go round in a circle: {names}", self.loaded.span(*asked.steps), help=help)
                    return

    def _back_to_itself(self, one: Class, path: tuple[Class, ...], done: set[Class]) -> tuple[Class, ...]:
        if one in path:
            return (*path[path.index(one) :], one)
        if one in done:
            return ()
        for cluster in _clusters_of(self.drafts[one[0]].mix[one[1]]):
            for station in self.backends.clusters[cluster].stations:
                for following in self._after(station, one):
                    found = self._back_to_itself(following, (*path, one), done)
                    if found:
                        return found
        done.add(one)
        return ()

    def _after(self, station: int, one: Class) -> list[Class]:
        """The classes that a request of a class makes at a station."""
        beyond = self._shapes.get(station, {}).get(one)
        found = [] if beyond is None else [(self._beyond[station], beyond)]
        named = {self.drafts[one[0]].mix[one[1]].name, self.drafts[one[0]].taken[one[1]].label.route}
        for stage in self._calls.get(station, ()):
            found += [(made.client, made.shape) for made in stage if not made.call.for_ or named & set(made.call.for_)]
        return found

    # --- the model -------------------------------------------------------------------------------------------

    def stations(self) -> tuple[model.Station, ...]:
        """The stations, with what they relay and call."""
        made = list(self.backends.stations)
        for at, client in self._beyond.items():
            relay = model.Relay(client=client, pod=self.backends.relays[at].pod, shapes=dict(self._shapes[at]))
            made[at] = replace(made[at], relay=relay)
        for at, stages in self._calls.items():
            calls = tuple(tuple(self._call_out(at, one) for one in stage) for stage in stages)
            backend = self.backends.callers[at].backend
            made[at] = replace(made[at], calls=calls, call_error_status=backend.call_error_status, pod=self._pods.get(at, -1))
        return tuple(made)

    def _call_out(self, station: int, made: _Made) -> model.CallOut:
        call = made.call
        classes = None if not call.for_ else self._needing(station, made)
        return model.CallOut(client=made.client, shape=made.shape, percent=call.share * 100.0, critical=call.critical, classes=classes)

    def _needing(self, station: int, made: _Made) -> frozenset[Class]:
        """The classes that reach a station and have a name or route that a call is for; unknown names are reported."""
        reaching = [
            (c, s)
            for c, draft in enumerate(self.drafts)
            for s, shape in enumerate(draft.mix)
            if any(station in self.backends.clusters[at].stations for at in _clusters_of(shape))
        ]
        names = {one: (self.drafts[one[0]].mix[one[1]].name, self.drafts[one[0]].taken[one[1]].label.route) for one in reaching}
        known = {name for both in names.values() for name in both}
        for wanted in made.call.for_:
            if wanted not in known:
                listed = f"those that reach it are {', '.join(sorted(known))}" if known else "no request reaches it"
                help = did_you_mean(wanted, known) or listed
                span = self.loaded.span(*made.steps, "for")
                self.collector.add(code("SCENARIO_VALUE"), f"no request of route or entry {wanted} reaches the backend", span, help=help)
        return frozenset(one for one, both in names.items() if any(name in made.call.for_ for name in both))


NO_COSTS = model.DownstreamCosts(
    accept_s=0.0, client_hello_full_s=0.0, client_hello_resumed_s=0.0, finished_full_s=0.0, finished_resumed_s=0.0, read_s=0.0,
    read_stream_s=0.0, read_byte_s=0.0, write_down_s=0.0, write_down_stream_s=0.0, write_down_byte_s=0.0, timer_s=0.0, close_s=0.0,
)
"""Of connections that nobody takes."""


def _clusters(outcome: model.Outcome) -> list[int]:
    """The clusters that requests of an outcome may reach."""
    return list(dict.fromkeys(one.cluster for one in outcome.targets if one.cluster >= 0))


def _clusters_of(shape: model.Shape) -> list[int]:
    """The clusters that requests of a shape may reach during the run."""
    return list(dict.fromkeys(at for outcome in shape.outcomes() for at in _clusters(outcome)))


def _short(proxy: Proxy) -> str:
    return proxy.key if proxy.kind == "sidecar" else proxy.name


__all__ = ["Chains", "Draft"]
