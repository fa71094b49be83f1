"""Would the tests notice a mistake in the compiled engine? Small mistakes are put into its source, one at a time.

    python verification/mutants.py [--only TEXT] [--models 100] [--jobs 2]

Each mutant is run by Python itself (NUMBA_DISABLE_JIT=1, nothing is compiled) on the worked example and on generated
models, and its records, visits and statistics are compared with the reference engine's. Prints which model caught which
mutant; ends with exit code 1 if one survives or no longer fits the source, or if the unchanged engine differs.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from multiprocessing import get_context
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "gwsim.engine.compiled"
LONGEST_S = 30
"""CPU seconds after which a model that does not end is a mistake noticed."""


@dataclass(frozen=True)
class Mutation:
    """`old`, which occurs once in the engine's sources, becomes `new`."""

    name: str
    old: str
    new: str

    @property
    def places(self) -> int:
        """How often `old` occurs; a mutation fits if it is once."""
        return sum(text.count(self.old) for text in sources().values())

    @property
    def path(self) -> Path:
        """The file that is changed."""
        if self.places != 1:
            raise ValueError(f"{self.places} places, not one, for {self.old!r}")
        return next(path for path, text in sources().items() if self.old in text)

    def source(self) -> str:
        """The changed source."""
        return sources()[self.path].replace(self.old, self.new)


@cache
def sources() -> dict[Path, str]:
    """The modules of the compiled engine."""
    return {path: path.read_text(encoding="utf-8") for path in sorted(ROOT.joinpath(*PACKAGE.split(".")).glob("*.py"))}


NONE = Mutation("(unchanged)", "def kernel(function", "def kernel(function")

