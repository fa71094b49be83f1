"""What became of long streams (WebSockets, gRPC streams): how many are open, what is said on them, what ends them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsim.engine.schema import MIDDLE
from gwsim.results.counts import Counts, latency_of
from gwsim.results.histograms import NS, Floats, Histogram
from gwsim.results.intervals import Estimate, ratio, share
from gwsim.results.parts import Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFigures:
    """Messages of one direction, sent within the window. `latency`: from sending to delivery at the other end."""

    sent_per_s: Estimate
    lost: Estimate
    """Share of them that was not delivered: their stream ended first, or a backend did not hear them."""
    bytes_per_s: Estimate
    latency: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFigures:
    """Long streams of one class. `setup`: from a stream's start until it is open at the client."""

    client: str
    shape: str
    route: str
    kind: str
    """`websocket` or `grpc`."""
    opened_per_s: Estimate
    open: Estimate
    """Mean number open within the window."""
    peak: float
    """The largest mean number of a time bin, in any replication."""
    cut_per_s: Estimate
    """Open streams that ended otherwise than by their backend: resets, time-outs, lost pods; over the whole run."""
    setup: Latency
    up: MessageFigures
    down: MessageFigures


def streams_of(counts: Counts) -> tuple[StreamFigures, ...]:
    """Every class of long streams, in the order of the classes."""
    labels = [label for label in counts.labels.classes if label.stream]
    if not labels:
        return ()
    opened, cut, open_ = counts.of("long_opened"), counts.of("long_cut"), counts.of("long_bin_open")
    widths = np.diff(counts.bin_edges_ns)
    inside = np.stack([counts.window_bins(r) for r in range(len(counts.raws))])
    seconds = (inside * widths).sum(axis=1) * NS
    rows = []
    for i, label in enumerate(labels):
        area = (open_[:, i] * inside).sum(axis=1) * NS
        rows.append(
            StreamFigures(
                client=label.client, shape=label.shape, route=label.route, kind=label.stream,
                opened_per_s=ratio(opened[:, i], counts.windows_s, level=counts.level, count=int(opened[:, i].sum())),
                open=ratio(area, seconds, level=counts.level, count=int(opened[:, i].sum())),
                peak=float((open_[:, i] / widths).max()),
                cut_per_s=ratio(cut[:, i], counts.lengths_s, level=counts.level, count=int(cut[:, i].sum())),
                setup=latency_of(Histogram.of(counts.of("long_setup_hist")[:, i], counts.of("long_setup_sum")[:, i], MIDDLE), counts.level),
                up=_messages(counts, i, 0), down=_messages(counts, i, 1),
            )
        )
    return tuple(rows)


def _messages(counts: Counts, i: int, way: int) -> MessageFigures:
    sent, heard = counts.of("message_sent")[:, i, way], counts.of("message_count")[:, i, way]
    size = counts.of("message_bytes")[:, i, way]
    return MessageFigures(
        sent_per_s=ratio(sent, counts.windows_s, level=counts.level, count=int(sent.sum())),
        lost=share(sent - heard, sent, level=counts.level),
        bytes_per_s=ratio(size, counts.windows_s, level=counts.level, count=int(heard.sum())),
        latency=latency_of(Histogram.of(counts.of("message_hist")[:, i, way], counts.of("message_sum")[:, i, way], MIDDLE), counts.level),
    )


def held_by_streams(counts: Counts) -> Floats:
    """Time for which open long streams held a place in each cluster within the window, seconds, float64 [R, K]: by where those of their class went."""
    ids = [i for i, label in enumerate(counts.labels.classes) if label.stream]
    chosen = counts.of("class_cluster")[:, ids].astype(np.float64)
    inside = np.stack([counts.window_bins(r) for r in range(len(counts.raws))])
    area = (counts.of("long_bin_open") * inside[:, None, :]).sum(axis=2) * NS
    return np.asarray((area[:, :, None] * chosen / np.maximum(chosen.sum(axis=2, keepdims=True), 1.0)).sum(axis=1))
