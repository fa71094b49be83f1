"""Runs of the shipped scenarios, short and on the reference engine; equal ones only once."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

from gwsim import costs
from gwsim.planning.cases import run_case
from gwsim.planning.preparation import Given, prepare
from gwsim.results.results import Results

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "scenarios"
PROFILE = costs.load()
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


def cost_us(path: str) -> float:
    """A cost of the profile, in microseconds."""
    return PROFILE.si(path) * 1e6


def errors(results: Results, **labels: str) -> float:
    """Share of errors of the requests with these labels."""
    return value(results.select(**labels).errors) if labels else value(results.total.errors)


def share(results: Results, status: str) -> float:
    """Share of all requests that were answered with a status."""
    return next((value(one.share) for one in results.total.statuses if one.name == status), 0.0)


def cpu_us(results: Results, **labels: str) -> float:
    """CPU of the gateways per request with these labels, microseconds."""
    return value((results.select(**labels) if labels else results.total).work.cpu_us_per_request)


def binomial(share: float, requests: int) -> float:
    """Four standard errors of a share."""
    return 4 * math.sqrt(share * (1 - share) / requests)
