"""Webhooks of Istio: overlapping ones, ones without a service, ones of an external control plane."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import urlsplit

from gwsim.resources.raw import RawObject, mapping, mappings, text, text_map, texts
from gwsim.topology.lint.rule import Hit, Rule, level_if
from gwsim.topology.lint.view import View, label_selector_matches

_GROUP = "admissionregistration.k8s.io"
_REVISION = "istio.io/rev"
_NAMESPACE_LABELS: tuple[dict[str, str], ...] = ({}, {"istio-injection": "enabled"}, {"istio-injection": "disabled"})
_POD_LABELS: tuple[dict[str, str], ...] = ({}, {"sidecar.istio.io/inject": "true"}, {"sidecar.istio.io/inject": "false"})


def _injectors(view: View) -> list[RawObject]:
    """MutatingWebhookConfigurations of Istio; the default revision's copy is left out, as istioctl does after installing."""
    found = []
    for one in view.of("MutatingWebhookConfiguration", _GROUP):
        hooks = mappings(one.data.get("webhooks"))
        if any(text(hook.get("name")).endswith("istio.io") for hook in hooks) or _revisions(one):
            found.append(one)
    return found


def _revisions(one: RawObject) -> set[str]:
    found = {one.labels[_REVISION]} if _REVISION in one.labels else set()
    for hook in mappings(one.data.get("webhooks")):
        for field in ("namespaceSelector", "objectSelector"):
            selector = mapping(hook.get(field))
            found |= {value for key, value in text_map(selector.get("matchLabels")).items() if key == _REVISION}
            for expression in mappings(selector.get("matchExpressions")):
                if expression.get("key") == _REVISION:
                    found |= set(texts(expression.get("values")))
    return found


def check_invalid(view: View) -> Iterator[Hit]:
    """Overlaps and missing services."""
    injectors = _injectors(view)
    yield from _overlaps(injectors)
    services = {one.full_name for one in view.of("Service")}
    for one in injectors:
        for at, hook in enumerate(mappings(one.data.get("webhooks"))):
            service = mapping(mapping(hook.get("clientConfig")).get("service"))
            name = f"{text(service.get('namespace'))}/{text(service.get('name'))}"
            if service and name not in services and not view.assumed("Service", *name.split("/", 1)):
                message = f"{one.ref}: {text(hook.get('name'))} calls Service {name}, which is not there"
                yield Hit(one, f"webhooks[{at}].clientConfig.service", message, None, level_if(bool(services)))


def _overlaps(injectors: list[RawObject]) -> Iterator[Hit]:
    hooks = [(one, at, hook) for one in injectors for at, hook in enumerate(mappings(one.data.get("webhooks")))]
    revisions = sorted({name for one in injectors for name in _revisions(one)})
    extra = [{}, *({_REVISION: name} for name in revisions)]
    namespaces = [base | more for base, more in product(_NAMESPACE_LABELS, extra)]
    pods = [base | more for base, more in product(_POD_LABELS, extra)]
    reported: set[int] = set()
    for namespace, pod in product(namespaces, pods):
        found = [(one, at, hook) for one, at, hook in hooks if _selects(hook, namespace, pod)]
        for one, at, hook in found if len(found) > 1 else []:
            if id(hook) not in reported:
                reported.add(id(hook))
                others = ", ".join(f"{other.name}/{text(h.get('name'))}" for other, _, h in found if h is not hook)
                message = f"{one.ref}: {text(hook.get('name'))} selects the same pods as {others}: they may be injected twice"
                yield Hit(one, f"webhooks[{at}]", message, "remove the webhook of the old revision")


def _selects(hook: dict[str, Any], namespace: dict[str, str], pod: dict[str, str]) -> bool:
    return label_selector_matches(hook.get("namespaceSelector"), namespace) and label_selector_matches(hook.get("objectSelector"), pod)


