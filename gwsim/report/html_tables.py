"""The tables of the HTML report as data: caption, columns, rows; numbers carry the value they are sorted by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gwsim.report.flags import NO_ANSWER, meaning_of
from gwsim.report.names import route_name, serving
from gwsim.report.report import Report
from gwsim.report.text import milliseconds
from gwsim.results.bottleneck import NOTICEABLE
from gwsim.results.intervals import Estimate
from gwsim.results.parts import Latency, Traffic
from gwsim.units import format_bytes, format_share

NONE = "–"
MOST_COLUMNS = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """What is shown, what it is sorted by (None: its text), a tip, and a class of the style sheet."""

    text: str
    value: float | None = None
    tip: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """A column: its name, and whether it holds numbers."""

    name: str
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption and what its columns mean."""

    name: str
    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


def tables(report: Report) -> tuple[Table, ...]:
    """Every table that has rows."""
    made = (_routes(report), _work(report), _failures(report), _clusters(report), _counters(report), _pods(report), _streams(report), _workers(report), _backends(report))
    return tuple(table for table in made if table.rows)


def limits(report: Report) -> Table:
    """What can run out, the nearest first."""
    rows = [
        (
            Cell({"worker": "gateway worker", "cpu": "CPU limit", "memory": "memory limit", "backend": "backend pod", "pool": "connection pool", "ports": "source ports"}[one.kind]),
            Cell(report.names.shorten(one.name)), _share_cell(one.utilisation, busy=True),
            Cell(format_share(one.exhausted, 2) if one.exhausted else NONE, one.exhausted),
            Cell("now", 0.0) if one.exhausted >= NOTICEABLE else Cell(_factor(one.headroom), one.headroom),
        )
        for one in report.results.bottleneck.limits[:12]
    ]
    headings = _headings("Resource|Name", "used|refused|load it takes")
    return Table("limits", "What runs out first", headings, tuple(rows), "Load is taken to grow in proportion; below 1 × it is the limit now.")


def _factor(headroom: float) -> str:
    return f"{headroom:,.0f} ×" if headroom >= 100 else f"{headroom:.3g} ×"


def _headings(texts: str, numbers: str) -> tuple[Heading, ...]:
    return (*(Heading(name, False) for name in texts.split("|")), *(Heading(name) for name in numbers.split("|")))


def _estimate(figure: Estimate, text: str, tip: str = "") -> Cell:
    return Cell(text if figure.value is not None else NONE, figure.value if figure.value is not None else -1.0, tip)


def _ms(figure: Estimate) -> Cell:
    low, high = figure.low, figure.high
    tip = f"{milliseconds(low)} to {milliseconds(high)} ms" if low is not None and high is not None else ""
    shown = milliseconds(figure.value) + ("" if figure.trusted or figure.value is None else " ?")
    return _estimate(figure, shown, tip + ("" if figure.trusted else f" ({figure.quality.value})"))


def _latencies(latency: Latency) -> tuple[Cell, ...]:
    return tuple(_ms(one) for one in (latency.p50, latency.p95, latency.p99, latency.p999))


def _rate(figure: Estimate) -> Cell:
    value = figure.value or 0.0
    return _estimate(figure, f"{value:,.0f}" if value >= 10 else f"{value:.3g}", _between(figure))


def _between(figure: Estimate) -> str:
    return f"{figure.low:,.4g} to {figure.high:,.4g}" if figure.low is not None and figure.high is not None else ""


def _share(figure: Estimate, *, busy: bool = False, bad: bool = False) -> Cell:
    if figure.value is None:
        return Cell(NONE, -1.0)
    tip = f"{format_share(figure.low, 2)} to {format_share(figure.high, 2)}" if figure.low is not None and figure.high is not None else ""
    cell = _share_cell(figure.value, busy=busy)
    return Cell(cell.text, cell.value, tip, "bad" if bad and figure.value >= 1e-3 else cell.style)


def _share_cell(value: float, *, busy: bool = False) -> Cell:
    from gwsim.report.picture import level

    return Cell("0" if value == 0 else format_share(value, 3), value, style=f"busy {level(value)}" if busy else "")


