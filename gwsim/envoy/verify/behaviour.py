"""Behaviours of a real Envoy against the simulator: the same configuration, the same arrivals, and counts compared.

A behaviour is a file (`gwsim/envoy/behaviours`). Envoy and backends are started, load is sent, and what was sent is a
recording in the form of `gwsim verify replay`, which predicts what must have been counted.
"""

from __future__ import annotations

import csv
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from gwsim.envoy.backends import BackendProcess
from gwsim.envoy.certificates import Authority
from gwsim.envoy.load import Load, Request, Sent, Target, poisson, send
from gwsim.envoy.machine import Placed, fit, place, seats
from gwsim.envoy.process import RealEnvoy
from gwsim.envoy.replay import Recording, open_recording, predict
from gwsim.envoy.replay.predict import interval
from gwsim.envoy.stations import names_of, staff
from gwsim.envoy.stock import free_ports
from gwsim.envoy.verify.instrument import log_everything, logged_flags, outlier_events
from gwsim.errors import UsageError
from gwsim.units import parse_duration_s

LEVEL = 0.999
"""Some hundred counts are compared in a run of the suite; one in ten runs may find one outside."""
REPLICATIONS = 8
EJECTION_S = 0.35
"""Scheduling, and a tick whose phase is that of the process."""
TARGET = "Service/istio-system/istio-ingressgateway:80"
HOST = "shop.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """A file of the suite."""

    name: str
    question: str
    istio: str
    backends: Mapping[str, Any]
    rps: float
    duration_s: float
    connections: int = 32
    workers: int = 1
    ejections: bool = False
    spread: bool = False

    def scenario(self) -> dict[str, Any]:
        """Its `scenario.yaml`."""
        return {
            "apiVersion": "gwsim/v1",
            "question": self.question,
            "clusters": {"default": {"config": ["config"]}},
            "clients": {"load": {
                "target": TARGET, "arrivals": {"poisson": self.rps}, "rtt": "30us",
                "connection": {"http": 1, "count": self.connections, "tls": "none"},
                "mix": [{"name": "all", "host": HOST, "path": "/", "response_size": 2}],
            }},
            "gateway": {"istio-ingressgateway": {"workers": self.workers, "replicas": 1}},
            "backends": dict(self.backends),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One figure: what was counted and what was predicted, `low` to `high`."""

    what: str
    measured: float
    predicted: float
    low: float
    high: float

    @property
    def agrees(self) -> bool:
        """Whether the count lies where such counts lie."""
        return self.low <= self.measured <= self.high


@dataclass(slots=True)
class Verdict:
    """A behaviour's findings."""

    behaviour: Behaviour
    findings: list[Finding] = field(default_factory=list)
    requests: int = 0

    @property
    def agrees(self) -> bool:
        """Whether all of them agree."""
        return bool(self.findings) and all(one.agrees for one in self.findings)


def behaviours(names: Iterable[str] = ()) -> list[Behaviour]:
    """The suite, or those of these names; UsageError for a name there is none of."""
    folder = files("gwsim.envoy.behaviours")
    known = {one.name[:-5]: one for one in folder.iterdir() if one.name.endswith(".yaml") and ".istio." not in one.name}
    wanted = list(names) or sorted(known)
    missing = [one for one in wanted if one not in known]
    if missing:
        raise UsageError(f"there is no behaviour {missing[0]}; there is {', '.join(sorted(known))}")
    return [_read(name, known[name].read_text("utf-8")) for name in wanted]


def _read(name: str, text: str) -> Behaviour:
    given = yaml.safe_load(text)
    load = given["load"]
    return Behaviour(
        name=name, question=given["question"], istio=given["istio"], backends=given.get("backends") or {}, rps=float(load["rps"]),
        duration_s=parse_duration_s(load["duration"]), connections=int(load.get("connections", 32)), workers=int(given.get("workers", 1)),
        ejections=bool(given.get("ejections")), spread=bool(given.get("spread")),
    )  # fmt: skip


