"""The figures of a group of traffic classes: throughput, latencies, errors, retries, where the time goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from gwsim.engine.codes import FLAG_ORDER, N_COMPONENTS, Flag
from gwsim.engine.schema import COARSE, FINE, HANDSHAKE_NONE
from gwsim.results.counts import Counts, histogram_of, latency_of
from gwsim.results.histograms import NS, Floats, Ints, lower_edges_ns
from gwsim.results.intervals import Estimate, ratio, share
from gwsim.results.parts import Share, Split, Throughput, Traffic
from gwsim.results.work import work_of

_HANDSHAKES = ("none", "plain", "full", "resumed")
MEDIAN_BAND = (0.4, 0.6)
TAIL = 0.99


def traffic_of(counts: Counts, ids: Sequence[int], *, served: float = 1.0, whole: bool = False) -> Traffic:
    """The figures of the classes `ids` together; with `whole`, the work of all classes: what these requests come to in the end.

    `served` is the share of all requests that end within the window: below 1 only for a saturated run, whose
    measured requests end after the window and would else count as served in it.
    """
    level, windows = counts.level, counts.windows_s
    offered, finished, good = (counts.classes(name, ids) for name in ("offered", "finished", "good"))

    def rate(events: Ints) -> Estimate:
        return ratio(events, windows, level=level, count=int(events.sum()))

    # A long stream that is open at the end has not failed, and is no more than that told of.
    lasting = [i for i in ids if counts.labels.classes[i].stream]
    told = finished + counts.classes("offered", lasting) - counts.classes("finished", lasting)
    handshakes = counts.classes("handshakes", ids)
    covered = counts.classes("covered", ids)
    rows = [counts.labels.classes[i] for i in ids]
    return Traffic(
        client=_common([row.client for row in rows]), shape=_common([row.shape for row in rows]),
        route=_common([row.route for row in rows]), gateway=_common([row.gateway for row in rows]),
        derived=bool(rows) and all(row.derived for row in rows),
        requests=int(offered.sum()),
        offered_rps=rate(offered),
        served_rps=rate(finished).scaled(served),
        good_rps=rate(good).scaled(served),
        request_bytes_per_s=rate(counts.classes("request_bytes", ids)),
        response_bytes_per_s=rate(counts.classes("response_bytes", ids)),
        connections_per_s=rate(_opened(handshakes)),
        handshakes=tuple(
            Share(name=name, count=int(handshakes[:, i].sum()), share=share(handshakes[:, i], finished, level=level))
            for i, name in enumerate(_HANDSHAKES)
        ),
        client_latency=latency_of(histogram_of(counts, "latency_hist", "latency_sum", ids, FINE), level),
        gateway_latency=latency_of(histogram_of(counts, "gw_hist", "gw_sum", ids, FINE), level),
        gateway_overhead=latency_of(histogram_of(counts, "overhead_hist", "overhead_sum", ids, FINE), level),
        errors=share(finished - good, told, level=level),
        statuses=_statuses(counts, ids, told),
        flags=_flags(counts, ids),
        local_replies=share(finished - covered, told, level=level),
        gateway_retries=_gateway_retries(counts, ids),
        client_retries=ratio(counts.classes("client_attempts", ids) - finished, finished, level=level),
        splits=_splits(counts, ids),
        failed_attempts_s=ratio(counts.classes("failed_sum", ids) * NS, covered, level=level),
        clusters=_clusters(counts, ids),
        work=work_of(counts, ids, range(len(counts.labels.classes)) if whole else ids),
    )


def _common(names: Sequence[str]) -> str:
    return names[0] if len(set(names)) == 1 else ""


def _opened(handshakes: Ints) -> Ints:
    """Requests whose connection was opened for them, int64 [R]."""
    return np.asarray(handshakes.sum(axis=1) - handshakes[:, HANDSHAKE_NONE])


def _statuses(counts: Counts, ids: Sequence[int], finished: Ints) -> tuple[Share, ...]:
    status = counts.classes("status", ids)
    totals = status.sum(axis=0)
    seen = sorted(np.flatnonzero(totals).tolist(), key=lambda s: (s != 200, -int(totals[s]), s))
    return tuple(
        Share(name=str(s), count=int(totals[s]), share=share(status[:, s], finished, level=counts.level)) for s in seen
    )


def _flags(counts: Counts, ids: Sequence[int]) -> tuple[Share, ...]:
    flags, streams = counts.classes("gw_flags", ids), counts.classes("gw_streams", ids)
    rows = []
    for name in FLAG_ORDER:
        column = flags[:, Flag[name].bit_length() - 1]
        if column.any():
            rows.append(Share(name=name, count=int(column.sum()), share=share(column, streams, level=counts.level)))
    return tuple(rows)


def _gateway_retries(counts: Counts, ids: Sequence[int]) -> Estimate:
    no_host = counts.classes("gw_flags", ids)[:, Flag.UH.bit_length() - 1]
    streams = np.maximum(counts.classes("class_cluster", ids).sum(axis=1) - no_host, 0)
    return ratio(np.maximum(counts.classes("gateway_attempts", ids) - streams, 0), streams, level=counts.level)


def _clusters(counts: Counts, ids: Sequence[int]) -> tuple[Share, ...]:
    chosen = counts.classes("class_cluster", ids)
    streams = chosen.sum(axis=1)
    return tuple(
        Share(name=label.name, count=int(chosen[:, k].sum()), share=share(chosen[:, k], streams, level=counts.level))
        for k, label in enumerate(counts.labels.clusters)
        if chosen[:, k].any()
    )


def _splits(counts: Counts, ids: Sequence[int]) -> tuple[Split, ...]:
    """Buckets of the anatomy table are whole: a band's edges are the edges of the buckets it touches."""
    table = counts.classes("anatomy_count", ids).sum(axis=0)
    sums = counts.classes("anatomy_sum", ids).sum(axis=0)
    total = int(table.sum())
    if not total:
        return ()
    upto = np.cumsum(table)
    before = upto - table
    used = table > 0
    median = used & (upto > MEDIAN_BAND[0] * total) & (before < MEDIAN_BAND[1] * total)
    return (
        _split("mean", used, table, sums),
        _split("median", median, table, sums),
        _split("tail", used & (upto > TAIL * total), table, sums),
    )


