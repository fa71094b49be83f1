"""Case files with random damage: every one is read, routed and reported, and nothing is raised."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from gwsim.diagnostics import Collector
from gwsim.queries import coverage_of, read_cases
from gwsim.queries.run import run_case
from gwsim.queries.topologies import Topologies
from gwsim.report import route_tests

CASES = sorted((Path(__file__).parents[1] / "topology" / "cases").glob("*.yaml"))
VALUES = ("5", "[]", "{}", "null", "[1,2]", "{a: b}", '"x"', "-1", "1e9", "true", "2020-01-01", "~", "[{}]", "&a *a")
MARKS = "{}[]:,\"'#&*!|>%@`\x00é"


def damaged(text: str, draw: random.Random) -> str:
    """The text with a few lines changed, doubled, taken out, shifted or with a character replaced."""
    lines = text.split("\n")
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(lines))
        kind = draw.randrange(5)
        if kind == 0:
            lines[at] = re.sub(r": .*$", f": {draw.choice(VALUES)}", lines[at])
        elif kind == 1:
            lines.insert(at, draw.choice(lines))
        elif kind == 2 and len(lines) > 1:
            del lines[at]
        elif kind == 3:
            lines[at] = lines[at][draw.randint(0, 3) :]
        elif lines[at]:
            place = draw.randrange(len(lines[at]))
            lines[at] = lines[at][:place] + draw.choice(MARKS) + lines[at][place + 1 :]
    return "\n".join(lines)


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_damaged_files_are_told_and_survived(path: Path, tmp_path: Path) -> None:
    draw, topologies = random.Random(path.stem), Topologies()
    text = path.read_text(encoding="utf-8")
    for _ in range(60):
        file = tmp_path / "cases.yaml"
        file.write_text(damaged(text, draw), encoding="utf-8")
        found = read_cases([file], collector=Collector(), root=path.parent)
        results = [run_case(case, topologies) for one in found for case in one.cases]
        assert [one.message for one in results if "a fault inside" in one.message] == []
        coverage = coverage_of(results)
        assert route_tests.as_json(results, coverage)
        assert route_tests.junit(results)
        assert route_tests.text(results, coverage)
