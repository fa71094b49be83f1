"""Profiles: loading, overrides, calibration, speed, and the messages when something is wrong."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import pytest

from gwsim import costs
from gwsim.costs import document
from gwsim.errors import InputError, UsageError

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "costs.md"


def write(folder: Path, body: str, head: str = "apiVersion: gwsim.costs/v1\nname: mine\n") -> Path:
    path = folder / "mine.yaml"
    path.write_text(head + body, encoding="utf-8")
    return path


def test_the_shipped_profile_is_whole_and_not_calibrated() -> None:
    profile = costs.load()
    assert not profile.calibrated
    assert profile.speed == 1.0
    for path, cost in profile.costs.items():
        assert cost.problem() is None, path
        assert len(cost.source) > 8, path
        assert len({cost.low, cost.value, cost.high}) == 1 or cost.low < cost.high, path


def test_every_cpu_cost_of_a_visit_names_it() -> None:
    everywhere = {"worker", "tls"}  # loop terms, and record costs that fall in each read and write
    for path, cost in costs.load().costs.items():
        if cost.is_cpu and path.split(".")[0] not in everywhere:
            assert cost.visit is not None, path


def test_names_carry_their_unit() -> None:
    suffixes = {"us": "_us", "ms": "_ms", "s": "_s", "MiB": "_mib", "KiB": "_kib"}
    for path, cost in costs.load().costs.items():
        if cost.unit in suffixes:
            bare = path.removesuffix(suffixes[cost.unit])
            assert bare != path or "_us_per_" in path or path.endswith("_services_ms"), path


def test_the_reference_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == document.document(costs.load())


def test_overrides_replace_values_and_keep_the_rest() -> None:
    profile = costs.load()
    changed = profile.with_overrides({"worker.wakeup_us": 30, "tls.handshake.rsa2048.tls13_full_us": 900})
    assert changed["worker.wakeup_us"].value == 30
    assert (changed["worker.wakeup_us"].low, changed["worker.wakeup_us"].high) == (30, 30)
    assert "was 45 us" in changed["worker.wakeup_us"].source
    assert changed["worker.iteration_us"] == profile["worker.iteration_us"]
    assert profile["worker.wakeup_us"].value == 45
    assert changed.digest != profile.digest
    assert "override worker.wakeup_us = 30 us" in changed.provenance


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("worker.wakeup", 30, "did you mean 'worker.wakeup_us'"),
        ("wakeup_us", 30, "did you mean 'worker.wakeup_us'"),
        ("worker.wakeup_us", -1, "not negative"),
        ("worker.wakeup_us", float("nan"), "finite"),
        ("worker.wakeup_us", True, "expected a number in us"),
        ("worker.wakeup_us", "30us", "expected a number in us"),
    ],
)
def test_bad_overrides_are_refused(path: str, value: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        costs.load().with_overrides({path: value})


def test_all_bad_overrides_are_reported_together() -> None:
    with pytest.raises(UsageError) as caught:
        costs.load().with_overrides({"nonsense": 1, "worker.wakeup_us": -1})
    assert len(str(caught.value).splitlines()) == 2


def test_profiles_are_immutable_and_travel_between_processes() -> None:
    profile = costs.load().with_speed(1.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.speed = 2.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        profile.costs["worker.wakeup_us"] = profile["worker.wakeup_us"]  # type: ignore[index]
    assert pickle.loads(pickle.dumps(profile)) == profile


def test_speed_divides_cpu_and_nothing_else() -> None:
    profile, fast = costs.load(), costs.load().with_speed(2.0)
    for path, cost in profile.costs.items():
        expected = profile.si(path) / 2 if cost.is_cpu else profile.si(path)
        assert fast.si(path) == expected, path
    assert costs.network(fast) == costs.network(profile)
    assert costs.memory(fast) == costs.memory(profile)
    with pytest.raises(UsageError, match="positive"):
        profile.with_speed(0)


def test_a_calibration_is_laid_over_the_defaults(tmp_path: Path) -> None:
    body = """\
