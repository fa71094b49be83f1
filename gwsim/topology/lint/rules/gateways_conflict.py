"""Two Gateways serve a host on the same port of the same pods."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import Level
from gwsim.resources.raw import RawObject, mapping, mappings, number, text, text_map, texts
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View, selector_text


def check(view: View) -> Iterator[Hit]:
    """Servers with an equal port and an equal host string on Gateways with a pod in common."""
    gateways = list(view.gateways.values())
    pods = {one.full_name: _pods(view, one) for one in gateways}
    for gateway in gateways:
        others = [one for one in gateways if one is not gateway and _share(gateway, one, pods)]
        for at, server in enumerate(mappings(gateway.spec.get("servers"))):
            found = [(one, other) for one in others for other in mappings(one.spec.get("servers")) if _same(server, other)]
            if not found:
                continue
            names = ", ".join(dict.fromkeys(one.full_name for one, _ in found))
            wanted = mapping(server.get("port"))
            plain = all(text(mapping(one.get("port")).get("protocol")) == "HTTP" for one in (server, *(s for _, s in found)))
            hosts = ", ".join(texts(server.get("hosts")))
            effect = "the HTTP servers are merged into one" if plain else "the newer server is dropped"
            message = f"{gateway.ref}: port {number(wanted.get('number'))} for {hosts} is served by {names} too: {effect}"
            yield Hit(gateway, f"servers[{at}]", message, "keep one Gateway for the port and host", Level.INFO if plain else None)


def _pods(view: View, gateway: RawObject) -> set[int]:
    return {id(one) for one in view.selected(text_map(gateway.spec.get("selector")))}


def _share(left: RawObject, right: RawObject, pods: dict[str, set[int]]) -> bool:
    same = selector_text(text_map(left.spec.get("selector"))) == selector_text(text_map(right.spec.get("selector")))
    return same or bool(pods[left.full_name] & pods[right.full_name])


def _same(left: dict[str, object], right: dict[str, object]) -> bool:
    port = number(mapping(left.get("port")).get("number"))
    if not port or port != number(mapping(right.get("port")).get("number")) or left.get("bind") != right.get("bind"):
        return False
    return bool(set(texts(left.get("hosts"))) & set(texts(right.get("hosts"))))


_TEXT = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    tls: {mode: SIMPLE, credentialName: shop}
    hosts: [shop.example]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web-too, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https-too, protocol: HTTPS}
    tls: {mode: SIMPLE, credentialName: other}
    hosts: [%s]
"""
RULE = Rule(
    code="GATEWAYS_CONFLICT",
    check=check,
    trigger="Two Gateways with the same selector, or with a pod in common, have a server each with the same port number and an equal host string. A note where both are plain HTTP, which Istio merges.",
    fix="Keep the host in one Gateway; bind VirtualServices of several namespaces to it.",
    source="istio/istio pkg/config/analysis/analyzers/gateway/conflictinggateway.go",
    bad=_TEXT % "shop.example",
    good=_TEXT % "pay.example",
)
