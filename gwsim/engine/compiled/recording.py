"""Counting: what is kept of a stream that ends at the gateway and of a request that ends at its client.

The meaning of every count is in `gwsim.engine.schema`.
"""

from __future__ import annotations

import numpy as np

from gwsim.engine import schema
from gwsim.engine.codes import N_COMPONENTS, N_COUNTERS, Flag, Purpose
from gwsim.engine.compiled.cpu import worked
from gwsim.engine.compiled.draws import draw64, fold
from gwsim.engine.compiled.heaps import attempt_of, number_of, source_of, try_of
from gwsim.engine.compiled.kernel import instruction, kernel
from gwsim.engine.compiled.layout import FREE_FOREVER

ANSWER_UPSTREAM, ANSWER_TIMEOUT = schema.ANSWER_UPSTREAM, schema.ANSWER_TIMEOUT
FINE, MIDDLE, COARSE, BIN = schema.FINE, schema.MIDDLE, schema.COARSE, schema.BIN
N_BINS, N_FLAGS, MAX_BITS = schema.N_BINS, schema.N_FLAGS, schema.MAX_BITS
SAMPLE_SIZE, SLOWEST, WIDTH = schema.SAMPLE_SIZE, schema.SLOWEST, schema.RECORD_WIDTH
FIRST_COMPONENT = schema.RECORD_FIELDS.index("client_network_ns")
END_COLUMN, START_COLUMN = schema.RECORD_FIELDS.index("end_ns"), schema.RECORD_FIELDS.index("start_ns")
SOURCE_COLUMN, NUMBER_COLUMN = schema.RECORD_FIELDS.index("source"), schema.RECORD_FIELDS.index("number")
UT, DC = int(Flag.UT), int(Flag.DC)
SAMPLE = int(Purpose.SAMPLE)


@instruction
def bit_length(v):
    """Number of bits of a non-negative int64."""
    return int(v).bit_length()


@kernel
def bucket(v, p):
    """Index of the bucket of `v` in a histogram with 2^p buckets per power of two."""
    if v < 0:
        v = 0
    if v >> MAX_BITS != 0:
        v = (1 << MAX_BITS) - 1
    if v >> p == 0:
        return v
    e = bit_length(v) - 1 - p
    return (e << p) + (v >> e)


