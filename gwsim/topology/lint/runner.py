"""Linting from end to end: files are read once, then the reader, the topology build and the rules look at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from gwsim.diagnostics import CODES, Collector, Finding, Level, code
from gwsim.resources.kinds import KINDS
from gwsim.resources.raw import RawObject, raw_objects
from gwsim.resources.reader import contents, read_contents
from gwsim.resources.resource_set import ResourceSet
from gwsim.topology.from_istio import from_istio
from gwsim.topology.lint.catalogue import catalogue
from gwsim.topology.lint.mesh import is_mesh_config, is_mesh_networks
from gwsim.topology.lint.rule import ClusterRule, Hit
from gwsim.topology.lint.rules.gateway_missing import INTERNAL
from gwsim.topology.lint.suppress import Selection, Suppressions
from gwsim.topology.lint.view import GATEWAY_API, View

UNREADABLE = frozenset({code("YAML_SYNTAX"), code("FILE_MISSING"), code("TOO_LARGE")})
"""Findings that leave part of the input unseen."""

_KUBERNETES = frozenset(kind.name for kind in KINDS.values() if kind.group in ("", "apps", "autoscaling", "batch", "extensions", "policy"))
_TWICE = code("DUPLICATE_OBJECT")
_SCHEMA = frozenset(code(name) for name in ("MISSPELT_FIELD", "WRONG_TYPE", "BAD_VALUE", "MISSING_FIELD", "FIELD_CONFLICT"))


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, and how much of it was suppressed."""

    findings: tuple[Finding, ...]
    suppressed: int = 0
    objects: int = 0
    files: tuple[str, ...] = ()

    @property
    def unreadable(self) -> bool:
        """Whether some of the input could not be read at all."""
        return any(one.code in UNREADABLE for one in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to lint. `levels` gives codes (of gwsim or istioctl) a level of the user's own."""

    assume_exists: tuple[str, ...] = ()
    istio_version: str = "1.30"
    unknown_fields: str = "warn"
    selection: Selection = field(default_factory=Selection)
    levels: Mapping[str, Level] = field(default_factory=dict)
    now: datetime | None = None


def lint(
    clusters: Mapping[str, Sequence[str | Path]],
    options: Options | None = None,
    *,
    stdin: IO[Any] | None = None,
    more: Iterable[Finding] = (),
) -> Report:
    """Lint files, folders and "-" (standard input), given by cluster; one cluster may have the name "".

    `more` are findings made elsewhere, to be selected, suppressed and ordered like the linter's own.
    Raises UsageError for an option's value that is not possible, InputError for an Istio version not known.
    """
    collector = Collector()
    collector.extend(more)
    texts = {
        name: list(contents(paths, collector=collector, stdin=stdin)) for name, paths in clusters.items()
    }
    named = frozenset(str(path) for paths in clusters.values() for path in paths)
    return lint_texts(texts, options, collector=collector, named=named | {"<stdin>"})


def lint_texts(
    clusters: Mapping[str, Sequence[tuple[str, str]]],
    options: Options | None = None,
    *,
    collector: Collector | None = None,
    named: frozenset[str] | None = None,
) -> Report:
    """Lint texts given as (file name, text), by cluster.

    `named` are the files that the user named; in others, found in folders, a document that is no Kubernetes object
    (the values of a chart, say) is worth a note only. None: all were named.
    """
    options = options or Options()
    found = Collector() if collector is None else collector
    views: dict[str, View] = {}
    suppressions = Suppressions()
    for name, texts in clusters.items():
        raw = tuple(raw_objects(texts, name))
        view = View(raw, assume_exists=options.assume_exists, istio_version=options.istio_version, now=options.now)
        views[name] = view
        found.extend(_unless_found(one, named) for one in _of_cluster(name, texts, view, options))
        _merge(suppressions, Suppressions.of(texts, raw))
    found.extend(_across(views))
    return _report(found, suppressions, options, clusters, sum(len(view.objects) for view in views.values()))


def _of_cluster(name: str, texts: Sequence[tuple[str, str]], view: View, options: Options) -> Iterable[Finding]:
    """What the reader, the build and the rules have to say about one cluster."""
    reader = Collector()
    resources = read_contents(texts, given=[file for file, _ in texts], collector=reader, unknown_fields=options.unknown_fields)
    mesh = {(one.origin.file, one.origin.line) for one in view.bare if is_mesh_config(one) or is_mesh_networks(one)}
    kept = (one for one in reader if not (one.span and (one.span.file, one.span.line) in mesh))
    yield from (_of_kubernetes(one) for one in kept)
    rules = catalogue()
    if all(one.code == _TWICE for one in reader.errors):
        own = {rule.row.code for rule in rules}
        built = (one for one in _build(resources, name, options) if one.code not in own)
        yield from (_unless_whole(one, view) for one in built)
    for rule in rules:
        yield from (rule.finding(hit) for hit in rule.check(view) if _of_user(hit))


def _of_kubernetes(finding: Finding) -> Finding:
    """What Istio would not refuse becomes a warning: an object given twice, and what is wrong with Kubernetes' own kinds."""
    if finding.code == _TWICE and finding.level is Level.ERROR:
        return replace(finding, level=Level.WARNING)
    kind = (finding.object_ref or "").partition("/")[0]
    if finding.level is Level.ERROR and finding.code in _SCHEMA and kind in _KUBERNETES:
        return replace(finding, level=Level.WARNING)
    return finding


def _unless_whole(finding: Finding, view: View) -> Finding:
    """A route without its Gateway is a doubt only, where the input has no Gateway of the Gateway API at all."""
    if finding.code == code("ROUTE_NOT_ATTACHED") and not view.of("Gateway", GATEWAY_API):
        return replace(finding, level=Level.INFO)
    return finding


def _unless_found(finding: Finding, named: frozenset[str] | None) -> Finding:
    """A document that is no object, in a file that the user did not name, becomes a note."""
    span = finding.span
    if named is None or finding.code != code("NOT_AN_OBJECT") or span is None or span.file in named:
        return finding
    return replace(finding, level=Level.INFO)


def _of_user(hit: Hit) -> bool:
    """Whether the object is one that users write: not assumed, and not a translation that istiod made."""
    return hit.where.origin.file != "<memory>" and INTERNAL not in hit.where.name


def _build(resources: ResourceSet, cluster: str, options: Options) -> Iterable[Finding]:
    built = Collector()
    from_istio(
        resources, istio_version=options.istio_version, assume_exists=options.assume_exists, cluster=cluster, collector=built
    )
    return built


def _across(views: dict[str, View]) -> Iterable[Finding]:
    if len(views) > 1:
        for rule in catalogue():
            if isinstance(rule, ClusterRule):
                yield from (rule.finding(hit) for hit in rule.compare(views))


def _merge(into: Suppressions, more: Suppressions) -> None:
    into.objects.update(more.objects)
    into.lines.update(more.lines)
    into.files.update(more.files)


def _report(
    found: Collector, suppressions: Suppressions, options: Options, clusters: Mapping[str, Sequence[tuple[str, str]]], objects: int
) -> Report:
    kept: list[Finding] = []
    suppressed = 0
    for finding in found:
        if not options.selection.keeps(finding):
            continue
        if suppressions.cover(finding):
            suppressed += 1
        else:
            kept.append(_levelled(finding, options.levels))
    files = tuple(name for texts in clusters.values() for name, _ in texts)
    return Report(tuple(kept), suppressed, objects, files)


def _levelled(finding: Finding, levels: Mapping[str, Level]) -> Finding:
    row = CODES[finding.code]
    level = next((levels[name] for name in (row.code, row.name, row.istio) if name in levels), None)
    return replace(finding, level=level) if level else finding


def objects_of(texts: Sequence[tuple[str, str]]) -> tuple[RawObject, ...]:
    """The raw objects of texts, for tests and notebooks."""
    return tuple(raw_objects(texts))


__all__ = ["UNREADABLE", "Options", "Report", "lint", "lint_texts", "objects_of"]
