"""Which reader a file needs, and one import of them all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from gwsim.errors import InputError, UsageError
from gwsim.observed import access_log, fragment, generators, prometheus, rates, traffic
from gwsim.observed.fragment import Imported
from gwsim.observed.traffic import ArrivalsAs

Kind = Literal["auto", "access-log", "fortio", "nighthawk", "prometheus", "kubernetes"]
MOST_BYTES = 1 << 30


def import_files(
    paths: Sequence[Path], *, kind: Kind = "auto", target: str = "", arrivals: ArrivalsAs = "replay", tls: bool = True
) -> Imported:
    """One import of all files: access logs and Prometheus answers are each read together. Raises InputError."""
    by_kind: dict[str, list[tuple[Path, Any]]] = {}
    for path in paths:
        found, document = _recognised(path) if kind == "auto" else (kind, _document(path) if kind in ("fortio", "nighthawk") else None)
        by_kind.setdefault(found, []).append((path, document))
    made: list[Imported] = []
    for found, members in by_kind.items():
        names = ", ".join(path.name for path, _ in members)
        try:
            made += _import(found, members, names, target, arrivals, tls)
        except (ValueError, KeyError) as error:
            raise InputError(f"{names}: {error}") from None
        except OSError as error:
            raise InputError(f"{names}: {error.strerror or error}") from None
    return fragment.merged(made)


def _import(kind: str, members: list[tuple[Path, Any]], names: str, target: str, arrivals: ArrivalsAs, tls: bool) -> list[Imported]:
    paths = [path for path, _ in members]
    if kind == "access-log":
        return [traffic.imported(access_log.read(paths), names, target=target, arrivals=arrivals)]
    if kind == "prometheus":
        series = [one for path in paths for one in prometheus.read_folder(path).series]
        return [rates.imported(prometheus.together(series), names, target=target, tls=tls)]
    if kind == "kubernetes":
        return [fleet(path) for path in paths]
    reader = generators.fortio if kind == "fortio" else generators.nighthawk
    return [reader(document, path.name, target=target) for path, document in members]


def fleet(path: Path) -> Imported:
    """The gateways of a dump of `kubectl get -o yaml`, which runs read as it is."""
    from gwsim.scenario import open_project

    project = open_project(str(path))
    told = []
    for proxy in project.topology.proxies:
        if proxy.kind != "gateway":
            continue
        limit = f", {proxy.cpu_limit_cores:g} CPUs each" if proxy.cpu_limit_cores else ""
        scaled = proxy.autoscaler
        scaling = f", scaled from {scaled.min_replicas} to {scaled.max_replicas}" if scaled is not None else ""
        assumed = " (assumed: there is no Deployment)" if proxy.origin is None else ""
        told.append(f"gateway {proxy.key}: {proxy.replicas} pods of {proxy.workers} workers{limit}{scaling}{assumed}")
    return Imported(
        source=path.name, kind="Kubernetes objects", clusters={"main": {"config": [str(path)]}},
        inferred=tuple(told or ["no gateway: the dump has neither a gateway's Deployment nor a Gateway"]),
        unknown=("what clients send: import an access log or Prometheus answers beside it",),
    )


def _recognised(path: Path) -> tuple[str, Any]:
    """The kind of a file, by what is in it, and its JSON document if it is one."""
    if not path.exists():
        raise UsageError(f"there is no file or folder {path}")
    if path.is_dir():
        return ("prometheus" if any(path.rglob("*.json")) else "kubernetes"), None
    if path.suffix in (".yaml", ".yml"):
        return "kubernetes", None
    start = _start(path)
    if not start.lstrip().startswith("{"):
        return "access-log", None
    first, _, rest = start.lstrip().partition("\n")
    if first.rstrip().endswith("}") and (not rest.strip() or rest.lstrip().startswith("{")):
        try:
            document = json.loads(first)
        except ValueError:
            document = None
        if isinstance(document, dict) and not {"data", "options", "DurationHistogram", "apiVersion"} & document.keys():
            return "access-log", None
    document = _document(path)
    if generators.is_fortio(document):
        return "fortio", document
    if generators.is_nighthawk(document):
        return "nighthawk", document
    if isinstance(document, dict) and "kind" in document and "apiVersion" in document:
        return "kubernetes", None
    if isinstance(document, dict) and ("data" in document or "result" in document):
        return "prometheus", None
    raise InputError(f"{path}: neither an access log, a Fortio or Nighthawk result, an answer of Prometheus nor Kubernetes objects; --as names its kind")


def _start(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(65536).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _document(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: larger than {MOST_BYTES >> 30} GiB")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise InputError(f"{path}:{line}: it is not JSON: {getattr(error, 'msg', error)}") from None


__all__ = ["Kind", "fleet", "import_files"]
