"""The figures of a run in one flat row, unit in every name: what tables of many runs are made of."""

from __future__ import annotations

from typing import Any

from gwsim.results import Results, Status
from gwsim.results.evaluation import Budgets, Checked
from gwsim.results.headline import headline_of
from gwsim.results.intervals import Estimate
from gwsim.results.parts import Latency
from gwsim.scenario.fleets import SIDECAR

Row = dict[str, Any]
"""Plain data: text, numbers and None, ready for JSON and for a frame."""

LATENCIES = ("client_latency", "gateway_latency", "gateway_overhead")
QUANTILES = ("p50", "p95", "p99", "p999")


def figures(results: Results, budgets: Budgets) -> Row:
    """The row of a run. Latencies of a saturated run are None: they would grow with its length."""
    headline = headline_of(results, budgets)
    row: Row = {
        "verdict": headline.word.value, "exit_code": int(headline.exit_code), "sentence": headline.sentence,
        "status": results.verdict.status.value, "requests": results.requests, "replications": results.replications,
    }
    for name in ("offered", "served", "good"):
        row[f"{name}_rps"] = getattr(results.throughput, f"{name}_rps").value
    saturated = results.verdict.status is Status.SATURATED
    for name in LATENCIES:
        row |= _latency(name, getattr(results.total, name), saturated)
    row |= _interval("errors_share", results.total.errors)
    row["local_replies_share"] = results.total.local_replies.value
    row["gateway_retries_share"] = results.total.gateway_retries.value
    row["client_retries_share"] = results.total.client_retries.value
    row |= _machines(results)
    row["digest"] = results.digest
    row["budgets"] = [_budget(one) for one in budgets.checked]
    return row


def _interval(name: str, figure: Estimate, *, hidden: bool = False) -> Row:
    if hidden:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}


def _latency(name: str, latency: Latency, saturated: bool) -> Row:
    row: Row = {}
    for part in ("mean", *QUANTILES):
        row |= _interval(f"{name}_{part}_s", getattr(latency, part), hidden=saturated)
    return row


def _machines(results: Results) -> Row:
    """The gateways together, and what is fullest."""
    first = results.bottleneck.first
    cores = [fleet.cpu_cores.value for fleet in results.fleets if fleet.cpu_cores.value is not None]
    busy = [fleet.utilisation.value for fleet in results.fleets if fleet.utilisation.value is not None]
    busiest = [worker.utilisation.value for worker in results.workers if worker.utilisation.value is not None]
    return {
        "gateway_pods": sum(fleet.pods for fleet in results.fleets if not fleet.gateway.startswith(f"{SIDECAR} ")),
        "gateway_cpu_cores": sum(cores) if cores else None,
        "gateway_utilisation": max(busy, default=None),
        "busiest_worker_utilisation": max(busiest, default=None),
        "bottleneck_kind": first.kind if first else None,
        "bottleneck": first.name if first else None,
        "bottleneck_utilisation": first.utilisation if first else None,
    }


def _budget(one: Checked) -> Row:
    return {
        "line": one.budget.line, "more_requests": one.more_requests, "sentence": one.sentence,
        "text": one.budget.text, "answer": one.answer.value, "observed": one.observed.value, "low": one.observed.low,
        "high": one.observed.high, "limit": one.budget.limit, "level": one.budget.level,
    }


__all__ = ["LATENCIES", "QUANTILES", "Row", "figures"]
