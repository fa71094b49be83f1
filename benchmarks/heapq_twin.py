"""The benchmark scenario written by hand with heapq, as lean as plain Python gets: the yardstick of the speed ratio.

Statistically the same gateway: Poisson arrivals, connections bound to workers, the event loop with deferred writes, least
request over two candidates, backends with 64 servers, retries with back-off, time-outs armed. What makes it lean: floats
instead of exact integers, an iteration decided as a whole at its poll, one latency sum instead of records, histograms
and components, no cancellation (nothing times out here), and connections to backends that are open already.
"""

from __future__ import annotations

import random
from collections import deque
from heapq import heappop, heappush, heapreplace
from math import exp, inf, log

import scenario as s

REQUEST, RESPONSE, ACCEPT, HELLO, FINISHED, CLOSE, BACKOFF, WRITE_UP, WRITE_DOWN = range(9)
START, SLOT, CLUSTER, ENDPOINT, ATTEMPT, FAILED, BYTES, DONE = range(8)


class Slot:
    """A client's connection: the worker it belongs to and what it may still carry."""

    __slots__ = ("down", "opening", "pod", "remaining", "ticket_pod", "worker")

    def __init__(self) -> None:
        self.opening: float | list[list[float]] = 0.0
        self.ticket_pod = -1
        self.place()
        self.remaining = 1 + random.randrange(s.REQUESTS_PER_CONNECTION)

    def place(self) -> None:
        """A pod and one of its workers, at random."""
        self.pod = random.randrange(s.PODS)
        self.worker = self.pod * s.WORKERS + random.randrange(s.WORKERS)
        self.remaining = s.REQUESTS_PER_CONNECTION