def _split(band: Literal["mean", "median", "tail"], chosen: npt.NDArray[np.bool_], table: Ints, sums: Ints) -> Split:
    where = np.flatnonzero(chosen)
    edges = lower_edges_ns(np.array([where[0], where[-1] + 1], dtype=np.int64), COARSE) * NS
    parts = sums[where].sum(axis=0, dtype=np.int64)
    return Split(
        band=band, from_s=float(edges[0]), to_s=float(edges[1]), count=int(table[where].sum()),
        sums_ns=tuple(int(parts[c]) for c in range(N_COMPONENTS)),
    )


def throughput_of(counts: Counts) -> Throughput:
    """All requests together; served by the end of the request, from the time bins within the window."""
    level, windows = counts.level, counts.windows_s
    everything = counts.labels.roots
    offered, served, seconds = _window_sums(counts)
    good, finished = counts.classes("good", everything), counts.classes("finished", everything)
    shares = good / np.maximum(finished, 1)

    def rate(events: Ints) -> Estimate:
        return ratio(events, windows, level=level, count=int(events.sum()))

    return Throughput(
        offered_rps=ratio(offered, seconds, level=level, count=int(offered.sum())),
        served_rps=ratio(served, seconds, level=level, count=int(served.sum())),
        good_rps=ratio(served * shares, seconds, level=level, count=int(good.sum())),
        request_bytes_per_s=rate(counts.classes("request_bytes", everything)),
        response_bytes_per_s=rate(counts.classes("response_bytes", everything)),
        connections_per_s=rate(_opened(counts.classes("handshakes", everything))),
        asked_rps=sum(counts.labels.asked_rps.values()) if counts.labels.asked_rps else None,
    )


def _window_sums(counts: Counts) -> tuple[Ints, Ints, Floats]:
    """Requests that start, requests that end, and seconds of the bins within the window: [R] each."""
    widths = np.diff(counts.bin_edges_ns) * NS
    inside = [counts.window_bins(r) for r in range(len(counts.raws))]
    offered = [int(raw.bin_arrivals[rows].sum()) for raw, rows in zip(counts.raws, inside, strict=True)]
    served = [int(raw.bin_finished[rows].sum()) for raw, rows in zip(counts.raws, inside, strict=True)]
    return np.array(offered), np.array(served), np.array([float(widths[rows].sum()) for rows in inside])
