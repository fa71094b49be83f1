"""What `gwsim verify routes` is given, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gwsim.errors import InputError, UsageError

if TYPE_CHECKING:
    from gwsim.envoy.verify.run_routes import RouteReport, Subject

SUFFIXES = (".yaml", ".yml", ".json")
MOST = 40
"""Disagreements that are printed."""


def chosen(paths: Sequence[Path], root: Path | None, istio_version: str) -> list[Subject]:
    """The gateways of everything named. A file that is neither cases nor configuration is refused if named itself."""
    from gwsim.envoy.verify.run_routes import Subject, of_cases, of_configuration
    from gwsim.scenario import open_project
    from gwsim.scenario.linting import scenario_of

    made: list[Subject] = []
    for path, named in _files(paths):
        try:
            if _holds_cases(path):
                made += of_cases([path], root=root, istio_version=istio_version)
            elif scenario_of(str(path)) is not None:
                made += [Subject(f"{path} {one.key}", one) for one in open_project(path).topology.proxies]
            else:
                made += of_configuration([str(path)], istio_version=istio_version)
        except InputError:
            if named:
                raise
    return made


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no file or folder {path}")
        if path.is_dir() and not (path / "scenario.yaml").exists():
            yield from ((one, False) for one in sorted(path.rglob("*")) if one.suffix in SUFFIXES and one.is_file())
        else:
            yield path, True


def _holds_cases(path: Path) -> bool:
    """Whether a file is one of route test cases: its first words are those of a list, or `cases:` or `defaults:`."""
    if path.is_dir():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = [line.rstrip() for line in file if line.strip() and not line.lstrip().startswith(("#", "---"))]
    return bool(lines) and (lines[0].startswith("- ") or any(line.startswith("cases:") for line in lines))


def report(found: RouteReport, as_json: bool) -> str:
    """Numbers, then every disagreement."""
    total = found.total
    if as_json:
        return json.dumps({
            "gateways": found.proxies, "requests": total.asked, "facts": total.compared, "outcomes": total.outcomes,
            "not_asked": total.not_asked, "failed": found.failed, "left_out": list(found.left_out), "agrees": found.agrees,
            "disagreements": [str(one) for one in total.disagreements],
        }, indent=1) + "\n"  # fmt: skip
    lines = [f"{found.proxies} gateways, {total.asked:,} requests, {total.compared:,} facts compared: {len(total.disagreements)} differ"]
    lines.append("outcomes: " + ", ".join(f"{name} {count}" for name, count in sorted(total.outcomes.items())))
    lines += [f"not asked: {count} ({why})" for why, count in total.not_asked.items()]
    lines += [f"left out of the Envoys: {text}" for text in sorted(found.left_out) if not text.startswith(("cluster ", "filter chain "))]
    lines += [f"Envoy would not run {text}" for text in found.failed]
    lines += [str(one) for one in total.disagreements[:MOST]]
    if len(total.disagreements) > MOST:
        lines.append(f"and {len(total.disagreements) - MOST} more (-o json has all)")
    return "\n".join(lines) + "\n"


__all__ = ["chosen", "report"]
