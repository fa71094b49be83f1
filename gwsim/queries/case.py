"""Case files: a list of cases, or `defaults:` that all of its cases share and `cases:`.

A case names its configuration, a gateway, a port, a request and what is expected of it (docs/route-tests.md).
A case that cannot be read keeps what could be, with its problems; the cases beside it are not touched.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gwsim.diagnostics import Collector, Finding, Span, code, did_you_mean, misspelling_of
from gwsim.errors import InputError
from gwsim.queries import fields
from gwsim.queries.plain import lines_of, plain, texts
from gwsim.resources.yaml_nodes import Mapping as MappingNode
from gwsim.resources.yaml_nodes import Node, Problem, documents, prepare, value_at
from gwsim.resources.yaml_nodes import Sequence as SequenceNode
from gwsim.topology import Request
from gwsim.topology.from_istio.versions import VERSIONS, rules_for
from gwsim.units import parse_duration_s

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRef:
    """Which proxy is asked: a Gateway API Gateway, the workload with some labels, a sidecar, or an Istio Gateway."""

    kind: Literal["gateway_api", "selector", "mesh", "istio"]
    namespace: str = "default"
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        labels = ",".join(f"{key}={value}" for key, value in self.labels.items())
        return f"{self.kind} {self.namespace}/{self.name or labels or '*'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case. `problems` not empty: it cannot be trusted, and its status is an error."""

    id: str
    name: str
    file: str
    line: int
    config: tuple[str, ...] = ()
    gateway: GatewayRef | None = None
    port: int = 0
    mesh_config: Mapping[str, Any] = field(default_factory=dict)
    istio_version: str = ""
    """The Istio that serves this case; empty: the one all cases are asked of."""
    request: Request | None = None
    backend_delay_s: float = 0.0
    expect: Mapping[str, Any] = field(default_factory=dict)
    assert_only: tuple[str, ...] | None = None
    skip: str = ""
    """Why a difference does not count."""
    lines: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Finding, ...] = ()

    def span(self, path: str = "") -> Span:
        """Where a field of the case stands; of one that is not written, its parent."""
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return Span(self.file, self.lines.get(path, self.line))


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """The cases of one file, in order."""

    path: str
    cases: tuple[Case, ...]


def read_cases(paths: Sequence[str | Path], *, collector: Collector, root: str | Path | None = None) -> tuple[CaseFile, ...]:
    """The cases of files, and of all files in folders. What is wrong goes to `collector` and into its case.

    Paths of configuration are looked for beside the case file, in the folder above it, and in `root`.
    """
    files: list[CaseFile] = []
    for path in _files(paths, collector):
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            collector.add(code("FILE_MISSING"), f"cannot read {path}: {reason}", Span(path))
            continue
        named = any(str(one) == path for one in paths)
        files.append(CaseFile(path=path, cases=tuple(_FileReader(path, collector, root).cases(text, named=named))))
    return tuple(files)


def _files(paths: Sequence[str | Path], collector: Collector) -> list[str]:
    found: dict[str, None] = {}
    for given in paths:
        path = str(given)
        if not os.path.isdir(path):
            found[path] = None
            continue
        inside = [
            os.path.join(folder, name)
            for folder, folders, names in os.walk(path)
            if folders.sort() is None
            for name in sorted(names)
            if name.endswith(SUFFIXES) and not name.startswith(".")
        ]
        if not inside:
            collector.add(code("EMPTY_INPUT"), f"{path} holds no case file", Span(path))
        found |= dict.fromkeys(inside)
    return list(found)


class _FileReader:
    """Reads one file."""

    def __init__(self, path: str, collector: Collector, root: str | Path | None) -> None:
        self.path, self.collector = path, collector
        folder = Path(path).parent
        self.folders = [folder, folder.parent, *([Path(root)] if root is not None else [])]
        self.ids: dict[str, int] = {}

    def cases(self, text: str, *, named: bool = True) -> list[Case]:
        """Every case of every document. Configuration beside them is passed over, unless the file itself was `named`."""
        made: list[Case] = []
        for document in documents(prepare(text)):
            if isinstance(document, Problem):
                self.collector.add(code("YAML_SYNTAX"), document.message, Span(self.path, document.line + 1, document.column + 1))
                continue
            defaults = value_at(document, "defaults") if isinstance(document, MappingNode) else None
            if not named and value_at(document, "apiVersion") is not None and value_at(document, "kind") is not None:
                continue
            listed = document if isinstance(document, SequenceNode) else value_at(document, "cases")
            if not isinstance(listed, SequenceNode):
                message = "a case file is a list of cases, or a mapping with `cases:` (and `defaults:`)"
                self.collector.add(code("CASE_VALUE"), message, Span(self.path, document.line + 1))
                continue
            made += [self._case(node, defaults, len(made) + at + 1) for at, node in enumerate(listed.items)]
        return made

    def _case(self, node: Node, defaults: Node | None, number: int) -> Case:
        own = Collector()
        try:
            case = _CaseReader(self, node, defaults, own, number).read()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            span = Span(self.path, node.line + 1)
            own.add(code("CASE_VALUE"), f"the case cannot be read: {error}", span)
            case = Case(id=f"case-{number}", name="", file=self.path, line=node.line + 1, problems=own.findings)
        self.collector.extend(own.findings)
        return case


