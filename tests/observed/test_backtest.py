"""`gwsim backtest` against records whose truth is known: the backtest has to find it again."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
from observed_data import START, matrix
from recorded_truth import record

from gwsim.cli import execute
from gwsim.errors import InputError, UsageError
from gwsim.observed import prometheus
from gwsim.observed.backtest import Backtest, backtest
from gwsim.observed.explaining import Candidate, explain
from gwsim.observed.replay import replayed
from gwsim.observed.window import Gateway, observe
from gwsim.planning.preparation import Given, prepare
from gwsim.scenario import write_template

TRUTH = (
    "costs.speed=0.7",
    'backends["east/cart.shop"].service_time={lognormal: {median: 11ms, p90: 30ms}}',
    'backends["east/cart.shop"].errors={503: 1%}',
)
GATEWAY = Gateway(name="istio-ingressgateway", namespace="istio-system")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, float, float]:
    """A scenario, and records of the same gateway with slower machines, a slower cart and its errors."""
    folder = tmp_path_factory.mktemp("backtest")
    write_template(folder / "demo")
    start, end = record(folder / "metrics", folder / "demo", TRUTH, (900, 1300, 1000, 1400))
    return folder / "demo", folder / "metrics", start, end


@pytest.fixture(scope="module")
def made(world: tuple[Path, Path, float, float]) -> Backtest:
    scenario, metrics, start, end = world
    return backtest(Given(paths=(str(scenario),)), prometheus.read_folder(metrics), start=start, end=end, requests=40_000, bins=10)


def test_the_observed_rate_and_mix_are_replayed(made: Backtest) -> None:
    assert made.row("requests").ratio == pytest.approx(1.0, abs=0.03)
    for service in ("cart.shop", "checkout.shop"):
        assert made.row("requests", service=service).ratio == pytest.approx(1.0, abs=0.05)
    assert made.observed_rps[0] == pytest.approx(1000, rel=0.05)
    assert made.observed_rps[-1] == pytest.approx(1400, rel=0.05)


def test_service_times_are_found_again(made: Backtest) -> None:
    cart = next(one for one in made.fitted if one.service == "cart.shop")
    assert cart.median_s == pytest.approx(0.011, rel=0.15)
    assert cart.p90_s == pytest.approx(0.030, rel=0.15)
    assert cart.errors == pytest.approx({503: 0.01}, rel=0.3)
    for quantile in ("p50", "p90"):
        assert made.row("request duration", quantile=quantile, service="cart.shop").ratio == pytest.approx(1.0, abs=0.08)


def test_slow_machines_are_seen_in_cpu_and_named_first(made: Backtest) -> None:
    cpu = made.row("cpu per pod")
    assert 0.6 < cpu.ratio < 0.85
    assert cpu.low <= cpu.predicted <= cpu.high
    first = made.explanations[0]
    assert "costs.speed" in first.name
    assert first.factor == pytest.approx(0.7, rel=0.15)
    assert first.explained > 0.5
    assert len(made.explanations) <= 3


def test_errors_of_the_backend_are_compared_by_flag(made: Backtest) -> None:
    row = made.row("5xx", flag="-")
    assert row.observed == pytest.approx(0.005, rel=0.3)
    assert row.ratio == pytest.approx(1.0, abs=0.4)
    assert made.row("replicas").observed == 2


def test_the_command(world: tuple[Path, Path, float, float], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario, metrics, _, _ = world
    words = ["backtest", str(scenario), "--prometheus", str(metrics), "--requests", "5000", "-q"]
    assert execute([*words, "-o", "json", "--out", str(tmp_path / "made")]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert {row["metric"] for row in plain["metrics"]} == {"requests", "cpu per pod", "request duration", "5xx", "replicas"}
    assert (tmp_path / "made" / "backtest.svg").read_text().startswith("<?xml")
    assert execute([*words, "--within", "0.01"]) == 1
    assert "predicted ÷ observed" in capsys.readouterr().out
    assert execute([*words, "--from", "yesterday"]) == 2
    assert execute([*words, "--gateway", "other/gw"]) == 2


# --- what may be wrong with records ----------------------------------------------------------------------------


def answers(folder: Path, *, gap: tuple[float, float] = (0, 0), workload: str = "istio-ingressgateway", service: str = "cart.shop") -> Path:
    points = [(START + t, 100.0 * t) for t in range(0, 601, 15) if not gap[0] < t < gap[1]]
    labels = {"reporter": "source", "source_workload": workload, "source_workload_namespace": "istio-system",
              "destination_service": f"{service}.svc.cluster.local", "response_code": "200", "response_flags": "-"}  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "istio_requests_total.json").write_text(matrix((labels, points)), encoding="utf-8")
    return folder


def test_gaps_are_left_out_and_said(tmp_path: Path) -> None:
    recorded = prometheus.read_folder(answers(tmp_path, gap=(120, 360)))
    seen = observe(recorded, GATEWAY, START, START + 600, 10)
    assert np.isnan(seen.total_rps).sum() == 4
    assert seen.mean_rps == pytest.approx(100)
    assert any("4 of 10 pieces" in note for note in seen.notes)
    assert any("milliseconds_bucket" in note for note in seen.notes)
    assert any("container_cpu" in note for note in seen.notes)


def test_pieces_without_data_are_not_replayed(tmp_path: Path) -> None:
    write_template(tmp_path / "demo")
    prepared = prepare(Given(paths=(str(tmp_path / "demo"),)))
    seen = observe(prometheus.read_folder(answers(tmp_path / "m", gap=(120, 360))), GATEWAY, START, START + 600, 10)
    how = replayed(prepared, seen, requests=6000)
    assert len(how.known) == 6
    assert how.factor == pytest.approx(6.0)
    assert how.duration_s == pytest.approx(60.0)


def test_services_outside_the_mix_are_named(tmp_path: Path) -> None:
    write_template(tmp_path / "demo")
    prepared = prepare(Given(paths=(str(tmp_path / "demo"),)))
    seen = observe(prometheus.read_folder(answers(tmp_path / "m", service="search.shop")), GATEWAY, START, START + 600, 10)
    assert replayed(prepared, seen, requests=6000).strangers == pytest.approx({"search.shop": 100})


def test_another_gateways_metrics_are_refused(tmp_path: Path) -> None:
    recorded = prometheus.read_folder(answers(tmp_path, workload="egress"))
    with pytest.raises(ValueError, match="reported by istio-system/egress"):
        observe(recorded, GATEWAY, START, START + 600, 10)
    with pytest.raises(ValueError, match="no two points"):
        observe(prometheus.read_folder(answers(tmp_path)), GATEWAY, START + 5000, START + 6000, 10)


def test_windows_that_are_none(world: tuple[Path, Path, float, float]) -> None:
    scenario, metrics, start, _ = world
    with pytest.raises(UsageError, match="must end after"):
        backtest(Given(paths=(str(scenario),)), prometheus.read_folder(metrics), start=start, end=start)


# --- explanations ----------------------------------------------------------------------------------------------


def test_the_input_that_moves_metrics_the_right_way_explains_most() -> None:
    """A linear world in logarithms: `a` moves x twice and y once, `b` moves y only."""
    def world_at(a: float, b: float) -> dict[str, float]:
        return {"x": a**2, "y": a * b}

    def candidate(name: str) -> Candidate:
        return Candidate(name=name, settings=lambda f: [f"{name}={f}"], probe=1.25, low=0.1, high=1.5, value=str)

    def run(settings: list[str]) -> dict[str, float]:
        (name, value), = (one.split("=") for one in settings)
        return world_at(float(value), 1.0) if name == "a" else world_at(1.0, float(value))

    found = explain(world_at(1.3, 1.0), world_at(1, 1), [candidate("b"), candidate("a")], run)
    assert [one.name for one in found] == ["a", "b"]
    assert found[0].factor == pytest.approx(1.3)
    assert found[0].explained == pytest.approx(1.0)
    assert found[1].explained == pytest.approx(0.2)
    assert explain(world_at(1.001, 1), world_at(1, 1), [candidate("a")], run) == []
    beyond = explain(world_at(3.0, 1.0), world_at(1, 1), [candidate("a")], run)[0]
    assert beyond.bounded
    assert beyond.factor == pytest.approx(1.5)
    assert explain({"x": math.nan}, {"x": 1.0}, [candidate("a")], run) == []


# --- a server --------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """A Prometheus on loopback that answers with a counter, and keeps what it was asked."""
    asked: list[dict[str, list[str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            asked.append(form | {"auth": [self.headers.get("Authorization", "")]})
            bad = "broken" in form["query"][0]
            body = b'{"status": "error", "error": "no such thing"}' if bad else matrix(({"a": "b"}, [(float(form["start"][0]), 1.0)])).encode()
            self.send_response(400 if bad else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}", asked
    http.shutdown()
    http.server_close()


def test_a_server_is_asked_in_parts_its_limit_allows(server: tuple[str, list[dict[str, list[str]]]]) -> None:
    url, asked = server
    made = prometheus.Server(url=url, headers=(("Authorization", "Bearer x"),)).query("up", 0, 25_000, 1)
    assert len(asked) == len(made) == 3
    assert [float(one["start"][0]) for one in asked] == [0, 10_001, 20_002]
    assert asked[0]["auth"] == ["Bearer x"]
    with pytest.raises(InputError, match="400 to broken: no such thing"):
        prometheus.Server(url=url).query("broken", 0, 1, 1)


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(InputError, match="cannot be asked"):
        prometheus.Server(url="http://127.0.0.1:9", timeout_s=1).query("up", 0, 1, 1)
    with pytest.raises(UsageError, match="no http"):
        prometheus.Server(url="file:///etc/hosts").query("up", 0, 1, 1)
