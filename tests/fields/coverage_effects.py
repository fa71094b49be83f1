"""Rows of `effects/*.yaml`: what a field changes, shown by building with and without it.

An effects file:

    kind: VirtualService          # fields are below `spec` of this kind ("metadata": below `metadata`)
    common: |                     # YAML documents that are part of every base
      ...
    bases:
      default: |                  # the documents a row begins with; the first object of the kind is changed
        ...
    rows:
    - {field: "http[].timeout", value: 2s, see: 'get("/").timeout_s', before: 0.0, after: 2.0}

A row sets `field` (an empty `[]` is the first item, `{key}` a key of a map) to `value`, and says what is seen
without (`before`) and with it (`after`). The two must differ, so a field that is ignored fails its row.

Optional: `base` (a name of `bases`); `object` (a name, or Kind/name); `without` (the value in the first build,
where leaving the field out is not possible); `with` (further fields of the object, set in both builds, by path);
`options` (arguments of `from_istio`); `second` (a base that is a second cluster, named `two` beside `one`).

`see` is a Python expression over the topology, never over the resources: `topology`, `proxies`, `proxy` (the first
gateway), `get(path, port=80, host="shop.example", **request)` (a decision), `to(...)` (its clusters by short name with
their weights), `listener(port)`, `chain(port, n)`, `tls(port)`, `virtual_hosts(port)`, `route(n, port)`, `cluster(service,
port, subset)` (service as `name` or full host), `filters(port)` (names of HTTP filters), `config(kind, n)`
(the n-th HTTP filter's configuration of a class), `inner(path)` (a decision of the second proxy), `endpoints(...)` (`address:port` of a cluster), `services` (KnownService by
host), `findings` (names of codes, sorted), `assumptions` (text).

`python -m tests.fields --fill` adds `before` and `after` to rows that lack them, from what is seen: read
them critically; they are claims about Istio. `python -m tests.fields` writes docs/coverage.md.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from coverage_fields import KINDS_BY_NAME, METADATA, steps_of

from gwsim.diagnostics import CODES, Collector
from gwsim.resources import ResourceSet, read_text
from gwsim.topology import Cluster, Decision, FilterChain, Listener, Request, Route, Topology, choose
from gwsim.topology.from_istio import from_istio
from gwsim.topology.from_istio.build import ClusterConfig, build_mesh

FOLDER = Path(__file__).parent / "effects"
_ROOTED = (METADATA, "Secret")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Row:
    """One row with the documents it begins from."""

    kind: str
    field: str
    file: str
    documents: list[dict[str, Any]] = field(repr=False)
    data: Mapping[str, Any] = field(repr=False)
    second: list[dict[str, Any]] = field(repr=False, default_factory=list)

    @property
    def id(self) -> str:
        """Kind and field: the name of its test."""
        return f"{self.kind}.{self.field}"

    def seen(self, *, applied: bool) -> Any:
        """What `see` gives on the topology with or without the field."""
        documents = copy.deepcopy(self.documents)
        target = self._target(documents)
        for path, value in (self.data.get("with") or {}).items():
            place(target, self._steps(path), value)
        if applied:
            place(target, self._steps(self.field), self.data["value"])
        elif "without" in self.data:
            place(target, self._steps(self.field), self.data["without"])
        options = self.data.get("options") or {}
        view = View.of_two(documents, self.second, options) if self.second else View.of(documents, options)
        return plain(view.see(self.data["see"]))

    def _steps(self, path: str) -> list[str | int]:
        steps = steps_of(path)
        if self.kind == METADATA:
            return [METADATA, *steps]
        if self.kind in _ROOTED or steps[0] in (METADATA, "spec", "data"):
            return steps
        root = KINDS_BY_NAME[self.kind].root
        return [root, *steps] if root else steps

    def _target(self, documents: list[dict[str, Any]]) -> dict[str, Any]:
        kind, _, name = self.data.get("object", "").rpartition("/")
        kind = kind or (self.kind.partition(".")[0] if self.kind != METADATA else "")
        for one in documents:
            if kind in ("", one["kind"]) and name in ("", one["metadata"]["name"]):
                return one
        raise LookupError(f"{self.file}: no {kind or 'object'} {name} in the base of {self.field}")


def place(target: Any, steps: list[str | int], value: Any) -> None:
    """Put a value at a path, making what is missing on the way; None takes it away."""
    for step, following in pairwise(steps):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(step, int):
            while len(target) <= step:
                target.append(copy.copy(empty))
        elif target.get(step) is None:
            target[step] = empty
        target = target[step]
    last, value = steps[-1], copy.deepcopy(value)
    if value is None and isinstance(target, dict):
        target.pop(last, None)
    elif isinstance(last, int) and last >= len(target):
        target.append(value)
    else:
        target[last] = value


@cache
def rows() -> tuple[Row, ...]:
    """All rows of all files."""
    found: list[Row] = []
    for path in sorted(FOLDER.glob("*.yaml")):
        text = yaml.safe_load(path.read_text(encoding="utf-8"))
        bases = {
            name: [one for one in yaml.safe_load_all(base + "\n---\n" + text.get("common", "")) if one]
            for name, base in text["bases"].items()
        }
        found += [
            Row(one.get("kind", text["kind"]), one["field"], path.name, bases[one.get("base", "default")], one, bases.get(one.get("second"), []))
            for one in text["rows"]
        ]
    return tuple(found)


def plain(value: Any) -> Any:
    """A value as YAML has it, for comparison: dataclasses become text, enumerations and tuples plain ones."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return repr(value) if dataclasses.is_dataclass(value) and type(value).__str__ is object.__str__ else (
        str(value) if dataclasses.is_dataclass(value) else value
    )


