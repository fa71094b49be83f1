"""`gwsim import`: what is read from logs and metrics is what was put into them, and what cannot be known is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from observed_data import CART, START, line, matrix, poisson_log

from gwsim.cli import execute
from gwsim.errors import InputError
from gwsim.observed import access_log, prometheus, sources, traffic
from gwsim.planning.preparation import Given, prepare
from gwsim.scenario import file, write_template


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# --- access logs -----------------------------------------------------------------------------------------------


def test_every_field_of_istio_text_is_read() -> None:
    made = access_log.parse(line(1.25, code=503, flags="UO", details="overflow", up="-", sni="-"))
    assert made is not None
    assert (made.method, made.path, made.http, made.host) == ("GET", "/cart/7", "HTTP/2", "shop.example")
    assert (made.status, made.flags, made.details, made.upstream_s, made.duration_s) == (503, "UO", "overflow", None, 0.012)
    assert (made.received_bytes, made.sent_bytes, made.cluster, made.remote, made.sni) == (0, 900, CART, "198.51.100.7:40001", "")
    assert made.time_s == pytest.approx(START + 1.25)


def test_envoy_text_and_json_say_the_same_as_istio_text() -> None:
    envoy = '[2026-05-01T10:00:00.500Z] "GET /cart HTTP/1.1" 200 - 0 900 12 11 "-" "curl/8" "id" "shop.example" "10.1.2.3:8080"'
    as_json = json.dumps({"start_time": "2026-05-01T10:00:00.500Z", "method": "GET", "path": "/cart", "protocol": "HTTP/1.1", "response_code": 200,
                          "response_flags": "-", "bytes_received": 0, "bytes_sent": 900, "duration": 12, "upstream_service_time": "11", "authority": "shop.example"})  # fmt: skip
    one = access_log.parse(envoy)
    assert one is not None
    assert one == access_log.parse(as_json)
    assert access_log.parse("2026-05-01T10:00:00Z\tinfo\tEnvoy proxy is ready") is None


@pytest.mark.parametrize("wrong", ["", "{", "[1, 2]", '{"start_time": true}', '[x] "GET / HTTP/1.1" 200', "{" * 5000])
def test_lines_that_are_no_requests(wrong: str) -> None:
    assert access_log.parse(wrong) is None


def test_rate_mix_sizes_connections_and_service_times_are_recovered(tmp_path: Path) -> None:
    log = access_log.read([written(tmp_path / "a.log", poisson_log(200, 60, per_connection=5))])
    made = traffic.imported(log, "a.log", arrivals="poisson")
    (name, client), = made.clients.items()
    assert name == "http2-tls"
    read = file.Client.model_validate(client)
    assert read.arrivals.poisson == pytest.approx(200, rel=0.05)
    assert read.connection.http == 2
    assert read.connection.requests == 5
    weights = {one.method: one.weight for one in read.mix}
    assert weights["GET"] / sum(weights.values()) == pytest.approx(0.7, abs=0.02)
    get, post = read.mix
    assert (get.path.split("/")[1], post.path) == ("cart", "/checkout")
    assert post.request_size is not None
    assert get.response_size is not None
    assert get.response_size.resolved().mean == pytest.approx(900)
    assert post.request_size.resolved().mean == pytest.approx(349.5, rel=0.02)
    cart = file.scenario.Backend.model_validate(made.backends["cart.shop"])
    assert cart.service_time is not None
    # The mean of 11.5 ms (70 %) and 30 ms (30 %); a table of quantiles is linear between them.
    assert cart.service_time.resolved().mean == pytest.approx(0.01705, rel=0.25)
    assert any("1: Poisson" in text for text in made.inferred)


def test_paths_of_one_kind_are_one_entry() -> None:
    assert traffic.template("/api/v1/users/12345/orders/9f8b7a6c5d4e3f2a?x=1") == "/api/v1/users/*/orders/*"
    assert traffic.template("/a/550e8400-e29b-41d4-a716-446655440000") == "/a/*"
    assert traffic.template("/static/bootstrap.min.css") == "/static/bootstrap.min.css"


def test_times_of_whole_seconds_are_no_arrivals_to_replay(tmp_path: Path) -> None:
    lines = "\n".join(line(i // 10) for i in range(300))
    made = traffic.imported(access_log.read([written(tmp_path / "a.log", lines)]), "a.log")
    assert "profile" in made.clients["http2-tls"]["arrivals"]
    assert any("whole seconds" in text for text in made.assumed)


def test_unknown_connections_are_said(tmp_path: Path) -> None:
    lines = "\n".join(line(i * 0.1, remote="198.51.100.7:0") for i in range(50))
    made = traffic.imported(access_log.read([written(tmp_path / "a.log", lines)]), "a.log")
    assert "count" not in made.clients["http2-tls"]["connection"]
    assert any("connections are reused" in text for text in made.unknown)


def test_an_imported_log_runs_as_a_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_template(tmp_path / "demo")
    demo = yaml.safe_load((tmp_path / "demo" / "scenario.yaml").read_text())
    target = next(iter(demo["clients"].values()))["target"]
    config = next(iter(demo["clusters"].values()))["config"][0]
    log = written(tmp_path / "a.log", poisson_log(100, 10))
    code = execute(["import", str(log), "--target", target.partition("/")[2] if target.count("/") > 2 else target,
                    "--config", str(tmp_path / "demo" / config), "--out", str(tmp_path / "made")])  # fmt: skip
    assert code == 0, capsys.readouterr().err
    prepared = prepare(Given(paths=(str(tmp_path / "made"),)))
    arrivals = prepared.resolved.model.clients[0].arrivals
    assert len(getattr(arrivals, "times_s", ())) == len(log.read_text().splitlines())
    assert -1 not in getattr(arrivals, "shapes", (-1,))


# --- load generators -------------------------------------------------------------------------------------------

FORTIO = {
    "RunType": "HTTP", "RequestedQPS": "1000", "ActualQPS": 998.9, "NumThreads": 8, "Jitter": False, "Uniform": True, "NoCatchUp": True,
    "URL": "https://shop.example:8443/cart", "SocketCount": 1000,
    "DurationHistogram": {"Count": 10000, "Avg": 0.002, "Percentiles": [{"Percentile": 50, "Value": 0.0018}, {"Percentile": 99, "Value": 0.009}]},
    "RetCodes": {"200": 9990, "503": 10}, "Sizes": {"Avg": 1200.0}, "HeaderSizes": {"Avg": 200.0},
}
NIGHTHAWK = {
    "options": {"requests_per_second": 250, "connections": 4, "concurrency": "2", "uri": "http://shop.example/", "protocol": "HTTP2",
                "max_requests_per_connection": 4294937295, "request_options": {"request_method": "POST"}},
    "results": [{"name": "worker_0"}, {"name": "worker_1"}, {"name": "global", "statistics": [
        {"id": "benchmark_http_client.request_to_response", "mean": "0.0021s", "percentiles": [{"percentile": 0.5, "duration": "0.0019s"}]},
        {"id": "benchmark_http_client.response_body_size", "raw_mean": 640.0}]}],
}  # fmt: skip


def test_fortio_becomes_a_closed_loop(tmp_path: Path) -> None:
    made = sources.import_files([written(tmp_path / "f.json", json.dumps(FORTIO))])
    client = file.Client.model_validate(made.clients["generator"])
    closed = client.arrivals.closed
    assert closed is not None
    assert (closed.connections, closed.rate, closed.pacing, closed.catch_up) == (8, 1000.0, "uniform", False)
    assert (client.sni, client.connection.requests, client.mix[0].path) == ("shop.example", 10, "/cart")
    assert client.mix[0].response_size is not None
    assert client.mix[0].response_size.resolved().mean == 1000
    assert any("p99 9ms" in text.replace(" ms", "ms") for text in made.inferred)


def test_nighthawk_counts_per_worker(tmp_path: Path) -> None:
    made = sources.import_files([written(tmp_path / "n.json", json.dumps(NIGHTHAWK))])
    client = file.Client.model_validate(made.clients["generator"])
    closed = client.arrivals.closed
    assert closed is not None
    assert (closed.connections, closed.rate, client.connection.http, client.connection.requests) == (8, 500.0, 2, 0)
    assert client.mix[0].method == "POST"
    opened = {**NIGHTHAWK, "options": {**NIGHTHAWK["options"], "open_loop": True}}  # type: ignore[dict-item]
    again = sources.import_files([written(tmp_path / "o.json", json.dumps(opened))])
    assert file.Client.model_validate(again.clients["generator"]).arrivals.paced == 500.0


@pytest.mark.parametrize("text", ['{"DurationHistogram": {}, "NumThreads": 0, "URL": "x"}', '{"options": {}, "results": []}', "{]", '{"a": 1}'])
def test_damaged_reports_are_refused_with_words(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"r\.json"):
        sources.import_files([written(tmp_path / "r.json", text)])


# --- Prometheus ------------------------------------------------------------------------------------------------


def counter(rate: float, *, until: float = 600, step: float = 15, start: float = 0, reset_at: float | None = None) -> list[tuple[float, float]]:
    points, value, before = [], 0.0, start
    now = start
    while now <= until:
        value += rate * (now - before)
        if reset_at is not None and before < reset_at <= now:
            value = rate * (now - reset_at)
        points.append((START + now, value))
        before, now = now, now + step
    return points


EDGES = np.linspace(START, START + 600, 11)


def test_a_reset_loses_at_most_one_step() -> None:
    one = prometheus.Series({}, *np.array(counter(10, reset_at=300)).T)
    made = prometheus.rates(one, EDGES, 15)
    assert np.delete(made, 4) == pytest.approx(10)
    assert 10 * (1 - 15 / 60) <= made[4] <= 10


def test_a_gap_is_unknown_and_not_zero() -> None:
    points = [p for p in counter(10) if not START + 100 < p[0] < START + 400]
    made = prometheus.rates(prometheus.Series({}, *np.array(points).T), EDGES, 15)
    assert np.isnan(made[2:6]).all()
    assert made[~np.isnan(made)] == pytest.approx(10)


def test_pods_that_come_later_count_from_then() -> None:
    early, late = (prometheus.Series({"pod": p}, *np.array(counter(10, start=s)).T) for p, s in (("a", 0), ("b", 300)))
    assert prometheus.total([early, late], EDGES, 15) == pytest.approx([10] * 5 + [20] * 5)
    assert np.isnan(prometheus.total([], EDGES, 15)).all()


def test_quantiles_are_those_of_promql() -> None:
    bounds, cumulative = np.array([1.0, 5.0, 10.0, np.inf]), np.array([0.0, 50.0, 90.0, 100.0])
    assert prometheus.quantile(bounds, cumulative, 0.25) == pytest.approx(3.0)
    assert prometheus.quantile(bounds, cumulative, 0.7) == pytest.approx(7.5)
    assert prometheus.quantile(bounds, cumulative, 0.99) == 10.0
    assert np.isnan(prometheus.quantile(bounds, cumulative * 0, 0.5))


def metrics(folder: Path, *, cpu: bool = True) -> Path:
    """600 s of a rate that doubles half way, to two services, at 300 us a request and 0.05 cores at rest."""
    def rising(share: float) -> list[tuple[float, float]]:
        return [(START + t, share * (100 * t + 100 * max(0, t - 300))) for t in range(0, 601, 15)]

    base = {"reporter": "source", "source_workload": "gw", "response_code": "200", "response_flags": "-"}
    written(folder / "istio_requests_total.json", matrix(
        *(({**base, "destination_service": f"{name}.svc.cluster.local"}, rising(share)) for name, share in (("cart.shop", 0.75), ("pay.shop", 0.25)))))
    if cpu:
        points = [(t, 0.05 * (t - START) + 300e-6 * v) for t, v in rising(1.0)]
        written(folder / "container_cpu_usage_seconds_total.json", matrix(({"pod": "gw-1", "container": "istio-proxy"}, points)))
    return folder


def test_rates_and_cpu_of_metrics_are_recovered(tmp_path: Path) -> None:
    made = sources.import_files([metrics(tmp_path)])
    client = file.Client.model_validate(made.clients["observed"])
    assert client.arrivals.profile is not None
    assert client.arrivals.profile[0].rate[0] == pytest.approx(100, rel=0.01)
    assert client.arrivals.profile[-1].rate[0] == pytest.approx(200, rel=0.01)
    assert {one.name: one.weight for one in client.mix} == pytest.approx({"cart.shop": 112.5, "pay.shop": 37.5}, rel=0.01)
    assert any("300 ± " in text and "0.05 cores" in text for text in made.inferred)
    assert "speed:" in made.files["costs.yaml"]
    from gwsim import costs

    profile = costs.load().merge(written(tmp_path / "costs.yaml", made.files["costs.yaml"]))
    assert not profile.calibrated
    assert 0.3 < profile.speed < 3


def test_missing_series_are_said(tmp_path: Path) -> None:
    made = sources.import_files([metrics(tmp_path, cpu=False)])
    assert not made.costs
    assert any("container_cpu_usage_seconds_total" in text for text in made.unknown)
    (tmp_path / "istio_requests_total.json").rename(tmp_path / "other.json")
    with pytest.raises(InputError, match="there is no istio_requests_total"):
        sources.import_files([tmp_path])


def test_single_points_make_no_rate(tmp_path: Path) -> None:
    vector = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {"__name__": "istio_requests_total"}, "value": [START, "5"]}]}}
    with pytest.raises(InputError, match="range query"):
        sources.import_files([written(tmp_path / "v.json", json.dumps(vector))])


def test_an_error_of_prometheus_is_handed_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="parse error"):
        sources.import_files([written(tmp_path / "e.json", '{"status": "error", "error": "parse error", "data": {}}')])


# --- the command -----------------------------------------------------------------------------------------------


def test_the_command_prints_sections_with_their_provenance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = written(tmp_path / "gw.log", poisson_log(50, 10))
    assert execute(["import", str(log), "--arrivals", "poisson", "-q"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# Imported by gwsim from gw.log (access log).\n# Inferred:\n")
    assert set(yaml.safe_load(out)) == {"clients", "backends"}
    assert execute(["import", str(tmp_path / "none.log")]) == 2
    assert execute(["import", str(written(tmp_path / "x.log", "nothing\nhere\n"))]) == 2
