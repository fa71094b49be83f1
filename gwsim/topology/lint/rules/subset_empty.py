"""A subset that selects no pod."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import mappings, text, text_map, texts
from gwsim.topology.lint.rule import Hit, Rule, level_if
from gwsim.topology.lint.view import View, Workload, selector_text

_TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")


def check(view: View) -> Iterator[Hit]:
    """Subsets whose labels, with the service's selector, are on no workload."""
    nodes = {one.name: one.labels for one in view.of("Node")}
    pods = [(one, _labels(one, nodes)) for one in view.workloads]
    entries = [text_map(one.spec.get("labels")) for one in view.istio("WorkloadEntry")]
    for rule in view.istio("DestinationRule"):
        backend = view.backend(text(rule.spec.get("host")), rule.namespace, texts(rule.spec.get("exportTo")))
        if backend is None or backend.source is None:
            continue
        inline = [text_map(one.get("labels")) for one in mappings(backend.source.spec.get("endpoints"))]
        for at, subset in enumerate(mappings(rule.spec.get("subsets"))):
            wanted = backend.selector | text_map(subset.get("labels"))
            outside = backend.source.kind == "ServiceEntry"
            if any(_on(wanted, labels) for _, labels in pods) or any(_on(wanted, one) for one in entries):
                continue
            if outside and any(_on(text_map(subset.get("labels")), one) for one in inline):
                continue
            message = f"{rule.ref}: subset {text(subset.get('name'))} selects no pod ({selector_text(wanted)}): 503 UH"
            yield Hit(rule, f"subsets[{at}].labels", message, None, level_if(view.has_workloads))


def _on(wanted: dict[str, str], labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())


def _labels(pod: Workload, nodes: dict[str, dict[str, str]]) -> dict[str, str]:
    """The pod's labels with what istiod adds from its node; for a template the node is not known."""
    node = text(pod.spec.get("nodeName"))
    if node not in nodes:
        return pod.labels
    found = {key: nodes[node][key] for key in _TOPOLOGY if nodes[node].get(key)}
    return pod.labels | found | {"kubernetes.io/hostname": node}


_TEXT = """apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1, namespace: shop}
spec:
  selector: {matchLabels: {app: reviews}}
  template:
    metadata: {labels: {app: reviews, version: v1}}
    spec:
      containers: [{name: app, image: reviews}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews
  subsets: [{name: canary, labels: {version: %s}}]
"""
RULE = Rule(
    code="SUBSET_EMPTY",
    check=check,
    trigger="No Pod, pod template, WorkloadEntry or inline endpoint has the labels of the subset and of the service's selector. Labels of a pod's node count where the Node is in the input. A note where the input has no workload at all.",
    fix="Correct the labels, or deploy the version before routing to it.",
    source="istio/istio pkg/config/analysis/analyzers/destinationrule/subset.go",
    bad=_TEXT % "v2",
    good=_TEXT % "v1",
)
