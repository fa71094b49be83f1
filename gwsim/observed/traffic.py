"""From the requests of an access log to the `clients` and `backends` of a scenario."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gwsim.observed.access_log import AccessLog, Request
from gwsim.observed.fragment import Imported
from gwsim.units import duration_text

ArrivalsAs = Literal["replay", "poisson", "profile"]

MOST_ENTRIES = 24
"""Kinds of request kept per client; the rest, all rarer, is said and left out."""
PROFILE_PIECES = 12
ENOUGH = 50
"""Observations from which a distribution is written; fewer give their mean."""
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
_IDENTIFIER = re.compile(r"\d+|[0-9a-fA-F]{8,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=[\w~=.-]*\d)(?=[\w~=.-]*[A-Za-z])[\w~=.-]{16,}")
_CLUSTER = re.compile(r"outbound\|\d+\|(?P<subset>[^|]*)\|(?P<host>[^;]+)")
DEFAULT_TARGET = "Service/istio-system/istio-ingressgateway"


def imported(log: AccessLog, source: str, *, target: str = "", arrivals: ArrivalsAs = "replay") -> Imported:
    """The clients, backends and replay logs of an access log. `target`: where the clients connect."""
    notes = _Notes()
    groups: dict[tuple[str, bool], list[Request]] = defaultdict(list)
    for one in log.requests:
        groups[_version(one), bool(one.sni)].append(one)
    seconds = log.requests[-1].time_s - log.requests[0].time_s
    notes.inferred[f"{len(log.requests):,} requests in {duration_text(round(seconds, 3))}"] = None
    if log.skipped:
        notes.inferred[f"{len(log.skipped):,} lines are no requests and were left out, the first is line {log.skipped[0]}"] = None
    clients: dict[str, Any] = {}
    files: dict[str, str] = {}
    for (version, secured), requests in sorted(groups.items()):
        name = f"http{version}{'-tls' if secured else ''}"
        clients[name] = _client(name, requests, target, arrivals, notes, files)
    notes.unknown["whether the log holds every request: a sampled log gives a share of the rate"] = None
    notes.unknown["round trips and time-outs of the clients, and requests that never reached the gateway"] = None
    return Imported(
        source=source, kind="access log", clients=clients, backends=backends(log.requests, notes.inferred), files=files,
        inferred=tuple(notes.inferred), assumed=tuple(notes.assumed), unknown=tuple(notes.unknown),
    )


@dataclass(slots=True)
class _Notes:
    inferred: dict[str, None] = field(default_factory=dict)
    assumed: dict[str, None] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)


def _version(one: Request) -> str:
    return "1" if one.http in ("", "HTTP/1.1", "HTTP/1.0") else "2"


def _client(name: str, requests: Sequence[Request], target: str, arrivals: ArrivalsAs, notes: _Notes, files: dict[str, str]) -> dict[str, Any]:
    secured = bool(requests[0].sni)
    if not target:
        target = f"{DEFAULT_TARGET}:{443 if secured else 80}"
        notes.assumed[f"{name}: the target {target}; --target names another"] = None
    if any(one.http == "HTTP/3" for one in requests):
        notes.assumed[f"{name}: HTTP/3 requests are taken as HTTP/2"] = None
    entries = _entries(requests)
    kept = entries[:MOST_ENTRIES]
    lost = sum(len(one.requests) for one in entries[MOST_ENTRIES:])
    if lost:
        notes.inferred[f"{name}: {lost:,} requests ({lost / len(requests):.2%}) of {len(entries) - MOST_ENTRIES} rarer kinds were left out of the mix"] = None
    made: dict[str, Any] = {"target": target}
    if secured:
        made["sni"] = Counter(one.sni for one in requests).most_common(1)[0][0]
    made["arrivals"] = _arrivals(name, requests, kept, arrivals, notes, files)
    made["connection"] = _connection(name, requests, notes)
    made["mix"] = [one.plain() for one in kept]
    ended = sum("DC" in one.flags for one in requests)
    if ended:
        notes.inferred[f"{name}: clients gave up on {ended:,} requests ({ended / len(requests):.2%}, flag DC); set `timeout` to their time-out"] = None
    return made


# --- kinds of request ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    method: str
    host: str
    path: str
    requests: tuple[Request, ...]

    def plain(self) -> dict[str, Any]:
        made: dict[str, Any] = {"name": self.name, "method": self.method or "GET"}
        if self.host:
            made["host"] = self.host
        made |= {"path": self.path, "weight": len(self.requests)}
        for key, values in (
            ("request_size", [one.received_bytes for one in self.requests if one.received_bytes is not None]),
            ("response_size", [one.sent_bytes for one in self.requests if one.sent_bytes is not None]),
        ):
            if values and (key == "response_size" or any(values)):
                made[key] = distribution(values, "B")
        return made


def template(path: str) -> str:
    """The path without its query, with what looks like an identifier replaced by a star."""
    return "/".join("*" if _IDENTIFIER.fullmatch(part) else part for part in path.partition("?")[0].split("/"))


def _entries(requests: Sequence[Request]) -> list[_Entry]:
    """The kinds of request, the most frequent first. Each is asked with its most frequent path."""
    groups: dict[tuple[str, str, str], list[Request]] = defaultdict(list)
    for one in requests:
        groups[one.method.upper(), one.host.partition(":")[0], template(one.path)].append(one)
    names: Counter[str] = Counter()
    made = []
    for (method, host, shape), members in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        path = Counter(one.path.partition("?")[0] for one in members).most_common(1)[0][0]
        stem = re.sub(r"[^a-z0-9]+", "-", f"{method} {shape}".lower()).strip("-") or "root"
        names[stem] += 1
        name = stem if names[stem] == 1 else f"{stem}-{names[stem]}"
        made.append(_Entry(name, method, host, path if path.startswith("/") else "/", tuple(members)))
    return made


def distribution(values: Sequence[float], unit: str) -> Any:
    """Values as the scenario file writes a distribution: their quantiles, or their mean where they are few or equal."""
    ordered = sorted(values)
    if len(ordered) < ENOUGH or ordered[0] == ordered[-1]:
        return _with_unit(math.fsum(ordered) / len(ordered), unit)
    return {"quantiles": {f"p{q * 100:g}": _with_unit(_quantile(ordered, q), unit) for q in QUANTILES}}


def _with_unit(value: float, unit: str) -> str:
    return f"{value:.6g}{unit}" if unit == "ms" else f"{round(value)}{unit}"


def _quantile(ordered: Sequence[float], q: float) -> float:
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


# --- arrivals --------------------------------------------------------------------------------------------------


def _arrivals(name: str, requests: Sequence[Request], kept: Sequence[_Entry], wanted: ArrivalsAs, notes: _Notes, files: dict[str, str]) -> dict[str, Any]:
    times = [one.time_s for one in requests]
    seconds = max(times[-1] - times[0], 1e-3)
    rate = len(times) / seconds
    notes.inferred[f"{name}: {rate:.4g} requests/s on average{_dispersion(times)}"] = None
    if wanted == "replay" and all(time == int(time) for time in times) and len(times) > 1:
        notes.assumed[f"{name}: the log's times are whole seconds, so the arrivals within a second are not known; Poisson is taken"] = None
        wanted = "profile"
    if wanted == "poisson" or len(times) < 2:
        return {"poisson": f"{rate:.6g}rps"}
    if wanted == "profile":
        return {"profile": profile(times)}
    file = f"{name}.csv"
    files[file] = _replay_csv(kept)
    return {"replay": {"file": file}}


def profile(times: Sequence[float], pieces: int = PROFILE_PIECES) -> list[dict[str, str]]:
    """The rate in pieces of equal length."""
    start, width = times[0], max(times[-1] - times[0], 1e-3) / pieces
    counts = Counter(min(int((time - start) / width), pieces - 1) for time in times)
    return [{"for": f"{width:.6g}s", "rate": f"{counts[at] / width:.6g}rps"} for at in range(pieces)]


def _dispersion(times: Sequence[float]) -> str:
    """How bursty a second is against a Poisson process of the same rate, where there are seconds enough to tell."""
    counts = Counter(int(time - times[0]) for time in times)
    whole = int(times[-1] - times[0])
    if whole < 20:
        return ""
    per_second = [counts[at] for at in range(whole)]
    mean = sum(per_second) / whole
    variance = sum((x - mean) ** 2 for x in per_second) / (whole - 1)
    return f"; variance of a second's count over its mean {variance / mean:.3g} (1: Poisson)"


def _replay_csv(kept: Sequence[_Entry]) -> str:
    """Arrivals with the path of their kind, so that each finds its entry of the mix."""
    rows = sorted((one.time_s, entry.method, entry.host, entry.path) for entry in kept for one in entry.requests)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("time", "method", "host", "path"))
    start = rows[0][0]
    writer.writerows((f"{time - start:.6f}", *rest) for time, *rest in rows)
    return out.getvalue()


# --- connections -----------------------------------------------------------------------------------------------


def _connection(name: str, requests: Sequence[Request], notes: _Notes) -> dict[str, Any]:
    made: dict[str, Any] = {"http": int(_version(requests[0]))}
    by_connection: dict[str, list[float]] = defaultdict(list)
    for one in requests:
        if re.search(r":[1-9]\d*$", one.remote):
            by_connection[one.remote].append(one.time_s)
    if len(by_connection) < 2:
        notes.unknown[f"{name}: how connections are reused (the log has no ports of clients' connections)"] = None
        return made
    start, end = requests[0].time_s, requests[-1].time_s
    seconds = max(end - start, 1e-3)
    margin = 0.1 * seconds
    # A connection seen near an edge of the log may have carried more before or after it.
    whole = [times for times in by_connection.values() if times[0] > start + margin and times[-1] < end - margin]
    open_s = sum(times[-1] - times[0] for times in by_connection.values())
    made["count"] = max(1, round(open_s / seconds))
    seen = f"{name}: {len(by_connection):,} connections, {made['count']} at a time between their first and last request"
    if len(whole) >= 10 and len(whole) > 0.1 * len(by_connection):
        made["requests"] = max(1, round(sum(map(len, whole)) / len(whole)))
        notes.inferred[f"{seen}; {made['requests']} requests each ({len(whole):,} seen from beginning to end)"] = None
    else:
        notes.inferred[f"{seen}; most outlast the log, so they are taken as kept for good"] = None
    return made


# --- what answered ---------------------------------------------------------------------------------------------


def service_of(cluster: str) -> tuple[str, str]:
    """`service.namespace` and subset of Istio's name of a cluster; the host as it is where it is no Kubernetes service."""
    match = _CLUSTER.match(cluster)
    if match is None:
        return "", ""
    host = match["host"]
    parts = host.split(".")
    return (".".join(parts[:2]) if len(parts) > 2 and parts[2] == "svc" else host), match["subset"]