def check(behaviour: Behaviour, *, seed: int = 1, keep: Path | None = None) -> Verdict:
    """Run a behaviour on a real Envoy and through the simulator. `keep`: the recording is left in a folder there."""
    with tempfile.TemporaryDirectory(prefix="gwsim-") as temporary:
        folder = (keep / behaviour.name) if keep is not None else Path(temporary) / "recording"
        _write(behaviour, folder)
        schedule = poisson(behaviour.rps, behaviour.duration_s, seed=seed)
        _arrivals(folder, schedule.times_s.tolist())
        recording = open_recording(folder)
        measured = _measure(behaviour, recording, Path(temporary), Load(
            target=Target(port=1), requests=(Request(host=HOST),), schedule=schedule, connections=behaviour.connections, timeout_s=20.0,
        ))  # fmt: skip
        (folder / "measured.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        predicted = predict(recording, replications=REPLICATIONS)
    return Verdict(behaviour, list(_compare(behaviour, measured, predicted)), len(schedule))


def _write(behaviour: Behaviour, folder: Path) -> None:
    (folder / "config").mkdir(parents=True, exist_ok=True)
    base = (files("gwsim.envoy.behaviours") / "base.istio.yaml").read_text("utf-8")
    (folder / "config" / "istio.yaml").write_text(f"{base}---\n{behaviour.istio}", encoding="utf-8")
    (folder / "scenario.yaml").write_text(yaml.safe_dump(behaviour.scenario(), sort_keys=False), encoding="utf-8")


def _arrivals(folder: Path, times_s: list[float]) -> None:
    with (folder / "arrivals.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "method", "host", "path"])
        writer.writerows([f"{one:.6f}", "GET", HOST, "/"] for one in times_s)


def _measure(behaviour: Behaviour, recording: Recording, folder: Path, load: Load) -> dict[str, Any]:
    """The real thing: counts by status, flag and endpoint, ejections, connections by worker."""
    fleet = recording.resolved.fleets[0]
    known, _ = fit(fleet.proxy)
    places = seats(known)
    staffed = staff(places, recording.resolved)
    authority = Authority(folder / "certificates")
    with BackendProcess(endpoints=staffed.endpoints, stations=staffed.stations) as backends:
        *ports, admin = free_ports(len(known.listeners) + 1)
        where = dict(zip([one.name for one in places], backends.ports, strict=True))
        placed = place(known, ports=ports, backends=where, authority=authority)
        made = placed.bootstrap(folder / "envoy", admin_port=admin)
        log_everything(made)
        arguments = ("--file-flush-interval-msec", "20")
        with RealEnvoy(made.write(), admin_port=admin, concurrency=behaviour.workers, arguments=arguments) as envoy:
            backends.reset()
            port = next(port for one, port in zip(known.listeners, ports, strict=True) if one.port == 80)
            sent = send(_towards(load, port))
            time.sleep(0.3)  # copies and abandoned attempts are still on their way
            counts = backends.counts()
            stations = names_of(recording.resolved)
            endpoints: Counter[str] = Counter()
            for seat, count in counts.items():
                endpoints[stations.get(seat, seat)] += count
            flags = logged_flags(made.folder, len(sent))
            return {
                "status": {str(status) if status > 0 else "timeout": count for status, count in sent.statuses().items()},
                "flags": flags,
                "endpoints": {name: count for name, count in endpoints.items() if name in stations.values()},
                "ejections": _ejected(made.folder, sent, placed, where, stations),
                "workers": _workers(envoy, port, behaviour.workers),
                "load": sent.summary(),
            }


def _towards(load: Load, port: int) -> Load:
    from dataclasses import replace

    return replace(load, target=Target(port=port))


def _ejected(folder: Path, sent: Sent, placed: Placed, where: Mapping[str, int], stations: Mapping[str, str]) -> list[dict[str, Any]]:
    """From Envoy's own event log, in seconds of the run."""
    seats_by_port = {port: name for name, port in where.items()}
    made: list[dict[str, Any]] = []
    for event in outlier_events(folder):
        port = int(str(event["upstream_url"]).rpartition(":")[2])
        seat = seats_by_port.get(port, "")
        made.append({"endpoint": stations.get(seat, seat), "action": str(event["action"]), "at_s": event["at_s"] - sent.started_at_s})
    return made


def _workers(envoy: RealEnvoy, port: int, workers: int) -> list[int]:
    text = envoy.get(f"/stats?filter=listener.*{port}.*worker_.*downstream_cx_total")
    found = {line.partition(":")[0].rpartition("worker_")[2].partition(".")[0]: int(line.rpartition(":")[2]) for line in text.splitlines() if ":" in line}
    return [found.get(str(one), 0) for one in range(workers)]


# --- comparing -----------------------------------------------------------------------------------------------------


def _compare(behaviour: Behaviour, measured: Mapping[str, Any], predicted: Mapping[str, Any]) -> Iterator[Finding]:
    if behaviour.spread:
        yield from _spread(measured["workers"], predicted)
        return
    total = int(predicted["requests"])
    for name in ("status", "flags", "endpoints"):
        figures: Mapping[str, Mapping[str, float]] = predicted["counts"][name]
        for key in sorted({*figures, *measured[name]}):
            expected = figures.get(key, {"count": 0.0, "low": 0.0, "high": 0.0})
            low, high = interval(expected["count"], None if name == "endpoints" else total, (expected["low"], expected["high"]), level=LEVEL)
            yield Finding(what=f"{name} {key}", measured=measured[name].get(key, 0), predicted=expected["count"], low=low, high=high)
    if behaviour.ejections:
        yield from _timeline(measured["ejections"], predicted["ejections"])


def _timeline(measured: list[Mapping[str, Any]], predicted: list[Mapping[str, Any]]) -> Iterator[Finding]:
    """The instants at which each endpoint was ejected and came back, in order. The phase of the tick is unknown: an
    ejection ends at the first tick after its time, so up to an interval early or late, and so do all that follow."""
    certain = [one for one in predicted if one["share_of_runs"] > 0.5]
    seen = [one for one in measured if one["action"] == "EJECT"]
    yield Finding(what="number of ejections", measured=len(seen), predicted=len(certain), low=len(certain) - 1, high=len(predicted))
    for number, (real, model) in enumerate(zip(seen, certain, strict=False)):
        phase_s = 0.0 if number == 0 else 1.0
        yield Finding(
            what=f"ejection {number + 1} of {model['endpoint']}, s", measured=round(real["at_s"], 3), predicted=model["at_s"],
            low=model["at_low_s"] - EJECTION_S - phase_s, high=model["at_high_s"] + EJECTION_S + phase_s,
        )  # fmt: skip


def _spread(measured: list[int], predicted: Mapping[str, Any]) -> Iterator[Finding]:
    """The kernel hashes connections onto workers: each has a binomial share."""
    total = sum(measured)
    for worker, count in enumerate(measured):
        low, high = interval(total / len(measured), total, level=LEVEL)
        yield Finding(what=f"connections of worker {worker}", measured=count, predicted=total / len(measured), low=low, high=high)
    for worker, count in enumerate(predicted["worker_connections"]):
        low, high = interval(total / len(measured), total, level=LEVEL)
        yield Finding(what=f"connections of worker {worker}, simulated", measured=count, predicted=total / len(measured), low=low, high=high)


__all__ = ["Behaviour", "Finding", "Verdict", "behaviours", "check"]
