"""Nodes of the cluster: which of them pods may run on, in which zones, with how many cores.

Source: Kubernetes scheduler, plugins NodeAffinity, NodeUnschedulable and TaintToleration; well-known labels
topology.kubernetes.io/{zone,region}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gwsim.resources.models import Node, PodSpec, Taint, Toleration
from gwsim.topology.from_istio.registry import Registry

_KEEPS_AWAY = ("NoSchedule", "NoExecute")


def usable(nodes: Iterable[Node], spec: PodSpec, *, everywhere: bool = False) -> list[Node]:
    """The nodes that pods of this spec may be placed on. `everywhere`: a DaemonSet's, which cordons do not stop."""
    terms = _required_terms(spec.affinity)
    return [
        node
        for node in nodes
        if (everywhere or not node.spec.unschedulable)
        and all(node.meta.labels.get(key) == value for key, value in spec.node_selector.items())
        and (terms is None or any(_meets(term, node) for term in terms))
        and all(_tolerated(taint, spec.tolerations) for taint in node.spec.taints)
    ]


def zones_in(nodes: Iterable[Node]) -> tuple[str, ...]:
    """The zones of nodes, each once, in order of name."""
    return tuple(sorted({node.zone for node in nodes if node.zone}))


def regions_by_zone(registry: Registry) -> dict[str, str]:
    """The region of every zone that a node of the files is in."""
    return {node.zone: node.region for node in registry.nodes if node.zone and node.region}


def cpus_of(nodes: Iterable[Node]) -> int:
    """Whole cores of the smallest node; 0 when none says how many it has."""
    return min((int(node.cpus) for node in nodes if node.cpus), default=0)


def _tolerated(taint: Taint, tolerations: tuple[Toleration, ...]) -> bool:
    if taint.effect not in _KEEPS_AWAY:
        return True
    return any(_tolerates(one, taint) for one in tolerations)


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect not in (None, "", taint.effect):
        return False
    if not toleration.key:
        return toleration.operator == "Exists"
    if toleration.key != taint.key:
        return False
    return toleration.operator == "Exists" or (toleration.value or "") == (taint.value or "")


def _required_terms(affinity: Any) -> list[Any] | None:
    """Alternatives of the required node affinity; None when there is none."""
    node = _get(_get(affinity, "nodeAffinity"), "requiredDuringSchedulingIgnoredDuringExecution")
    terms = _get(node, "nodeSelectorTerms")
    return [one for one in terms if isinstance(one, dict)] if isinstance(terms, list) else None


def _meets(term: Any, node: Node) -> bool:
    labels = [one for one in _get(term, "matchExpressions") or () if isinstance(one, dict)]
    fields = [one for one in _get(term, "matchFields") or () if isinstance(one, dict)]
    names = {"metadata.name": node.name}
    return bool(labels or fields) and all(_holds(one, node.meta.labels) for one in labels) and all(
        _holds(one, names) for one in fields
    )


def _holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator = str(requirement.get("key")), str(requirement.get("operator"))
    given = requirement.get("values")
    values = [str(one) for one in given] if isinstance(given, list) else []
    value = labels.get(key)
    if operator in ("In", "NotIn"):
        return (value in values) == (operator == "In")
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    if operator in ("Gt", "Lt") and value is not None and values and value.isdigit() and values[0].isdigit():
        return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
    return False


def _get(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else None
