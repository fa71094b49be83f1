"""DestinationRules whose settings do not come to bear."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import Level
from gwsim.resources.raw import RawObject, mapping, mappings, number, text, text_map, texts
from gwsim.topology.lint.hosts import fqdn, matches
from gwsim.topology.lint.routes import destinations, virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View

_REPLACED = ("connectionPool", "outlierDetection", "loadBalancer", "tls")


def check_ports(view: View) -> Iterator[Hit]:
    """Ports with settings, next to settings of the rule that they do not have themselves."""
    for rule in view.istio("DestinationRule"):
        policy = mapping(rule.spec.get("trafficPolicy"))
        for at, port in enumerate(mappings(policy.get("portLevelSettings"))):
            lost = [name for name in _REPLACED if policy.get(name) and not port.get(name)]
            if lost:
                value = number(mapping(port.get("port")).get("number"))
                message = f"{rule.ref}: {', '.join(lost)} of the rule does not hold for port {value}, which has settings of its own"
                # A simple policy that is lost changes the choice of host, but neither a limit nor security.
                mild = lost == ["loadBalancer"] and "simple" in mapping(policy.get("loadBalancer"))
                yield Hit(rule, f"trafficPolicy.portLevelSettings[{at}]", message, "repeat it for the port", Level.INFO if mild else None)


def check_hash(view: View) -> Iterator[Hit]:
    """Consistent hashes of a port, for a host that routes reach without naming a port."""
    routed = {
        fqdn(one.host, service.namespace, view.mesh.domain): service.ref
        for service in virtual_services(view) for one in destinations(service) if not one.port and not one.mirror
    }
    for rule in view.istio("DestinationRule"):
        policy = mapping(rule.spec.get("trafficPolicy"))
        host = fqdn(text(rule.spec.get("host")), rule.namespace, view.mesh.domain)
        if mapping(policy.get("loadBalancer")).get("consistentHash") or host not in routed:
            continue
        for at, port in enumerate(mappings(policy.get("portLevelSettings"))):
            if mapping(port.get("loadBalancer")).get("consistentHash"):
                message = f"{rule.ref}: the hash is for a port, but {routed[host]} names none, so its route gets no hash"
                yield Hit(rule, f"trafficPolicy.portLevelSettings[{at}].loadBalancer", message, "name the port in the destination, or set the hash for the whole rule")


def check_locality(view: View) -> Iterator[Hit]:
    """Locality settings without the outlier detection that they need."""
    for rule in view.istio("DestinationRule"):
        policy = mapping(rule.spec.get("trafficPolicy"))
        places = [("trafficPolicy", policy)]
        places += [(f"trafficPolicy.portLevelSettings[{at}]", one) for at, one in enumerate(mappings(policy.get("portLevelSettings")))]
        places += [(f"subsets[{at}].trafficPolicy", mapping(one.get("trafficPolicy"))) for at, one in enumerate(mappings(rule.spec.get("subsets")))]
        for path, one in places:
            locality = mapping(mapping(one.get("loadBalancer")).get("localityLbSetting"))
            inherited = path.startswith("subsets") and policy.get("outlierDetection")
            # A distribution by weight needs no detection; failover and priorities do.
            if locality.get("enabled") is False or locality.get("distribute") or not locality:
                continue
            if not one.get("outlierDetection") and not inherited:
                yield Hit(rule, f"{path}.loadBalancer", f"{rule.ref}: failover between localities needs outlierDetection, and there is none", "add outlierDetection: {}")


def check_hidden(view: View) -> Iterator[Hit]:
    """Rules in a gateway's namespace that hide a service's own rule from the gateway."""
    namespaces = {
        pod.namespace for gateway in view.gateways.values() for pod in view.selected(text_map(gateway.spec.get("selector")))
    }
    rules = view.istio("DestinationRule")
    for rule in rules:
        private = texts(rule.spec.get("exportTo")) == ["."]
        # In the root namespace only a gateway's private rules come before those of the service's namespace.
        if rule.namespace not in namespaces or (rule.namespace == view.mesh.root_namespace and not private):
            continue
        host = fqdn(text(rule.spec.get("host")), rule.namespace, view.mesh.domain)
        for other in rules:
            if _is_own(view, other) and other.namespace != rule.namespace and _hides(view, host, other):
                message = f"{rule.ref}: at gateways of this namespace it hides DestinationRule {other.full_name}, whose settings are not merged in"
                yield Hit(rule, "host", message, "repeat its settings here, or remove this rule")


def _is_own(view: View, rule: RawObject) -> bool:
    """Whether the rule stands in the namespace of its service."""
    host = fqdn(text(rule.spec.get("host")), rule.namespace, view.mesh.domain)
    return host.split(".")[1:2] == [rule.namespace]


def _hides(view: View, host: str, other: RawObject) -> bool:
    theirs = fqdn(text(other.spec.get("host")), other.namespace, view.mesh.domain)
    return host == theirs or (host.startswith("*") and matches(host, theirs))


_RULE = """apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec:
  host: cart
  trafficPolicy:
