"""Records of the compiled engine: one NumPy structured type per thing, and the arrays made of them.

`*_ns` are int64 nanoseconds, keys are uint64, indices are -1 where there is none. A list through records is told by
its `*_head`, `*_tail`, `*_next`, `*_prev` fields. Handlers take the world `w` (`world`); helpers take only the records they touch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gwsim.engine.codes import N_COMPONENTS

I8, U8, F8 = np.int64, np.uint64, np.float64
MAX_TRIED = 16
"""Hosts that a stream remembers having been sent to."""


def record(ints: str, **others: Any) -> np.dtype[Any]:
    """A structured type of int64 fields and some others; every field is a multiple of 8 bytes, so all are aligned."""
    return np.dtype([(name, I8) for name in ints.split()] + list(others.items()))


GLOBAL = record(
    "horizon_ns cut_ns stop_ns done fault saturated max_in_flight closed_clients requests in_flight measured "
    "sojourn_ns area area_since_ns area_bin stream_free streams_live conn_free conns_live slots hold_free station_n "
    "client_n act_n ready_max accept_max backoff_max armed_max pending slack open_sources act_at_ns act_kind act_client act_known events "
    "want_digest records trace ejections samples started hold_used warm bin bin_end_ns cx_free cx_live extra control_at_ns tick_pod "
    "tick_cluster found uptimers_max downtimers_max now_ns rest_free rest_used ports leavings fragile limited stops_max stops_slack living endings "
    "job_free jobs_live links_live chained fan",
    sample_below=U8, digest=U8,
)
STREAM = record(
    "next_free refs class_id client number k a state since_ns start_ns try_start_ns measured client_done gw_begun "
    "gw_done live conn slot handshake waiting_next waiting_prev due_ns gw_start_ns gw_end_ns upstream_ns write_end_ns "
    "arrive_ns service_ns depart_ns answer_ns answer_status admit_end_ns failed_before_ns failed_ns cluster position "
    "station attempts retries_used holds_retry tried_n status flags answer request_bytes response_bytes sent_bytes "
    "pool_next pool_prev conn_next conn_prev out_next dropped route_next route_prev route_at_ns route_armed try_next "
    "try_prev try_at_ns try_armed try_class backoff_at_ns client_next client_prev client_at_ns client_armed start_bin kind "
    "parent rule call op cx cx_next cx_prev closing slot_next slot_prev derived root_measured hop cause asked queue served_ns answer_bytes",
    root_key=U8, request_key=U8, key=U8, attempt_key=U8, component=(I8, N_COMPONENTS), tried=(I8, MAX_TRIED),
)
CONN = record(
    "next_free refs client slot pod worker up_ns down_ns resumed accepted accept_end_ns closed a k hold_head hold_tail "
    "out_head out_tail armed stream_head batch_tail batch_poll stops_first stops_n life draining index link handshake running_head",
    key=U8,
)
SLOT = record(
    "client index generation state in_use remaining ticket_pod not_before_ns conn waiting_head waiting_tail next_free "
    "queued retiring attempt_head queue",
    key=U8,
)
QUEUE = record("head tail made pod", key=U8)
"""A client's free slots; those of backends that dial the proxy beside them (on `pod`) are apart."""
CLIENT = record(
    "fleet arrivals http slot_first slot_count per_connection streams tls rtt reconnect think timeout_ns retries "
    "retry_5xx retry_timeout budget tokens class_first classes accept_ns hello_full_ns hello_resumed_ns "
    "finished_full_ns finished_resumed_ns read_ns read_stream_ns write_down_ns write_down_stream_ns timer_ns close_ns "
    "queue_first queues timeout_head timeout_tail next_number next_at_ns seg_first segs seg loop_first loops "
    "pacing catch_up has_rate uniform replay_first replays age_ns drain_ns",
    ticket_share=F8, read_byte_s=F8, write_down_byte_s=F8, base_s=F8, max_s=F8, rate=F8, weight_sum=F8, unit_sum=F8,
    seg_begin_s=F8, seg_area=F8, seg_duration_s=F8, mean_base_s=F8, mean_peak_s=F8, peak=F8,
    source_key=U8, connection_key=U8, next_key=U8,
)
CLASS = record(
    "client local_status flags targets target_first weight_sum route_class has_retry num_retries conditions "
    "codes_first codes try_class base_ms max_ms reselections request_dist response_dist hash_first hashes "
    "ops op_first mirrors mirror_first local_bytes later_first laters from_ns",
    weight=F8,
)
TARGET = record("cluster weight")
CLUSTER = record(
    "endpoints endpoint_first policy max_connections max_pending max_requests max_retries http tls_round_trips "
    "write_up_ns read_up_ns up_connected_ns up_tls_ns choices source_first sources level_first level_sources groups "
    "member_first turn slow_window_ns capacity per_connection outlier splits fragile idle_ns duration_ns connect_ns "
    "close_ns budget_least",
    write_up_byte_s=F8, read_up_byte_s=F8, slow_least=F8, aggression=F8, budget_percent=F8,
)
ENDPOINT = record("station cluster joins joined_ns tickets", weight=F8)
HASH_RULE = record("kind users", value=U8)
LEVEL = record("load degraded panic table update_at_ns merged updated_ns")
"""A priority of a cluster on a pod: shares of the load, whether in panic, its hash table; the update that is due."""
SOURCE = record("first n")
"""Where the hosts of one priority, kind and locality group on a pod are in `members`."""
SCHED = record("n order")
EDF = record("order member", deadline=F8, weight=F8)
"""Entry of a weighted turn; `weight` is negative where it depends on the state of the host."""
PODHOST = record(
    "ejected healthy warm priority ejected_at_ns back_at_ns backoff ok total failures_5xx failures_gateway local_failures "
    "ejection present gone leaving"
)
"""A host on a pod; counts of results and of consecutive failures for outlier detection, row of the last ejection."""
OUTLIER = record(
    "consecutive_5xx consecutive_gateway consecutive_local interval_ns base_ns longest_ns window_ns",
    most_percent=F8, enforcing=(I8, 5),
)
DETECTOR = record("hosts ejected tried tick_at_ns", key=U8)
OP = record(
    "kind status timer cluster request_bytes body_most response_bytes fail_open deny_flag error_flag first n",
    percent=F8, enforced=F8, name=U8,
)
"""An operation of a shape's program (`filters`)."""
MIRROR = record("cluster timer", percent=F8, name=U8)
BUCKET = record("", most=F8, rate=F8, last_s=F8)
TABLE = record("first n")
STATION = record(
    "zone service concurrency queue error_first errors server_first leave_first leave_head leave_n keepalive_ns outage_first "
    "outages mode_first modes stall_first stalls ports end_ns greeted relay stage_first stages call_error busy waits wait_head wait_tail"
)
RELAY = record("client pod tls", ticket_share=F8)
"""What a station stands for that is a pod of a further proxy (pod -1: of whichever pod is chosen)."""
STAGE = record("first n")
CALL = record("class_id queue critical classes", percent=F8)
"""A call of a station; `classes` is a row of `call_classes`, -1 for all."""
JOB = record("next_free stream a b station delivered_ns service_ns status stage open failed next", key=U8)
"""A request at a station that makes calls; (a, b) is the name of its attempt."""
OUTAGE = record("from_ns to_ns drops")
MODE = record("from_ns to_ns error_first errors", slow=F8)
"""A time in which a station behaves otherwise; `errors` is -1 where it has its usual ones."""
STALL = record("from_ns to_ns")
WORKER = record(
    "fleet pod zone wakeup_ns iteration_ns asleep slept_ns ready_n accept_n backoff_n armed_n list_n list_at batch_n "
    "timers_n timer_at_ns poll uptimers_n downtimers_n connections limited budget_ns paying stops_first stops_n"
)
POD = record("fleet worker_first workers zone front quota_ns offset_ns serving over draining ending life")
FLEET = record("pod_first pods front cursor exact zones")
ZONE = record("first n")
"""Targets of a front load balancer in one zone: where they are in `front_pods`."""
QUOTA = record("period used_ns")
STOP = record("from_ns to_ns before_ns")
"""A time in which a worker was stopped, and for how long it had been before."""
DIST = record("kind point_first points", a=F8, b=F8)
POINT = record("", p=F8, x=F8)
SEGMENT = record("", duration_s=F8, r0=F8, r1=F8)
SHARE = record("status", share=F8)
RECORDED = record("at_ns shape")
POOL = record("ready established connecting epoch pending_head pending_tail pending links", link_key=U8)
UPSTREAM = record(
    "next_free refs worker ep state streams left epoch ready prev next a b used attach_armed stream_head freed_ns idle_at_ns "
    "idle_a idle_b idle_listed closes_ns closes_a closes_b closes_listed gone has_port lost conn parted"
)
"""An upstream connection; (a, b) names the attempt that opened it, idle_* its idle time-out, closes_* when its pod hangs up; `conn` is its
other side, if that is a proxy, `parted` once this side has closed."""
PORT_POOL = record("ports hold_ns hold_remote_ns shared refuses")
PORTS = record("taken resting", head=(I8, 2), tail=(I8, 2))
"""Source ports of one owner for one station (`source_ports`)."""
RESTING = record("next_free until_ns")
PORT_OUT = record("taken refused peak")
PODCLUSTER = record("connections pending requests retries plain levels")
TIMERS = record("head tail")
ENTRY = record("t a b")
"""Heap entry: instant, then the tie key packed into two integers (see `keys`)."""
TASK = record("visit a b next")
"""Entry of a worker's list, of its armed actions, or one item of a connection's visit."""
HOLD = record("next t a b")
LOOP = record("made schedule")
CLASS_OUT = record(
    "offered finished good client_attempts gateway_attempts request_bytes response_bytes covered latency_sum failed_sum "
    "gw_streams gw_sum overhead_sum",
    handshakes=(I8, 4),
)
WORKER_OUT = record("visit_ns cpu window_cpu wakeups iterations connections streams throttled")
STATION_OUT = record("jobs rejected errors busy wait window_busy")
BIN_OUT = record("arrivals finished errors latency_sum area")