MUTATIONS = (
    # the order of events
    Mutation("ties: a client acts before it hears", "w.client_heap[0].t <= t", "w.client_heap[0].t < t"),
    Mutation("ties: the later source first", "return a < c", "return a > c"),
    Mutation("ties: the later attempt first", "return b < d", "return b > d"),
    Mutation("heap: a fourth child is never looked at", "_first(heap, c + 2, c + 3)", "c + 2"),
    Mutation("timers of one instant as they are found", "earlier(at, a, b, p.next, p.a, p.b)", "at < p.next"),
    # the loop of a worker
    Mutation("poll is exclusive", "w.ready[i, 0].t <= t", "w.ready[i, 0].t < t"),
    Mutation("armed actions in reverse", "task = w.armed[i, j]", "task = w.armed[i, k.armed_n - 1 - j]"),
    Mutation(
        "armed actions before sockets",
        "_list_sockets(w, i, t)\n    _list_armed(w, i)", "_list_armed(w, i)\n    _list_sockets(w, i, t)",
    ),
    Mutation("any number of accepts", "may_accept = False", "may_accept = True"),
    Mutation("timers due now wait", "if at > t:\n                break\n            r.refs", "if at >= t:\n                break\n            r.refs"),
    Mutation("a deadline is not rounded up", "timer = t + (timer - t + MS - 1) // MS * MS", "timer = max(t, timer)"),
    Mutation(
        "a deadline is rounded by the clock",
        "timer = t + (timer - t + MS - 1) // MS * MS", "timer = (timer + MS - 1) // MS * MS",
    ),
    Mutation("the try's time-out before the route's", "key_b(r.k, 0, ORDER_ROUTE, x)", "key_b(r.k, r.a, ORDER_BACKOFF, x)"),
    Mutation(
        "the iteration's CPU counts at its end",
        "charge_cpu(w, i, t, k.iteration_ns)", "charge_cpu(w, i, t + k.iteration_ns, k.iteration_ns)",
    ),
    Mutation("an answer of a lost attempt is read", "r.live == 0 or r.a != attempt_of(b) or r.state != UPSTREAM", "r.live == 0"),
    Mutation("every request of a read pays for all", "client.read_stream_ns if reads > 0 else client.read_ns", "client.read_ns"),
    Mutation("every answer of a write pays for all", "cost += client.write_down_stream_ns", "cost += client.write_down_ns + client.write_down_stream_ns"),
    Mutation("nothing waits for the accept visit", "max(h.t, c.accept_end_ns)", "h.t"),
    # draws and numbers
    Mutation("purpose: the error is drawn as the service", "draw64(key, ERROR, 0)", "draw64(key, SERVICE, 0)"),
    Mutation("purpose: the worker is drawn as the pod", "draw64(key, KERNEL, 0)", "draw64(key, FRONT, 0)"),
    Mutation("ns are cut off", "return int(nbytes * per_byte_s * 1e9 + 0.5)", "return int(nbytes * per_byte_s * 1e9)"),
    Mutation("paced by the gap", "int(client.next_number / client.rate * 1e9 + 0.5)", "client.next_number * int(1e9 / client.rate + 0.5)"),
    Mutation("the way back takes the way there", "depart + w.rtt[w.workers[c.worker].zone, zone, 1]", "depart + w.rtt[w.workers[c.worker].zone, zone, 0]"),
    Mutation("the odd ns of a round trip", "conn.up_ns = rtt_ns // 2", "conn.up_ns = (rtt_ns + 1) // 2"),
    # routing, balancing, retries
    Mutation("weights: off by one", "if z < total:", "if z <= total:"),
    Mutation("least request: the second of equals", "w.active[pod, first + two] < w.active[pod, first + one]", "w.active[pod, first + two] <= w.active[pod, first + one]"),
    Mutation("more choices: the last of equals", "active < fewest", "active <= fewest"),
    Mutation("weighted turns: the younger of equals", "entry.order < order", "entry.order > order"),
    Mutation("ring hash: a retry looks at the same host", "(low + t) % table.n", "low % table.n"),
    Mutation("Maglev: a retry looks at the same host", "if t > 0:", "if t > MAX_TRIED:"),
    Mutation("one retry more", "r.retries_used >= c.num_retries", "r.retries_used > c.num_retries"),
    Mutation("back-off: one doubling more", "c.base_ms << min(r.retries_used - 1, 20)", "c.base_ms << min(r.retries_used, 20)"),
    Mutation("gateway-error without 504", "on & ON_GATEWAY_ERROR and 502 <= status <= 504", "on & ON_GATEWAY_ERROR and 502 <= status < 504"),
    Mutation("the try's time-out is no reset", "some = ON_5XX | ON_GATEWAY_ERROR | ON_RESET", "some = ON_5XX | ON_GATEWAY_ERROR"),
    Mutation("the place of a retry is kept too long", "    release_retry(w, i, x)\n    free(", "    free("),
    Mutation("time of a failed attempt with its visit", "r.failed_ns += s - r.admit_end_ns", "r.failed_ns += e - r.admit_end_ns"),
    # limits
    Mutation("max_retries: one more", "q.retries >= most", "q.retries > most"),
    Mutation("max_requests: one more", "q.requests >= c.max_requests", "q.requests > c.max_requests"),
    Mutation("max_requests: one more of those that waited", "q.requests >= w.clusters[k].max_requests", "q.requests > w.clusters[k].max_requests"),
    Mutation("max_pending_requests: one more", "q.pending >= c.max_pending", "q.pending > c.max_pending"),
    Mutation("max_connections: one more", "q.connections >= c.max_connections", "q.connections > c.max_connections"),
    Mutation("the youngest waiting stream first", "x = p.pending_head\n        leave", "x = p.pending_tail\n        leave"),
    Mutation(
        "a lost connection is not replaced",
        "    close_cx(w, r.cx, a, b, s + cost)\n    connect_if_needed(w, i, ep, a, b, s + cost)", "    close_cx(w, r.cx, a, b, s + cost)",
    ),
    Mutation("a longer queue before a backend", "s.leave_n >= s.queue", "s.leave_n > s.queue"),
    Mutation("a job that starts now still queues", "w.leave[s.leave_first + s.leave_head] <= t", "w.leave[s.leave_first + s.leave_head] < t"),
    # clients and connections
    Mutation("a ticket is good for any pod", "offered and s.ticket_pod == pod", "offered"),
    Mutation("TLS: a resumed hello costs a full one", "client.hello_resumed_ns if resumed == 1 else client.hello_full_ns", "client.hello_full_ns"),
    Mutation("TLS 1.2: data before the Finished is answered", "tls == TLS13 or c.resumed == 1", "tls > 0"),
    Mutation("a client's budget: one retry less", "client.tokens < TOKEN", "client.tokens <= TOKEN"),
    Mutation("a client retries once more", "r.k >= client.retries", "r.k > client.retries"),
    Mutation("a loop that is just in time skips", "loop.schedule) < t:", "loop.schedule) <= t:"),
    # accounting
    Mutation("component: queueing as CPU", "elif state == ARMED:\n        r.component[WORKER_QUEUE]", "elif state == ARMED:\n        r.component[PROXY_CPU]"),
    Mutation("component: the backend's queue as its service", "r.component[UPSTREAM_QUEUE] += service", "r.component[UPSTREAM_SERVICE] += service"),
    Mutation("the first instant after warm-up is not measured", "t >= g.cut_ns and t < g.horizon_ns:", "t > g.cut_ns and t < g.horizon_ns:"),
    Mutation("the horizon is measured", "t >= g.cut_ns and t < g.horizon_ns:", "t >= g.cut_ns and t <= g.horizon_ns:"),
    Mutation("slowest: the later of equals", "return number < row[NUMBER_COLUMN]", "return number > row[NUMBER_COLUMN]"),
    # outliers, filters
    Mutation("outliers: one failure more", "h.failures_5xx == o.consecutive_5xx", "h.failures_5xx == o.consecutive_5xx + 1"),
    Mutation("outliers: one host more", "100.0 * (detector.ejected + 1) /", "100.0 * detector.ejected /"),
    Mutation("outliers: a good answer forgives no gateway failure", "h.failures_5xx = 0\n        h.failures_gateway = 0\n        return", "h.failures_5xx = 0\n        return"),
    Mutation("outliers: an update is not merged", "level.update_at_ns = s + window_ns", "level.update_at_ns = s + 1"),
    Mutation("bucket: the last token is never given", "tokens < 1.0", "tokens <= 1.0"),
    Mutation("bucket: refill in steps", "(tokens - 1.0) / bucket.rate", "(int(tokens) - 1.0) / bucket.rate"),
    Mutation("call: an error of the service is a denial", "if 400 <= status < 500:", "if 400 <= status < 600:"),
    Mutation("purpose: a mirror is drawn as an abort", "_chance(r.key, DRAW_MIRROR, j, m.percent)", "_chance(r.key, FAULT_ABORT, j, m.percent)"),
    # upstream connections
    Mutation("idle from the start of the visit", "u.idle_at_ns = e + c.idle_ns", "u.idle_at_ns = s + c.idle_ns"),
    Mutation("keep-alive counts from when the gateway reads", "(u.freed_ns if u.used == 1 else e) + keepalive", "e + keepalive"),
    Mutation("connect time-out from the endpoint on", "e + c.connect_ns, a, b, ORDER_CONNECT", "e + up + c.connect_ns, a, b, ORDER_CONNECT"),
    Mutation("retry budget: who waits does not count", "(q.requests + q.pending)", "q.requests"),
    # faults by schedule
    Mutation("stall: work goes on", "work -= max(0, stall.from_ns - t)", "work -= 0"),
    Mutation("slow: not from the beginning", "if mode.slow != 1.0 and mode.from_ns <= t", "if mode.slow != 1.0 and mode.from_ns + 5_000_000 <= t"),
    Mutation("errors of a mode are the usual ones", "return mode.error_first, mode.errors", "return s.error_first, s.errors"),
    # CPU quota, balance, zones
    Mutation("quota: who sleeps keeps all", "used_ns -= k.budget_ns - KEPT_NS", "used_ns -= 0"),
    Mutation("quota: waking is free", "at = paid(w, i, t, k.wakeup_ns)", "at = t"),
    Mutation("quota: slices are endless", "min(SLICE_NS, pod.quota_ns - q.used_ns)", "pod.quota_ns - q.used_ns"),
    Mutation("component: throttling as queueing", "r.component[THROTTLING] += throttled", "r.component[WORKER_QUEUE] += throttled"),
    Mutation("exact balance: the last of equals", "w.workers[i].connections < w.workers[best].connections", "w.workers[i].connections <= w.workers[best].connections"),
    Mutation("zones: the turn of pods is that of zones", "cursor //= fleet.zones", "cursor //= 1"),
    # pods that come and go
    Mutation("remove: the oldest pod", "j = max(serving, key=", "j = min(serving, key="),
    Mutation("a draining pod does not say so", "draining = w.pods[c.pod].draining", "draining = 0"),
    Mutation("a reset is told at once", "reset_at(w, s.conn, t + w.conns[s.conn].down_ns)", "reset_at(w, s.conn, t + 1)"),
    Mutation("a new pod finds its breakers as they were", "q.connections, q.pending, q.requests, q.retries = 0, 0, 0, 0", "q.connections, q.pending, q.retries = 0, 0, 0"),
    Mutation("a new pod takes over the connections of the old one", "if conn.life == w.pods[conn.pod].life:", "if conn.life >= 0:"),
    # connections that age
    Mutation("age counts from the start of the accept visit", "arm_connection(w, n, s + cost + w.clients[c.client].age_ns", "arm_connection(w, n, s + w.clients[c.client].age_ns"),
    Mutation("a connection that drains says nothing", "    c.draining = 1\n", "    c.draining = 0\n"),
    Mutation("a connection with an answer to send is closed", "elif c.stream_head < 0 and c.armed == 0:", "elif c.stream_head < 0:"),
    Mutation("a GOAWAY closes no idle connection", "        if s.in_use == 0:\n            close(w, c, j, a, k, t)", "        if s.in_use < 0:\n            close(w, c, j, a, k, t)"),
    # source ports
    Mutation("ports: the last one is never given", "used >= pool.ports", "used + 1 >= pool.ports"),
    Mutation("ports: what the station closed rests as others do", "pool.hold_remote_ns if which == BY_STATION else pool.hold_ns", "pool.hold_ns"),
    Mutation("ports: one rests a moment longer", "w.resting[own.head[which]].until_ns <= s", "w.resting[own.head[which]].until_ns < s"),
    # routes that change
    Mutation("an update comes late", "from_ns <= s:\n            number", "from_ns + 5_000_000 <= s:\n            number"),
    Mutation("updates: only the first", "        if w.classes[j].from_ns <= s:\n            number = j\n", "        if w.classes[j].from_ns <= s:\n            return j\n"),
    Mutation("pools are warm for routes to come", "reaches(model, first=True)", "reaches(model)"),
    # backend pods that come and go
    Mutation("a host that left keeps its connections", "leaving = 0\n                drain(w, d, ep, w.g[0].stop_ns)", "leaving = 0"),
    Mutation("outliers: what a host that left does still counts", "w.has_membership and h.gone == 1", "w.has_membership and h.gone == 2"),
    Mutation("outliers: hosts that are not there count too", "sum(len(one.hosts) for one in self.levels)", "sum(len(one.known) for one in self.levels)"),
    Mutation("a pod that ends closes what carries requests", "u.streams == 0 and u.closes_ns > t", "u.closes_ns > t"),
    Mutation("a pod that has ended keeps connections", ".end_ns <= s:", ".end_ns <= s - 10**12:"),
    # chains
    Mutation("a link is resumed without a ticket", "w.tickets[u.worker, row, column] == 1 and", "w.tickets[u.worker, row, column] >= 0 and"),
    Mutation("a link that A closes is counted at B", "w.workers[c.worker].connections -= 1\n    c.refs += 1", "c.refs += 1"),
    Mutation("what A gives up goes on at B", "if w.clusters[r.cluster].http == 2 and w.upstream", "if w.clusters[r.cluster].http == 3 and w.upstream"),
    Mutation("given up: the next hop's request does not end", "    if h.client_done == 0:\n        abort(w, y, s)\n", ""),
    Mutation("a link is in the name of its opener's first attempt", "u.a, u.b + key_b(0, 0, PART_ACCEPT, m)", "u.a, key_b(0, 0, PART_ACCEPT, m)"),
    Mutation("the next hop is service", "served = min(depart, r.served_ns)", "served = depart"),
    Mutation("calls do not hold the server", "    s.busy -= 1\n    n = s.wait_head", "    s.busy = 0\n    n = s.wait_head"),
    Mutation("calls: stages at once", "        if job.open > 0:\n            return\n    _depart", "    if job.open > 0:\n        return\n    _depart"),
    Mutation("calls: all are critical", "if w.calls[j].critical == 1 and", "if w.calls[j].critical >= 0 and"),
    Mutation("calls share the slots of all backends", "    r.queue = call.queue\n", "    r.queue = w.clients[r.client].queue_first\n"),
    # autoscaling
    Mutation("autoscaler: as many pods as fit", "math.ceil(q * n)", "int(q * n)"),
    Mutation("autoscaler: no memory of changes", "begin = pods - sum(", "begin = pods - 0 * sum("),
    Mutation("autoscaler: the least recommended counts", "return min(pods, high)", "return min(pods, desired)"),
)