%s
"""
_PORTS = _RULE % """    connectionPool: {tcp: {maxConnections: 100}}
    portLevelSettings:
    - port: {number: 80}
      %s: {%s}"""
_HASH = _RULE % """    portLevelSettings:
    - port: {number: 80}
      loadBalancer: {consistentHash: {httpHeaderName: x-user}}""" + """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart]
  http:
  - route: [{destination: {host: cart%s}}]
"""
_LOCALITY = _RULE % "    loadBalancer: {localityLbSetting: {failover: [{from: eu, to: us}]}}%s"
_HIDDEN = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [shop.example]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: mesh, namespace: istio-system}
spec:
  host: "*.shop.svc.cluster.local"
  exportTo: ["%s"]
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}
---
""" + _RULE % "    connectionPool: {tcp: {maxConnections: 100}}"
RULES = (
    Rule(
        code="PORT_SETTINGS_REPLACE", check=check_ports,
        trigger="An entry of `portLevelSettings` lacks a connectionPool, outlierDetection, loadBalancer or tls that the rule has. A note where only a `simple` load balancer is lost.",
        fix="Repeat the setting for the port.", source="istio/istio pilot/pkg/networking/core/cluster_traffic_policy.go selectTrafficPolicyComponents",
        bad=_PORTS % ("loadBalancer", "simple: RANDOM"), good=_PORTS % ("connectionPool", "tcp: {maxConnections: 10}"),
    ),
    Rule(
        code="HASH_ONLY_ON_PORT", check=check_hash,
        trigger="`consistentHash` is set for a port only, and a route to the host names no port.",
        fix="Name the port in the destination, or set the hash in the rule's own `loadBalancer`.", source="istio/istio pilot/pkg/networking/core/route/route.go consistentHashToHashPolicy",
        bad=_HASH % "", good=_HASH % ", port: {number: 80}",
    ),
    Rule(
        code="FAILOVER_WITHOUT_OUTLIERS", check=check_locality,
        trigger="`localityLbSetting` with failover or priorities, and no `outlierDetection` beside it.",
        fix="Add `outlierDetection`.", source="istio/istio pilot/pkg/networking/core/loadbalancer/loadbalancer.go",
        bad=_LOCALITY % "", good=_LOCALITY % "\n    outlierDetection: {consecutive5xxErrors: 5}",
    ),
    Rule(
        code="RULE_NOT_USED_AT_GATEWAY", check=check_hidden,
        trigger="A DestinationRule in the namespace of gateway pods is for the host of a rule in the service's own namespace, exactly or by a wildcard; in the root namespace only if it is private (`exportTo: [.]`).",
        fix="Keep one rule for the host, or repeat the settings.", source="istio/istio pilot/pkg/model/push_context.go destinationRule",
        bad=_HIDDEN % ".", good=_HIDDEN % "*",
    ),
)
