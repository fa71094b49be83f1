"""One YAML document to objects: Lists are unpacked, kinds recognised, fields decoded, rejections found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from gwsim.diagnostics import Collector, Span, code, did_you_mean, misspelling_of
from gwsim.resources.context import ObjectContext, SourceFile
from gwsim.resources.decode import Schema, decode_fields, report_unknown, schema_of
from gwsim.resources.embedded import embedded
from gwsim.resources.key_kind import key_kind_of, key_kind_of_base64
from gwsim.resources.kinds import CLOSED_GROUPS, ISTIO_GROUP, KINDS, Kind
from gwsim.resources.models.base import Labels, Meta, Resource
from gwsim.resources.models.kubernetes import KeyKind
from gwsim.resources.origin import Origin
from gwsim.resources.patches import Patches
from gwsim.resources.rendering import (
    KNOWN_VALUES,
    gateway_chart,
    is_control_plane_values,
    is_gateway_values,
    named,
    operator_gateways,
    operator_of_values,
)
from gwsim.resources.scalars import MISSING, string, wrong_type
from gwsim.resources.validation import validate
from gwsim.resources.yaml_nodes import Mapping, Node, Scalar, Sequence, entries_of, text_of, value_at

_CERTIFICATE_KEYS = ("tls.crt", "cert", "tls.key", "key")


@dataclass(frozen=True, slots=True, kw_only=True)
class _OwnerReference:
    """An object that made this one; the one that keeps it is its controller."""

    other_fields: ClassVar[frozenset[str]] = frozenset(["apiVersion", "uid", "blockOwnerDeletion"])

    kind: str
    name: str
    controller: bool = False

_WITHOUT_SPEC = frozenset({"Sidecar", "ProxyConfig", "EnvoyFilter"})
"""Kinds of networking.istio.io that the API server takes without a spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _WrittenMeta:
    """`metadata` as written."""

    other_fields: ClassVar[frozenset[str]] = frozenset(
        ["uid", "resourceVersion", "generation", "managedFields", "finalizers", "generateName", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "clusterName"]
    )

    name: str
    namespace: str | None = None
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    creation_timestamp: str | None = None
    owner_references: tuple[_OwnerReference, ...] = ()


