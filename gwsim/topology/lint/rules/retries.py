"""Retries: those that cannot happen, and those that multiply."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gwsim.resources.raw import RawObject, mapping, mappings, number, text, texts
from gwsim.topology.lint.hosts import fqdn
from gwsim.topology.lint.routes import gateway_names, on_mesh, virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.timing import retries_overload, seconds, tries
from gwsim.topology.lint.view import View

_MANY = 9
"""Tries of one request over two tiers from which on an overload feeds itself: three tries at each."""


def check_timeout(view: View) -> Iterator[Hit]:
    """Rules whose last retry begins after their timeout."""
    for service in virtual_services(view):
        for at, rule in enumerate(mappings(service.spec.get("http"))):
            retries = mapping(rule.get("retries"))
            whole, each = seconds(rule.get("timeout")), seconds(retries.get("perTryTimeout"))
            attempts = number(retries.get("attempts"))
            if not whole or not each or not attempts or attempts * each <= whole:
                continue
            fit = int(whole / each)
            message = (
                f"{service.ref}: {attempts} retries of {text(retries.get('perTryTimeout'))} do not fit the timeout of {text(rule.get('timeout'))}: "
                f"when tries time out, at most {min(fit, attempts)} retr{'y begins' if min(fit, attempts) == 1 else 'ies begin'}"
            )
            hint = f"a timeout of {(attempts + 1) * each:g}s lets all tries end; or set perTryTimeout to {whole / (attempts + 1):.3g}s"
            yield Hit(service, f"http[{at}].retries", message, hint)


def check_amplification(view: View) -> Iterator[Hit]:
    """Routes of gateways that retry on overload, to services whose callers in the mesh do so too."""
    tiers = [(one, rule) for one in virtual_services(view) if on_mesh(one) for rule in mappings(one.spec.get("http"))]
    inner = [(one, rule) for one, rule in tiers if tries(rule) > 2 and retries_overload(rule)]
    for service in virtual_services(view):
        if not gateway_names(service):
            continue
        for at, rule in enumerate(mappings(service.spec.get("http"))):
            if tries(rule) < 3 or not retries_overload(rule):
                continue
            worst = max((one for one in inner if _behind(view, service, rule, one[0])), key=lambda one: tries(one[1]), default=None)
            if worst is not None and tries(rule) * tries(worst[1]) >= _MANY:
                total = tries(rule) * tries(worst[1])
                message = (
                    f"{service.ref}: {tries(rule)} tries here times {tries(worst[1])} of VirtualService {worst[0].full_name}: "
                    f"one request becomes up to {total} when a backend is overloaded"
                )
                yield Hit(service, f"http[{at}].retries", message, "retry on overload at one tier only; elsewhere connect-failure,refused-stream")


def _behind(view: View, service: RawObject, rule: dict[str, Any], inner: RawObject) -> bool:
    """Whether the inner VirtualService is for another host than the route's own: the service behind it may call it."""
    if inner is service:
        return False
    own = {fqdn(text(mapping(route.get("destination")).get("host")), service.namespace, view.mesh.domain) for route in mappings(rule.get("route"))}
    return not own & {fqdn(host, inner.namespace, view.mesh.domain) for host in texts(inner.spec.get("hosts"))}


_TIMEOUT = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart]
  http:
  - timeout: %s
    retries: {attempts: 3, perTryTimeout: 2s, retryOn: connect-failure}
    route: [{destination: {host: cart}}]
"""
_TIERS = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [edge/web]
  http:
  - retries: {attempts: 3, retryOn: "5xx"}
    route: [{destination: {host: web.shop.svc.cluster.local}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart]
  http:
  - retries: {attempts: 3, retryOn: "%s"}
    route: [{destination: {host: cart}}]
"""
RULES = (
    Rule(
        code="RETRIES_EXCEED_TIMEOUT", check=check_timeout,
        trigger="`retries.attempts` times `perTryTimeout` is more than the rule's `timeout`, so that the last retry never begins when tries time out.",
        fix="Raise the timeout to (attempts + 1) times perTryTimeout, or lower either of the two.",
        source="envoyproxy/envoy source/common/router/router.cc: the route's timeout covers all tries",
        bad=_TIMEOUT % "3s", good=_TIMEOUT % "8s",
    ),
    Rule(
        code="RETRIES_AMPLIFY", check=check_amplification,
        trigger="A rule at a gateway and a rule for the calls of the mesh both retry at least twice on answers of an overloaded backend (`5xx`, `gateway-error`, 503).",
        fix="Retry on overload at one tier; elsewhere only where the request was not processed (connect-failure, refused-stream).",
        source="Google SRE Book, Addressing Cascading Failures",
        bad=_TIERS % "5xx", good=_TIERS % "connect-failure",
    ),
)
