"""From the resolved scenario to the arrays of the compiled engine: durations to ns, names to keys, lists to tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gwsim.engine.codes import Flag, Purpose, Visit
from gwsim.engine.compiled import layout
from gwsim.engine.compiled.chains import check, relayed
from gwsim.engine.compiled.cpu import PERIOD_NS
from gwsim.engine.compiled.filters import OP_ABORT, OP_BUCKET, OP_CALL, OP_DELAY
from gwsim.engine.compiled.fleets import FRONT_HASH
from gwsim.engine.compiled.heaps import MAX_SOURCES, MAX_STATIONS
from gwsim.engine.compiled.hosts import LOCALITY_KINDS, hosts_of, is_simple
from gwsim.engine.compiled.load_balancing import (
    POLICY_LEAST_REQUEST,
    POLICY_MAGLEV,
    POLICY_RANDOM,
    POLICY_RING_HASH,
    POLICY_ROUND_ROBIN,
    RULE_CONNECTION,
    RULE_FIXED,
    RULE_USER,
)
from gwsim.engine.compiled.priorities import HEALTHY
from gwsim.engine.compiled.retries import (
    ON_4XX,
    ON_5XX,
    ON_CODES,
    ON_CONNECT_FAILURE,
    ON_GATEWAY_ERROR,
    ON_RESET,
    ON_RESET_BEFORE_REQUEST,
)
from gwsim.engine.compiled.sources import BURSTS, CLOSED, DERIVED, JITTERED, PACED, POISSON, REPLAY
from gwsim.engine.compiled.tls import PLAINTEXT, TLS12, TLS13
from gwsim.engine.draws import KINDS, below, draw64, fold, name64, ns, run_key
from gwsim.engine.features import missing
from gwsim.engine.hashing import xxh64
from gwsim.errors import InputError, InternalError
from gwsim.scenario import model as m
from gwsim.topology import Cluster, LbPolicy

Array = np.ndarray[Any, Any]
NO_LIMIT = 2**62
NO_LIMIT_STREAMS = 2**31
CONDITIONS = {
    "5xx": ON_5XX, "gateway-error": ON_GATEWAY_ERROR, "retriable-4xx": ON_4XX, "retriable-status-codes": ON_CODES,
    "reset": ON_RESET, "connect-failure": ON_CONNECT_FAILURE, "reset-before-request": ON_RESET_BEFORE_REQUEST,
}
POLICIES = {
    LbPolicy.ROUND_ROBIN: POLICY_ROUND_ROBIN, LbPolicy.RANDOM: POLICY_RANDOM, LbPolicy.LEAST_REQUEST: POLICY_LEAST_REQUEST,
    LbPolicy.RING_HASH: POLICY_RING_HASH, LbPolicy.MAGLEV: POLICY_MAGLEV,
}
RULES = {"fixed": RULE_FIXED, "user": RULE_USER, "connection": RULE_CONNECTION}
PACINGS = {"together": 0, "uniform": 1, "jittered": JITTERED}


class Lowering:
    """Collects the tables while walking the model once."""

    def __init__(self, model: m.Model, replication: int) -> None:
        if len(model.clients) > MAX_SOURCES or len(model.stations) > MAX_STATIONS:
            raise InputError(f"at most {MAX_SOURCES} clients and {MAX_STATIONS} backend pods can be simulated at once")
        if missing(model):
            raise InternalError(f"the compiled engine was given a model with {'; '.join(missing(model))}")
        check(model)
        self.model = model
        self.run = run_key(model.run.seed, replication)
        self.dists: list[tuple[Any, ...]] = []
        self.points: list[tuple[float, float]] = []
        self.segments: list[tuple[float, float, float]] = []
        self.targets: list[tuple[int, int]] = []
        self.codes: list[int] = []
        self.replay: list[tuple[int, int]] = []
        self.shares: list[tuple[int, float]] = []
        self.timers: dict[tuple[int, int], int] = {}
        self.zones: dict[str, int] = {}
        self.outliers: list[tuple[Any, ...]] = []
        self.outages: list[tuple[int, int, bool]] = []
        self.modes: list[tuple[int, int, int, int, float]] = []
        self.stalls: list[tuple[int, int]] = []
        self.ops: list[tuple[Any, ...]] = []
        self.op_buckets: list[int] = []
        self.mirrors: list[tuple[Any, ...]] = []
        self.hash_rules: list[tuple[int, int, int]] = []
        self.loops = 0
        self.sources = self.levels = self.members = 0

    # --- small tables ---

    def dist(self, d: m.Distribution | None) -> int:
        """Index of distribution `d`, or -1."""
        if d is None:
            return -1
        self.dists.append((KINDS.index(d.kind), len(self.points), len(d.points), d.a, d.b))
        self.points.extend(d.points)
        return len(self.dists) - 1

    def timer(self, seconds: float | None, visit: Visit) -> int:
        """Index of the timer class of this duration and kind, or -1 for none."""
        if not seconds:
            return -1
        return self.timers.setdefault((max(1, ns(seconds)), int(visit)), len(self.timers))

    def zone(self, name: str) -> int:
        """Index of a zone."""
        return self.zones.setdefault(name, len(self.zones))

    # --- clients and classes ---

    def clients(self) -> Array:
        """CLIENT records."""
        out = np.zeros(len(self.model.clients), layout.CLIENT)
        by_proxies = relayed(self.model)
        first = 0
        for c, client in enumerate(self.model.clients):
            r = out[c]
            self._client(r, client)
            if c in by_proxies:
                r["slot_count"], r["age_ns"] = 0, 0
            r["class_first"], r["classes"] = first, len(client.mix)
            first += len(client.mix)
            r["weight_sum"] = sum((s.weight for s in client.mix), 0.0)
            r["source_key"] = fold(self.run, name64(client.name))
            r["connection_key"] = fold(self.run, name64("connection/" + client.name))
            self._arrivals(r, client.arrivals)
        return out

    def _client(self, r: Any, client: m.Client) -> None:
        k = client.connection
        r["fleet"], r["http"], r["slot_count"], r["per_connection"] = client.fleet, k.http, k.count, k.requests
        r["streams"] = k.streams if k.http == 2 else 1
        r["tls"] = {None: PLAINTEXT, "1.2": TLS12, "1.3": TLS13}[k.tls]
        r["ticket_share"] = k.offers_ticket
        r["rtt"], r["reconnect"] = self.dist(client.rtt_s), self.dist(k.reconnect_delay_s)
        r["timeout_ns"] = max(1, ns(client.timeout_s)) if client.timeout_s is not None else 0
        r["timeout_head"] = r["timeout_tail"] = -1
        r["age_ns"], r["drain_ns"] = self._age(client), max(1, ns(client.drain_s))
        r["budget"] = -1
        if client.retry is not None:
            p = client.retry
            r["retries"], r["retry_5xx"], r["retry_timeout"] = p.attempts, p.on_5xx, p.on_timeout
            r["base_s"], r["max_s"], r["tokens"] = p.base_s, p.max_s, 10_000
            r["budget"] = -1 if p.budget is None else int(p.budget * 1000 + 0.5)
        d = client.costs
        for name, value in (
            ("accept", d.accept_s), ("hello_full", d.client_hello_full_s), ("hello_resumed", d.client_hello_resumed_s),
            ("finished_full", d.finished_full_s), ("finished_resumed", d.finished_resumed_s), ("read", d.read_s),
            ("read_stream", d.read_stream_s), ("write_down", d.write_down_s), ("timer", d.timer_s), ("close", d.close_s),
            ("write_down_stream", d.write_down_stream_s),
        ):
            r[name + "_ns"] = ns(value)
        r["read_byte_s"], r["write_down_byte_s"] = d.read_byte_s, d.write_down_byte_s

    def _age(self, client: m.Client) -> int:
        """The age at which the gateway ends a client's connection, ns; 0 if that is not within the run."""
        if client.max_connection_duration_s is None:
            return 0
        age = max(1, ns(client.max_connection_duration_s))
        return age if age < ns(self.model.run.duration_s) else 0

    def _arrivals(self, r: Any, a: m.Arrivals) -> None:
        r["think"], r["seg_duration_s"] = -1, -1.0
        if isinstance(a, m.Poisson):
            r["arrivals"], r["seg_first"], r["segs"] = POISSON, len(self.segments), len(a.segments)
            self.segments += [(s.duration_s, s.start_rps, s.end_rps) for s in a.segments]
            r["rate"] = max(max(s.start_rps, s.end_rps) for s in a.segments)
        elif isinstance(a, m.Paced):
            r["arrivals"], r["rate"] = PACED, a.rate_rps
        elif isinstance(a, m.Bursts):
            r["arrivals"], r["rate"], r["peak"] = BURSTS, a.base_rps, a.peak_rps
            r["mean_base_s"], r["mean_peak_s"] = a.mean_base_s, a.mean_peak_s
        elif isinstance(a, m.Replay):
            r["arrivals"], r["replay_first"], r["replays"] = REPLAY, len(self.replay), len(a.times_s)
            self.replay += [(ns(t), s) for t, s in zip(a.times_s, a.shapes, strict=True)]
        elif isinstance(a, m.ClosedLoop):
            r["arrivals"], r["loops"], r["loop_first"] = CLOSED, a.connections, self.loops
            r["slot_count"] = a.connections
            self.loops += a.connections
            r["has_rate"], r["rate"] = a.rate_rps is not None, a.rate_rps or 0.0
            r["pacing"], r["uniform"] = PACINGS[a.pacing], a.pacing == "uniform"
            r["catch_up"], r["think"] = a.catch_up, self.dist(a.think_time_s)
        else:
            r["arrivals"] = DERIVED

    def classes(self) -> Array:
        """CLASS records: of the classes, then of the outcomes that they have later."""
        pairs = self.model.classes()
        shapes = [self.model.clients[c].mix[s] for c, s in pairs]
        out = np.zeros(sum(len(shape.outcomes()) for shape in shapes), layout.CLASS)
        later = len(pairs)
        for j, ((c, _), shape) in enumerate(zip(pairs, shapes, strict=True)):
            r = out[j]
            r["client"], r["weight"] = c, shape.weight
            r["request_dist"], r["response_dist"] = self.dist(shape.request_bytes), self.dist(shape.response_bytes)
            self._outcome(r, shape.outcome)
            r["later_first"], r["laters"] = later, len(shape.later)
            for from_s, outcome in shape.later:
                out[later]["from_ns"] = ns(from_s)
                self._outcome(out[later], outcome)
                later += 1
        return out

    def _outcome(self, r: Any, o: m.Outcome) -> None:
        """What a route does with requests."""
        r["local_status"] = o.local_status
        r["flags"] = sum(int(Flag[f]) for f in o.flags)
        r["target_first"], r["targets"] = len(self.targets), len(o.targets)
        self.targets += [(t.cluster, t.weight) for t in o.targets]
        r["weight_sum"] = sum(t.weight for t in o.targets)
        r["route_class"] = self.timer(o.timeout_s, Visit.ROUTE_TIMEOUT)
        r["try_class"], r["reselections"] = -1, 1
        r["hash_first"], r["hashes"] = len(self.hash_rules), len(o.hash)
        self.hash_rules += [(RULES[h.kind], h.users, xxh64(h.text)) for h in o.hash]
        self._filters(r, o)
        if o.retry is not None:
            self._retry(r, o)

    def _filters(self, r: Any, o: m.Outcome) -> None:
        """Program, mirrors and local reply of an outcome."""
        r["local_bytes"] = o.local_bytes
        r["op_first"], r["ops"] = len(self.ops), len(o.program)
        self.ops += [self._operation(j, one) for j, one in enumerate(o.program)]
        r["mirror_first"], r["mirrors"] = len(self.mirrors), len(o.mirrors)
        timer = self.timer(o.timeout_s, Visit.CALL_TIMEOUT) if o.mirrors else -1
        self.mirrors += [(one.cluster, timer, one.percent, name64(f"mirror/{j}")) for j, one in enumerate(o.mirrors)]

    def _operation(self, j: int, one: m.Operation) -> tuple[Any, ...]:
        r = np.zeros((), layout.OP)
        if isinstance(one, m.Delay):
            r["kind"], r["percent"] = OP_DELAY, one.percent
            r["timer"] = self.timers.setdefault((max(1, ns(one.delay_s)), int(Visit.DELAY)), len(self.timers))
        elif isinstance(one, m.Abort):
            r["kind"], r["percent"], r["status"] = OP_ABORT, one.percent, one.status
        elif isinstance(one, m.Bucket):
            r["kind"], r["percent"], r["enforced"], r["status"] = OP_BUCKET, one.enabled_percent, one.enforced_percent, one.status
            r["first"], r["n"] = len(self.op_buckets), len(one.buckets)
            self.op_buckets += one.buckets
        else:
            r["kind"], r["cluster"], r["request_bytes"] = OP_CALL, one.cluster, one.request_bytes
            r["body_most"], r["response_bytes"], r["status"] = one.body_max_bytes, one.response_bytes, one.error_status
            r["fail_open"], r["name"] = one.fail_open, name64(f"call/{j}")
            r["deny_flag"], r["error_flag"] = int(Flag[one.deny_flag]), int(Flag[one.error_flag])
            r["timer"] = self.timer(one.timeout_s, Visit.CALL_TIMEOUT)
        return tuple(r.tolist())

    def _retry(self, r: Any, o: m.Outcome) -> None:
        p = o.retry
        assert p is not None
        r["has_retry"], r["num_retries"] = 1, p.num_retries
        r["conditions"] = sum(CONDITIONS.get(word, 0) for word in set(p.retry_on))
        r["codes_first"], r["codes"] = len(self.codes), len(p.retriable_status_codes)
        self.codes += p.retriable_status_codes
        per_try = p.per_try_timeout_s
        if per_try and not (o.timeout_s > 0 and per_try >= o.timeout_s):
            r["try_class"] = self.timer(per_try, Visit.TRY_TIMEOUT)
        r["base_ms"] = max(1, int(p.base_interval_s * 1000 + 0.5))
        r["max_ms"] = max(1, int(p.max_interval_s * 1000 + 0.5))
        r["reselections"] = 1 + p.host_selection_retry_max_attempts if p.previous_hosts else 1

    # --- the gateway and what is behind it ---

    def fleets(self) -> tuple[Array, Array, Array]:
        """FLEET, POD and WORKER records."""
        fleets = np.zeros(len(self.model.fleets), layout.FLEET)
        pods: list[tuple[int, ...]] = []
        workers: list[Any] = []
        fronts: dict[str, int] = {}
        for f, fleet in enumerate(self.model.fleets):
            fleets[f] = (len(pods), len(fleet.pods), FRONT_HASH if fleet.front == "hash" else 1, 0, fleet.balance == "exact", 0)
            for position, pod in enumerate(fleet.pods):
                zone = self.zone(pod.zone)
                for _ in range(pod.workers):
                    r = np.zeros(1, layout.WORKER)
                    r["fleet"], r["pod"], r["zone"] = f, len(pods), zone
                    r["wakeup_ns"], r["iteration_ns"] = ns(fleet.wakeup_s), ns(fleet.iteration_s)
                    r["limited"] = pod.cpu_limit_cores is not None
                    workers.append(r)
                quota = 0 if pod.cpu_limit_cores is None else max(1, ns(pod.cpu_limit_cores * 0.1))
                key = fold(fold(self.run, name64("quota/" + fleet.name)), position)
                front = fronts.setdefault(pod.node or pod.zone, len(fronts))
                pods.append((f, len(workers) - pod.workers, pod.workers, zone, front, quota, below(draw64(key, Purpose.QUOTA), PERIOD_NS), 0, 0, 0, 0, 0))
        return fleets, np.array(pods, layout.POD), np.concatenate(workers)

    def clusters(self) -> tuple[Array, Array]:
        """CLUSTER and ENDPOINT records."""
        out = np.zeros(len(self.model.clusters), layout.CLUSTER)
        endpoints: list[tuple[Any, ...]] = []
        names = [s.name for s in self.model.stations]
        for k, c in enumerate(self.model.clusters):
            r, b = out[k], c.cluster.circuit_breakers
            r["endpoints"], r["endpoint_first"] = len(c.stations), len(endpoints)
            for s, h in zip(c.stations, hosts_of(c, names), strict=True):
                joins = h.joined_s is not None and c.cluster.slow_start is not None
                endpoints.append((s, k, joins, ns(h.joined_s) if joins and h.joined_s is not None else 0, -1, h.weight))
            r["max_connections"], r["max_pending"] = b.max_connections, b.max_pending_requests
            r["max_requests"], r["max_retries"] = b.max_requests, b.max_retries
            r["http"], r["tls_round_trips"] = c.cluster.upstream_http, c.tls_round_trips
            r["write_up_ns"], r["read_up_ns"] = ns(c.costs.write_up_s), ns(c.costs.read_up_s)
            r["up_connected_ns"], r["up_tls_ns"] = ns(c.costs.up_connected_s), ns(c.costs.up_tls_s)
            r["write_up_byte_s"], r["read_up_byte_s"] = c.costs.write_up_byte_s, c.costs.read_up_byte_s
            self._lifetimes(r, c)
            self._balancing(r, c)
            self._outliers(r, c.cluster)
        return out, np.array(endpoints, layout.ENDPOINT)

    def _lifetimes(self, r: Any, sim: m.SimCluster) -> None:
        """What limits and ends a cluster's connections; its retry budget."""
        cluster, budget = sim.cluster, sim.cluster.circuit_breakers.retry_budget
        streams = cluster.max_concurrent_streams
        r["capacity"] = 1 if cluster.upstream_http == 1 else NO_LIMIT_STREAMS if streams is None else streams
        most = cluster.max_requests_per_connection
        r["per_connection"] = NO_LIMIT if most is None else most
        r["idle_ns"], r["duration_ns"] = self.within(cluster.idle_timeout_s), self.within(cluster.max_connection_duration_s)
        stations = [self.model.stations[s] for s in sim.stations]
        outages = any(s.outages or s.ports >= 0 for s in stations)
        connect = max(1, ns(cluster.connect_timeout_s))
        links = any(s.relay is not None for s in stations)
        r["connect_ns"] = connect if outages or links or (cluster.connect_timeout_s < 1 and connect < ns(self.model.run.duration_s)) else 0
        r["fragile"] = r["idle_ns"] + r["duration_ns"] > 0 or any(s.outages for s in stations) or any(self.within(s.keepalive_s) for s in stations)
        r["close_ns"] = ns(sim.costs.close_s)
        r["budget_percent"] = -1.0 if budget is None else budget.percent
        r["budget_least"] = 0 if budget is None else budget.min_retry_concurrency

    def within(self, seconds: float | None) -> int:
        """A lifetime in ns, 0 if there is none or it does not end within the run."""
        if not seconds:
            return 0
        one = max(1, ns(seconds))
        return one if one < ns(self.model.run.duration_s) else 0

    def _outliers(self, r: Any, cluster: Cluster) -> None:
        """Outlier detection of a cluster, -1 without it."""
        o = cluster.outlier_detection
        r["outlier"] = -1 if o is None else len(self.outliers)
        if o is None:
            return
        r["splits"] = o.split_external_local_origin_errors
        interval, base, window = (max(1, ns(x)) for x in (o.interval_s, o.base_ejection_time_s, cluster.update_merge_window_s))
        longest = max(base, ns(o.max_ejection_time_s))
        enforcing = (
            o.enforcing_consecutive_5xx, o.enforcing_consecutive_gateway_failure, o.enforcing_consecutive_local_origin_failure,
            o.enforcing_success_rate, o.enforcing_failure_percentage,
        )
        self.outliers.append((
            o.consecutive_5xx, o.consecutive_gateway_failure, o.consecutive_local_origin_failure, interval, base, longest,
            window, o.max_ejection_percent, enforcing,
        ))

    def _balancing(self, r: Any, sim: m.SimCluster) -> None:
        """Policy of a cluster, and its numbers in the tables of priorities, sources and members."""
        cluster = sim.cluster
        r["policy"], r["choices"] = POLICIES.get(cluster.lb_policy, POLICY_LEAST_REQUEST), cluster.choice_count
        if cluster.slow_start is not None:
            slow = cluster.slow_start
            r["slow_window_ns"], r["slow_least"], r["aggression"] = ns(slow.window_s), slow.min_weight_percent / 100.0, slow.aggression
        placements = list(sim.placements.values())
        priorities = 1 + max((0, *(p for one in placements for p in one.priorities)))
        groups = 1 + max((0, *(g for one in placements for g in one.groups)))
        r["groups"], r["level_sources"] = groups, 3 * (groups + 1) + LOCALITY_KINDS
        r["source_first"], r["sources"] = self.sources, priorities * r["level_sources"]
        r["level_first"], r["member_first"] = self.levels, self.members
        r["turn"] = self.sources + HEALTHY * (groups + 1)
        self.sources += r["sources"]
        self.levels += priorities
        self.members += 0 if is_simple(sim) else 8 * len(sim.stations)

    def stations(self) -> tuple[Array, int, int]:
        """STATION records, number of servers, length of the rings of starts."""
        out = np.zeros(len(self.model.stations), layout.STATION)
        servers = starts = 0
        for j, s in enumerate(self.model.stations):
            r = out[j]
            r["zone"], r["service"] = self.zone(s.zone), self.dist(s.service_time_s)
            r["concurrency"] = -1 if s.concurrency is None else s.concurrency
            r["queue"] = -1 if s.queue is None else s.queue
            r["keepalive_ns"], r["outage_first"], r["outages"] = self.within(s.keepalive_s), len(self.outages), len(s.outages)
            self.outages += [(ns(o.from_s), ns(o.to_s), o.kind == "drop") for o in s.outages]
            r["ports"] = s.ports
            r["end_ns"] = min((ns(o.from_s) for o in s.outages if o.kind == "end"), default=layout.FREE_FOREVER)
            r["error_first"], r["errors"] = self._shares(s.errors)
            r["mode_first"], r["modes"] = len(self.modes), len(s.modes)
            self.modes += [(ns(o.from_s), ns(o.to_s), *self._shares(o.errors), o.slow) for o in s.modes]
            stalls = [(ns(o.from_s), ns(o.to_s)) for o in s.modes if o.stall]
            r["stall_first"], r["stalls"] = len(self.stalls), len(stalls)
            self.stalls += stalls
            r["server_first"], r["leave_first"] = servers, starts
            servers += s.concurrency or 0
            starts += 0 if s.queue is None else s.queue + 1
        return out, servers, starts

    def _shares(self, errors: tuple[tuple[float, int], ...] | None) -> tuple[int, int]:
        """Where shares of errors are kept, and how many; -1 of them for None."""
        if errors is None:
            return 0, -1
        self.shares += [(status, share) for share, status in errors]
        return len(self.shares) - len(errors), len(errors)

    def ports(self, pods: int) -> dict[str, Array]:
        """PORT_POOL records; PORTS of every owner and station, all free."""
        pools = [(p.ports, ns(p.hold_s), ns(p.hold_remote_s), p.scope == "shared", p.when_empty == "refuse") for p in self.model.port_pools]
        ports = np.zeros((pods + 1, max(1, len(self.model.stations))) if pools else (1, 1), layout.PORTS)
        ports["head"] = ports["tail"] = -1
        return {"port_pools": table(pools, layout.PORT_POOL), "ports": ports}

    def rtt(self) -> Array:
        """[zone, zone, 2]: one-way delays up and down, ns."""
        names = list(self.zones)
        out = np.zeros((len(names), len(names), 2), np.int64)
        for i, a in enumerate(names):
            for j, b in enumerate(names):
                trip = max(2, ns(self.model.network.between_s(a, b)))
                out[i, j] = trip // 2, trip - trip // 2
        return out


def table(rows: Sequence[Any], dtype: Any) -> Array:
    """Rows as an array of `dtype`, never empty (kernels want an array of the right type)."""
    return np.array(rows, dtype) if rows else np.zeros(1, dtype)