calibrated: true
costs:
  worker:
    wakeup_us: {value: 30, range: [28, 33], source: "measured here"}
    iteration_us: 9
"""
    merged = costs.load().merge(write(tmp_path, body))
    assert merged.calibrated
    assert merged.name == "mine"
    wakeup = merged["worker.wakeup_us"]
    assert (wakeup.value, wakeup.low, wakeup.high) == (30, 28, 33)
    assert merged["worker.iteration_us"].source == "calibration mine.yaml"
    assert merged["http1.read_us"] == costs.load()["http1.read_us"]
    assert merged.provenance[-1] == "calibration mine.yaml (2 costs)"


def test_what_was_calibrated_on_a_fast_machine_stays_as_measured(tmp_path: Path) -> None:
    body = "speed: 2\ncosts:\n  worker: {wakeup_us: 30}\n  network: {same_zone_rtt_ms: 0.2}\n"
    merged = costs.load().merge(write(tmp_path, body))
    assert merged.si("worker.wakeup_us") == pytest.approx(30e-6)
    assert merged.si("http1.read_us") == pytest.approx(costs.load().si("http1.read_us") / 2)
    assert merged.si("network.same_zone_rtt_ms") == pytest.approx(0.2e-3)


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("costs:\n  worker:\n    wakeup: 30\n", 5, "did you mean 'worker.wakeup_us'"),
        ("costs:\n  worker: {wakeup_us: fast}\n", 4, "must be a number"),
        ("costs:\n  worker: {wakeup_us: {value: 3, range: [4, 5]}}\n", 4, "outside its range"),
        ("costs:\n  worker: {wakeup_us: {value: 3, range: 4}}\n", 4, "pair of numbers"),
        ("costs:\n  worker: {wakeup_us: {value: 3, unit: ms}}\n", 4, "unit must be us, not ms"),
        ("costs:\n  worker: {wakeup_us: {value: 3, unit: usec}}\n", 4, "unknown unit 'usec'"),
        ("costs:\n  worker: {wakeup_us: {value: 3, confidence: sure}}\n", 4, "confidence must be"),
        ("costs:\n  http1: {read_us: {value: 3, visit: reed}}\n", 4, "did you mean 'read'"),
        ("costs:\n  worker: {wakeup_us: {value: 3, sauce: x}}\n", 4, "did you mean 'source'"),
        ("costs:\n  worker: {wakeup_us: 1, wakeup_us: 2}\n", 4, "given twice"),
        ("speed: -1\n", 3, "positive number"),
        ("calibrated: maybe\n", 3, "true or false"),
        ("cost: {}\n", 3, "did you mean 'costs'"),
        ("costs: [\n", 4, ""),
        ("costs:\n  worker: {wakeup_us: !secret 3}\n", 4, "not a plain value"),
        ("costs:\n  worker: {[a]: 3}\n", 4, "unknown cost"),
        ("costs: 3\n", 3, "must be a tree"),
        ("costs:\n  worker: 3\n", 4, "unknown cost 'worker'"),
    ],
)
def test_bad_files_are_refused_with_file_and_line(tmp_path: Path, body: str, line: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        costs.load().merge(write(tmp_path, body))
    text = str(caught.value)
    assert text.startswith(f"mine.yaml:{line}: ")
    assert message in text


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="apiVersion must be"):
        costs.load().merge(write(tmp_path, "costs: {}\n", head="apiVersion: v1\n"))
    with pytest.raises(InputError, match="is a mapping"):
        costs.load().merge(write(tmp_path, "- 1\n", head=""))
    with pytest.raises(InputError, match="cannot read"):
        costs.load(tmp_path / "absent.yaml")


def test_a_whole_profile_needs_every_cost(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing worker\.wakeup_us.*merge"):
        costs.load(write(tmp_path, "costs: {}\n"))
    shipped = Path(costs.__file__).with_name("default.yaml")
    assert costs.load(shipped).costs == costs.load().costs
