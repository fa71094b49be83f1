"""Scenarios about what filters and observability add to a request, against what their headers derive."""

from __future__ import annotations

import math

import pytest
from scenario_runs import binomial, cost_us, cpu_us, decides, errors, run, share, value

from gwsim.engine.codes import Component

LIMIT = "EnvoyFilter/istio-system/global-limit:spec.configPatches[0].patch.value.typed_config"
TRACES = "Telemetry/istio-system/mesh:spec.tracing[0]"


def test_a_slow_rate_limit_service_lets_requests_pass_or_fails_them() -> None:
    for timeout_s in (0.02, 0.005):
        late = math.exp(-(timeout_s - 0.0005) / 0.005)
        timeout = f"{LIMIT}.timeout={timeout_s}s"
        opened = run("global-rate-limit", timeout, duration="6s")
        closed = run("global-rate-limit", timeout, decides("global-rate-limit", "true"), duration="6s")
        refused = 0.25 * (1 - late)
        for results, failed in ((opened, 0.0), (closed, late)):
            requests = results.total.requests
            assert share(results, "429") == pytest.approx(refused, abs=binomial(refused, requests))
            assert share(results, "500") == pytest.approx(failed, abs=binomial(failed, requests))
        mean = next(one for one in opened.total.splits if one.band == "mean")
        # A timer of a sleeping worker fires up to 1 ms late.
        waited = 0.0005 + 0.005 * (1 - late)
        assert mean.parts_s[Component.FILTER_CALLS] == pytest.approx(waited, abs=0.08 * waited + 0.001 * late)


def test_plugins_cost_every_operation_the_same_and_bodies_by_their_bytes() -> None:
    whole = run("graphql-gateway", duration="6s")
    bare = run("graphql-gateway", decides("graphql-gateway", "none"), duration="6s")
    plugin = cost_us("filters.wasm.request_us") + cost_us("filters.wasm.response_us")
    for operation in ("query", "mutation", "upload"):
        assert cpu_us(whole, shape=operation) - cpu_us(bare, shape=operation) == pytest.approx(plugin, rel=0.1)
    no_script = run("graphql-gateway", "EnvoyFilter/api/operation-name:spec.workloadSelector.labels.gateway=none", duration="6s")
    script = cost_us("filters.lua.base_us") + 4 * cost_us("filters.lua.per_call_us")
    assert cpu_us(whole) - cpu_us(no_script) == pytest.approx(script, abs=2.0)
    byte = (cost_us("body.read_ns_per_byte") + cost_us("body.write_ns_per_byte")) * 2e6
    assert cpu_us(whole, shape="upload") - cpu_us(whole, shape="query") == pytest.approx(byte, rel=0.05)
    assert errors(whole) == 0.0


def test_spans_cost_what_the_profile_says_by_the_share_that_is_sampled() -> None:
    few, all_ = run("observability-cost", duration="6s"), run("observability-cost", f"{TRACES}.randomSamplingPercentage=100", duration="6s")
    none = run("observability-cost", f"{TRACES}.disableSpanReporting=true", duration="6s")
    sampled = cost_us("filters.tracing_sampled.start_us") + cost_us("filters.tracing_sampled.finish_us")
    unsampled = cost_us("filters.tracing_unsampled.decide_us")
    assert cpu_us(all_) - cpu_us(none) == pytest.approx(sampled, rel=0.03)
    assert cpu_us(few) - cpu_us(none) == pytest.approx(0.01 * sampled + 0.99 * unsampled, abs=1.0)
    assert value(all_.total.client_latency.p50) > value(none.total.client_latency.p50)
