"""Loading of the routing examples: what each case needs, and how it compares with a decision."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from gwsim.diagnostics import Collector
from gwsim.resources import read
from gwsim.topology import Decision, Proxy, Request, Topology, choose
from gwsim.topology.from_istio import from_istio

KINDS_IN_SCOPE = {
    "Gateway", "VirtualService", "DestinationRule", "ServiceEntry", "Service", "Deployment", "Secret", "Namespace",
    "HorizontalPodAutoscaler", "ConfigMap", "ServiceAccount",
}  # fmt: skip


def corpus_folder() -> Path | None:
    """The folder of the routing examples, wherever it was put."""
    given = os.environ.get("GWSIM_CORPUS")
    repository = Path(__file__).resolve().parents[2]
    candidates = [Path(given)] if given else []
    candidates.append(repository.parent / "shared" / "corpus")
    for candidate in candidates:
        for folder in (candidate, candidate / "routing-examples", candidate.parent / "routing-examples"):
            if (folder / "index.json").is_file() and (folder / "cases").is_dir():
                return folder
    return None


def cases() -> list[tuple[str, dict[str, Any]]]:
    """All cases by id; none when the corpus is not there."""
    folder = corpus_folder()
    if folder is None:
        return []
    found = [case for path in sorted((folder / "cases").glob("*.yaml")) for case in yaml.safe_load(path.read_text())]
    return [(case["id"], case) for case in found]


def out_of_scope(case: dict[str, Any]) -> str | None:
    """What is missing in gwsim for the case; None when it must agree."""
    if case["area"] != "istio":
        return f"{case['area']}: not built from yet"
    if case["gateway"].get("mesh"):
        return "mesh gateway: sidecars are not built yet"
    if case.get("mesh_config"):
        return "MeshConfig is not read yet"
    if case["request"].get("backend_delay"):
        return "needs a run, not only a route"
    kinds = set()
    for name in case["config"]:
        text = (corpus_folder() / name).read_text()  # type: ignore[operator]
        for document in yaml.safe_load_all(text):
            if document:
                group = document.get("apiVersion", "")
                kind = document.get("kind", "")
                foreign = group.startswith(("gateway.networking.k8s.io", "networking.k8s.io"))
                if kind not in KINDS_IN_SCOPE or foreign:
                    kinds.add(kind)
    return f"not built from yet: {', '.join(sorted(kinds))}" if kinds else None


def topology_of(case: dict[str, Any]) -> tuple[Topology, Proxy]:
    """The topology of a case's files and the gateway it asks about."""
    folder = corpus_folder()
    assert folder is not None
    collector = Collector()
    resources = read([folder / name for name in case["config"]], collector=collector)
    selector, namespace = case["gateway"]["selector"], case["gateway"]["namespace"]
    topology = from_istio(resources, gateways=[(namespace, selector)], collector=collector)
    for proxy in topology.proxies:
        if proxy.namespace == namespace and all(proxy.labels.get(k) == v for k, v in selector.items()):
            return topology, proxy
    raise AssertionError(f"no gateway {namespace} {selector}")


def decide(case: dict[str, Any]) -> Decision:
    """What gwsim says about the request of a case."""
    _, proxy = topology_of(case)
    asked = case["request"]
    jwt = asked.get("jwt") or {}
    request = Request(
        scheme=asked.get("scheme", "http"),
        sni=asked.get("sni"),
        host=asked.get("host", ""),
        method=asked.get("method", "GET"),
        path=asked.get("path", "/"),
        headers=asked.get("headers") or {},
        alpn=tuple(asked.get("alpn") or ()),
        client_certificate=asked.get("mtls"),
        claims=jwt.get("claims") if jwt.get("valid") else None,
    )
    return choose(proxy, case["port"], request, explain=True)


def differences(case: dict[str, Any], got: Decision) -> list[str]:
    """Where the decision is not what the case expects."""
    expect, only = case["expect"], case.get("assert_only")

    def asserted(path: str) -> bool:
        return path in expect and (only is None or any(one.removeprefix("expect.") == path for one in only))

    wrong: list[str] = []
    if asserted("outcome") and got.outcome != expect["outcome"]:
        wrong.append(f"outcome {got.outcome}, expected {expect['outcome']} ({got.reason})")
    if asserted("status") and got.status != expect["status"]:
        wrong.append(f"status {got.status}, expected {expect['status']}")
    if asserted("backends"):
        wrong += _backends(expect["backends"], got)
    if asserted("redirect"):
        wrong += _redirect(expect["redirect"], got)
    if asserted("rewrite"):
        have = {"path": got.rewrite and got.rewrite.path, "host": got.rewrite and got.rewrite.host}
        wrong += [f"rewrite.{k} {have[k]}, expected {v}" for k, v in expect["rewrite"].items() if have[k] != v]
    if asserted("route_name") and got.route != expect["route_name"]:
        wrong.append(f"route {got.route}, expected {expect['route_name']}")
    return wrong


def _backends(expected: list[dict[str, Any]], got: Decision) -> list[str]:
    total = sum(one.weight for one in got.clusters) or 1
    have: dict[tuple[str, int, str], float] = {}
    for one in got.clusters:
        _, port, subset, host = one.cluster.split("|")
        have[host, int(port), subset] = have.get((host, int(port), subset), 0.0) + 100 * one.weight / total
    want = {
        (one["host"], one["port"], one.get("subset") or ""): float(one.get("weight", 100))
        for one in expected
        if one.get("weight", 100) > 0
    }
    if have.keys() != want.keys():
        return [f"backends {sorted(have)}, expected {sorted(want)}"]
    return [f"weight of {key} is {have[key]:g}, expected {want[key]:g}" for key in want if abs(have[key] - want[key]) > 0.5]


def _redirect(expected: dict[str, Any], got: Decision) -> list[str]:
    location = got.redirect
    if location is None:
        return ["no redirect"]
    if "location" in expected and str(location) != expected["location"]:
        return [f"location {location}, expected {expected['location']}"]
    have = {"scheme": location.scheme, "host": location.host, "port": location.port, "path": location.path}
    default = {"http": 80, "https": 443}.get(location.scheme)
    have["port"] = None if have["port"] == default else have["port"]
    want = {"port": None, **expected}
    want["port"] = None if want["port"] == default else want["port"]
    return [f"redirect.{k} {have[k]}, expected {v}" for k, v in want.items() if k in have and have[k] != v]
