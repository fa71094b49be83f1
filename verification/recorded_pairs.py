"""Pairs of runs of a real Envoy that differ in one field, scored through `gwsim verify replay`.

    python verification/recorded_pairs.py [NAME ...] [--keep DIR]

The Envoy's configuration is written by hand in each file of `verification/pairs`, beside the Istio objects that mean the
same; gwsim's own export has no part in it. Judged: counts of every run against their 99 % intervals (half a percent of all
counts may lie outside), and of every pair the sign and size of each difference. Exit code 1 when one fails.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gwsim.envoy import RealEnvoy
from gwsim.envoy.backends import BackendProcess, Endpoint
from gwsim.envoy.load import Load, Request, Sent, Target, poisson, send
from gwsim.envoy.replay import open_recording, predict
from gwsim.envoy.replay.predict import interval
from gwsim.envoy.stations import staff
from gwsim.envoy.stock import free_ports
from gwsim.envoy.verify.instrument import logged_flags, outlier_events

PAIRS = Path(__file__).parent / "pairs"
ADDRESSES = ("10.0.0.1", "10.0.0.2")
HOST = "shop.example"
REPLICATIONS = 12
Z99 = 2.576
KINDS = ("status", "flags", "endpoints")
LOG_FORMAT = {"flags": "%RESPONSE_FLAGS%", "status": "%RESPONSE_CODE%"}
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = {"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}
FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A file: texts with `$ONE` where the two runs differ."""

    name: str
    question: str
    istio: str
    envoy: str
    one: Mapping[str, list[str]]
    backends: Mapping[str, Any]
    rps: float
    seconds: float
    connections: int
    paths: tuple[str, ...]

    def variant(self, which: int) -> tuple[str, str]:
        """Istio objects and Envoy resources of the first or second run."""
        return self.istio.replace("$ONE", self.one["istio"][which]), self.envoy.replace("$ONE", self.one["envoy"][which])


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run: what was counted, and what was predicted."""

    measured: Mapping[str, Mapping[str, int]]
    predicted: Mapping[str, Mapping[str, Mapping[str, float]]]
    total: int
    latency_s: Mapping[str, tuple[float, float]]
    ejections: tuple[int, float]

    def counts(self) -> Iterator[tuple[str, str, int, float, float, float]]:
        """Kind, name, measured, predicted, and the 99 % interval of one run."""
        for kind in KINDS:
            for name in sorted({*self.measured[kind], *self.predicted[kind]}):
                mean = self.predicted[kind].get(name, {}).get("count", 0.0)
                low, high = interval(mean, None if kind == "endpoints" else self.total, _extremes(self.predicted[kind].get(name)))
                yield kind, name, self.measured[kind].get(name, 0), mean, low, high


def _extremes(found: Mapping[str, float] | None) -> tuple[float, ...]:
    return () if found is None else (found["low"], found["high"])


def read(name: str) -> Pair:
    """A pair of its file."""
    given = yaml.safe_load((PAIRS / f"{name}.yaml").read_text("utf-8"))
    load = given["load"]
    return Pair(
        name=name, question=given["question"], istio=given["istio"], envoy=given["envoy"], one=given["one"], backends=given["backends"],
        rps=load["rps"], seconds=load["seconds"], connections=load.get("connections", 32), paths=tuple(load.get("paths", ["/"])),
    )  # fmt: skip


def names() -> list[str]:
    """All pairs."""
    return sorted(one.stem for one in PAIRS.glob("*.yaml"))


def run(pair: Pair, which: int, folder: Path, *, seconds: float | None = None) -> Run:
    """Record one run of a pair in a folder of the form that `gwsim verify replay` takes, and predict it."""
    istio, envoy = pair.variant(which)
    length = seconds or pair.seconds
    schedule = poisson(pair.rps, length, seed=7, weights=[1.0] * len(pair.paths))
    _write(folder, pair, istio, [(float(t), pair.paths[k], -1) for t, k in zip(schedule.times_s, schedule.requests, strict=True)])
    resolved = open_recording(folder).resolved
    ends = predict(open_recording(folder), replications=1)["endpoints"]
    places = {one["address"]: at for at, one in enumerate(ends)}
    label = {one["address"]: one["name"] for one in ends}
    with BackendProcess([Endpoint(name=one, station=places[one]) for one in ADDRESSES if one in places], staff((), resolved).stations) as backends:
        *_, port, admin = free_ports(2)
        where = dict(zip([one for one in ADDRESSES if one in places], backends.ports, strict=True))
        path = folder / "envoy.yaml"
        path.write_text(yaml.safe_dump(bootstrap(envoy, where, port, admin, folder), sort_keys=False), "utf-8")
        with RealEnvoy(path, admin_port=admin, arguments=("--file-flush-interval-msec", "20")):
            backends.reset()
            load = Load(
                target=Target(port=port), requests=tuple(Request(host=HOST, path=one) for one in pair.paths), schedule=schedule,
                connections=pair.connections, timeout_s=20.0,
            )  # fmt: skip
            sent = send(load)
            time.sleep(0.3)
            endpoints = {label[name]: count for name, count in backends.counts().items()}
            flags = logged_flags(folder, len(sent))
    _write(folder, pair, istio, [(float(t), pair.paths[k], int(c)) for t, k, c in zip(sent.acted_s, sent.request, sent.connection, strict=True)])
    measured = {"status": {str(k) if k > 0 else "timeout": n for k, n in sent.statuses().items()}, "flags": flags, "endpoints": endpoints}
    ejected = sum(str(one["action"]) == "EJECT" for one in outlier_events(folder))
    (folder / "measured.json").write_text(json.dumps({**measured, "ejections": ejected, "load": sent.summary()}, indent=1) + "\n", "utf-8")
    return _predicted(folder, measured, sent, ejected)


def _predicted(folder: Path, measured: Mapping[str, Mapping[str, int]], sent: Sent, ejected: int) -> Run:
    found = predict(open_recording(folder), replications=REPLICATIONS)
    latency = {name: (value, found["latency_s"].get(name, {}).get("value", float("nan"))) for name, value in zip(("p50", "p99"), sent.quantile_s(0.5, 0.99), strict=True)}
    return Run(
        measured=measured, predicted={kind: found["counts"][kind] for kind in KINDS}, total=len(sent), latency_s=latency,
        ejections=(ejected, sum(one["share_of_runs"] for one in found["ejections"])),
    )  # fmt: skip


def _write(folder: Path, pair: Pair, istio: str, rows: list[tuple[float, str, int]]) -> None:
    (folder / "config").mkdir(parents=True, exist_ok=True)
    (folder / "config" / "istio.yaml").write_text((PAIRS / "common" / "istio.yaml").read_text("utf-8") + "---\n" + istio, "utf-8")
    scenario = {"apiVersion": "gwsim/v1", "question": pair.question, "gateway": {"istio-ingressgateway": {"workers": 1, "replicas": 1}}, "backends": dict(pair.backends)}
    (folder / "scenario.yaml").write_text(yaml.safe_dump(scenario, sort_keys=False), "utf-8")
    with (folder / "arrivals.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        known = rows[0][2] >= 0
        writer.writerow(["time", "method", "host", "path", *(["connection"] if known else [])])
        writer.writerows([f"{at:.6f}", "GET", HOST, path, *([number] if known else [])] for at, path, number in rows)


def bootstrap(text: str, where: Mapping[str, int], port: int, admin: int, folder: Path) -> dict[str, Any]:
    """The whole configuration around a pair's routes, filters and clusters, with ports in place of `$PORT1` and `$PORT2`."""
    for at, address in enumerate(ADDRESSES):
        text = text.replace(f"$PORT{at + 1}", str(where.get(address, 1)))
    own = yaml.safe_load(text)
    manager = {
        "@type": MANAGER, "stat_prefix": "public",
        "route_config": {"name": "public", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": own["routes"]}]},
        "http_filters": [*own.get("http_filters", []), ROUTER],
        "access_log": [{"name": "envoy.access_loggers.file", "typed_config": {"@type": FILE_LOG, "path": str(folder / "access.jsonl"), "log_format": {"json_format": LOG_FORMAT}}}],
    }  # fmt: skip
    listener = {
        "name": "public", "address": _address(port),
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }  # fmt: skip
    return {
        "node": {"id": "recorded", "cluster": "recorded"}, "admin": {"address": _address(admin)},
        "cluster_manager": {"outlier_detection": {"event_log_path": str(folder / "outliers.jsonl")}},
        "static_resources": {"listeners": [listener], "clusters": own["clusters"]},
    }  # fmt: skip


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


# --- judging -------------------------------------------------------------------------------------------------------


def wrong_differences(a: Run, b: Run) -> list[str]:
    """Differences of a pair whose sign or size is not what two such runs differ by."""
    found = []
    for kind in KINDS:
        for name in sorted({*a.measured[kind], *b.measured[kind], *a.predicted[kind], *b.predicted[kind]}):
            real = b.measured[kind].get(name, 0) - a.measured[kind].get(name, 0)
            means = [one.predicted[kind].get(name, {}).get("count", 0.0) for one in (a, b)]
            model = means[1] - means[0]
            spread = Z99 * sum(_variance(mean, None if kind == "endpoints" else one.total) for mean, one in zip(means, (a, b), strict=True)) ** 0.5
            spans = [one.predicted[kind].get(name, {}) for one in (a, b)]
            seen = [max(hi - lo, 0.0) / 2 for hi, lo in ((s.get("high", 0.0), s.get("low", 0.0)) for s in spans)]
            allowed = max(spread, *seen, 1.0)
            if abs(real - model) > allowed or (abs(model) > 2 * allowed and real * model <= 0):
                found.append(f"{kind} {name}: {real:+d} measured, {model:+.0f} predicted, {allowed:.0f} allowed")
    return found


def _variance(mean: float, total: int | None) -> float:
    return mean if total is None else mean * (1 - min(mean / total, 1.0))


def judge(pair: Pair, folder: Path, *, seconds: float | None = None) -> tuple[list[str], list[str], int, list[Run]]:
    """Counts outside their intervals, wrong differences, how many counts there were, and the two runs."""
    runs = [run(pair, which, folder / f"{pair.name}-{'ab'[which]}", seconds=seconds) for which in (0, 1)]
    outside, count = [], 0
    for which, one in zip("ab", runs, strict=True):
        for kind, name, real, mean, low, high in one.counts():
            count += 1
            if not low <= real <= high:
                outside.append(f"{which}: {kind} {name}: {real} measured, {mean:.1f} predicted, {low:.0f} to {high:.0f}")
    return outside, wrong_differences(*runs), count, runs


def main() -> int:
    """Every pair named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--keep", type=Path, help="leave the recordings there")
    given = parser.parse_args()
    failed: Counter[str] = Counter()
    counts = 0
    with tempfile.TemporaryDirectory(prefix="gwsim-pairs-") as temporary:
        for name in given.names or names():
            outside, wrong, count, runs = judge(read(name), given.keep or Path(temporary))
            counts += count
            failed["counts"] += len(outside)
            failed["pairs"] += bool(wrong)
            told = "; ".join(f"{which} p50 {1e3 * one.latency_s['p50'][0]:.1f} ms ({1e3 * one.latency_s['p50'][1]:.1f}), p99 {1e3 * one.latency_s['p99'][0]:.1f} ({1e3 * one.latency_s['p99'][1]:.1f}), ejections {one.ejections[0]} ({one.ejections[1]:.1f})" for which, one in zip("ab", runs, strict=True))
            print(f"{'ok ' if not outside and not wrong else 'OFF'} {name}: {count} counts, {len(outside)} outside, {len(wrong)} differences wrong; measured (predicted): {told}", flush=True)
            for line in (*outside, *wrong):
                print(f"      {line}", flush=True)
    allowed = max(1, round(0.01 * counts))
    print(f"{counts} counts, {failed['counts']} outside their 99 % interval ({allowed} are to be expected); {failed['pairs']} pairs with a wrong difference")
    return int(failed["counts"] > allowed or failed["pairs"] > 0)


if __name__ == "__main__":
    sys.exit(main())
