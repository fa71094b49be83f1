"""Four-ary heaps of (instant, tie key) and the packing of tie keys.

A tie key (source, number, k, a, part) with the index of what it is about is packed into two integers that compare in
the same order: `a = source << 39 | number` (deliveries to stations: `station << 49 |` that) and
`b = k << 51 | a << 39 | part << 35 | index`.
"""

from __future__ import annotations

from gwsim.engine.compiled.kernel import kernel

MAX_SOURCES, MAX_STATIONS = 1 << 10, 1 << 14


@kernel
def key_a(source, number):
    """First part of a tie key."""
    return (source << 39) | number


@kernel
def key_b(k, a, part, index):
    """Second part of a tie key, with the index of what it is about."""
    return (k << 51) | (a << 39) | (part << 35) | index


@kernel
def index_of(b):
    """Index packed into `b`."""
    return b & 0x7FFFFFFFF


@kernel
def part_of(b):
    """Part packed into `b`."""
    return (b >> 35) & 15


@kernel
def attempt_of(b):
    """Gateway attempt packed into `b`."""
    return (b >> 39) & 4095


@kernel
def try_of(b):
    """Client attempt packed into `b`."""
    return b >> 51


@kernel
def number_of(a):
    """Number packed into `a`."""
    return a & 0x7FFFFFFFFF


@kernel
def source_of(a):
    """Source packed into `a` (station deliveries: mask of ten bits)."""
    return (a >> 39) & 1023


@kernel
def earlier(t, a, b, u, c, d):
    """Whether key (t, a, b) comes before (u, c, d)."""
    if t != u:
        return t < u
    if a != c:
        return a < c
    return b < d


@kernel
def push(heap, n, t, a, b):
    """Add a key to a heap of `n` entries."""
    i = n
    while i > 0:
        p = (i - 1) >> 2
        q = heap[p]
        if not earlier(t, a, b, q.t, q.a, q.b):
            break
        heap[i].t = q.t
        heap[i].a = q.a
        heap[i].b = q.b
        i = p
    heap[i].t = t
    heap[i].a = a
    heap[i].b = b


@kernel
def _first(heap, c, d):
    """Which of two entries comes first."""
    p, q = heap[c], heap[d]
    return d if earlier(q.t, q.a, q.b, p.t, p.a, p.b) else c


@kernel
def pop(heap, n):
    """Remove the first key of a heap of `n` entries (read it before)."""
    m = n - 1
    t, a, b = heap[m].t, heap[m].a, heap[m].b
    i = 0
    while True:
        c = 4 * i + 1
        if c >= m:
            break
        if c + 3 < m:  # two pairs at a time: neither comparison waits for the other
            c = _first(heap, _first(heap, c, c + 1), _first(heap, c + 2, c + 3))
        else:
            for d in range(c + 1, m):
                c = _first(heap, c, d)
        q = heap[c]
        u, v, x = q.t, q.a, q.b
        if not earlier(u, v, x, t, a, b):
            break
        heap[i].t = u
        heap[i].a = v
        heap[i].b = x
        i = c
    heap[i].t = t
    heap[i].a = a
    heap[i].b = b
