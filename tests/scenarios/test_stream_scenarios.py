"""Scenarios of WebSockets and gRPC streams, against what their headers derive."""

from __future__ import annotations

import math

import pytest
from scenario_runs import decides, errors, run, value

from gwsim.engine.codes import Flag
from gwsim.report.emit import Wanted
from gwsim.report.emit.records import sampled

PING = "clients.sockets.mix[0].stream.ping=30s"


def erlang_loss(servers: int, offered: float) -> float:
    """Erlang's B formula."""
    loss = 1.0
    for n in range(1, servers + 1):
        loss = offered * loss / (n + offered * loss)
    return loss


def test_sockets_are_cut_at_the_first_gap_that_is_long_enough() -> None:
    for limit_s, duration_s in ((60.0, 1200), (45.0, 600)):
        results = run("websocket", *(() if limit_s == 60.0 else (decides("websocket", "45s"),)), duration=f"{duration_s}s")
        x = limit_s / 30.0
        mean_s, squared = 30.0 * math.expm1(x), (math.exp(2 * x) - 2 * x * math.exp(x) - 1) / math.expm1(x) ** 2
        expected = 200 * (duration_s / mean_s - (1 - squared) / 2)
        (figures,) = results.streams
        # asymptotic variance of a renewal process
        assert value(figures.cut_per_s) * duration_s == pytest.approx(expected, abs=4 * math.sqrt(expected * squared))
        assert value(figures.open) == pytest.approx(200, rel=0.001)
        assert [one.name for one in results.total.flags] == ["SI"]
        logged = sampled(results, Wanted())
        assert {(one.values["status"], one.flags, one.details) for one in logged} == {(101, "SI", "stream_idle_timeout")}  # as a real Envoy logs it
        assert value(figures.down.sent_per_s) == pytest.approx(200 / 30, abs=4 * math.sqrt(200 / 30 / duration_s))
    for settings in ((decides("websocket", "0s"),), (PING,)):
        kept = run("websocket", *settings, duration="3m").streams[0]
        assert value(kept.cut_per_s) == 0.0
        assert value(kept.open) == pytest.approx(200, rel=0.001)


def test_open_streams_are_active_requests() -> None:
    """At a tenth of the size, so that it takes little time: 11 a second that last 10 s, and a limit of 102 or 128."""
    tenth = "clients.apps.arrivals.poisson=11rps"
    few = run("grpc-streams", tenth, decides("grpc-streams", "102"), duration="300s")
    (figures,) = few.streams
    assert errors(few) == pytest.approx(erlang_loss(102, 110), abs=0.04)
    assert figures.peak <= 102
    assert value(figures.open) == pytest.approx(110 * (1 - erlang_loss(102, 110)), rel=0.03)
    assert few.raws[0].gw_flags[0, Flag.UO.bit_length() - 1] == few.raws[0].status[0, 503]
    enough = run("grpc-streams", tenth, decides("grpc-streams", "160"), duration="200s")
    assert errors(enough) == 0.0
    assert value(enough.streams[0].open) == pytest.approx(110, abs=3 * math.sqrt(110 * 2 * 10 / 160))


def test_the_limit_of_the_scenario_is_reached_by_streams_alone() -> None:
    results = run("grpc-streams", "clients.apps.mix[0].stream.messages_down.every=1h", duration="70s")
    assert errors(results) == pytest.approx(erlang_loss(1024, 1100), abs=0.045)
    assert results.streams[0].peak <= 1024
    assert results.bottleneck.first is not None and results.bottleneck.first.name == "outbound|9090||quotes.shop.svc.cluster.local"
