"""Recorded runs predicted from their folder: what the rows say is what is simulated, and what is missing gets a default."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gwsim.cli import execute
from gwsim.diagnostics import Collector
from gwsim.envoy.replay import open_recording, predict
from gwsim.envoy.replay.arrivals import Arrivals, read_arrivals
from gwsim.envoy.replay.predict import interval
from gwsim.errors import InputError, UsageError

CONFIG = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: b, namespace: default}
spec:
  hosts: [b.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  endpoints: [{address: 10.0.0.1, labels: {v: a}}, {address: 10.0.0.2, labels: {v: b}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: b, namespace: default}
spec:
  host: b.example
  subsets: [{name: a, labels: {v: a}}, {name: b, labels: {v: b}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: default}
spec:
  hosts: ["*"]
  gateways: [g]
  http:
  - match: [{headers: {x-plan: {exact: gold}}}]
    route: [{destination: {host: b.example, subset: b}}]
  - match: [{uri: {prefix: /split}}]
    route: [{destination: {host: b.example, subset: a}, weight: 90}, {destination: {host: b.example, subset: b}, weight: 10}]
  - match: [{uri: {prefix: /direct}}]
    directResponse: {status: 418}
  - route: [{destination: {host: b.example, subset: a}}]
"""
SCENARIO = "backends: {b.example: {service_time: 1ms}}\n"


def folder(at: Path, rows: Sequence[str], *, scenario: str | None = SCENARIO, costs: str | None = None, config: str = CONFIG) -> Path:
    """A recorded run."""
    (at / "config").mkdir(parents=True)
    (at / "config" / "all.yaml").write_text(config)
    (at / "arrivals.csv").write_text("\n".join(rows) + "\n")
    if scenario is not None:
        (at / "scenario.yaml").write_text(scenario)
    if costs is not None:
        (at / "costs.yaml").write_text(costs)
    return at


def counts(found: dict[str, Any], name: str) -> dict[str, float]:
    """Means by name."""
    return {key: one["count"] for key, one in found["counts"][name].items()}


def predicted(at: Path, replications: int = 2) -> dict[str, Any]:
    """The prediction of a folder."""
    return predict(open_recording(at), engine="reference", replications=replications)


def test_every_row_is_the_request_it_says(tmp_path: Path) -> None:
    rows = ["time,method,host,path,headers,connection"]
    rows += [f"{k * 0.01},GET,x.example,/direct?n={k},,c{k % 3}" for k in range(30)]
    rows += [f'{0.3 + k * 0.01},POST,x.example,/split,"x-plan: gold",c{k % 3}' for k in range(20)]
    rows += [f'{0.5 + k * 0.01},GET,x.example,/other,"{{""x-plan"": ""silver""}}",c0' for k in range(10)]
    found = predicted(folder(tmp_path / "r", rows))
    assert found["requests"] == 60
    assert counts(found, "status") == {"200": 30, "418": 30}
    assert counts(found, "flags") == {"-": 60}
    assert counts(found, "endpoints") == {"default/b.example/b-0": 10, "default/b.example/b-1": 20}
    assert [one["address"] for one in found["endpoints"]] == ["10.0.0.2", "10.0.0.1"] or {
        one["address"] for one in found["endpoints"]
    } == {"10.0.0.1", "10.0.0.2"}
    assert any("3 connections, as recorded" in one for one in found["assumptions"])


def test_weights_are_drawn_and_intervals_hold_them(tmp_path: Path) -> None:
    rows = ["time,path", *(f"{k / 500},/split" for k in range(1000))]
    found = predicted(folder(tmp_path / "r", rows), replications=4)
    one = found["counts"]["endpoints"]["default/b.example/b-1"]
    assert 80 < one["count"] < 120
    assert one["low"] < 100 < one["high"]
    assert found["latency_s"]["p50"]["value"] > 0.001
    assert 0 < found["utilisation"]["mean"] < 1


def test_times_alone_need_no_names_and_no_scenario(tmp_path: Path) -> None:
    found = predicted(folder(tmp_path / "r", [str(1_700_000_000 + k / 100) for k in range(20)], scenario=None))
    assert counts(found, "status") == {"200": 20}
    assert 0.18 < found["duration_s"] < 0.2


def test_entries_of_the_scenario_keep_their_sizes_and_what_is_new_is_added(tmp_path: Path) -> None:
    scenario = """
apiVersion: gwsim/v1
question: which?
clients:
  web:
    target: Service/istio-system/istio-ingressgateway:80
    arrivals: {poisson: 10rps}
    rtt: 1ms
    mix: [{name: split, path: /split, host: x.example, response_size: 200KB}]
backends: {b.example: {service_time: 1ms}}
budgets: ["gateway.latency p(99) < 1ms"]
"""
    rows = ["time,method,host,path", "0,GET,x.example,/split", "0.1,GET,x.example,/direct"]
    recording = open_recording(folder(tmp_path / "r", rows, scenario=scenario))
    mix = recording.resolved.model.clients[0].mix
    assert [one.name for one in mix] == ["split", "GET x.example/direct"]
    assert mix[0].response_bytes.mean == 200_000
    assert recording.resolved.model.clients[0].rtt_s.mean == 0.001
    assert recording.resolved.model.clients[0].arrivals.shapes == (0, 1)  # type: ignore[union-attr]
    assert counts(predict(recording, engine="reference", replications=1), "status") == {"200": 1, "418": 1}


