"""What gateways would emit, read back with the parsers of those it is for: Prometheus, OpenTelemetry, and our own log reader."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from prometheus_client.parser import text_string_to_metric_families

from gwsim.engine.codes import Flag
from gwsim.engine.schema import FINE
from gwsim.report.emit import FORMATS, Wanted, emit
from gwsim.report.emit.prometheus import BOUNDS
from gwsim.report.emit.streams import combine, rows_of, shares
from gwsim.report.report import Report
from gwsim.results.histograms import Histogram
from gwsim.results.intervals import share_above
from gwsim.results.results import Results
from gwsim.scenario.replay import read_log

KINDS = ("pass", "fail", "saturated", "many")
BEGAN = Wanted(0, 1_767_225_600.0)
STANDARD = {
    "reporter", "source_workload", "source_workload_namespace", "source_principal", "source_app", "source_version", "source_cluster",
    "destination_workload", "destination_workload_namespace", "destination_principal", "destination_app", "destination_version",
    "destination_service", "destination_service_name", "destination_service_namespace", "destination_cluster", "request_protocol",
    "response_code", "response_flags", "connection_security_policy", "source_canonical_service", "source_canonical_revision",
    "destination_canonical_service", "destination_canonical_revision",
}
"""The labels of istio_requests_total. Source: istio.io/docs/reference/config/metrics."""


def metrics(results: Results) -> dict[str, list[tuple[str, dict[str, str], float]]]:
    """The samples by metric family, as Prometheus' own parser reads them."""
    families = text_string_to_metric_families(emit(results, "prometheus", BEGAN))
    return {one.name: [(s.name, dict(s.labels), s.value) for s in one.samples] for one in families}


@pytest.mark.parametrize("kind", KINDS)
def test_requests_by_code_and_flag_are_those_of_the_run(report: Callable[[str], Report], kind: str) -> None:
    results = report(kind).results
    raw = results.raws[0]
    samples = metrics(results)["istio_requests"]
    assert all(set(labels) == STANDARD for _, labels, _ in samples)
    by_code: dict[str, float] = {}
    by_flag: dict[str, float] = {}
    for _, labels, value in samples:
        by_code[labels["response_code"]] = by_code.get(labels["response_code"], 0) + value
        for flag in labels["response_flags"].split(","):
            by_flag[flag] = by_flag.get(flag, 0) + value
    status = raw.gw_status.sum(axis=0)
    assert by_code == {str(s): n for s, n in enumerate(status.tolist()) if n}
    flags = raw.gw_flags.sum(axis=0)
    assert {f: n for f, n in by_flag.items() if f != "-"} == {f.name: flags[f.bit_length() - 1] for f in Flag if f and flags[f.bit_length() - 1]}
    assert sum(value for _, _, value in samples) == raw.gw_streams.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_histograms_are_istios(report: Callable[[str], Report], kind: str) -> None:
    """Istio's buckets, cumulative, the last equal to the count; the count equal to the requests of the same labels."""
    results = report(kind).results
    found = metrics(results)
    requests = {tuple(sorted(labels.items())): value for _, labels, value in found["istio_requests"]}
    for family in ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"):
        counts: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for name, labels, value in found[family]:
            if name.endswith("_bucket"):
                counts.setdefault(tuple(sorted((k, v) for k, v in labels.items() if k != "le")), []).append(value)
        assert {key: values[-1] for key, values in counts.items()} == requests
        assert all(values == sorted(values) and len(values) == len(BOUNDS) + 1 for values in counts.values())
    sums = {name: sum(value for n, _, value in found[f"istio_{name}"] if n.endswith("_sum")) for name in ("request_bytes", "response_bytes")}
    assert sums["response_bytes"] == pytest.approx(float(results.raws[0].response_bytes.sum()), rel=1e-6)


def test_durations_are_those_of_the_gateway(report: Callable[[str], Report]) -> None:
    """Of a run without local replies: the share below each bound is that of the run's own histogram."""
    results = report("done").results
    raw = results.raws[0]
    own = Histogram.of(raw.gw_hist.sum(axis=0)[None, :], raw.gw_sum.sum(keepdims=True), FINE)
    found = metrics(results)["istio_request_duration_milliseconds"]
    answered = [(labels, value) for name, labels, value in found if name.endswith("_bucket")]
    total = sum(value for labels, value in answered if labels["le"] == "+Inf")
    for bound in (10.0, 25.0, 50.0):
        below = sum(value for labels, value in answered if labels["le"] != "+Inf" and float(labels["le"]) == bound) / total
        assert below == pytest.approx(1.0 - (share_above(own, bound * 1e-3).value or 0.0), abs=0.01)


def test_destinations_are_workloads(report: Callable[[str], Report]) -> None:
    """Streams by destination are the streams by cluster chosen."""
    results = report("done").results
    raw = results.raws[0]
    by_service: dict[str, float] = {}
    for _, labels, value in metrics(results)["istio_requests"]:
        by_service[labels["destination_service"]] = by_service.get(labels["destination_service"], 0) + value
        assert labels["destination_workload"] in ("cart", "checkout") or labels["destination_workload"].startswith(("cart", "checkout"))
    expected: dict[str, float] = {}
    for k, one in enumerate(results.labels.clusters):
        expected[one.host] = expected.get(one.host, 0) + float(raw.class_cluster[:, k].sum())
    assert by_service == pytest.approx(expected, abs=2)