ARRAYS: dict[str, tuple[Any, int]] = {
    # what the model says
    "clients": (CLIENT, 1), "classes": (CLASS, 1), "targets": (TARGET, 1), "clusters": (CLUSTER, 1),
    "endpoints": (ENDPOINT, 1),  # of all clusters
    "stations": (STATION, 1), "workers": (WORKER, 1), "pods": (POD, 1), "fleets": (FLEET, 1), "dists": (DIST, 1),
    "points": (POINT, 1), "segments": (SEGMENT, 1),
    "outages": (OUTAGE, 1), "modes": (MODE, 1), "stalls": (STALL, 1),  # of stations
    "front_pods": (I8, 1), "front_zones": (ZONE, 1),  # targets of front load balancers
    "shares": (SHARE, 1),  # error shares of stations
    "codes": (I8, 1),  # retriable status codes
    "replay": (RECORDED, 1),
    "relays": (RELAY, 1), "relay_classes": (I8, 2),  # [relay, class]: class there
    "stages": (STAGE, 1), "calls": (CALL, 1), "call_classes": (I8, 2),  # [row, class]: whether such requests need it
    "rtt": (I8, 3),  # [zone, zone, 2]: up, down
    "timer_ns": (I8, 1), "timer_visit": (I8, 1),  # [timer class]: duration; ROUTE_TIMEOUT or TRY_TIMEOUT
    # state
    "g": (GLOBAL, 1),  # one record
    "streams": (STREAM, 1), "conns": (CONN, 1), "slots": (SLOT, 1), "queues": (QUEUE, 1), "hold": (HOLD, 1),
    "loops": (LOOP, 1),  # closed loops
    "pools": (POOL, 2),  # [worker, endpoint]
    "upstream": (UPSTREAM, 1),  # upstream connections
    "port_pools": (PORT_POOL, 1), "ports": (PORTS, 2), "resting": (RESTING, 1),  # [owner, station]; ports that rest
    "jobs": (JOB, 1),  # at stations that make calls
    "tickets": (I8, 3),  # [worker, endpoint that is a proxy, pod]: whether the pod has given one
    "podclusters": (PODCLUSTER, 2),  # [pod, cluster]
    "active": (I8, 2),  # [pod, endpoint]
    "cursors": (I8, 2),  # [worker, source]: round robin
    "levels": (LEVEL, 2),  # [pod, priority of a cluster]
    "sources": (SOURCE, 2),  # [pod, source]
    "members": (I8, 2),  # [pod, n]: positions of hosts, by source
    "scheds": (SCHED, 2), "edf": (EDF, 2),  # [worker, source], [worker, n]: weighted turns
    "podhosts": (PODHOST, 2),  # [pod, endpoint]
    "tables": (TABLE, 1), "table_hash": (U8, 1), "table_host": (I8, 1),  # consistent hashing
    "hash_rules": (HASH_RULE, 1),
    "outliers": (OUTLIER, 1), "detectors": (DETECTOR, 2),  # [cluster with detection], [pod, cluster]
    "found": (I8, 2),  # hosts and kinds of detection, from a tick to the kernel
    "ops": (OP, 1), "op_buckets": (I8, 1), "mirrors": (MIRROR, 1), "buckets": (BUCKET, 2),  # [pod, bucket]
    "free_at": (I8, 1),  # servers of all stations
    "leave": (I8, 1),  # starts of the jobs that wait at stations with a limited queue
    "quota": (QUOTA, 2),  # [pod, period modulo so many]: what has been used of it
    "stops": (STOP, 2),  # [worker, n]
    "next_at": (I8, 1),  # [worker]: instant of its next event
    "ready": (ENTRY, 2), "accept": (ENTRY, 2), "backoff": (ENTRY, 2), "uptimers": (ENTRY, 2), "downtimers": (ENTRY, 2),  # [worker, n] heaps
    "armed": (TASK, 2),  # [worker, n]
    "tasks": (TASK, 2),  # [worker, n]: the list of this iteration
    "batch": (TASK, 2),  # [worker, n]: further items of connections in the list
    "timers": (TIMERS, 2),  # [worker, timer class]
    "station_heap": (ENTRY, 1), "client_heap": (ENTRY, 1), "act_heap": (ENTRY, 1),
    # counts
    "class_out": (CLASS_OUT, 1),
    "class_status": (I8, 3),  # [2, class, status]: at the client, at the gateway
    "class_flags": (I8, 2), "class_cluster": (I8, 2),
    "fine": (I8, 3),  # [3, class, bucket]: latency, gateway latency, gateway overhead
    "component_hist": (I8, 3),
    "anatomy": (I8, 3),  # [class, bucket, component and, last, count]
    "cluster_out": (I8, 2),  # [cluster, counter and, last, sum of upstream times]
    "cluster_hist": (I8, 2), "worker_out": (WORKER_OUT, 1), "worker_visits": (I8, 2), "fleet_bins": (I8, 2),
    "fleet_pods": (I8, 2),
    "port_out": (PORT_OUT, 1), "station_out": (STATION_OUT, 1), "bins": (BIN_OUT, 1), "bin_hist": (I8, 2), "samples": (I8, 2),
    "sample_hash": (U8, 1),
    "slowest": (I8, 3),  # [class, n, record]
    "slowest_n": (I8, 1), "records": (I8, 2), "trace": (I8, 2), "ejections": (I8, 2),
}
"""Every array of a run: type of an element and number of dimensions. Kernels see them as attributes of `w`."""


FREE_FOREVER = np.iinfo(np.int64).max // 4
"""An instant that never comes."""
NEVER = 2 * FREE_FOREVER
"""Later still: no control event."""
