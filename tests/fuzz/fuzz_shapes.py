"""Configurations that are nearly right: valid objects with parts changed, and objects shaped after the models."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from gwsim.resources.decode import FieldSpec, schema_of
from gwsim.resources.kinds import KINDS, Kind

EFFECTS = Path(__file__).resolve().parents[1] / "fields" / "effects"
Documents = list[dict[str, Any]]

TEXTS = (
    "", "*", "a", "shop", "shop.example", "*.example", "app/shop", "./shop", "mesh", "public", "80", "http", "HTTP", "TCP", "HTTPS", "TLS", "GRPC",
    "1s", "0s", "-1s", "1h", "5xx", "/", "/a", "(", "a" * 300, "10%", "100m", "1Gi", "10.0.0.1", "10.0.0.0/8", "::1", "istio-system", "shop.app.svc.cluster.local",
    "Exists", "In", "SIMPLE", "MUTUAL", "STRICT", "ALLOW", "DENY", "X", "true", "é", "\u0000", "a: b", "{", "[", "&a", "*a",
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.sampled_from([-1, 0, 1, 2, 80, 443, 15443, 65536, 2**70]), st.floats(), st.sampled_from(TEXTS))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TEXTS), inner, max_size=3),
    max_leaves=5,
)


@cache
def bases() -> tuple[Documents, ...]:
    """Valid configurations of every kind that has effects rows."""
    found: list[Documents] = []
    for path in sorted(EFFECTS.glob("*.yaml")):
        text = yaml.safe_load(path.read_text(encoding="utf-8"))
        for base in text["bases"].values():
            found.append([one for one in yaml.safe_load_all(base + "\n---\n" + text.get("common", "")) if one])
    return tuple(found)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all parts of a document."""
    found = [path] if path else []
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, child in entries:
        found += places(child, (*path, step))
    return found


def part(node: Any, path: tuple[Any, ...]) -> Any:
    """The part of a document at a path."""
    for step in path:
        node = node[step]
    return node


@st.composite
def changed(draw: st.DrawFn) -> Documents:
    """A valid configuration with one to four parts dropped, retyped, repeated, renamed or put in from elsewhere."""
    documents = copy.deepcopy(draw(st.sampled_from(bases())))
    for _ in range(draw(st.integers(1, 4))):
        change = draw(st.sampled_from(["drop", "retype", "repeat", "rename", "splice", "again"]))
        at = draw(st.integers(0, len(documents) - 1))
        paths = places(documents[at])
        if change == "again" or not paths:
            documents.append(copy.deepcopy(documents[at]))
            continue
        path = draw(st.sampled_from(paths))
        parent, step = part(documents[at], path[:-1]), path[-1]
        if change == "drop":
            del parent[step]
        elif change == "retype":
            parent[step] = draw(VALUES)
        elif change == "repeat" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[step]))
        elif change == "rename" and isinstance(parent, dict):
            parent[draw(st.sampled_from([step + "s", step.title(), step[:-1], "x"]))] = parent.pop(step)
        else:
            other = draw(st.sampled_from(documents))
            source = draw(st.sampled_from(places(other) or [()]))
            parent[step] = copy.deepcopy(part(other, source))
    return documents


def shaped(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of a kind: right field names, values of about the right shape."""
    fields = st.fixed_dictionaries({}, optional={one.name: _field(one, kind.proto_names, kind.spec, 0) for one in schema_of(kind.spec, kind.proto_names).fields})
    meta = st.fixed_dictionaries(
        {"name": st.sampled_from(["shop", "public", "istio"])},
        optional={"namespace": st.sampled_from(["app", "istio-system"]), "labels": st.dictionaries(st.sampled_from(TEXTS[:12]), st.sampled_from(TEXTS), max_size=2)},
    )
    version = f"{kind.group}/{kind.versions[0]}".removeprefix("/")

    def of(pair: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
        written = {"apiVersion": version, "kind": kind.name, "metadata": pair[0]}
        if kind.root == "data":
            return {**written, "data": {name: yaml.safe_dump(value) for name, value in pair[1].items()}}
        return {**written, kind.root: pair[1]} if kind.root else {**pair[1], **written}

    return st.tuples(meta, fields).map(of)


def _field(spec: FieldSpec, proto: bool, cls: type, depth: int) -> st.SearchStrategy[Any]:
    from typing import get_type_hints

    hint = get_type_hints(cls, include_extras=True)[spec.attribute]
    return _value(hint, proto, depth)


def _value(hint: Any, proto: bool, depth: int) -> st.SearchStrategy[Any]:
    """Values for a type hint; deeper down, or now and then, anything."""
    from dataclasses import is_dataclass
    from typing import Literal, get_args, get_origin

    if depth > 8:
        return VALUES
    if isinstance(hint, type) and is_dataclass(hint):
        fields = schema_of(hint, proto).fields
        required = {one.name: st.deferred(lambda one=one: _field(one, proto, hint, depth + 1)) for one in fields if one.required}
        optional = {one.name: st.deferred(lambda one=one: _field(one, proto, hint, depth + 1)) for one in fields if not one.required}
        return st.fixed_dictionaries(required, optional=optional)
    if get_origin(hint) is Literal:
        return st.sampled_from([*get_args(hint), "X"])
    if get_origin(hint) is tuple:
        return st.lists(_value(get_args(hint)[0], proto, depth + 1), max_size=2)
    if getattr(get_origin(hint), "__name__", "") == "Mapping":
        return st.dictionaries(st.sampled_from(TEXTS[:14]), _value(get_args(hint)[1], proto, depth + 1), max_size=2)
    if hint is str:
        return st.sampled_from(TEXTS)
    if hint in (int, float):
        return st.sampled_from([-1, 0, 1, 2, 80, 443, 70000, 0.5])
    if hint is bool:
        return st.booleans()
    inner = [_value(one, proto, depth) for one in get_args(hint) if not isinstance(one, str) and one is not type(None) and not _is_marker(one)]
    return st.one_of(*inner, SCALARS) if inner else VALUES


def _is_marker(one: Any) -> bool:
    return type(one).__name__ in ("Json", "Form")


def kinds() -> list[Kind]:
    """Every kind, once for its model."""
    return list({(kind.name, kind.spec): kind for kind in KINDS.values()}.values())


def text_of(documents: Documents) -> str:
    """The documents as a stream; JSON is YAML, and quick to write."""
    return "\n---\n".join(json.dumps(one, default=str) for one in documents)
