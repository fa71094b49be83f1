"""Namespaces that a listener or Gateway lets in.

Source: istio/istio pilot/pkg/config/kube/gateway/conversion.go (`namespacesFromSelector`,
`namespaceAcceptedByAllowListeners`), Kubernetes' label selectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gwsim.resources.models import LabelSelector, NamespacesSelector

Labels = Mapping[str, Mapping[str, str]]
"""The labels of namespaces by name."""


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether the selector takes an object with these labels; all of its parts must hold."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    expressions = selector.match_expressions if isinstance(selector.match_expressions, list) else []
    return all(_holds(one, labels) for one in expressions)


def _holds(expression: Any, labels: Mapping[str, str]) -> bool:
    if not isinstance(expression, dict):
        return False
    key = str(expression.get("key", ""))
    values = {str(one) for one in expression.get("values") or ()}
    match expression.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def allowed_namespaces(wanted: NamespacesSelector | None, own: str, namespaces: Labels) -> list[str]:
    """Namespaces whose routes a listener takes: `*` for all; the default is the Gateway's own."""
    if wanted is None or wanted.from_ in (None, "Same"):
        return [own]
    if wanted.from_ == "None":
        return []
    if wanted.from_ == "All" or wanted.selector is None:
        return ["*"]
    selector = wanted.selector
    return sorted(name for name, labels in namespaces.items() if selects(selector, labels))


def accepts_listener_set(wanted: NamespacesSelector | None, own: str, namespace: str, namespaces: Labels) -> bool:
    """Whether a Gateway takes listeners from a namespace; by default from none."""
    if wanted is None or wanted.from_ == "None":
        return False
    if wanted.from_ is not None and wanted.from_ != "Selector":
        return wanted.from_ == "All" or namespace == own
    found = namespaces.get(namespace)
    return wanted.selector is not None and found is not None and selects(wanted.selector, found)