def test_connections_that_come_and_go(tmp_path: Path) -> None:
    rows = ["time,path,connection", *(f"{k * 0.01},/direct,{k // 2}" for k in range(40))]
    connection = open_recording(folder(tmp_path / "r", rows)).resolved.model.clients[0].connection
    assert (connection.count, connection.requests) == (1, 2)


@pytest.mark.parametrize(
    "costs",
    [
        "apiVersion: gwsim.costs/v1\nname: here\ncalibrated: true\ncosts: {worker: {wakeup_us: 500}}\n",
        "worker: {wakeup_us: 500}\n",
        "worker.wakeup_us: 500\n",
        "overrides: {worker.wakeup_us: 500}\n",
        "costs: {worker: {wakeup_us: {value: 500, unit: us}}}\n",
    ],
)
def test_costs_in_any_form(tmp_path: Path, costs: str) -> None:
    rows = ["time,path", *(f"{k * 0.02},/direct" for k in range(30))]
    plain = open_recording(folder(tmp_path / "a", rows)).resolved.model.fleets[0].wakeup_s
    dear = open_recording(folder(tmp_path / "b", rows, costs=costs)).resolved.model.fleets[0].wakeup_s
    assert (plain, dear) == pytest.approx((45e-6, 500e-6))


def test_ejections_are_timed(tmp_path: Path) -> None:
    config = CONFIG.replace(
        "host: b.example\n  subsets", "host: b.example\n  trafficPolicy: {outlierDetection: "
        "{consecutive5xxErrors: 5, interval: 1s, baseEjectionTime: 1s, maxEjectionPercent: 100}}\n  subsets",
    )  # fmt: skip
    rows = ["time,path", *(f"{k * 0.01},/other" for k in range(250))]
    scenario = "backends: {b.example: {service_time: 1ms, errors: {500: 100%}}}\n"
    found = predicted(folder(tmp_path / "r", rows, scenario=scenario, config=config))
    first, *rest = found["ejections"]
    assert first["share_of_runs"] == 1.0
    assert first["at_s"] == pytest.approx(0.04, abs=0.01)  # the fifth answer
    assert first["until_s"] == pytest.approx(2.0, abs=0.05)  # the first tick a second later
    assert len(rest) == 1
    assert set(counts(found, "flags")) == {"-", "UH"}


def test_a_pair_that_differs_in_one_field(tmp_path: Path) -> None:
    rows = ["time,path", *(f"{k * 0.01},/other" for k in range(100))]
    scenario = "backends: {b.example: {service_time: 40ms}}\n"
    slow = CONFIG.replace("  - route: [{destination: {host: b.example, subset: a}}]", "  - route: [{destination: {host: b.example, subset: a}}]\n    timeout: 30ms")
    a = predicted(folder(tmp_path / "a", rows, scenario=scenario))
    b = predicted(folder(tmp_path / "b", rows, scenario=scenario, config=slow))
    assert counts(a, "status") == {"200": 100}
    assert counts(b, "status") == {"504": 100}
    assert counts(b, "flags") == {"UT": 100}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no arrival"),
        (["path", "/a"], "no time column"),
        (["time,path", "soon,/a"], "is no time"),
        (["time,headers", "1,{no"], "no JSON object"),
        (["time,response_size", "1,big"], "no number of bytes"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(InputError) as raised:
        open_recording(folder(tmp_path / "r", rows))
    assert any(message in one.message and one.span.file.endswith("arrivals.csv") for one in raised.value.findings)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        open_recording(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        open_recording(tmp_path / "empty")


def test_the_command_prints_json_and_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = folder(tmp_path / "r", ["time,path", "0,/direct", "0.1,/split"])
    assert execute(["verify", "replay", str(at), "-o", "json", "-n", "1", "-j", "1", "--engine", "reference"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["status"]["418"]["count"] == 1
    assert execute(["verify", "replay", str(at), "-n", "1", "-j", "1", "--engine", "reference"]) == 0
    assert "utilisation of a worker" in capsys.readouterr().out
    assert execute(["verify", "replay", str(tmp_path / "nowhere")]) == 2


def test_times_in_milliseconds_and_rows_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("path,time_ms,header:x-a\n/b,20,1\n/a,10,\n")
    found = read_arrivals(path, Collector())
    assert isinstance(found, Arrivals)
    assert found.times_s == pytest.approx((0.01, 0.02))
    assert found.asked[1].headers == (("x-a", "1"),)


def test_the_interval_of_a_count() -> None:
    low, high = interval(100, 1000)
    assert (low, high) == (76, 125)
    assert interval(1000, 1000) == (1000, 1000)
    assert interval(0, 1000) == (0, 0)
    assert interval(10, 1000, seen=[0, 40]) == (0, 40)