def backends(requests: Iterable[Request], inferred: dict[str, None]) -> dict[str, Any]:
    """Service times and errors by backend, from upstream service times (network and queueing of the backend included)."""
    groups: dict[str, dict[str, list[Request]]] = defaultdict(lambda: defaultdict(list))
    for one in requests:
        service, subset = service_of(one.cluster)
        if service and one.upstream_s is not None:
            groups[service][subset].append(one)
    made: dict[str, Any] = {}
    for service, subsets in sorted(groups.items()):
        everything = [one for members in subsets.values() for one in members]
        made[service] = _backend(everything)
        named = {subset: _backend(members) for subset, members in sorted(subsets.items()) if subset}
        if len(subsets) > 1 and named:
            made[service]["subsets"] = named
    if made:
        inferred["service times are upstream service times as logged (whole milliseconds): they hold the network and any queue at the backend"] = None
    return made


def _backend(requests: Sequence[Request]) -> dict[str, Any]:
    # Logged times are cut to whole milliseconds: half a one is added back.
    times = [(one.upstream_s or 0.0) * 1e3 + 0.5 for one in requests]
    made: dict[str, Any] = {"service_time": distribution(times, "ms")}
    failed = Counter(one.status for one in requests if one.status >= 500 and "via_upstream" in (one.details or "via_upstream"))
    if failed:
        made["errors"] = {str(status): f"{count / len(requests):.4%}" for status, count in sorted(failed.items())}
    return made


def with_target(made: Imported, target: str) -> Imported:
    """The same with every client connecting to `target`."""
    return replace(made, clients={name: {**client, "target": target} for name, client in made.clients.items()}) if target else made


__all__ = ["DEFAULT_TARGET", "ArrivalsAs", "backends", "distribution", "imported", "profile", "service_of", "template", "with_target"]