class _CaseReader:
    """Reads one case."""

    def __init__(self, file: _FileReader, node: Node, defaults: Node | None, collector: Collector, number: int) -> None:
        self.file, self.node, self.collector, self.number = file, node, collector, number
        self.lines = {**(lines_of(defaults) if defaults is not None else {}), **lines_of(node)}
        shared: dict[str, Any] = plain(defaults) or {} if isinstance(defaults, MappingNode) else {}
        given = plain(node)
        self.data: dict[str, Any] = {**shared, **(given if isinstance(given, dict) else {})}
        for name in ("request", "expect"):
            both = [one.get(name) for one in (shared, given) if isinstance(one, dict)]
            parts: list[dict[str, Any]] = [part for part in both if isinstance(part, dict)]
            if parts:
                self.data[name] = {key: value for part in parts for key, value in part.items()}
        self.headers = {**texts(value_at(defaults, "request", "headers")), **texts(value_at(node, "request", "headers"))}

    def bad(self, name: str, path: str, message: str, help: str | None = None) -> None:
        """Report a problem of the case."""
        at = path
        while at and at not in self.lines:
            at = at.rpartition(".")[0]
        line = self.lines.get(at, self.node.line + 1)
        self.collector.add(code(name), f"{self.id}: {message}", Span(self.file.path, line), help=help)

    @property
    def id(self) -> str:
        """The case's id, or its number."""
        return str(self.data.get("id") or f"case-{self.number}")

    def read(self) -> Case:
        """The case with its problems."""
        if not isinstance(self.node, MappingNode):
            self.bad("CASE_VALUE", "", "a case is a mapping with config, gateway, port, request and expect")
        else:
            self._check_names()
        line = self.node.line + 1
        if self.id in self.file.ids:
            self.bad("CASE_VALUE", "id", f"another case has this id, in line {self.file.ids[self.id]}")
        self.file.ids.setdefault(self.id, line)
        request, delay_s = self._request()
        only = self.data.get("assert_only")
        return Case(
            id=self.id,
            name=str(self.data.get("name") or ""),
            file=self.file.path,
            line=line,
            config=self._config(),
            gateway=self._gateway(),
            port=self._port(),
            mesh_config=self.data["mesh_config"] if isinstance(self.data.get("mesh_config"), dict) else {},
            istio_version=self._istio_version(),
            request=request,
            backend_delay_s=delay_s,
            expect=self._expect(),
            assert_only=tuple(str(one) for one in only) if isinstance(only, list) else None,
            skip=self._skip(),
            lines=self.lines,
            problems=self.collector.findings,
        )

    def _check_names(self) -> None:
        self._check("", self.data, fields.CASE, strict=False)
        for name, known in (("request", fields.REQUEST), ("expect", fields.EXPECT), ("gateway", fields.GATEWAY)):
            value = self.data.get(name)
            if isinstance(value, dict):
                self._check(f"{name}.", value, known, strict=name != "gateway")
            elif value is None:
                if name != "expect" or "expect" not in self.data:
                    self.bad("CASE_MISSING", name, f"{name} is missing")
            else:
                self.bad("CASE_VALUE", name, f"{name} must be a mapping")

    def _check(self, prefix: str, value: Mapping[str, Any], known: Mapping[str, str], *, strict: bool) -> None:
        """Unknown names are refused where they would assert or ask for something; elsewhere only misspellings are."""
        for key in value:
            if key in known:
                continue
            meant = misspelling_of(key, sorted(known))
            if strict or meant:
                self.bad("CASE_FIELD", prefix + key, f"a case has no field {prefix}{key}", did_you_mean(key, known))

    def _config(self) -> tuple[str, ...]:
        given = self.data.get("config")
        names = [given] if isinstance(given, str) else given
        if not isinstance(names, list) or not names:
            self.bad("CASE_MISSING", "config", "config must list the files of the configuration")
            return ()
        found: list[str] = []
        for name in names:
            at = next((folder / str(name) for folder in self.file.folders if (folder / str(name)).exists()), None)
            if at is None:
                self.bad("CASE_VALUE", "config", f"there is no file {name}", "paths are taken from the case file's folder, the one above, and --root")
            else:
                found.append(str(at))
        return tuple(found)

    def _gateway(self) -> GatewayRef | None:
        given = self.data.get("gateway")
        if not isinstance(given, dict):
            return None
        namespace = str(given.get("namespace") or "default")
        written: Any = given.get("selector") or given.get("labels")
        labels = {str(key): str(value) for key, value in written.items()} if isinstance(written, dict) else {}
        if given.get("mesh"):
            return GatewayRef(kind="mesh", namespace=namespace, name=str(given.get("name") or ""), labels=labels)
        if "selector" in given:
            return GatewayRef(kind="selector", namespace=namespace, labels=labels)
        if given.get("name"):
            api = str(given.get("api") or "")
            kind: Literal["gateway_api", "istio"] = "istio" if api == "networking.istio.io" else "gateway_api"
            return GatewayRef(kind=kind, namespace=namespace, name=str(given["name"]))
        self.bad("CASE_VALUE", "gateway", "gateway needs a name, a selector, or mesh: true")
        return None

    def _port(self) -> int:
        port = self.data.get("port")
        if isinstance(port, str) and port.isdigit():
            port = int(port)
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
            self.bad("CASE_VALUE" if "port" in self.data else "CASE_MISSING", "port", "port must be a number from 1 to 65535")
            return 0
        return port

    def _request(self) -> tuple[Request | None, float]:
        given = self.data.get("request")
        if not isinstance(given, dict):
            return None, 0.0
        scheme = str(given.get("scheme") or "http").lower()
        if scheme not in fields.SCHEMES:
            self.bad("CASE_VALUE", "request.scheme", f"{scheme!r} is no scheme", f"it is one of {', '.join(fields.SCHEMES)}")
            scheme = "http"
        delay_s = 0.0
        if given.get("backend_delay") is not None:
            try:
                delay_s = parse_duration_s(given["backend_delay"])
            except (ValueError, TypeError) as error:
                self.bad("CASE_VALUE", "request.backend_delay", f"request.backend_delay: {error}")
        return _request(given, scheme, self.headers), delay_s

    def _expect(self) -> dict[str, Any]:
        given = self.data.get("expect")
        expect = dict(given) if isinstance(given, dict) else {}
        outcome = expect.get("outcome")
        if outcome is not None and outcome not in fields.OUTCOMES:
            self.bad("CASE_VALUE", "expect.outcome", f"{outcome!r} is no outcome", did_you_mean(str(outcome), fields.OUTCOMES))
        for name, kind in fields.SHAPES.items():
            if name in expect and not isinstance(expect[name], kind):
                wanted = "a list" if kind is list else "a mapping" if kind is dict else "a number"
                self.bad("CASE_VALUE", f"expect.{name}", f"expect.{name} must be {wanted}")
                del expect[name]
        return expect

    def _istio_version(self) -> str:
        if self.data.get("istio_version") is None:
            return list(VERSIONS)[-1] if self.data.get("istio_support") == "supported-at-head" else ""
        wanted = str(self.data["istio_version"])
        try:
            return rules_for(wanted).version
        except InputError:
            self.bad("CASE_VALUE", "istio_version", f"Istio {wanted} is not known here", f"it is one of {', '.join(VERSIONS)}")
            return ""

    def _skip(self) -> str:
        if self.data.get("skip"):
            return str(self.data["skip"])
        support = str(self.data.get("istio_support") or "")
        return f"Istio does not implement it ({support})" if support in ("skipped", "unsupported") else ""


