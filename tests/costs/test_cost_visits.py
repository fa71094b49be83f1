"""Visits: protocols, handshakes, filters, ranges and what is not CPU."""

from __future__ import annotations

from typing import Any

import pytest

from gwsim import costs
from gwsim.errors import UsageError

PROFILE = costs.load()


def handshake_us(**situation: Any) -> tuple[float, float]:
    v = costs.visit_costs(PROFILE, **situation)
    full = v.client_hello_full_s + v.finished_full_s
    return round(full * 1e6, 6), round((v.client_hello_resumed_s + v.finished_resumed_s) * 1e6, 6)


@pytest.mark.parametrize(
    ("version", "certificate", "measured_us"),
    [
        ("1.3", "rsa2048", 1034),
        ("1.3", "rsa3072", 2476),
        ("1.3", "rsa4096", 5073),
        ("1.3", "p256", 346),
        ("1.3", "p384", 1023),
        ("1.2", "p256", 270),
        ("1.2", "rsa2048", 938),
    ],
)
def test_handshakes_total_what_was_measured(version: str, certificate: str, measured_us: float) -> None:
    full, resumed = handshake_us(downstream_tls=version, certificate=certificate)
    assert full == measured_us
    assert resumed == {"1.3": 305, "1.2": 124}[version]


def test_a_client_certificate_is_checked_in_the_finished_visit() -> None:
    for certificate, extra_us in (("rsa2048", 120), ("p256", 190)):
        situation: dict[str, Any] = {"downstream_tls": "1.3", "certificate": certificate}
        one = costs.visit_costs(PROFILE, **situation)
        both = costs.visit_costs(PROFILE, mutual=True, **situation)
        assert both.client_hello_full_s == one.client_hello_full_s
        assert (both.finished_full_s - one.finished_full_s) * 1e6 == pytest.approx(extra_us)
    mixed = costs.visit_costs(
        PROFILE, downstream_tls="1.3", certificate="p256", mutual=True, client_certificate="rsa2048"
    )
    assert (mixed.client_hello_full_s + mixed.finished_full_s) * 1e6 == pytest.approx(346 + 120)


def test_the_signature_is_paid_at_client_hello() -> None:
    for version in ("1.2", "1.3"):
        rsa = costs.visit_costs(PROFILE, downstream_tls=version, certificate="rsa4096")  # type: ignore[arg-type]
        small = costs.visit_costs(PROFILE, downstream_tls=version, certificate="p256")  # type: ignore[arg-type]
        assert rsa.finished_full_s == small.finished_full_s
        assert rsa.client_hello_full_s > 10 * small.client_hello_full_s


def test_round_trips_and_bytes() -> None:
    new = costs.visit_costs(PROFILE, downstream_tls="1.3", mutual=True)
    old = costs.visit_costs(PROFILE, downstream_tls="1.2")
    assert (new.tls_rtts_full, new.tls_rtts_resumed) == (1, 1)
    assert (old.tls_rtts_full, old.tls_rtts_resumed) == (2, 1)
    assert (new.handshake_bytes_up, new.handshake_bytes_down) == (2334, 4610)
    assert (old.handshake_bytes_up, old.handshake_bytes_down) == (328, 1957 + 1250)
    assert (new.resumed_bytes_up, new.resumed_bytes_down) == (599, 496)


def test_without_tls_nothing_of_it_is_charged() -> None:
    v = costs.visit_costs(PROFILE)
    for name in costs.VisitCosts.__slots__:
        if "tls" in name or "hello" in name or "finished" in name or "bytes" in name:
            assert getattr(v, name) == 0, name


def test_upstream_handshakes() -> None:
    plain = costs.visit_costs(PROFILE)
    simple = costs.visit_costs(PROFILE, upstream_tls="simple")
    mesh = costs.visit_costs(PROFILE, upstream_tls="istio_mutual")
    old = costs.visit_costs(PROFILE, upstream_tls="simple", upstream_tls_version="1.2")
    full = (simple.up_connected_s - plain.up_connected_s + simple.up_tls_s) * 1e6
    assert full == pytest.approx(350)
    assert (mesh.up_tls_s - simple.up_tls_s) * 1e6 == pytest.approx(800)
    assert mesh.up_tls_resumed_s == simple.up_tls_resumed_s < simple.up_tls_s
    assert (simple.up_tls_visits_full, simple.up_tls_rtts_full, simple.up_tls_finished_s) == (1, 1, 0)
    assert (old.up_tls_visits_full, old.up_tls_rtts_full) == (2, 2)
    assert old.up_tls_finished_s > 0
    assert costs.visit_costs(PROFILE, upstream_tls="mutual") == mesh


def test_http1_has_no_stream_costs_and_http2_has() -> None:
    names = [f"{visit}_stream_s" for visit in ("read", "write_up", "read_up", "write_down")]
    one = costs.visit_costs(PROFILE, filters=["jwt_rs256"])
    two = costs.visit_costs(PROFILE, downstream_http=2, upstream_http=2)
    assert [getattr(one, name) for name in names] == [0.0] * 4
    assert all(getattr(two, name) > 0 for name in names)