def _external(view: View) -> Iterator[tuple[RawObject, int, str, str | None]]:
    """Webhooks of Istio by URL, or with nothing at all: the object, position, name, URL."""
    watched = [
        *(one for one in view.of("ValidatingWebhookConfiguration", _GROUP) if one.name.startswith(("istio-validator", "istiod-default-validator"))),
        *(one for one in view.of("MutatingWebhookConfiguration", _GROUP) if one.name.startswith("istio-sidecar-injector")),
    ]
    for one in watched:
        for at, hook in enumerate(mappings(one.data.get("webhooks"))):
            client = mapping(hook.get("clientConfig"))
            if client.get("url") or not mapping(client.get("service")):
                yield one, at, text(hook.get("name")), text(client.get("url")) or None


def check_external(view: View) -> Iterator[Hit]:
    """Webhooks without address, or with one that is no URL. Whether a name resolves is not looked up."""
    for one, at, name, url in _external(view):
        if url is None:
            yield Hit(one, f"webhooks[{at}].clientConfig", f"{one.ref}: {name} has neither a URL nor a service")
        elif not _host(url):
            yield Hit(one, f"webhooks[{at}].clientConfig.url", f"{one.ref}: {name} has no usable URL: {url}")


def check_address(view: View) -> Iterator[Hit]:
    """Webhooks addressed by IP."""
    for one, at, name, url in _external(view):
        try:
            ipaddress.ip_address(_host(url or ""))
        except ValueError:
            continue
        yield Hit(one, f"webhooks[{at}].clientConfig.url", f"{one.ref}: {name} is addressed by IP: {url}", "use a host name")


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.scheme == "https" else ""
    except ValueError:
        return ""


_HOOK = """apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: istio-sidecar-injector%s}
webhooks:
- name: namespace.sidecar-injector.istio.io
  admissionReviewVersions: [v1]
  sideEffects: None
  clientConfig: {%s}
  namespaceSelector: {matchLabels: {istio-injection: %s}}
"""
_URL = 'url: "%s"'
_SERVICE = """---
apiVersion: v1
kind: Service
metadata: {name: istiod, namespace: istio-system}
spec:
  ports: [{name: https-webhook, port: 443}]
"""
_ISTIOD, _OLD = "service: {name: istiod, namespace: istio-system}", "service: {name: istiod-old, namespace: istio-system}"
_ROOT = "istio/istio pkg/config/analysis/analyzers"
RULES = (
    Rule(
        code="WEBHOOK_INVALID", check=check_invalid,
        trigger="Two of Istio's injection webhooks select the same pods, or one calls a Service that is not in the input.",
        fix="Remove the webhook of the old revision, or install its Service.", source=f"{_ROOT}/webhook/webhook.go",
        bad=_HOOK % ("", _OLD, "enabled") + _SERVICE, good=_HOOK % ("", _ISTIOD, "enabled") + _SERVICE,
        needs="webhook configurations among the files",
    ),
    Rule(
        code="EXTERNAL_CONTROL_PLANE", check=check_external,
        trigger="A webhook of an external control plane has neither a URL nor a service, or a URL that is none. istioctl also resolves the name, which needs the network.",
        fix="Give the URL of the ingress gateway in front of the control plane.", source=f"{_ROOT}/externalcontrolplane/externalcontrolplane.go",
        bad=_HOOK % ("-remote", "url: ", "enabled"), good=_HOOK % ("-remote", _URL % "https://istiod.example/inject", "enabled"),
        needs="webhook configurations among the files",
    ),
    Rule(
        code="EXTERNAL_CONTROL_PLANE_BY_IP", check=check_address,
        trigger="A webhook's URL has an IP address.",
        fix="Use a host name.", source=f"{_ROOT}/externalcontrolplane/externalcontrolplane.go",
        bad=_HOOK % ("-remote", _URL % "https://192.0.2.7/inject", "enabled"), good=_HOOK % ("-remote", _URL % "https://istiod.example/inject", "enabled"),
        needs="webhook configurations among the files",
    ),
)
