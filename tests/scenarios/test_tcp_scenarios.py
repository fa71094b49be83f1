"""Scenarios of byte streams: TCP gateways, TLS that passes through."""

from __future__ import annotations

import json

import pytest
from scenario_runs import PROFILE, cost_us, cpu_us, decides, errors, run, value

from gwsim import costs
from gwsim.report.emit import Wanted, emit
from gwsim.results.results import Results


def erlang_loss(c: int, a: float) -> float:
    """Erlang's B."""
    lost = 1.0
    for k in range(1, c + 1):
        lost = a * lost / (k + a * lost)
    return lost


@pytest.mark.parametrize(("places", "tolerance"), [(10, 0.05), (20, 0.05), (40, 0.002)])
def test_a_tcp_gateway_refuses_what_erlang_says(places: int, tolerance: float) -> None:
    """Each pod has its places; what finds none is reset (UO) and does not wait."""
    results = run("tcp-gateway", decides("tcp-gateway", str(places)), duration="4s")
    assert errors(results) == pytest.approx(erlang_loss(places, 200 * 0.1024), abs=tolerance)
    assert {one.name for one in results.total.flags} <= {"UO"}


def test_tls_that_passes_saves_the_handshake_and_costs_a_connection() -> None:
    def loop(wakeups: int, turns: int) -> float:
        return wakeups * cost_us("worker.wakeup_us") + turns * cost_us("worker.iteration_us")

    stream, ended = costs.visit_costs(PROFILE, tcp=True), costs.visit_costs(PROFILE, downstream_tls="1.3", certificate="p256")
    inspected = PROFILE.si("connections.tls_inspector_us")
    relayed = stream.read_s + stream.write_up_s + stream.read_up_s + stream.write_down_s
    body = 4000 * (stream.read_up_byte_s + stream.write_down_byte_s)
    passing = stream.accept_s + inspected + stream.up_connected_s + 2 * relayed + body + 2 * stream.close_s + stream.write_up_s
    handshake = ended.accept_s + inspected + ended.client_hello_full_s + ended.finished_full_s + ended.close_s
    request = ended.read_s + ended.write_up_s + ended.read_up_s + ended.write_down_s + 4000 * (ended.read_up_byte_s + ended.write_down_byte_s)
    passed = run("tls-passthrough", duration="4s")
    simple = run("tls-passthrough", decides("tls-passthrough", "SIMPLE"), duration="4s")
    assert cpu_us(passed) == pytest.approx(passing * 1e6 + loop(7, 14), rel=0.05)
    assert cpu_us(simple) == pytest.approx((handshake + request) * 1e6 + loop(4, 7), rel=0.05)
    assert cpu_us(passed) < cpu_us(simple)
    slower = value(passed.total.client_latency.p50) - value(simple.total.client_latency.p50)
    assert slower == pytest.approx(1.0e-3, abs=0.4e-3)


def test_new_pods_get_byte_streams_that_are_opened_again() -> None:
    def of_new_pods(results: Results) -> float:
        rates = [value(one.requests_per_s) for one in results.pods]
        return sum(rates[2:]) / sum(rates)

    assert of_new_pods(run("tcp-scale-out", duration="15s")) == 0.0
    limited = run("tcp-scale-out", decides("tcp-scale-out", "5s"), duration="15s")
    assert of_new_pods(limited) == pytest.approx((15 - 5) / 15 / 2, abs=0.09)  # of 60 connections, each at random
    assert 0.0005 < errors(limited) < 0.006
    assert {one.name for one in limited.total.flags} == {"DT"}


def test_tls_of_the_application_opens_a_connection_at_every_proxy() -> None:
    """Sidecar and egress gateway hand it on; without the gateway its CPU and its way are gone."""
    def gateway_us(results: Results) -> float:
        cores = sum(value(one.cpu_cores) for one in results.pods if "egress" in one.pod)
        return cores / value(results.throughput.offered_rps) * 1e6

    through = run("egress-passthrough", duration="5s")
    straight = run("egress-passthrough", decides("egress-passthrough", "{host: api.partner.com, port: {number: 443}}"), duration="5s")
    loop = 8 * cost_us("worker.wakeup_us") + 14 * cost_us("worker.iteration_us")
    assert gateway_us(through) == pytest.approx(320 + loop, rel=0.06)
    assert gateway_us(straight) == 0.0
    calls = [value(results.select(client="orders").client_latency.p50) for results in (through, straight)]
    assert calls[0] - calls[1] == pytest.approx(3 * 0.4e-3 + 0.6e-3, abs=0.15e-3)
    assert calls[1] == pytest.approx(111.7e-3, rel=0.01)


def test_what_gateways_emit_of_byte_streams() -> None:
    """Connections and bytes; no status, no method, no spans."""
    results = run("tcp-gateway", decides("tcp-gateway", "20"), duration="4s")
    wanted = Wanted(replication=0)
    lines = [json.loads(line) for line in emit(results, "access-log-json", wanted).splitlines()]
    assert {(line["response_code"], line["method"], line["protocol"]) for line in lines} == {(0, None, None)}
    assert {line["response_flags"] for line in lines} == {"-", "UO"}
    metrics = emit(results, "prometheus", wanted)
    assert "istio_tcp_connections_opened_total" in metrics and "istio_requests_total" not in metrics
    stats = emit(results, "envoy-stats", wanted)
    assert "upstream_cx_overflow" in stats and "upstream_cx_http1_total" not in stats
    spans = json.loads(emit(results, "otlp", wanted))["resourceSpans"]
    assert {span["kind"] for one in spans for scope in one["scopeSpans"] for span in scope["spans"]} == {3}
