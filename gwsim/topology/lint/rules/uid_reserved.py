"""Applications that run as user 1337, which is the proxy's."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import mapping, number
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View, is_control_plane

_PROXY_UID = 1337
_PROXIES = ("istio-proxy", "istio-operator")


def check(view: View) -> Iterator[Hit]:
    """Pods, pod templates and their containers with `runAsUser: 1337`."""
    for one in view.workloads:
        if one.source is None or is_control_plane(one.source):
            continue
        template = "" if one.is_pod else "template.spec."
        names = [container.get("name") for container in one.containers]
        if number(mapping(one.spec.get("securityContext")).get("runAsUser")) == _PROXY_UID and names != ["istio-proxy"]:
            yield Hit(one.source, f"{template}securityContext.runAsUser", f"{one.source.ref}: user 1337 is reserved for the proxy")
        for at, container in enumerate(one.containers):
            user = number(mapping(container.get("securityContext")).get("runAsUser"))
            if user == _PROXY_UID and container.get("name") not in _PROXIES:
                path = f"{template}containers[{at}].securityContext.runAsUser"
                message = f"{one.source.ref}: container {container.get('name')} runs as user 1337, which is reserved for the proxy"
                yield Hit(one.source, path, message, "use another user")


_TEXT = """apiVersion: v1
kind: Pod
metadata: {name: cart, namespace: shop}
spec:
  containers: [{name: app, image: cart, securityContext: {runAsUser: %d}}]
"""
RULE = Rule(
    code="UID_RESERVED",
    check=check,
    trigger="`runAsUser: 1337` for a pod or for a container other than the proxy.",
    fix="Run the application as another user.",
    source="istio/istio pkg/config/analysis/analyzers/deployment/pod.go",
    bad=_TEXT % 1337,
    good=_TEXT % 1000,
)
