"""Clients of the file to clients of the model: arrivals, connections, sizes; everything but where they go."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

from gwsim.costs import Network
from gwsim.diagnostics import Collector, code
from gwsim.scenario import file, model, replay
from gwsim.scenario.file.arrivals import DIURNAL_SEGMENTS
from gwsim.scenario.reading import LoadedScenario
from gwsim.topology import FilterChain, HttpConnectionManager
from gwsim.units import format_duration_s

CONSTANT_SEGMENT_S = 86400.0
HTTP2_STREAMS = 100
"""Concurrent streams clients use: what browsers and most libraries allow themselves."""
BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
REQUEST_SIZE = file.Sizes.model_validate({"lognormal": {"median": 600, "p99": 50_000}})
RESPONSE_SIZE = file.Sizes.model_validate({"lognormal": {"median": 1500, "p99": 300_000}})
"""Source: docs/reference/costs.md, workload shapes (bodies of a large fleet of services)."""


@dataclass(slots=True)
class Traffic:
    """Turns the parts of clients into those of the model; remembers what had to be assumed."""

    loaded: LoadedScenario
    network: Network
    collector: Collector
    assumptions: dict[str, None] = field(default_factory=dict)

    def arrivals(self, name: str, client: file.Client) -> model.Arrivals:
        """The arrivals of a client."""
        given = client.arrivals
        if given.poisson is not None:
            rate = given.poisson
            return model.Poisson(segments=(model.RateSegment(duration_s=CONSTANT_SEGMENT_S, start_rps=rate, end_rps=rate),))
        if given.paced is not None:
            return model.Paced(rate_rps=given.paced)
        if given.bursts is not None:
            burst = given.bursts
            return model.Bursts(
                base_rps=burst.base, peak_rps=burst.peak, mean_base_s=burst.mean_base, mean_peak_s=burst.mean_peak
            )
        if given.profile is not None:
            return model.Poisson(
                segments=tuple(
                    model.RateSegment(duration_s=one.for_, start_rps=one.rate[0], end_rps=one.rate[1]) for one in given.profile
                )
            )
        if given.diurnal is not None:
            return diurnal(given.diurnal)
        if given.closed is not None:
            return _closed(given.closed)
        return self._replay(name, client)

    def _replay(self, name: str, client: file.Client) -> model.Arrivals:
        log = client.arrivals.replay
        if log is None:
            raise AssertionError("arrivals hold exactly one kind")
        nothing = model.Replay(times_s=(), shapes=())
        try:
            found = replay.read_log(self.loaded.path(log.file), log.format)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            name_ = "FILE_MISSING" if isinstance(error, OSError) else "SCENARIO_VALUE"
            span = self.loaded.span("clients", name, "arrivals", "replay", "file")
            self.collector.add(code(name_), f"cannot replay {log.file}: {reason}", span)
            return nothing
        start = found.entries[0].time_s
        times = tuple((entry.time_s - start) / log.speed for entry in found.entries)
        shapes = tuple(replay.match(entry, client.mix, client.sni or "") for entry in found.entries)
        self._report_replay(name, log.file, found, shapes)
        return model.Replay(times_s=times, shapes=shapes)

    def _report_replay(self, name: str, path: str, found: replay.Log, shapes: tuple[int, ...]) -> None:
        span = self.loaded.span("clients", name, "arrivals", "replay")
        unmatched = sum(shape == replay.DRAWN for shape in shapes)
        if unmatched:
            first = found.entries[shapes.index(replay.DRAWN)]
            message = f"{path}: {unmatched} of {len(shapes)} requests match no entry of the mix"
            help = f"the first is {first.method or 'any method'} {first.host}{first.path}; add an entry for it"
            self.collector.add(code("REPLAY_UNMATCHED"), message, span, help=help)
        if found.skipped:
            message = f"{path}: {len(found.skipped)} lines are no requests and were left out, the first is line {found.skipped[0]}"
            self.collector.add(code("REPLAY_UNMATCHED"), message, span)

    def connection(self, name: str, client: file.Client, tls: str | None) -> model.Connection:
        """How the clients keep connections, once it is known whether they use TLS."""
        given, closed = client.connection, client.arrivals.closed
        if closed is None and not self.loaded.has("clients", name, "connection", "count"):
            self.assumptions[f"client {name}: {given.count} connections are kept, more while all are busy"] = None
        return model.Connection(
            http=given.http,
            count=closed.connections if closed is not None else given.count,
            requests=given.requests,
            streams=given.streams or (HTTP2_STREAMS if given.http == 2 else 1),
            tls=None if tls is None else ("1.2" if tls == "1.2" else "1.3"),
            offers_ticket=given.offers_ticket if tls is not None else 0.0,
            reconnect_delay_s=given.reconnect_delay.resolved() if given.reconnect_delay else None,
        )

    def rtt(self, name: str, client: file.Client) -> model.Distribution:
        """The round trip between client and gateway, seconds."""
        if client.rtt is not None:
            return client.rtt.resolved()
        if client.from_ is not None:
            rtt_s = self.network.same_node_rtt_s
            self.assumptions[f"client {name}: the round trip to its sidecar is {format_duration_s(rtt_s)}, within a pod"] = None
            return model.constant(rtt_s)
        median, p95 = self.network.internet_rtt_median_s, self.network.internet_rtt_p95_s
        told = f"lognormal, median {format_duration_s(median)}, p95 {format_duration_s(p95)}"
        self.assumptions[f"client {name}: the round trip is that of internet clients ({told})"] = None
        return file.Times.model_validate({"lognormal": {"median": median, "p95": p95}}).resolved()

    def request_bytes(self, name: str, entry: file.MixEntry, *, tcp: bool = False) -> model.Distribution:
        """Size of a request's body; of what a client says on a byte stream before it is answered."""
        if entry.request_size is not None:
            return entry.request_size.resolved()
        if tcp:
            self.assumptions[f"client {name}: requests are lognormal, median 600 B, p99 50 kB, where no size is given"] = None
            return REQUEST_SIZE.resolved()
        if entry.method.upper() not in BODY_METHODS:
            return model.constant(0.0)
        self.assumptions[f"client {name}: bodies of POST, PUT and PATCH are lognormal, median 600 B, p99 50 kB, where no size is given"] = None
        return REQUEST_SIZE.resolved()

    def response_bytes(self, name: str, entry: file.MixEntry) -> model.Distribution:
        """Size of a response's body."""
        if entry.response_size is not None:
            return entry.response_size.resolved()
        if entry.stream is not None:
            return model.constant(0.0)  # What it carries are messages.
        self.assumptions[f"client {name}: responses are lognormal, median 1.5 kB, p99 300 kB, where no size is given"] = None
        return RESPONSE_SIZE.resolved()