@given(
    statuses=st.dictionaries(st.sampled_from([0, 200, 302, 403, 404, 429, 500, 503, 504]), st.integers(1, 1000), min_size=1),
    parts=st.dictionaries(st.sampled_from([f for f in Flag if f]), st.floats(0, 1)),
)
def test_counts_by_status_are_kept_whatever_the_flags(statuses: dict[int, int], parts: dict[Flag, float]) -> None:
    total = sum(statuses.values())
    flags = {flag: int(part * total / 4) for flag, part in parts.items()}
    made = combine(statuses, flags)
    assert {s: sum(n for (status, _), n in made.items() if status == s) for s in statuses} == statuses
    assert all(count > 0 for count in made.values())
    for flag, count in flags.items():
        assert sum(n for (_, have), n in made.items() if have & flag) <= count


def test_flags_go_with_the_status_they_mean() -> None:
    made = combine({200: 90, 503: 8, 504: 2}, {Flag.UO: 5, Flag.UT: 2, Flag.URX: 3})
    assert made == {(200, Flag.NONE): 90, (503, Flag.UO): 5, (504, Flag.UT): 2, (503, Flag.URX): 3}


@given(st.integers(0, 10**6), st.lists(st.floats(0, 1e6), min_size=1, max_size=8))
def test_shares_sum_to_the_whole(count: int, weights: list[float]) -> None:
    made = shares(count, weights)
    assert sum(made) == count and all(one >= 0 for one in made)


def test_rows_reach_the_clusters_chosen(report: Callable[[str], Report]) -> None:
    results = report("fail").results
    raw = results.raws[0]
    rows = rows_of(results, raw)
    for c in range(len(results.labels.classes)):
        for k in range(len(results.labels.clusters)):
            reached = sum(row.count for row in rows if (row.class_id, row.cluster) == (c, k))
            assert reached == pytest.approx(int(raw.class_cluster[c, k]), abs=3)


@pytest.mark.parametrize("kind", KINDS)
def test_envoy_statistics_have_envoys_names(report: Callable[[str], Report], kind: str) -> None:
    results = report(kind).results
    raw = results.raws[0]
    found = dict(line.rsplit(": ", 1) for line in emit(results, "envoy-stats", BEGAN).splitlines() if "upstream_rq_time" not in line)
    for k, one in enumerate(results.labels.clusters):
        assert int(found[f"cluster.{one.name}.upstream_rq_total"]) == raw.cluster_counters[k, 0]
        assert f"cluster.{one.name}.outlier_detection.ejections_enforced_total" in found
    assert sum(int(v) for k, v in found.items() if k.endswith(".downstream_rq_total")) == raw.gw_streams.sum()
    accepted = sum(int(v) for k, v in found.items() if k.startswith("listener.") and ".worker_" in k)
    assert accepted == raw.worker_connections.sum()


@pytest.mark.parametrize("form", ["access-log", "access-log-json"])
def test_the_access_log_is_one_that_gwsim_replays(report: Callable[[str], Report], tmp_path: Path, form: str) -> None:
    results = report("pass").results
    file = tmp_path / "access.log"
    file.write_text(emit(results, form, BEGAN))
    log = read_log(file)
    assert not log.skipped and len(log.entries) == len(results.raws[0].samples)
    first = log.entries[0]
    assert (first.method, first.host) in {(one.method, one.host) for one in results.labels.classes}
    assert 0 <= first.time_s - BEGAN.began_s < 2 * results.labels.duration_s


def test_lines_of_the_log_say_what_happened(report: Callable[[str], Report]) -> None:
    rows = [json.loads(line) for line in emit(report("fail").results, "access-log-json", BEGAN).splitlines()]
    overflown = [row for row in rows if "UO" in row["response_flags"]]
    assert overflown and all(row["response_code"] == 503 and "overflow" in row["response_code_details"] for row in overflown)
    answered = [row for row in rows if row["response_code"] == 200]
    assert answered and all(row["upstream_service_time"] <= row["duration"] and row["upstream_host"] for row in answered)


@pytest.mark.parametrize("kind", KINDS)
def test_spans_are_otlp(report: Callable[[str], Report], kind: str) -> None:
    """Read into OpenTelemetry's own messages; every gateway span lies within its client's."""
    plain = json.loads(emit(report(kind).results, "otlp", BEGAN))
    for resource in plain["resourceSpans"]:
        for span in resource["scopeSpans"][0]["spans"]:
            for name in {"traceId", "spanId", "parentSpanId"} & set(span):  # hexadecimal in OTLP's JSON, base64 in protobuf's
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    read = ParseDict(plain, TracesData())
    spans = {span.span_id: span for one in read.resource_spans for scope in one.scope_spans for span in scope.spans}
    children = [span for span in spans.values() if span.parent_span_id]
    assert children and len(children) * 2 == len(spans)
    for span in children:
        parent = spans[span.parent_span_id]
        assert parent.trace_id == span.trace_id
        assert parent.start_time_unix_nano <= span.start_time_unix_nano < span.end_time_unix_nano
    services = {attribute.value.string_value for one in read.resource_spans for attribute in one.resource.attributes if attribute.key == "service.name"}
    assert "istio-ingressgateway.istio-system" in services


def test_the_same_run_emits_the_same_bytes(report: Callable[[str], Report]) -> None:
    results = report("fail").results
    for form in FORMATS:
        assert emit(results, form, BEGAN) == emit(results, form, BEGAN)