def _count(number: float) -> Cell:
    return Cell(f"{number:,.0f}", float(number))


def _routes(report: Report) -> Table:
    total = (report.results.total,) if len(report.results.routes) > 1 else ()
    single, steady = len(report.results.fleets) == 1, report.results.verdict.meaningful
    rows = [
        (
            Cell("all" if one in total else route_name(one), style="total" if one in total else ""),
            *(() if single else (Cell(report.names.gateways.get(one.gateway, one.gateway) or "all"),)),
            _rate(one.offered_rps), _rate(one.good_rps), *(_route_latencies(one) if steady else [Cell(NONE, -1.0)] * 6),
            _share(one.errors, bad=True), _share(one.local_replies), _share(one.gateway_retries), _share(one.client_retries),
            _estimate(one.response_bytes_per_s, f"{format_bytes(one.response_bytes_per_s.value or 0.0)}/s"),
        )
        for one in (*report.results.routes, *total)
    ]
    headings = _headings(
        "Route" if single else "Route|Gateway",
        "offered rps|good rps|p50 ms|p95 ms|p99 ms|p99.9 ms|gateway p99 ms|overhead p99 ms|errors|local replies|gateway retries|client retries|sent",
    )
    note = "p50 to p99.9 are at the client; a question mark: too few requests for a trustworthy interval. Percentiles leave out local replies."
    return Table("routes", "Routes", headings, tuple(rows), note)


def _route_latencies(one: Traffic) -> tuple[Cell, ...]:
    return (*_latencies(one.client_latency), _ms(one.gateway_latency.p99), _ms(one.gateway_overhead.p99))


def _work(report: Report) -> Table:
    groups = [*(("route", route_name(one), one) for one in report.results.routes), *(("client", one.client, one) for one in report.results.clients)]
    rows = tuple(
        (
            Cell(kind), Cell(name), _estimate(one.work.cpu_cores, f"{one.work.cpu_cores.value or 0.0:.3f}"),
            _estimate(one.work.cpu_us_per_request, f"{one.work.cpu_us_per_request.value or 0.0:,.0f}"),
            *(Cell(format_bytes(size / max(one.requests, 1)), size / max(one.requests, 1)) for size in (one.work.request_bytes, one.work.response_bytes)),
            *(Cell(f"{usd:.3f}", usd) for usd in (one.work.cpu_usd_per_million, one.work.internet_usd_per_million)),
        )
        for kind, name, one in groups
    )
    headings = _headings("By|Name", "cores|CPU µs per request|in per request|out per request|CPU $|internet $")
    note = (
        "Dollars per million requests, at the prices of the cost profile. CPU is what the profile "
        "charges for what each did, and a share of the event loop by the number of visits; the parts sum to the CPU simulated."
    )
    return Table("work", "Work of the gateways", headings, rows, note)


def _failures(report: Report) -> Table:
    rows = [
        (Cell(route_name(route)), Cell(NO_ANSWER if share.name == "0" else share.name), Cell(meaning_of(share.name)), _count(share.count), _share(share.share))
        for route in report.results.routes
        for share in (*route.statuses, *route.flags)
        if not share.name.isdigit() or int(share.name) >= 400 or share.name == "0"
    ]
    return Table("failures", "Failures by route, status and response flag", _headings("Route|Status or flag|Meaning", "count|share"), tuple(rows))


def _clusters(report: Report) -> Table:
    rows = [
        (
            Cell(report.names.clusters[one.name], tip=one.name), _rate(one.attempts_per_s), *_latencies(one.latency),
            _estimate(one.in_use, f"{one.in_use.value or 0.0:.3g}"), _limit(one.limits.get("max_connections")),
            _limit(one.limits.get("max_pending_requests")), _limit(one.limits.get("max_requests")), _limit(one.limits.get("max_retries")),
            _share(one.overflow, bad=True),
        )
        for one in report.results.clusters
    ]
    headings = _headings("Cluster", "rps|p50 ms|p95 ms|p99 ms|p99.9 ms|in use per pod|max connections|max pending|max requests|max retries|overflow")
    return Table("clusters", "Clusters", headings, tuple(rows), "Limits are per gateway pod. Latency is from the end of the write to the answer, of answered attempts.")


