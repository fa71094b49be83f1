"""Every object of the files as plain data with places, whatever its kind and whether or not it decodes.

The typed models (`ResourceSet`) hold what the simulator needs of the kinds it reads. A linter also has to judge
kinds without a model (webhooks, pods, CRDs) and objects that would be refused: it looks at the YAML itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gwsim.diagnostics import Span
from gwsim.resources.origin import Origin
from gwsim.resources.yaml_nodes import (
    Mapping,
    Node,
    Problem,
    Scalar,
    Sequence,
    documents,
    entries_of,
    prepare,
)

CLUSTER_SCOPED = frozenset(
    ["Namespace", "Node", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "GatewayClass", "PersistentVolume",
     "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "StorageClass", "PriorityClass", "IngressClass"]
)
"""Kinds without a namespace."""

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_SNAKE = re.compile(r"_([a-z0-9])")


@dataclass(frozen=True, slots=True, eq=False)
class RawObject:
    """One object as written. Equal only to itself: two objects of the same name are two objects.

    `group` is "" for the core API; `namespace` is "default" where none is written, and "" for kinds without one.
    `last_line` is the last line of the object in its file. `cluster` is the name given to the set it came with.
    """

    group: str
    version: str
    kind: str
    namespace: str
    name: str
    data: dict[str, Any]
    origin: Origin
    last_line: int
    cluster: str = ""

    @property
    def ref(self) -> str:
        """`Kind/namespace/name`, or `Kind/name` for kinds without a namespace."""
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"

    @property
    def full_name(self) -> str:
        """`namespace/name`, or the name alone for kinds without a namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def spec(self) -> dict[str, Any]:
        """`spec`, empty where it is missing or no mapping."""
        return mapping(self.data.get("spec"))

    @property
    def metadata(self) -> dict[str, Any]:
        """`metadata`, as written."""
        return mapping(self.data.get("metadata"))

    @property
    def labels(self) -> dict[str, str]:
        """Its labels as text."""
        return text_map(self.metadata.get("labels"))

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations as text."""
        return text_map(self.metadata.get("annotations"))

    def span(self, path: str = "") -> Span:
        """Where the field of that path stands, or the object; see `Origin.span_of`."""
        return self.origin.span_of(path) if path else self.origin.span


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def mappings(value: Any) -> list[dict[str, Any]]:
    """The items of a list, in their places; items that are no mappings become empty ones."""
    return [mapping(item) for item in sequence(value)]


def texts(value: Any) -> list[str]:
    """The items of a list as text; mappings, lists and nulls are left out."""
    return [text(item) for item in sequence(value) if isinstance(item, (str, int, float))]


def text(value: Any) -> str:
    """A scalar as text; "" for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else ""


def text_map(value: Any) -> dict[str, str]:
    """A mapping with its scalars as text."""
    return {key: text(one) for key, one in mapping(value).items()}


def number(value: Any) -> int:
    """A whole number, written as a number or as text; 0 for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and _INT.fullmatch(value) else 0


def raw_objects(texts_of_files: Iterable[tuple[str, str]], cluster: str = "") -> Iterator[RawObject]:
    """All objects of texts given as (name, text), items of Lists included; documents that are none are left out.

    A document without `kind` is given with kind and name empty: mesh configuration is sometimes kept that way.
    """
    for name, content in texts_of_files:
        prepared = prepare(content)
        for node in documents(prepared):
            if not isinstance(node, Problem):
                yield from _objects(name, prepared, node, cluster, keep_text=True)


def _objects(file: str, content: str, node: Node, cluster: str, *, keep_text: bool) -> Iterator[RawObject]:
    if not isinstance(node, Mapping):
        return
    data = plain(node)
    kind = text(data.get("kind"))
    items = next((value for key, value in entries_of(node) if key.value == "items"), None)
    if kind.endswith("List") and isinstance(items, Sequence):
        whole = keep_text and ("*" not in content or "&" not in content)
        for item in items.items:
            yield from _objects(file, content, item, cluster, keep_text=whole)
        return
    group, _, version = text(data.get("apiVersion")).rpartition("/")
    if group == "gwsim":
        return
    meta = mapping(data.get("metadata"))
    namespace = "" if kind in CLUSTER_SCOPED or not kind else text(meta.get("namespace")) or "default"
    own = content[node.start : node.end].rstrip()
    origin = Origin(file, node.line + 1, node.column + 1, own if keep_text and kind != "Secret" else None)
    last = node.line + 1 + own.count("\n")
    if group.endswith("istio.io") and "spec" in data:
        data["spec"] = camel(data["spec"])
    yield RawObject(group, version, kind, namespace, text(meta.get("name")), data, origin, last, cluster)


_OWN_KEYS = frozenset(
    ["labels", "matchLabels", "match_labels", "selector", "sourceLabels", "source_labels", "headers", "withoutHeaders",
     "without_headers", "queryParams", "query_params", "add", "set", "value", "claimToHeaders", "annotations"]
)
"""Fields whose keys are the user's own words."""


def camel(value: Any) -> Any:
    """Proto field names (`source_labels`) in the JSON spelling (`sourceLabels`), as Istio reads them too."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        _SNAKE.sub(lambda m: m[1].upper(), key): one if key in _OWN_KEYS else camel(one) for key, one in value.items()
    }


def plain(node: Node) -> Any:
    """A node as dicts, lists, text, numbers, booleans and None, by the YAML 1.2 core rules."""
    if isinstance(node, Mapping):
        return {key.value: plain(value) for key, value in entries_of(node)}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return _scalar(node) if isinstance(node, Scalar) else None


def _scalar(node: Scalar) -> Any:
    if not node.plain:
        return node.value
    if node.is_null:
        return None
    word = node.value
    if word in _BOOL:
        return _BOOL[word]
    if _INT.fullmatch(word) and len(word) < 20:
        return int(word)
    return float(word) if _FLOAT.fullmatch(word) else word


__all__ = [
    "CLUSTER_SCOPED", "RawObject", "camel", "mapping", "mappings", "number", "plain", "raw_objects", "sequence", "text", "text_map", "texts",
]