def diurnal(rhythm: file.Diurnal) -> model.Poisson:
    """The rhythm as linear pieces, which keep its mean exactly."""
    step = rhythm.period / DIURNAL_SEGMENTS
    rates = [max(0.0, rhythm.rate_at(at * step)) for at in range(DIURNAL_SEGMENTS + 1)]
    pairs = pairwise(rates)
    return model.Poisson(segments=tuple(model.RateSegment(duration_s=step, start_rps=a, end_rps=b) for a, b in pairs))


def _closed(closed: file.Closed) -> model.ClosedLoop:
    return model.ClosedLoop(
        connections=closed.connections,
        rate_rps=closed.rate,
        pacing=closed.pacing,
        catch_up=closed.catch_up,
        think_time_s=closed.think.resolved() if closed.think else None,
    )


def retry(retries: file.ClientRetries | None) -> model.ClientRetry | None:
    """The clients' own retries."""
    if retries is None:
        return None
    return model.ClientRetry(
        attempts=retries.attempts,
        on_5xx="5xx" in retries.retry_on,
        on_timeout="timeout" in retries.retry_on,
        base_s=retries.back_off.base,
        max_s=retries.back_off.max,
        budget=retries.budget,
    )


def entry_name(entry: file.MixEntry, default_host: str) -> str:
    """The label of an entry of the mix."""
    host = entry.host or default_host
    return entry.name or (f"{entry.method} {host}{entry.path}" if host else "exchange")



def age_limit_s(chain: FilterChain | None) -> float | None:
    """How old the listener lets connections of clients become, seconds; None: as old as they like."""
    manager = chain.filter if chain is not None else None
    return manager.max_connection_duration_s or None if isinstance(manager, HttpConnectionManager) else None


def limited(connection: model.Connection, chain: FilterChain | None) -> model.Connection:
    """The connection with the listener's own limit of requests, which it tells clients with the last answer."""
    manager = chain.filter if chain is not None else None
    most = manager.max_requests_per_connection if isinstance(manager, HttpConnectionManager) else None
    if not most:
        return connection
    return replace(connection, requests=min(most, connection.requests or most))


__all__ = ["BODY_METHODS", "Traffic", "age_limit_s", "diurnal", "entry_name", "limited", "retry"]
