"""What every object has in common, and the vocabulary its field types are written in.

The models are frozen slotted dataclasses, and `gwsim.resources.decode` derives a decoder from their
type hints. Dataclasses and not pydantic models, because a decoder that walks YAML nodes directly knows
the line of every value it refuses, takes a scalar by the type the field wants (so `on` and `yes` are
text where text is wanted), and reads thousands of objects a second.

How a hint is read:

* attribute names are the API's names in snake_case; the YAML name is lowerCamelCase of it, and for
  Istio's own kinds the proto's snake_case name is accepted too, as Istio does;
* `Seconds` and `PositiveSeconds` are Go durations as float seconds; their attributes end in `_s`;
* `ApiSeconds` is a duration as the Gateway API writes it (GEP-2257), its attribute ends in `_s` too;
* `Cores` and `Bytes` are Kubernetes quantities; their attributes end in `_cores` and `_bytes`;
* `Json("name")` gives the YAML name where it cannot be derived;
* `Port` is 1..65535, `Natural` an integer of at least 0;
* `Literal[...]` is an enumeration, `Opaque` is kept as plain Python data without being looked into;
* a field without a default is required; `other_fields` names valid fields that are read over because
  they have no influence on traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from gwsim.diagnostics import Span
from gwsim.resources.origin import Origin


@dataclass(frozen=True, slots=True)
class Json:
    """Marker: the field's name in YAML, where it is not the attribute's name in lowerCamelCase."""

    name: str


@dataclass(frozen=True, slots=True)
class Form:
    """Marker: how a scalar is written: `duration`, `positive_duration`, `api_duration`, `cores`, `bytes`, `port`, `natural`."""

    name: str
    suffix: str = ""


Seconds = Annotated[float, Form("duration", "_s")]
PositiveSeconds = Annotated[float, Form("positive_duration", "_s")]
ApiSeconds = Annotated[float, Form("api_duration", "_s")]
Cores = Annotated[float, Form("cores", "_cores")]
Bytes = Annotated[float, Form("bytes", "_bytes")]
Port = Annotated[int, Form("port")]
Natural = Annotated[int, Form("natural")]
Opaque = Annotated[Any, Form("opaque")]

Labels = Mapping[str, str]
"""Labels, annotations and selectors. Not to be changed by the reader of a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """An object's identity. `namespace` is "default" when the file gives none, "" for kinds without one.

    `creation_timestamp` is the RFC 3339 text of a dump from a cluster, or None for a file; `controller` the
    `Kind/name` of the object that made this one and keeps it, or nothing.
    """

    api_version: str
    kind: str
    name: str
    namespace: str = "default"
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    creation_timestamp: str | None = None
    controller: str = ""

    @property
    def group(self) -> str:
        """The API group; "" for Kubernetes' core."""
        return self.api_version.rpartition("/")[0]

    @property
    def ref(self) -> str:
        """`Kind/namespace/name`, or `Kind/name` for a kind without namespaces."""
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resource:
    """Base of all objects: compared by identity, since a file may hold the same text twice."""

    other_fields: ClassVar[frozenset[str]] = frozenset()

    meta: Meta
    origin: Origin = field(default_factory=Origin, repr=False)

    @property
    def ref(self) -> str:
        """`Kind/namespace/name`."""
        return self.meta.ref

    @property
    def name(self) -> str:
        """`meta.name`."""
        return self.meta.name

    @property
    def namespace(self) -> str:
        """`meta.namespace`."""
        return self.meta.namespace

    @property
    def span(self) -> Span:
        """Where the object begins."""
        return self.origin.span

    def span_of(self, path: str) -> Span:
        """Where a field stands, by its YAML path below `spec`: `http[0].route[1].weight`.

        Paths that begin with `metadata`, `spec`, `data` or `stringData` are taken from the object's
        root; map keys with dots are written `labels["app.kubernetes.io/name"]`. A field that is not in
        the file gives the place of its nearest parent that is.
        """
        return self.origin.span_of(path)
