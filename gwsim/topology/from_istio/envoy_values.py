"""Envoy configuration inside EnvoyFilters: read like a dump's, with findings at the patch's own lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gwsim.diagnostics import CODES, Collector
from gwsim.resources.models import EnvoyFilter
from gwsim.topology.from_config_dump.nodes import Node, Source
from gwsim.topology.from_istio.context import Context


@contextmanager
def reading(ctx: Context, source: EnvoyFilter, path: str, value: Any) -> Iterator[Node]:
    """The value at a path of an EnvoyFilter as a message.

    What was not asked for by the end, and what could not be read, is reported where it stands.
    """
    found = Collector()
    dump = Source(source.ref, found)
    yield dump.root(value if isinstance(value, dict) else {}, path)
    for finding in found:
        place, _, message = finding.message.partition(": ")
        _report(ctx, source, place, message, CODES[finding.code].name)
    for node in dump.nodes:
        for name in node.unread():
            _report(ctx, source, node.path_of(name), f"{name} has no effect in the model", "NOT_MODELLED")


def _report(ctx: Context, source: EnvoyFilter, path: str, message: str, code: str) -> None:
    try:
        source.span_of(path)
    except ValueError:
        path = path.partition("[")[0] if not path.startswith("configPatches[") else path.split(".", 1)[0]
    ctx.find(code, f"{source.ref}: {message}", source, path)


def merged(base: Any, over: Any) -> Any:
    """Two values as protobuf merges them: messages field by field, lists one after the other, the rest replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    if isinstance(base, list) and isinstance(over, list):
        return [*base, *over]
    return base if over is None else over