def test_filters_follow_the_request_not_the_visit() -> None:
    situation: dict[str, Any] = {"downstream_http": 2, "istio_filters": False}
    bare = costs.visit_costs(PROFILE, **situation)
    with_jwt = costs.visit_costs(PROFILE, filters=["jwt_rs256", "access_log_text"], **situation)
    assert with_jwt.read_s == bare.read_s
    assert (with_jwt.read_stream_s - bare.read_stream_s) * 1e6 == pytest.approx(49)
    assert (with_jwt.read_up_s - bare.read_up_s) * 1e6 == pytest.approx(10)


def test_istio_filters_are_paid_by_default() -> None:
    bare = costs.cpu_per_request(PROFILE, istio_filters=False)
    assert (costs.cpu_per_request(PROFILE) - bare) * 1e6 == pytest.approx(55.5)
    assert sum(charge.seconds for charge in costs.istio_charges(PROFILE)) * 1e6 == pytest.approx(55.5)


def test_counts_and_bytes_of_filters() -> None:
    def own_us(spec: str) -> float:
        return sum(charge.seconds for charge in costs.filter_charges(PROFILE, spec)) * 1e6

    assert own_us("rbac:100") == pytest.approx(9)  # measured: 100 policies
    assert own_us("route_match:100") == pytest.approx(7)  # measured: 100 header-match routes
    assert own_us("header_op:6") == pytest.approx(3)
    assert own_us("header_op:0") == 0
    gzip = costs.visit_costs(PROFILE, filters=["gzip_6"])
    assert (gzip.read_up_byte_s - costs.visit_costs(PROFILE).read_up_byte_s) * 1e9 == pytest.approx(22)


def test_every_filter_resolves_to_visits_that_are_charged() -> None:
    for name in {path.split(".")[0] for path in PROFILE.below("filters")}:
        v = costs.visit_costs(PROFILE, filters=[name])
        assert v != costs.visit_costs(PROFILE), name


@pytest.mark.parametrize(
    ("situation", "message"),
    [
        ({"downstream_http": 3}, "HTTP/3"),
        ({"downstream_tls": "1.1"}, "downstream_tls"),
        ({"downstream_tls": "1.3", "certificate": "rsa2084"}, "did you mean 'rsa2048'"),
        ({"upstream_tls": "tls"}, "upstream_tls"),
        ({"upstream_tls": "simple", "upstream_tls_version": "1.1"}, "upstream_tls_version"),
        ({"filters": ["jwt_rs265"]}, "did you mean 'jwt_rs256'"),
        ({"filters": ["rbac:many"]}, "whole number"),
        ({"filters": ["rbac"], "tcp": True}, "no HTTP filters"),
    ],
)
def test_what_is_not_priced_is_refused(situation: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        costs.visit_costs(PROFILE, **situation)


def test_ranges_surround_one_and_are_nothing_for_known_costs() -> None:
    low, high = costs.cpu_per_request_range(PROFILE, downstream_tls="1.3")
    assert 0.5 < low < 1 < high < 2
    known = PROFILE.with_overrides({path: cost.value for path, cost in PROFILE.costs.items()})
    assert costs.cpu_per_request_range(known) == (1.0, 1.0)
    fast = PROFILE.with_speed(2)
    assert costs.cpu_per_request_range(fast) == pytest.approx(costs.cpu_per_request_range(PROFILE))


def test_tcp_proxy_is_copying() -> None:
    tcp, http = costs.visit_costs(PROFILE, tcp=True), costs.visit_costs(PROFILE, istio_filters=False)
    assert tcp.read_s < http.read_s / 3
    assert (tcp.read_byte_s + tcp.write_up_byte_s) * 1e9 == pytest.approx(0.3)
    assert tcp.close_s > http.close_s  # the connection's statistics


def test_memory_agrees_with_the_published_sheet() -> None:
    mib = costs.memory(PROFILE).gateway_bytes(clusters=500, endpoints=2000) / 2**20
    sheet = 50 + 0.092 * 500 + 0.018 * 2000
    assert mib == pytest.approx(sheet, rel=0.10)
    one = costs.memory(PROFILE)
    assert one.gateway_bytes(h2_tls=10, routes=2) > one.gateway_bytes(tls=10) > one.gateway_bytes(plain=10)


def test_what_is_not_cpu_comes_in_seconds_and_bytes() -> None:
    net = costs.network(PROFILE)
    assert net.same_node_rtt_s < net.same_zone_rtt_s < net.cross_zone_rtt_s < net.internet_rtt_median_s
    assert net.hop_bare_metal_median_s < net.hop_vm_median_s
    assert costs.prices(PROFILE).vcpu_hour == 0.048
    assert costs.ports(PROFILE).ephemeral == 28232
    kubernetes = costs.kubernetes(PROFILE)
    assert kubernetes.hpa_target * kubernetes.gateway_cpu_request == pytest.approx(0.08)
    assert kubernetes.gateway_memory_limit_bytes == 2**30
    assert costs.services(PROFILE).ext_authz_median_s == pytest.approx(0.35e-3)


def test_tracing_is_charged_by_the_share_that_is_sampled() -> None:
    def added_us(share: float, **more: Any) -> float:
        return (costs.cpu_per_request(PROFILE, traced=share, **more) - costs.cpu_per_request(PROFILE, **more)) * 1e6

    assert added_us(0.0) == 0.0
    assert added_us(1.0) == pytest.approx(130)
    assert added_us(0.1) == pytest.approx(0.1 * 130 + 0.9 * 3)
    assert added_us(1.0, downstream_http=2) == pytest.approx(130)
    assert added_us(1.0, tcp=True) == 0.0