@dataclass(frozen=True, slots=True)
class View:
    """A topology with the short ways that `see` uses."""

    topology: Topology
    findings: tuple[str, ...]

    @classmethod
    def of(cls, documents: list[dict[str, Any]], options: Mapping[str, Any]) -> View:
        """Read and build; what cannot be read fails the row."""
        collector = Collector()
        topology = from_istio(_read(documents, "base.yaml"), collector=collector, **options)
        return cls(topology, tuple(sorted({CODES[one.code].name for one in collector.findings})))

    @classmethod
    def of_two(cls, first: list[dict[str, Any]], second: list[dict[str, Any]], options: Mapping[str, Any]) -> View:
        """Two clusters, `one` and `two`, on networks of their names; the row is about the first."""
        collector = Collector()
        clusters = [
            ClusterConfig(resources=_read(documents, f"{name}.yaml"), name=name, network=name, **(options if name == "one" else {}))
            for name, documents in (("one", first), ("two", second))
        ]
        topology = build_mesh(clusters, collector=collector)
        return cls(topology, tuple(sorted({CODES[one.code].name for one in collector.findings})))

    def see(self, expression: str) -> Any:
        """The value of an expression over this view."""
        names = {name: getattr(self, name) for name in dir(self) if not name.startswith("_")}
        allowed = {one.__name__: one for one in (any, all, hasattr, len, list, next, set, sorted, str, sum, tuple)}
        return eval(expression, {"__builtins__": allowed, **names})

    @property
    def proxies(self) -> Any:
        return self.topology.proxies

    @property
    def proxy(self) -> Any:
        return self.topology.proxies[0]

    @property
    def services(self) -> Any:
        return {one.host: one for one in self.topology.services}

    @property
    def assumptions(self) -> str:
        return "\n".join([*self.topology.assumptions, *(text for one in self.proxies for text in one.assumed)])

    def get(self, path: str = "/", *, port: int = 80, host: str = "shop.example", **more: Any) -> Decision:
        return choose(self.proxy, port, Request(host=host, path=path, **more))

    def to(self, path: str = "/", **more: Any) -> Any:
        """Short cluster names with weights, or the outcome where nothing is forwarded."""
        found = self.get(path, **more)
        if not found.clusters or found.outcome != "forward":
            return f"{found.outcome.value} {found.status}"
        return {short(one.cluster): one.weight for one in found.clusters}

    def listener(self, port: int = 80) -> Listener:
        found = self.proxy.listener(port)
        if found is None:
            raise LookupError(f"no listener on port {port}")
        return found

    def chain(self, port: int = 80, n: int = 0) -> FilterChain:
        return self.listener(port).filter_chains[n]

    def filters(self, port: int = 80) -> list[str]:
        manager: Any = self.chain(port).filter
        return [one.name for one in manager.http_filters]

    def config(self, kind: str, n: int = 0, port: int = 80) -> Any:
        chain: Any = self.chain(port).filter
        return [one.config for one in chain.http_filters if type(one.config).__name__ == kind][n]

    def tls(self, port: int = 443, n: int = 0) -> Any:
        return self.chain(port, n).tls

    def virtual_hosts(self, port: int = 80) -> Any:
        return self.chain(port).filter.route_config.virtual_hosts  # type: ignore[union-attr]

    def route(self, n: int = 0, port: int = 80) -> Route:
        return self.virtual_hosts(port)[0].routes[n]

    def cluster(self, service: str = "shop", port: int = 80, subset: str = "") -> Cluster | None:
        for one in self.proxy.clusters.values():
            if service in (one.host, one.host.split(".")[0]) and (one.port, one.subset) == (port, subset):
                return one
        return None

    def endpoints(self, service: str = "shop", port: int = 80, subset: str = "") -> list[str]:
        found = self.cluster(service, port, subset)
        return [f"{one.address}:{one.port}" for one in found.endpoints] if found else []


def _read(documents: list[dict[str, Any]], name: str) -> ResourceSet:
    return read_text("\n---\n".join(json.dumps(_kept_as_text(one)) for one in documents), name)


def _kept_as_text(document: dict[str, Any]) -> dict[str, Any]:
    """A ConfigMap whose entries are written as mappings in a base, as Kubernetes has it: with YAML as text."""
    if document["kind"] != "ConfigMap":
        return document
    return {**document, "data": {name: yaml.safe_dump(value) for name, value in document["data"].items()}}


def short(cluster: str) -> str:
    """`outbound|80|v1|shop.app.svc.cluster.local` as `shop:80/v1`."""
    _, port, subset, host = cluster.split("|")
    name = host.split(".")[0] if host.endswith(".svc.cluster.local") else host
    return f"{name}:{port}" + (f"/{subset}" if subset else "")
