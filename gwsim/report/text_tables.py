"""The tables of the full terminal report: clusters, pods, backends, statuses and flags, assumptions, findings."""

from __future__ import annotations

from gwsim.diagnostics import render
from gwsim.report.flags import NO_ANSWER, meaning_of
from gwsim.report.lines import EMPTY, Column, Line, Part, line, paragraph, table
from gwsim.report.names import route_name, serving
from gwsim.report.report import Report
from gwsim.results.intervals import Estimate
from gwsim.units import format_share

COUNTERS = ("upstream_rq_total", "upstream_rq_5xx", "upstream_rq_retry", "upstream_rq_timeout", "upstream_rq_pending_overflow", "upstream_cx_total")
_SHORT = {"upstream_rq_total": "rq_total", "upstream_rq_5xx": "rq_5xx", "upstream_rq_retry": "rq_retry",
          "upstream_rq_timeout": "rq_timeout", "upstream_rq_pending_overflow": "rq_pending_overflow", "upstream_cx_total": "cx_total"}


def tables(report: Report) -> list[Line]:
    """All of them, one after another."""
    parts = (_work(report), _clusters(report), _pods(report), _backends(report), _failures(report), _assumptions(report), _findings(report))
    return [one for part in parts if part for one in (*part, EMPTY)]


def _share(figure: Estimate) -> str:
    return "-" if figure.value is None else format_share(figure.value, 3)


def _ms(figure: Estimate) -> str:
    from gwsim.report.text import milliseconds

    return milliseconds(figure.value)


def _rate(figure: Estimate) -> str:
    return "-" if figure.value is None else f"{figure.value:,.0f}" if figure.value >= 10 else f"{figure.value:.3g}"


def _clusters(report: Report) -> list[Line]:
    columns = [Column("CLUSTER", right=False), Column("rps"), Column("p99 ms"), *(Column(_SHORT[c]) for c in COUNTERS)]
    return table(columns, [
        [report.names.clusters[one.name], _rate(one.attempts_per_s), _ms(one.latency.p99), *(f"{one.counters[c]:,}" for c in COUNTERS)]
        for one in report.results.clusters
    ]) if report.results.clusters else []


def _work(report: Report) -> list[Line]:
    """CPU, bytes and money, by route and by client."""
    columns = [Column("WORK OF THE GATEWAYS", right=False), *(Column(c) for c in ("cores", "CPU µs", "B in", "B out", "CPU $", "internet $"))]
    groups = [*((f"route {route_name(one)}", one) for one in report.results.routes), *((f"client {one.client}", one) for one in report.results.clients)]
    rows = [
        [name, f"{one.work.cpu_cores.value or 0.0:.3f}", f"{one.work.cpu_us_per_request.value or 0.0:,.0f}",
         *(f"{size / max(one.requests, 1):,.0f}" for size in (one.work.request_bytes, one.work.response_bytes)),
         f"{one.work.cpu_usd_per_million:.3f}", f"{one.work.internet_usd_per_million:.3f}"]
        for name, one in groups
    ]
    return [*table(columns, rows), line("  per request; $ per million requests; what the event loop uses for all is shared by visits")]


def _pods(report: Report) -> list[Line]:
    columns = [Column("GATEWAY POD", right=False), Column("zone", right=False), *(Column(c) for c in ("workers", "rps", "cores", "busy", "of request"))]
    return table(columns, [
        [one.pod, one.zone or "-", str(one.workers), _rate(one.requests_per_s), f"{one.cpu_cores.value or 0.0:.3f}",
         _share(one.utilisation), _share(one.of_request)]
        for one in report.results.pods
    ])


def _backends(report: Report) -> list[Line]:
    columns = [Column("BACKEND POD", right=False), Column("zone", right=False), *(Column(c) for c in ("serves", "rps", "busy", "service ms", "wait ms", "errors", "rejected"))]
    backends = serving(report.results)
    return table(columns, [
        [report.names.backends[one.name], one.zone or "-", str(one.concurrency or "any"), _rate(one.requests_per_s),
         _share(one.utilisation) if one.concurrency else "-", _ms(one.service_s), _ms(one.wait_s), _share(one.errors), _share(one.rejected)]
        for one in backends
    ]) if backends else []


def _failures(report: Report) -> list[Line]:
    rows = [
        [route_name(route), share.name if share.name != "0" else NO_ANSWER, f"{share.count:,}", _share(share.share), meaning_of(share.name)]
        for route in report.results.routes
        for share in (*route.statuses, *route.flags)
        if not share.name.isdigit() or int(share.name) >= 400 or share.name == "0"
    ]
    columns = [Column("FAILURES", right=False), Column("status or flag", right=False), Column("count"), Column("share"), Column("meaning", right=False)]
    return table(columns, rows) if rows else []


def _assumptions(report: Report) -> list[Line]:
    rows = [row for text in report.assumptions for row in paragraph("-", text, indent=2, most=4)]
    return [line(Part("ASSUMPTIONS", "bold")), *rows] if rows else []


def _findings(report: Report) -> list[Line]:
    texts = [render(one) for one in report.ranked_findings] + [f"note: {text}" for text in report.budgets.warnings]
    rows = [line(row) for text in texts for row in text.splitlines()]
    return [line(Part("FINDINGS", "bold")), *rows] if rows else []


__all__ = ["tables"]