class ObjectReader:
    """Turns documents into objects, and remembers which kinds it passed over and which names it has seen."""

    def __init__(self, collector: Collector, unknown_fields: str, patches: Patches | None = None) -> None:
        self.collector = collector
        self.patches = patches or Patches()
        self.unknown_fields = unknown_fields
        self.objects: list[Resource] = []
        self.passed_over = 0
        self._not_read: dict[tuple[str, str], list[Span]] = {}
        self._made: set[tuple[str, str, str, str]] = set()
        self._seen: dict[tuple[str, str, str, str], Resource] = {}

    def read(self, source: SourceFile, node: Node, *, keep_text: bool = True) -> None:
        """Read one document, or one item of a List."""
        kind = text_of(value_at(node, "kind"))
        api_version = text_of(value_at(node, "apiVersion"))
        if api_version and api_version.startswith("gwsim/"):
            self.passed_over += 1
            return
        if not kind and not api_version and self._read_values(source, node):
            return
        if not isinstance(node, Mapping) or not kind or not api_version:
            # A config_dump kept beside the files it is compared with (gwsim diff) is none of them.
            if kind is None and isinstance(value_at(node, "configs"), Sequence):
                self.passed_over += 1
                return
            self._not_an_object(source, node, kind, api_version)
            return
        items = value_at(node, "items")
        if kind.endswith("List") and isinstance(items, Sequence):
            self._read_list(source, items, keep_text)
            return
        group, _, version = api_version.rpartition("/")
        known = KINDS.get((group, kind))
        if known is not None and version in known.former:
            help = f"write {group}/{known.versions[0]}: the fields are the same"
            message = f"{kind} {version} is read as {known.versions[0]}: Gateway API 1.1 and later do not serve it"
            self.collector.add(code("FORMER_VERSION"), message, source.span(node.line, node.column, quote=False), help=help)
        elif known is None or version not in known.versions:
            self._other_kind(source, node, group, version, kind)
            return
        if kind == "ConfigMap" and not is_mesh_config(node):
            self.passed_over += 1
            return
        if kind == "IstioOperator":
            own = named(node, f"unnamed-{len(self.objects) + 1}")
            node, keep_text = own, keep_text and own is node
        self._read_object(source, node, known, api_version, keep_text)
        if kind == "IstioOperator":
            self._read_rendered(source, operator_gateways(node))

    def _read_values(self, source: SourceFile, node: Node) -> bool:
        """Values of one of Istio's charts; whether the document is some."""
        if is_control_plane_values(node):
            self._read_rendered(source, [operator_of_values(node)])
            return True
        if not is_gateway_values(node):
            return False
        documents = gateway_chart(node)
        name, namespace = (text_of(value_at(documents[0], "metadata", one)) for one in ("name", "namespace"))
        message = f"read as values of Istio's gateway chart: {name} in namespace {namespace}"
        help = "name: and namespace: in the values, or the output of helm template, say which release it is"
        self.collector.add(code("HELM_VALUES"), message, source.span(node.line, node.column, quote=False), help=help)
        for key, _ in node.pairs if isinstance(node, Mapping) else ():
            if key.value not in KNOWN_VALUES:
                ctx = ObjectContext(source, self.collector, f"values of {name}", self.unknown_fields)
                report_unknown(key, ctx, (), misspelling_of(key.value, sorted(KNOWN_VALUES)), "gateway chart")
        self._read_rendered(source, documents)
        return True

    def _read_rendered(self, source: SourceFile, documents: list[Node]) -> None:
        """Objects that a chart makes. Those that the files hold themselves count instead of them."""
        for document in documents:
            api_version = text_of(value_at(document, "apiVersion")) or ""
            kind = KINDS[api_version.rpartition("/")[0], text_of(value_at(document, "kind")) or ""]
            count = len(self.objects)
            self._read_object(source, document, kind, api_version, False, rendered=True)
            self._made.update(_identity(one) for one in self.objects[count:])

    def _read_list(self, source: SourceFile, items: Sequence, keep_text: bool) -> None:
        # An item's own text can be parsed again by itself only if it needs no anchor from elsewhere.
        whole = "*" not in source.text or "&" not in source.text
        for item in items.items:
            self.read(source, item, keep_text=keep_text and whole)

    def _not_an_object(self, source: SourceFile, node: Node, kind: str | None, api_version: str | None) -> None:
        if not isinstance(node, Mapping):
            what = "a Kubernetes object begins with apiVersion, kind and metadata"
        else:
            missing = [name for name, value in (("apiVersion", api_version), ("kind", kind)) if not value]
            what = f"{' and '.join(missing)} missing"
        quote = kind != "Secret" and isinstance(node, Mapping)
        span = source.span(node.line, node.column, quote=quote)
        self.collector.add(code("NOT_AN_OBJECT"), f"this document is not a Kubernetes object: {what}", span)

    def _other_kind(self, source: SourceFile, node: Node, group: str, version: str, kind: str) -> None:
        span = source.span(node.line, node.column, quote=False)
        known = KINDS.get((group, kind))
        if known:
            help = f"write one of {', '.join(f'{group}/{v}'.removeprefix('/') for v in known.versions)}"
            self.collector.add(code("UNKNOWN_KIND"), f"{kind} has no version {version!r}", span, help=help)
            return
        if group in CLOSED_GROUPS:
            kinds = [name for known_group, name in KINDS if known_group == group]
            hint = did_you_mean(kind, kinds)
            self.collector.add(code("UNKNOWN_KIND"), f"{group} has no kind {kind!r}", span, help=hint)
            return
        self.passed_over += 1
        self._not_read.setdefault((group, kind), []).append(span)

    def finish(self) -> None:
        """Say which kinds were passed over, once each and with their number."""
        for (group, kind), spans in self._not_read.items():
            name = f"{kind} ({group})" if group else kind
            what = f"{len(spans)} objects of kind {name} are" if len(spans) > 1 else f"1 object of kind {name} is"
            self.collector.add(code("KIND_NOT_READ"), f"{what} not read", spans[0])
        self._not_read.clear()

    def _read_object(self, source: SourceFile, node: Node, kind: Kind, api_version: str, keep_text: bool, *, rendered: bool = False) -> None:
        secret = kind.name == "Secret"
        written_name = text_of(value_at(node, "metadata", "name")) or "?"
        ref = f"{kind.name}/{written_name}"
        if kind.namespaced:
            ref = f"{kind.name}/{text_of(value_at(node, 'metadata', 'namespace')) or 'default'}/{written_name}"
        if self.patches.patches:
            namespace = (text_of(value_at(node, "metadata", "namespace")) or "default") if kind.namespaced else ""
            node = self.patches.apply(source, node, (kind.name, namespace, written_name), self.collector)
        ctx = ObjectContext(source, self.collector, ref, self.unknown_fields, quote=not secret)
        meta = _meta(ctx, node, kind, api_version)
        values = _secret_values(ctx, node) if secret else _spec_values(ctx, node, kind)
        _check_root(ctx, node, kind)
        if meta is None or values is None:
            return
        text = None if secret or not keep_text else source.text[node.start : node.end].rstrip()
        resource = kind.make(meta, Origin(source.name, node.line + 1, node.column + 1, text), values)
        validate(resource, ctx, node)
        self._keep(ctx, node, resource, rendered)

    def _keep(self, ctx: ObjectContext, node: Node, resource: Resource, rendered: bool) -> None:
        identity = _identity(resource)
        if identity in self._seen and rendered:
            return
        if identity in self._made:
            self._made.remove(identity)
            self.objects.remove(self._seen.pop(identity))
        first = self._seen.setdefault(identity, resource)
        if first is resource:
            self.objects.append(resource)
            return
        # As with `kubectl apply`, the later one stays.
        self.objects[self.objects.index(first)] = self._seen[identity] = resource
        ctx.report("DUPLICATE_OBJECT", f"{resource.ref} is defined twice, first at {first.span}", node)


