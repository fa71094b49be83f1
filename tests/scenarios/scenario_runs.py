"""Runs of the shipped scenarios, short and on the reference engine; equal ones only once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from gwsim.planning.cases import run_case
from gwsim.planning.preparation import Given, prepare
from gwsim.results.results import Results

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "scenarios"
NAMES = sorted(one.parent.name for one in SCENARIOS.glob("*/scenario.yaml"))


def header(name: str) -> dict[str, str]:
    """What the comment at the head of a scenario says: `expected`, `because`, `decides`."""
    found: dict[str, str] = {}
    key = ""
    for line in (SCENARIOS / name / "scenario.yaml").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") or line == "#":
            break
        text = line.removeprefix("#").strip()
        word, colon, rest = text.partition(": ")
        if colon and word in ("Expected", "Because", "Decides"):
            key, text = word.lower(), rest
        found[key] = f"{found.get(key, '')} {text}".strip()
    return found


def decides(name: str, value: str) -> str:
    """The setting that gives the field a scenario turns on another value."""
    return f"{header(name)['decides']}={value}"


@cache
def run(name: str, *settings: str, duration: str = "", replications: int = 1) -> Results:
    """The results of a scenario after some settings."""
    given = Given(paths=(str(SCENARIOS / name),), settings=settings, replications=replications, duration=duration or None)
    return run_case(prepare(given), engine="reference", workers=1).results


def value(estimate: object) -> float:
    """The figure itself; 0 where there is none."""
    return float(getattr(estimate, "value", None) or 0.0)