class Changed(SourceFileLoader):
    """Loads a module from the source of a mutation."""

    mutation: Mutation

    def get_code(self, fullname: str) -> CodeType:
        """The code of the changed source."""
        return compile(self.mutation.source(), str(self.path), "exec", dont_inherit=True)


class Finder:
    """Finds the module of a mutation before Python finds the real one."""

    def __init__(self, mutation: Mutation) -> None:
        self.mutation = mutation

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The changed module, or None for all others."""
        if name != f"{PACKAGE}.{self.mutation.path.stem}":
            return None
        loader = Changed(name, str(self.mutation.path))
        loader.mutation = self.mutation
        return spec_from_file_location(name, self.mutation.path, loader=loader)


Case = tuple[str, Any, Any]
"""Name, model, and what the reference engine makes of it."""
CASES: list[Case] = []


def prepare(models: int) -> None:
    """Run the reference engine; nothing of the compiled one is loaded."""
    from builders import worked_example
    from chained import chained
    from generate import generate, is_lattice

    from gwsim.engine import reference
    from gwsim.engine.features import COMPILED, Feature
    from gwsim.engine.schema import Options

    named = [("the worked example", worked_example())]
    named += [(f"seed {seed} ({'lattice' if is_lattice(seed) else 'continuous'})", generate(seed)) for seed in range(models)]
    named += [(f"chain of seed {seed}", chained(seed, COMPILED, Feature.TCP in COMPILED)) for seed in range(models // 2)]
    everything = Options(records=10**6, trace=10**6, digest=True)
    CASES.extend((name, model, reference.run(model, 0, everything)) for name, model in named)


def try_all(mutation: Mutation) -> tuple[Mutation, str, str]:
    """(mutation, the case that noticed it, how); the case is empty if none did. In a process of its own."""
    if mutation.places != 1:
        return mutation, "", f"DOES NOT FIT: {mutation.places} places in the source, not one"
    sys.meta_path.insert(0, Finder(mutation))  # type: ignore[arg-type]
    warnings.simplefilter("ignore", RuntimeWarning)  # integers wrap, as in the compiled engine
    from gwsim.engine.schema import Options, differences

    plain = importlib.import_module("plain")
    plain.patch()
    signal.signal(signal.SIGVTALRM, too_long)
    for name, model, expected in CASES:
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
        try:
            got = plain.run(model, 0, Options(records=10**6, trace=10**6, digest=True))
        except Exception as error:  # whatever goes wrong in a mutant has been noticed
            return mutation, name, f"stops: {type(error).__name__}: {error}"[:60]
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        found = differences(expected, got)
        if found:
            return mutation, name, f"{len(found)} tables differ, first {found[0]}"
    return mutation, "", "SURVIVES"


def too_long(number: int, frame: FrameType | None) -> None:
    """The mutant does not end."""
    raise TimeoutError(f"no end after {LONGEST_S} s")


def results(mutations: tuple[Mutation, ...], jobs: int) -> Iterator[tuple[Mutation, str, str]]:
    """Each mutation in a process forked for it, in order."""
    with get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        yield from pool.imap(try_all, mutations, chunksize=1)


def main() -> int:
    """0 if every mutant is noticed and the unchanged engine is not."""
    parser = argparse.ArgumentParser(description="Mistakes in the compiled engine, and what notices them.")
    parser.add_argument("--only", default="", help="mutations whose name contains this")
    parser.add_argument("--models", type=int, default=100, help="generated models tried on each")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    given = parser.parse_args()
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    sys.path.insert(0, str(ROOT / "tests" / "engine"))
    importlib.import_module("numba")
    began = time.monotonic()
    prepare(given.models)
    chosen = tuple(one for one in MUTATIONS if given.only in one.name)
    caught, good = 0, True
    for mutation, case, how in results((NONE, *chosen), given.jobs):
        if mutation == NONE:
            good &= not case and how == "SURVIVES"
            print(f"{mutation.name:<52}{f'{case}: {how}' if case or how != 'SURVIVES' else f'equal on all {len(CASES)} models'}", flush=True)
            continue
        caught += bool(case)
        print(f"{mutation.name:<52}{f'{case}: {how}' if case else how}", flush=True)
    print(f"{caught} of {len(chosen)} mutants caught, {time.monotonic() - began:,.0f} s")
    return 0 if good and caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