def _identity(resource: Resource) -> tuple[str, str, str, str]:
    return (resource.meta.group, resource.meta.kind, resource.meta.namespace, resource.meta.name)


def _meta(ctx: ObjectContext, node: Node, kind: Kind, api_version: str) -> Meta | None:
    metadata = value_at(node, "metadata")
    if metadata is None or (isinstance(metadata, Scalar) and metadata.is_null):
        ctx.report("MISSING_FIELD", "metadata is missing", node)
        return None
    values = decode_fields(schema_of(_WrittenMeta, False), ctx, metadata, ((), "metadata"))
    if values is None:
        return None
    written = _WrittenMeta(**values)
    namespace = (written.namespace or "default") if kind.namespaced else ""
    return Meta(
        api_version=api_version,
        kind=kind.name,
        name=written.name,
        namespace=namespace,
        labels=written.labels,
        annotations=written.annotations,
        creation_timestamp=written.creation_timestamp,
        controller=next((f"{one.kind}/{one.name}" for one in written.owner_references if one.controller), ""),
    )


def _spec_values(ctx: ObjectContext, node: Node, kind: Kind) -> dict[str, Any] | None:
    schema = schema_of(kind.spec, kind.proto_names)
    if not schema.fields:
        return {}
    if kind.root == "data":
        return decode_fields(schema, ctx, _unpacked(ctx, node, schema), ((), kind.root))
    if not kind.root:
        return decode_fields(schema, ctx, node, ())
    spec = value_at(node, "spec")
    if spec is None or (isinstance(spec, Scalar) and spec.is_null):
        if schema.required or (kind.group == ISTIO_GROUP and kind.name not in _WITHOUT_SPEC):
            ctx.report("MISSING_FIELD", "spec is missing", node)
            return None
        return {}
    return decode_fields(schema, ctx, spec, ())


def is_mesh_config(node: Node) -> bool:
    """Whether a ConfigMap is one that istiod takes its mesh configuration from."""
    name = text_of(value_at(node, "metadata", "name")) or ""
    data = value_at(node, "data")
    given = value_at(data, "mesh") or value_at(data, "meshNetworks")
    return given is not None and (name == "istio" or name.startswith("istio-"))


def _unpacked(ctx: ObjectContext, node: Node, schema: Schema) -> Node:
    """`data` with the YAML text of its known entries read."""
    data = value_at(node, "data")
    assert data is not None
    unpacked = Mapping(data.line, data.column, data.start, data.end)
    unpacked.pairs = []
    for key, value in entries_of(data):
        if key.value in schema.by_name and isinstance(value, Scalar):
            inner = embedded(ctx, value, (((), "data"), key.value))
            if inner is not None:
                unpacked.pairs.append((key, inner))
        elif key.value in schema.by_name:
            wrong_type(ctx, value, (((), "data"), key.value), "YAML kept as text", f"write {key.value}: |- and the fields indented below")
    return unpacked


def _check_root(ctx: ObjectContext, node: Node, kind: Kind) -> None:
    if not kind.root:
        return
    known = {"apiVersion", "kind", "metadata", "status", *(kind.root_fields or ("spec",))}
    for key, _ in entries_of(node):
        if key.value not in known:
            report_unknown(key, ctx, (), misspelling_of(key.value, sorted(known)), kind.schema_name)


def _secret_values(ctx: ObjectContext, node: Node) -> dict[str, Any] | None:
    """What may be known of a Secret: its type, the names of its entries and the kind of its key."""
    kinds: dict[str, KeyKind] = {}
    for block, kind_of in (("stringData", lambda text: key_kind_of(text.encode())), ("data", key_kind_of_base64)):
        entries = value_at(node, block)
        if entries is None or (isinstance(entries, Scalar) and entries.is_null):
            continue
        if not isinstance(entries, Mapping):
            wrong_type(ctx, entries, ((), block), "a mapping")
            continue
        for key, value in entries_of(entries):
            text = text_of(value)
            wanted = text is not None and key.value in _CERTIFICATE_KEYS
            kinds.setdefault(key.value, kind_of(text) if wanted and text is not None else "unknown")
    values: dict[str, Any] = {"keys": tuple(kinds)}
    values["key_kind"] = next(
        (kinds[name] for name in _CERTIFICATE_KEYS if kinds.get(name, "unknown") != "unknown"), "unknown"
    )
    written_type = value_at(node, "type")
    if written_type is not None and text_of(written_type) is not None:
        decoded = string(ctx, written_type, ((), "type"))
        if decoded is not MISSING:
            values["type"] = decoded
    return values