def _limit(limit: int | None) -> Cell:
    return Cell(NONE, float("inf")) if limit is None else _count(limit)


def _counters(report: Report) -> Table:
    clusters = report.results.clusters
    used = [name for name in _names(report) if any(one.counters[name] for one in clusters)]
    names = [report.names.clusters[one.name] for one in clusters]
    if len(clusters) <= MOST_COLUMNS:
        rows = [(Cell(name), *(_count(one.counters[name]) for one in clusters)) for name in used]
        headings = (Heading("Counter", False), *(Heading(name) for name in names))
    else:
        rows = [
            (Cell(name, tip=one.name), *(_count(one.counters[counter]) for counter in used))
            for name, one in zip(names, clusters, strict=True)
        ]
        headings = (Heading("Cluster", False), *(Heading(counter) for counter in used))
    return Table("counters", "Envoy counters", headings, tuple(rows), "Totals of all replications, warm-up included; counters that are 0 everywhere are left out.")


def _names(report: Report) -> Iterable[str]:
    return report.results.clusters[0].counters if report.results.clusters else ()


def _pods(report: Report) -> Table:
    rows = [
        (
            Cell(one.pod), Cell(report.names.gateways.get(one.gateway, one.gateway)), Cell(one.zone or NONE), _count(one.workers),
            _rate(one.requests_per_s), _estimate(one.cpu_cores, f"{one.cpu_cores.value or 0.0:.3f}", _between(one.cpu_cores)),
            _share(one.utilisation, busy=True), _share(one.of_request),
        )
        for one in report.results.pods
    ]
    return Table("pods", "Gateway pods", _headings("Pod|Gateway|Zone", "workers|rps|CPU cores|busy|of CPU request"), tuple(rows))


def _streams(report: Report) -> Table:
    rows = [
        (
            Cell(f"{one.route} ({one.client})" if one.client else one.route), Cell({"websocket": "WebSocket", "grpc": "gRPC"}[one.kind]),
            _rate(one.open), _count(one.peak), _rate(one.opened_per_s), _rate(one.cut_per_s), _rate(one.up.sent_per_s), _rate(one.down.sent_per_s),
            _ms(one.up.latency.p99), _ms(one.down.latency.p99),
        )
        for one in report.results.streams
    ]
    headings = _headings("Streams|Kind", "open|peak|opened per s|cut per s|messages up per s|down per s|up p99 ms|down p99 ms")
    note = "Open: mean number within the window. Cut: ended otherwise than by the backend. Messages: from sending to delivery at the other end."
    return Table("streams", "WebSockets and gRPC streams", headings, tuple(rows), note)


def _workers(report: Report) -> Table:
    rows = [
        (
            Cell(f"{one.pod}/{one.worker}"), _share(one.utilisation, busy=True),
            _estimate(one.cpu_us_per_request, f"{one.cpu_us_per_request.value or 0.0:.0f}"), _count(one.requests),
            _count(one.connections), _count(one.iterations), _count(one.wakeups),
        )
        for one in report.results.workers
    ]
    headings = _headings("Worker", "busy|CPU µs per request|requests|connections|iterations|wake-ups")
    return Table("workers", "Gateway workers", headings, tuple(rows), "Counts are means per replication over the whole run.")


def _backends(report: Report) -> Table:
    rows = [
        (
            Cell(report.names.backends[one.name], tip=one.name), Cell(one.zone or NONE), Cell("any" if one.concurrency is None else str(one.concurrency), float(one.concurrency or 0)),
            _rate(one.requests_per_s), _share(one.utilisation, busy=True) if one.concurrency else Cell(NONE, -1.0),
            _ms(one.service_s), _ms(one.wait_s), _share(one.errors, bad=True), _share(one.rejected, bad=True),
        )
        for one in serving(report.results)
    ]
    headings = _headings("Backend pod|Zone", "serves at once|rps|busy|service ms|wait ms|errors|rejected")
    return Table("backends", "Backend pods", headings, tuple(rows), "Service and wait are means.")


__all__ = ["Cell", "Heading", "Table", "limits", "tables"]
