"""Objects whose status says that something is wrong (as `kubectl get -o yaml` gives them)."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import RawObject, mapping, mappings, text
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import GATEWAY_API, View

_ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute")
_BAD_WHEN_TRUE = frozenset({"Conflicted", "OverlappingTLSConfig"})


def check(view: View) -> Iterator[Hit]:
    """Conditions with status False; for routes, those of each parent."""
    watched = [*view.of("Service"), *view.istio("ServiceEntry"), *view.istio("AuthorizationPolicy")]
    for kind in ("Gateway", *_ROUTES):
        watched += view.of(kind, GATEWAY_API)
    for one in watched:
        for path, condition in _conditions(one):
            kind = text(condition.get("type"))
            if kind in _BAD_WHEN_TRUE or text(condition.get("status")).lower() != "false":
                continue
            message = f"{one.ref}: {kind} is False: {text(condition.get('message')) or text(condition.get('reason'))}"
            yield Hit(one, path, message)


def _conditions(one: RawObject) -> Iterator[tuple[str, dict[str, object]]]:
    status = mapping(one.data.get("status"))
    for at, condition in enumerate(mappings(status.get("conditions"))):
        yield f"status.conditions[{at}]", condition
    for place, parent in enumerate(mappings(status.get("parents"))):
        for at, condition in enumerate(mappings(parent.get("conditions"))):
            yield f"status.parents[{place}].conditions[{at}]", condition


_TEXT = """apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 80, protocol: HTTP}]
status:
  conditions: [{type: Programmed, status: "%s", reason: Now, message: "address pending"}]
"""
RULE = Rule(
    code="CONDITION_FALSE",
    check=check,
    trigger="`status.conditions` (of a Service, ServiceEntry, AuthorizationPolicy, Gateway API Gateway or route) has one with status False.",
    fix="Read the condition's reason.",
    source="istio/istio pkg/config/analysis/analyzers/conditions/conditions.go",
    bad=_TEXT % "False",
    good=_TEXT % "True",
    needs="objects as the cluster gives them, with status",
)
