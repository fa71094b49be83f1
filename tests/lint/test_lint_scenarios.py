"""Linting a scenario: its configuration, its own faults, and pools that cannot carry its load."""

import json
import re
import shutil
from pathlib import Path

import pytest

from gwsim.cli import execute
from gwsim.scenario import model
from gwsim.scenario.pools import peak_rps

BOOKINFO = Path(__file__).resolve().parents[2] / "scenarios" / "ingress-bookinfo"


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "shop"
    shutil.copytree(BOOKINFO, folder)
    return folder


def _findings(capsys, *arguments):
    code = execute(["lint", *map(str, arguments), "-o", "json"])
    return code, json.loads(capsys.readouterr().out)["findings"]


def _edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_pool_below_littles_law_is_found_with_the_rate_it_carries(project, capsys):
    code, found = _findings(capsys, project)
    assert code == 0 and "GW0471" not in {one["code"] for one in found}
    _edit(project / "istio" / "destination-rules.yaml", "maxConnections: 400", "maxConnections: 2")
    code, found = _findings(capsys, project)
    pool = next(one for one in found if one["code"] == "GW0471")
    assert code == 1 and "productpage" in pool["message"]
    # Lognormal with median 8 ms and 99 % below 60 ms; two requests at once carry 2 / mean.
    import math

    sigma = math.log(60 / 8) / 2.3263478740408408
    mean_s = 0.008 * math.exp(sigma**2 / 2)
    carried = int(re.search(r"carries (\d+) of", pool["message"])[1])
    assert carried == pytest.approx(2 / mean_s, abs=1)
    assert pool["file"].endswith("destination-rules.yaml")


def test_faults_of_the_scenario_are_found_too(project, capsys):
    _edit(project / "scenario.yaml", "east/details.bookinfo:", "east/detials.bookinfo:")
    code, found = _findings(capsys, project)
    assert code == 1 and "GW0207" in {one["code"] for one in found}


def test_the_shipped_scenario_has_no_warnings(capsys):
    code, found = _findings(capsys, BOOKINFO)
    assert code == 0, found


def test_a_scenario_is_linted_by_itself(project, tmp_path, capsys):
    assert execute(["lint", str(project), str(BOOKINFO / "istio")]) == 2
    assert "by itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arrivals", "rate"),
    [
        (model.Poisson(segments=(model.RateSegment(duration_s=1, start_rps=10, end_rps=40), model.RateSegment(duration_s=1, start_rps=5, end_rps=5))), 40),
        (model.Paced(rate_rps=7), 7),
        (model.Bursts(base_rps=1, peak_rps=9, mean_base_s=1, mean_peak_s=1), 9),
        (model.ClosedLoop(connections=4), None),
        (model.ClosedLoop(connections=4, rate_rps=3), 3),
        (model.Replay(times_s=(0.0, 1.0, 2.0, 4.0), shapes=(0, 0, 0, 0)), 1),
        (model.Replay(times_s=(1.0,), shapes=(0,)), None),
    ],
)
def test_the_peak_of_arrivals(arrivals, rate):
    assert peak_rps(arrivals) == rate