@kernel
def time_bin(g, t):
    """Time bin of the current instant `t` (which never goes back), or -1 at or after the horizon."""
    while t >= g.bin_end_ns:
        g.bin += 1
        g.bin_end_ns = -((-(g.bin + 1) * g.horizon_ns) // N_BINS) if g.bin < N_BINS else FREE_FOREVER
    return g.bin if g.bin < N_BINS else -1


@kernel
def advance_area(w, t):
    """Integrate the number of requests in the system up to `t`, split at bin edges."""
    g = w.g[0]
    n = g.in_flight
    since = g.area_since_ns
    g.area += n * (t - since)
    while g.area_bin < N_BINS:
        edge = -((-(g.area_bin + 1) * g.horizon_ns) // N_BINS)
        upto = min(t, edge)
        if upto > since:
            w.bins[g.area_bin].area += n * (upto - since)
            since = upto
        if t < edge:
            break
        g.area_bin += 1
    g.area_since_ns = t


@kernel
def record_start(w, x, t):
    """Request of stream `x` starts at `t`."""
    advance_area(w, t)
    g = w.g[0]
    g.requests += 1
    g.in_flight += 1
    r = w.streams[x]
    if t >= g.cut_ns and t < g.horizon_ns:
        r.measured = 1
        g.measured += 1
        w.class_out[r.class_id].offered += 1
    else:
        r.measured = 0
    if w.has_chains:
        r.root_measured = r.measured
        r.root_key = r.request_key
    b = time_bin(g, t)
    r.start_bin = b
    if b >= 0:
        w.bins[b].arrivals += 1


@kernel
def record_gateway(w, x):
    """Stream `x` has ended at the gateway."""
    r = w.streams[x]
    if r.measured == 0:
        return
    c = r.class_id
    out = w.class_out[c]
    out.gw_streams += 1
    out.gateway_attempts += r.attempts
    w.class_status[1, c, r.status] += 1
    flags = r.flags
    j = 0
    while flags != 0:
        if flags & 1:
            w.class_flags[c, j] += 1
        flags >>= 1
        j += 1
    if r.answer == ANSWER_UPSTREAM or r.flags & UT:
        latency = r.gw_end_ns - r.gw_start_ns
        out.gw_sum += latency
        out.overhead_sum += latency - r.upstream_ns
        w.fine[1, c, bucket(latency, FINE)] += 1
        w.fine[2, c, bucket(latency - r.upstream_ns, FINE)] += 1


@kernel
def record_finish(w, x, t):
    """Request of stream `x` ends at its client at `t`."""
    g = w.g[0]
    r = w.streams[x]
    latency = t - r.start_ns
    if not w.has_chains or r.derived == 0:
        _record_root(w, r, latency, t)
    if r.measured == 1:
        _record_measured(w, x, latency, t)
    if g.records < w.records.shape[0]:
        fill(w, x, t, w.records[g.records])
        g.records += 1
    if g.want_digest == 1:
        row = w.samples[SAMPLE_SIZE + 1]
        fill(w, x, t, row)
        h = np.uint64(0)
        for j in range(WIDTH):
            h = fold(h, row[j])
        g.digest += h


@kernel
def _record_root(w, r, latency, t):
    """A request that nobody else's made is in the system no longer."""
    advance_area(w, t)
    g = w.g[0]
    g.in_flight -= 1
    g.sojourn_ns += latency
    b = time_bin(g, t)
    if b >= 0:
        w.bins[b].finished += 1
        if r.status == 0 or r.status >= 400:
            w.bins[b].errors += 1
    b = r.start_bin
    if b >= 0:
        w.bins[b].latency_sum += latency
        w.bin_hist[b, bucket(latency, BIN)] += 1
    if r.measured == 1:
        g.measured -= 1


@kernel
def _record_measured(w, x, latency, t):
    r = w.streams[x]
    c = r.class_id
    out = w.class_out[c]
    out.finished += 1
    if r.status >= 200 and r.status < 400:
        out.good += 1
    w.class_status[0, c, r.status] += 1
    out.client_attempts += r.k + 1
    out.request_bytes += r.request_bytes
    out.response_bytes += r.sent_bytes
    out.handshakes[r.handshake] += 1
    if r.answer == ANSWER_UPSTREAM or r.answer == ANSWER_TIMEOUT:
        out.covered += 1
        out.latency_sum += latency
        out.failed_sum += r.failed_before_ns + r.failed_ns
        w.fine[0, c, bucket(latency, FINE)] += 1
        row = w.anatomy[c, bucket(latency, COARSE)]
        row[N_COMPONENTS] += 1
        for j in range(N_COMPONENTS):
            v = r.component[j]
            if v != 0:  # the driver counts the zeros: covered requests less all others
                row[j] += v
                w.component_hist[c, j, bucket(v, MIDDLE)] += 1
        _keep_slowest(w, x, latency, t)
    _keep_sample(w, x, t)


@kernel
def _keep_sample(w, x, t):
    g = w.g[0]
    h = draw64(w.streams[x].request_key, SAMPLE, 0)
    if h >= g.sample_below:
        return
    n = g.samples
    fill(w, x, t, w.samples[n])
    w.sample_hash[n] = h
    n += 1
    while n > SAMPLE_SIZE:
        g.sample_below = g.sample_below >> np.uint64(1)
        kept = 0
        for j in range(n):
            if w.sample_hash[j] < g.sample_below:
                if kept != j:
                    w.sample_hash[kept] = w.sample_hash[j]
                    copy_row(w.samples[kept], w.samples[j])
                kept += 1
        n = kept
    g.samples = n


@kernel
def _slower(latency, source, number, row):
    other = row[END_COLUMN] - row[START_COLUMN]
    if latency != other:
        return latency > other
    if source != row[SOURCE_COLUMN]:
        return source < row[SOURCE_COLUMN]
    return number < row[NUMBER_COLUMN]


@kernel
def _keep_slowest(w, x, latency, t):
    r = w.streams[x]
    table = w.slowest[r.class_id]
    n = w.slowest_n[r.class_id]
    if n == SLOWEST and not _slower(latency, r.client, r.number, table[n - 1]):
        return
    j = n if n < SLOWEST else n - 1
    w.slowest_n[r.class_id] = j + 1
    while j > 0 and _slower(latency, r.client, r.number, table[j - 1]):
        copy_row(table[j], table[j - 1])
        j -= 1
    fill(w, x, t, table[j])


@kernel
def copy_row(to, row):
    """Copy a record (assigning a slice would compile the text of an error, for seconds)."""
    for j in range(row.shape[0]):
        to[j] = row[j]


@kernel
def fill(w, x, t, row):
    """Write the record of the request of stream `x`, which ends at `t`, into `row`."""
    r = w.streams[x]
    row[0] = r.class_id
    row[1] = r.client
    row[2] = r.number
    row[3] = r.k + 1
    row[4] = r.attempts
    row[5] = r.status
    row[6] = r.flags
    row[7] = r.answer
    row[8] = r.cluster
    row[9] = r.station
    row[10] = w.conns[r.conn].pod
    row[11] = w.conns[r.conn].worker
    row[12] = w.conns[r.conn].index
    row[13] = r.handshake
    row[14] = r.start_ns
    row[15] = t
    row[16] = r.gw_start_ns
    row[17] = r.gw_end_ns
    row[18] = r.upstream_ns
    row[19] = r.request_bytes
    row[20] = r.sent_bytes
    row[21] = r.failed_before_ns + r.failed_ns
    for j in range(N_COMPONENTS):
        row[FIRST_COMPONENT + j] = r.component[j]


@kernel
def record_visit(w, i, visit, s, cost, a, b):
    """A visit of `cost` ns of CPU starting at `s` on worker `i`, in the name of the tie key (a, b); how long it takes."""
    out = w.worker_out[i]
    w.worker_visits[i, visit] += 1
    out.visit_ns += cost
    charge_cpu(w, i, s, cost)
    g = w.g[0]
    if g.trace < w.trace.shape[0]:
        row = w.trace[g.trace]
        row[0] = s
        row[1] = i
        row[2] = visit
        row[3] = source_of(a)
        row[4] = number_of(a)
        row[5] = try_of(b)
        row[6] = attempt_of(b)
        row[7] = cost
        g.trace += 1
    return worked(w, i, s, cost) - s


@kernel
def charge_cpu(w, i, at_ns, cost):
    """CPU of worker `i`, counted at instant `at_ns`."""
    out = w.worker_out[i]
    out.cpu += cost
    g = w.g[0]
    b = time_bin(g, at_ns)
    if b >= 0:
        if at_ns >= g.cut_ns:
            out.window_cpu += cost
        w.fleet_bins[w.workers[i].fleet, b] += cost


COUNTERS_AND_SUM = N_COUNTERS + 1
