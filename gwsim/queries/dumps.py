"""Dumps of a real Envoy as a configuration to ask, and the gateway of the files that a dump belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gwsim.diagnostics import Collector, Finding, code
from gwsim.errors import UsageError
from gwsim.queries.ask import Configuration, Finder
from gwsim.topology import Proxy
from gwsim.topology.diff import Difference, diff_proxies
from gwsim.topology.from_config_dump import from_config_dump


def load_dump(paths: Sequence[str], *, istio_version: str | None = None) -> Configuration:
    """The one proxy of a dump, in one file or several. Raises InputError for what is no dump, UsageError for no file."""
    for path in paths:
        if not Path(path).is_file():
            raise UsageError(f"--dump: there is no file {path}")
    collector = Collector()
    topology = from_config_dump(paths, collector=collector, istio_version=istio_version)
    return Configuration(resources={}, topology=topology, findings=collector.findings)


def not_modelled(configuration: Configuration) -> tuple[Finding, ...]:
    """What a dump holds and the model does not represent, with its JSON path."""
    wanted = code("NOT_MODELLED")
    return tuple(one for one in configuration.findings if one.code == wanted)


def proxy_like(finder: Finder, dumped: Proxy) -> Proxy:
    """The gateway of the files that the dump is of: by name, else by labels, else the only one."""
    named = [one for one in finder.proxies if one.key == dumped.key]
    if len(named) == 1:
        return named[0]
    labelled = [one for one in finder.proxies if one.labels and one.namespace == dumped.namespace and _within(one, dumped)]
    if len(labelled) == 1:
        finder.notes.append(f"the dump is of {dumped.key}, whose labels are those of the gateway {labelled[0].key}")
        return labelled[0]
    return finder.only()


def _within(one: Proxy, dumped: Proxy) -> bool:
    return all(dumped.labels.get(key) == value for key, value in one.labels.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A gateway as the files make it beside the one that was dumped."""

    ours: Proxy
    theirs: Proxy
    differences: tuple[Difference, ...]
    not_modelled: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    istio_version: str = ""

    @property
    def counted(self) -> tuple[Difference, ...]:
        """The differences that nothing excuses."""
        return tuple(one for one in self.differences if one.counts)


def compare(configuration: Configuration, dump: Configuration, ours: Proxy, notes: Sequence[str] = ()) -> Comparison:
    """Hold a gateway of the files against the dump."""
    theirs = dump.topology.proxies[0]
    return Comparison(
        ours=ours,
        theirs=theirs,
        differences=diff_proxies(ours, theirs, left=configuration.topology, right=dump.topology, view="envoy"),
        not_modelled=not_modelled(dump),
        notes=(*notes, *dump.topology.assumptions),
        istio_version=configuration.topology.istio_version,
    )


__all__ = ["Comparison", "compare", "load_dump", "not_modelled", "proxy_like"]