def _request(given: Mapping[str, Any], scheme: str, headers: Mapping[str, Any]) -> Request:
    jwt = given.get("jwt")
    token = jwt if isinstance(jwt, dict) else {}
    alpn = given.get("alpn") or ()
    version = str(given.get("http_version") or "").lower().removeprefix("http/").removeprefix("http").removeprefix("h")
    known: Any = {"1": "1.1", "2c": "2", "2.0": "2", "3.0": "3"}.get(version, version if version in ("1.0", "1.1", "2", "3") else "")
    sni = given.get("sni")
    headers = {name: ",".join(value) if isinstance(value, list) else value for name, value in headers.items()}
    grpc = scheme == "grpc"
    if grpc and not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = "application/grpc"
    # gRPC with a server name is gRPC over TLS.
    kind: Any = "https" if grpc and sni else scheme
    return Request(
        scheme=kind,
        sni=None if sni is None else str(sni),
        host=str(given.get("host") or ""),
        method=str(given.get("method") or ("POST" if grpc else "GET")),
        path=str(given.get("path") or "/"),
        headers=headers,
        alpn=(alpn,) if isinstance(alpn, str) else tuple(str(one) for one in alpn),
        client_certificate=bool(given.get("mtls")),
        claims=_claims(token) if token.get("valid") else None,
        token_rejected=bool(token) and token.get("valid") is False,
        destination=str(given.get("destination") or ""),
        remote_ip=str(given.get("remote_ip") or ""),
        http_version=known,
    )


def _claims(token: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of a token that verifies: a case names those that matter, and it has a subject all the same."""
    given = token.get("claims")
    claims = dict(given) if isinstance(given, dict) else {}
    return {"sub": claims.get("iss", "subject"), **claims}
