"""`costs.yaml` of a recorded run: a cost profile, a calibration, or plain numbers by their path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gwsim import costs
from gwsim.costs.loading import API_VERSION
from gwsim.diagnostics import Collector, Span, code
from gwsim.scenario.document import Item, item_from, plain, read_document

_HEAD = ("name", "calibrated", "machine", "apiVersion")


def settings_of(folder: Path, root: Item, collector: Collector, told: dict[str, None]) -> None:
    """Write what the file holds into the scenario's `costs`, unless it has that already."""
    path = next((folder / name for name in ("costs.yaml", "costs.yml", "costs.json") if (folder / name).exists()), None)
    section = root.value.get("costs")
    own = plain(section) if section is not None and isinstance(section.value, dict) else {}
    for name in ("profile", "calibration"):
        if own.get(name) and (folder / str(own[name])).exists():
            return
    if path is None:
        if not own:
            told["costs are those of the shipped profile: the folder has no costs.yaml"] = None
        return
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if not text.strip():
        return
    found = read_document(text, str(path), collector)
    if found is None:
        return
    given = plain(found)
    if not isinstance(given, dict):
        collector.add(code("SCENARIO_VALUE"), "costs are a mapping", Span(str(path)), help=f"apiVersion: {API_VERSION}, or worker.wakeup_us: 40")
        return
    made = {**own, **_as_section(given, path, collector)}
    root.value["costs"] = item_from(made, Span(str(path)))


def _as_section(given: dict[str, Any], path: Path, collector: Collector) -> dict[str, Any]:
    """The `costs` section it comes to: a file of gwsim's own form is a calibration, which may hold all costs or some."""
    if given.get("apiVersion") == API_VERSION and isinstance(given.get("costs"), dict):
        return {"calibration": path.name}
    if "overrides" in given or ("speed" in given and "costs" not in given):
        return {name: value for name, value in given.items() if name in ("overrides", "speed", "calibration", "profile")}
    tree = given["costs"] if isinstance(given.get("costs"), dict) else {name: one for name, one in given.items() if name not in (*_HEAD, "speed")}
    known = costs.load().costs
    overrides: dict[str, float] = {}
    for name, value in _leaves(tree, ""):
        if name in known:
            overrides[name] = value
        else:
            collector.add(code("SCENARIO_NOT_MODELLED"), f"there is no cost {name}, so it is left out", Span(str(path)))
    section: dict[str, Any] = {"overrides": overrides}
    return section | ({"speed": given["speed"]} if "speed" in given else {})


def _leaves(tree: dict[str, Any], above: str) -> Iterator[tuple[str, float]]:
    for name, value in tree.items():
        path = f"{above}.{name}" if above else str(name)
        if isinstance(value, dict) and "value" in value:
            value = value["value"]
        if isinstance(value, dict):
            yield from _leaves(value, path)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield path, float(value)


__all__ = ["settings_of"]