class Twin:
    """The state of a run."""

    def __init__(self, requests: int, rate_rps: float, seed: int) -> None:
        random.seed(seed)
        workers = s.PODS * s.WORKERS
        self.rate = rate_rps
        self.horizon = requests / rate_rps
        self.cut = self.horizon / 10
        self.inbox: list[list[tuple[float, int, int, object]]] = [[] for _ in range(workers)]
        self.armed: list[list[tuple[int, list]]] = [[] for _ in range(workers)]
        self.timers: list[deque[tuple[float, list]]] = [deque() for _ in range(workers)]
        self.next_poll = [inf] * workers
        self.asleep = [True] * workers
        self.slots = deque(Slot() for _ in range(s.CONNECTIONS))
        self.free_at = [[0.0] * s.CONCURRENCY for _ in range(s.CLUSTERS[-1][1].stop)]
        self.active = [[0] * len(self.free_at) for _ in range(s.PODS)]
        self.hop = [
            [(s.SAME_ZONE_RTT_S if s.ZONES[p] == s.ZONES[e % 3] else s.CROSS_ZONE_RTT_S) / 2 for e in range(len(self.free_at))]
            for p in range(s.PODS)
        ]
        self.sequence = 0
        self.requests = self.measured = self.retries = 0
        self.latency_s = self.busy_s = 0.0

    def run(self) -> Twin:
        """From the first arrival to the last answer."""
        next_poll, rate, expovariate = self.next_poll, self.rate, random.expovariate
        client_timers: deque[tuple[float, list]] = deque()
        arrival = expovariate(rate)
        while True:
            poll = min(next_poll)
            if arrival < poll:
                if arrival < self.horizon:
                    request = [arrival, None, 0, 0, 0, False, 0, False]
                    self.requests += 1
                    client_timers.append((arrival + s.CLIENT_TIMEOUT_S, request))
                    while client_timers and client_timers[0][1][DONE]:
                        client_timers.popleft()
                    self.send(request, arrival)
                    arrival += expovariate(rate)
                else:
                    arrival = inf
            elif poll == inf:
                return self
            else:
                self.iterate(next_poll.index(poll), poll)

    def deliver(self, worker: int, ready: float, kind: int, what: object) -> None:
        """Something becomes ready at a worker; a sleeping one wakes for it."""
        self.sequence += 1
        heappush(self.inbox[worker], (ready, self.sequence, kind, what))
        if self.asleep[worker] and ready + s.WAKEUP_S < self.next_poll[worker]:
            self.next_poll[worker] = ready + s.WAKEUP_S

    def send(self, request: list, now: float) -> None:
        """On the connection that has been idle longest; one that is used up has been closed and is opened again."""
        slot = self.slots.popleft() if self.slots else Slot()
        request[SLOT] = slot
        slot.remaining -= 1
        half = s.CLIENT_RTT_S / 2
        if slot.opening:
            slot.opening = 0.0
            slot.place()
            slot.remaining -= 1
            resumed = slot.ticket_pod == slot.pod and random.random() < s.OFFERS_TICKET
            slot.ticket_pod = slot.pod
            self.deliver(slot.worker, now + 3 * half, ACCEPT, None)
            self.deliver(slot.worker, now + 3 * half, HELLO, (request, resumed))
        else:
            self.deliver(slot.worker, now + half, REQUEST, request)

    def iterate(self, worker: int, now: float) -> None:
        """One turn of the event loop: what is ready, then what earlier turns armed."""
        box, todo = self.inbox[worker], self.armed[worker]
        armed = self.armed[worker] = []
        began = now
        if self.asleep[worker]:
            self.asleep[worker] = False
            self.busy_s += s.WAKEUP_S
        batch = []
        while box and box[0][0] <= now:
            batch.append(heappop(box))
        now += s.ITERATION_S
        for _, _, kind, what in batch:
            now = self.read(worker, kind, what, now, armed)
        for kind, request in todo:
            now = self.write_up(worker, request, now) if kind == WRITE_UP else self.write_down(worker, request, now)
        self.busy_s += now - began
        if armed or (box and box[0][0] <= now):
            self.next_poll[worker] = now
        else:
            self.asleep[worker] = True
            self.next_poll[worker] = box[0][0] + s.WAKEUP_S if box else inf

    def read(self, worker: int, kind: int, what: object, now: float, armed: list[tuple[int, list]]) -> float:
        """A visit to a socket that is ready; gives its end."""
        if kind == REQUEST:
            request: list = what  # type: ignore[assignment]
            now += s.DOWNSTREAM.read_s + s.REQUEST_BYTES * s.DOWNSTREAM.read_byte_s
            u = 100.0 * random.random()
            request[CLUSTER] = 0 if u < 50.0 else (1 if random.random() < 0.9 else 2) if u < 80.0 else 3
            request[BYTES] = int(s.RESPONSE_MEDIAN_BYTES * exp(random.gauss(0.0, s.RESPONSE_SIGMA)) + 0.5)
            timers = self.timers[worker]
            timers.append((now + s.ROUTE_TIMEOUT_S, request))
            while timers[0][1][DONE]:
                timers.popleft()
            self.pick(worker // s.WORKERS, request)
            armed.append((WRITE_UP, request))
        elif kind == RESPONSE:
            request = what  # type: ignore[assignment]
            self.active[worker // s.WORKERS][request[ENDPOINT]] -= 1
            now += s.UPSTREAM.read_up_s
            if request[FAILED] and request[ATTEMPT] < s.RETRIES:
                request[ATTEMPT] += 1
                self.retries += 1
                bound_ms = min(s.BACKOFF_BASE_S * 2 ** (request[ATTEMPT] - 1), s.BACKOFF_MAX_S) * 1e3
                self.deliver(worker, now + random.randrange(int(bound_ms)) * 1e-3, BACKOFF, request)
            else:
                if not request[FAILED]:
                    now += request[BYTES] * s.UPSTREAM.read_up_byte_s
                armed.append((WRITE_DOWN, request))
        elif kind == BACKOFF:
            request = what  # type: ignore[assignment]
            now += s.DOWNSTREAM.timer_s
            self.pick(worker // s.WORKERS, request)
            armed.append((WRITE_UP, request))
        else:
            now = self.connect(worker, kind, what, now)
        return now

    def connect(self, worker: int, kind: int, what: object, now: float) -> float:
        """The visits that open and close a client's connection."""
        costs = s.DOWNSTREAM
        if kind == ACCEPT:
            return now + costs.accept_s
        if kind == CLOSE:
            return now + costs.close_s
        if kind == FINISHED:
            return now + (costs.finished_resumed_s if what else costs.finished_full_s)
        request, resumed = what  # type: ignore[misc]
        now += costs.client_hello_resumed_s if resumed else costs.client_hello_full_s
        self.deliver(worker, now + s.CLIENT_RTT_S, FINISHED, resumed)
        self.deliver(worker, now + s.CLIENT_RTT_S, REQUEST, request)
        return now

    def pick(self, pod: int, request: list) -> None:
        """Least request: the less busy of two endpoints drawn at random."""
        endpoints, active = s.CLUSTERS[request[CLUSTER]][1], self.active[pod]
        one = endpoints.start + int(random.random() * len(endpoints))
        two = endpoints.start + int(random.random() * len(endpoints))
        request[ENDPOINT] = one = two if active[two] < active[one] else one
        active[one] += 1

    def write_up(self, worker: int, request: list, now: float) -> float:
        """The request leaves; its backend's queue and service are known at once."""
        now += s.UPSTREAM.write_up_s + s.REQUEST_BYTES * s.UPSTREAM.write_up_byte_s
        endpoint = request[ENDPOINT]
        hop, free = self.hop[worker // s.WORKERS][endpoint], self.free_at[endpoint]
        begin = now + hop
        if free[0] > begin:
            begin = free[0]
        departure = begin + exp(log(s.SERVICE_MEDIAN_S) + random.gauss(0.0, s.SERVICE_SIGMA))
        heapreplace(free, departure)
        request[FAILED] = random.random() < s.ERROR_SHARE
        self.deliver(worker, departure + hop, RESPONSE, request)
        return now

    def write_down(self, worker: int, request: list, now: float) -> float:
        """The answer leaves; the connection is free again, or closed after its last request."""
        now += s.DOWNSTREAM.write_down_s
        if not request[FAILED]:
            now += request[BYTES] * s.DOWNSTREAM.write_down_byte_s
        request[DONE] = True
        slot: Slot = request[SLOT]
        if request[START] >= self.cut:
            self.measured += 1
            self.latency_s += now + s.CLIENT_RTT_S / 2 - request[START]
        if slot.remaining <= 0:
            slot.opening = 1.0
            self.deliver(worker, now + s.CLIENT_RTT_S, CLOSE, None)
        self.slots.append(slot)
        return now


def run(requests: int, rate_rps: float = s.RATE_RPS, seed: int = 1) -> Twin:
    """A run of about so many requests."""
    return Twin(requests, rate_rps, seed).run()
