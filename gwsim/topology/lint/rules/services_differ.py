"""A Service that is not the same in all clusters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gwsim.resources.raw import RawObject, mappings, text
from gwsim.topology.lint.rule import ClusterRule, Hit
from gwsim.topology.lint.view import View


def compare(views: dict[str, View]) -> Iterator[Hit]:
    """Services of one name and namespace whose kind or ports differ between clusters."""
    found: dict[str, dict[str, RawObject]] = {}
    for cluster, view in views.items():
        for service in view.of("Service"):
            found.setdefault(service.full_name, {})[cluster] = service
    for name, services in found.items():
        first = next(iter(services.values()))
        reasons = [reason for one in services.values() for reason in _differences(first, one)]
        if reasons:
            said = "; ".join(dict.fromkeys(reasons))
            message = f"Service/{name} differs between {', '.join(services)}: {said}"
            last = list(services.values())[-1]
            yield Hit(last, "ports", message, f"compare {first.span()}")


def _differences(left: RawObject, right: RawObject) -> Iterator[str]:
    if (left.spec.get("clusterIP") == "None") != (right.spec.get("clusterIP") == "None"):
        yield "headless in one of them only"
    if (text(left.spec.get("type")) or "ClusterIP") != (text(right.spec.get("type")) or "ClusterIP"):
        yield "different types"
    if _ports(left) != _ports(right):
        yield "different ports"


def _ports(service: RawObject) -> list[dict[str, Any]]:
    ports = [{"protocol": "TCP"} | {key: value for key, value in port.items() if key != "nodePort"} for port in mappings(service.spec.get("ports"))]
    return sorted(ports, key=lambda port: text(port.get("name")))


def _none(view: View) -> Iterator[Hit]:
    yield from ()


_TEXT = """apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: %d}]
"""
RULE = ClusterRule(
    code="SERVICES_DIFFER",
    check=_none,
    compare=compare,
    trigger="Several clusters are linted together (`east=DIR west=DIR`), and a Service differs in its type, its ports, or in being headless.",
    fix="Deploy the same Service to all clusters.",
    source="istio/istio pkg/config/analysis/analyzers/multicluster/service.go",
    bad=(_TEXT % 80, _TEXT % 8080),
    good=(_TEXT % 80, _TEXT % 80),
)
