"""Names with numbers that both engines share: they appear in results, traces and draw keys.

Numbers are part of the format of saved results and of the draws: never renumber, only append.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Component(IntEnum):
    """Where a request's time goes; the components of a request sum to its latency exactly."""

    CLIENT_NETWORK = 0
    CONNECTION_SETUP = 1
    WORKER_QUEUE = 2
    PROXY_CPU = 3
    FILTER_CALLS = 4
    POOL_WAIT = 5
    UPSTREAM_NETWORK = 6
    UPSTREAM_QUEUE = 7
    UPSTREAM_SERVICE = 8
    RETRY_BACKOFF = 9
    INJECTED_DELAY = 10
    THROTTLING = 11
    CLIENT_BACKOFF = 12
    NEXT_HOP = 13


class Visit(IntEnum):
    """Kinds of a worker's visits (and, above 100, other events that appear in traces)."""

    ACCEPT = 0
    CLIENT_HELLO = 1
    FINISHED = 2
    READ = 3
    WRITE_UP = 4
    READ_UP = 5
    WRITE_DOWN = 6
    UP_CONNECTED = 7
    UP_TLS = 8
    ROUTE_TIMEOUT = 9
    TRY_TIMEOUT = 10
    BACKOFF = 11
    CLOSE = 12
    ATTACH = 13
    DELAY = 14
    CALL_TIMEOUT = 15
    UP_CLOSE = 16
    UP_EXPIRE = 17
    UP_FAILED = 18
    CONNECT_TIMEOUT = 19
    DOWN_EXPIRE = 20
    DOWN_CLOSE = 21
    STREAM_IDLE = 22


class Part(IntEnum):
    """Last part of a tie key: what of a request (attempt) becomes ready or happens."""

    ACCEPT = 0
    CLIENT_HELLO = 1
    FINISHED = 2
    REQUEST = 3
    CANCEL = 4
    CLOSE = 5
    UP_CONNECTED = 6
    UP_TLS = 7
    UP_RESPONSE = 8
    UP_CLOSE = 9
    UP_FAILED = 10
    UP_CLOSE_UNUSED = 11
    MESSAGE = 12
    PING = 13
    UP_MESSAGE = 14
    UP_PONG = 15


class Flag(IntFlag):
    """Envoy response flags. Source: envoy/stream_info/stream_info.h."""

    NONE = 0
    UH = 1
    UT = 2
    UO = 4
    URX = 8
    NR = 16
    NC = 32
    DC = 64
    UF = 128
    UC = 256
    UR = 512
    RL = 1024
    UAEX = 2048
    FI = 4096
    DI = 8192
    RLSE = 16384
    DT = 32768
    SI = 65536


FLAG_ORDER = ("DI", "FI", "URX", "UF", "UC", "UR", "UT", "UO", "UH", "NR", "NC", "RL", "RLSE", "UAEX", "DT", "SI", "DC")
"""Order in which set flags are printed: the order in which Envoy sets them in the situations modelled."""


class Counter(IntEnum):
    """Per cluster, under Envoy's own statistic names (`cluster.<name>.<counter>`)."""

    UPSTREAM_RQ_TOTAL = 0
    UPSTREAM_RQ_COMPLETED = 1
    UPSTREAM_RQ_2XX = 2
    UPSTREAM_RQ_4XX = 3
    UPSTREAM_RQ_5XX = 4
    UPSTREAM_RQ_TIMEOUT = 5
    UPSTREAM_RQ_PER_TRY_TIMEOUT = 6
    UPSTREAM_RQ_RETRY = 7
    UPSTREAM_RQ_RETRY_SUCCESS = 8
    UPSTREAM_RQ_RETRY_LIMIT_EXCEEDED = 9
    UPSTREAM_RQ_RETRY_OVERFLOW = 10
    UPSTREAM_RQ_PENDING_TOTAL = 11
    UPSTREAM_RQ_PENDING_OVERFLOW = 12
    UPSTREAM_RQ_ACTIVE_OVERFLOW = 13
    UPSTREAM_RQ_CANCELLED = 14
    UPSTREAM_CX_TOTAL = 15
    UPSTREAM_CX_OVERFLOW = 16
    UPSTREAM_CX_DESTROY = 17
    UPSTREAM_CX_NONE_HEALTHY = 18
    LB_HEALTHY_PANIC = 19
    OUTLIER_DETECTED_5XX = 20
    OUTLIER_DETECTED_GATEWAY = 21
    OUTLIER_DETECTED_LOCAL_ORIGIN = 22
    OUTLIER_DETECTED_SUCCESS_RATE = 23
    OUTLIER_DETECTED_FAILURE_PERCENTAGE = 24
    OUTLIER_EJECTIONS_OVERFLOW = 25
    OUTLIER_EJECTIONS_ENFORCED_TOTAL = 26
    UPSTREAM_CX_MAX_REQUESTS = 27
    UPSTREAM_CX_IDLE_TIMEOUT = 28
    UPSTREAM_CX_MAX_DURATION = 29
    UPSTREAM_CX_DESTROY_REMOTE = 30
    UPSTREAM_CX_CONNECT_FAIL = 31
    UPSTREAM_CX_CONNECT_TIMEOUT = 32
    UPSTREAM_RQ_PENDING_FAILURE_EJECT = 33


class Purpose(IntEnum):
    """What a draw is for; a draw is `fold(key, purpose * 256 + i)`."""

    ARRIVAL = 1
    STATE = 2
    SHAPE = 3
    REQUEST_BYTES = 4
    RESPONSE_BYTES = 5
    CLUSTER = 6
    LOAD_BALANCER = 7
    SERVICE = 8
    ERROR = 9
    BACKOFF = 10
    FRONT = 11
    KERNEL = 12
    RTT = 13
    TICKET = 14
    REMAINING = 15
    RECONNECT = 16
    CLIENT_BACKOFF = 17
    THINK = 18
    PACING = 19
    ROUND_ROBIN = 20
    SAMPLE = 21
    PRIORITY = 22
    LOCALITY = 23
    HASH = 24
    OUTLIER = 25
    ENFORCING = 26
    FAULT_DELAY = 27
    FAULT_ABORT = 28
    BUCKET = 29
    MIRROR = 30
    QUOTA = 31
    HPA = 32
    CALL = 33
    AGE = 34
    STREAM_DURATION = 35
    GAP_UP = 36
    GAP_DOWN = 37
    BYTES_UP = 38
    BYTES_DOWN = 39


N_COMPONENTS = len(Component)
N_VISITS = len(Visit)
N_COUNTERS = len(Counter)
