"""What an import comes to: parts of a scenario, files beside it, and what was inferred, assumed and left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

API_VERSION = "gwsim/v1"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """Sections of a scenario as plain data, with their provenance.

    `inferred` says what the numbers rest on, `assumed` what was put in without evidence, `unknown` what such a source
    cannot tell. `files` are written beside the scenario: replay logs and cost profiles.
    """

    source: str
    kind: str
    clients: Mapping[str, Any] = field(default_factory=dict)
    backends: Mapping[str, Any] = field(default_factory=dict)
    clusters: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    costs: str = ""
    """Name of the cost profile among the files, if there is one."""
    inferred: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def sections(self) -> dict[str, Any]:
        """The sections of the scenario file that are not empty, in its order."""
        made: dict[str, Any] = {}
        for name in ("clusters", "clients", "backends"):
            if getattr(self, name):
                made[name] = dict(getattr(self, name))
        if self.costs:
            made["costs"] = {"calibration": self.costs}
        return made


def merged(parts: Sequence[Imported]) -> Imported:
    """Several imports as one; of what two of them give, the first counts."""
    def together(name: str) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for part in parts:
            for key, value in getattr(part, name).items():
                made.setdefault(key, value)
        return made

    def told(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(text for part in parts for text in getattr(part, name)))

    return Imported(
        source=", ".join(dict.fromkeys(part.source for part in parts)), kind=", ".join(dict.fromkeys(part.kind for part in parts)),
        clients=together("clients"), backends=together("backends"), clusters=together("clusters"), files=together("files"),
        costs=next((part.costs for part in parts if part.costs), ""),
        inferred=told("inferred"), assumed=told("assumed"), unknown=told("unknown"),
    )


def as_yaml(made: Imported, config: Sequence[str] = ()) -> str:
    """The sections as YAML under comments that say where they are from; a whole scenario when `config` is given."""
    import yaml

    sections = made.sections()
    if config:
        cluster = {"main": {"config": list(config)}}
        sections = {"apiVersion": API_VERSION, "question": "", "clusters": cluster, **sections, "run": {"kind": "steady", "duration": "60s"}}
    head = [f"# Imported by gwsim from {made.source} ({made.kind})."]
    for title, texts in (("Inferred", made.inferred), ("Assumed, to be checked", made.assumed), ("Not to be known from this source", made.unknown)):
        if texts:
            head += [f"# {title}:", *(f"#   - {text}" for text in texts)]
    body = yaml.dump(sections, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=120, default_flow_style=None) if sections else ""
    return "\n".join(head) + "\n" + body


def _dumper() -> Any:
    import yaml

    class Plain(yaml.SafeDumper):
        """No anchors: every entry can be moved by itself."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    return Plain


__all__ = ["Imported", "as_yaml", "merged"]
