"""Istio's annotations: unknown, on the wrong object, invalid, deprecated, alpha."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from gwsim.diagnostics import did_you_mean
from gwsim.resources.raw import RawObject, mappings
from gwsim.topology.lint.mesh import embedded
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.rules.annotation_table import ALPHA, ANNOTATIONS, Known
from gwsim.topology.lint.view import View

_KINDS = ("Namespace", "Service", "Pod", "Deployment")
_INJECT = "sidecar.istio.io/inject"
_SET_BY_ISTIO = "sidecar.istio.io/status"
_SET_BY_CNI = frozenset(
    ["sidecar.istio.io/interceptionMode", "traffic.sidecar.istio.io/includeInboundPorts",
     "traffic.sidecar.istio.io/excludeInboundPorts", "traffic.sidecar.istio.io/includeOutboundIPRanges"]
)


def _all(view: View) -> Iterator[tuple[RawObject, str, str, Known | None]]:
    """Every annotation of Istio's on the kinds istioctl looks at: the object, name, value, what is known of it."""
    for kind in _KINDS:
        for one in view.of(kind, "apps" if kind == "Deployment" else ""):
            for name, value in one.annotations.items():
                if name == "kubernetes.io/ingress.class" or name.partition("/")[0].endswith("istio.io"):
                    yield one, name, value, ANNOTATIONS.get(name)


def _path(name: str) -> str:
    return f'metadata.annotations["{name}"]' if '"' not in name else "metadata.annotations"


def _fits(one: RawObject, known: Known) -> bool:
    return "Any" in known.kinds or one.kind in known.kinds


def check_unknown(view: View) -> Iterator[Hit]:
    """Names Istio does not have."""
    for one, name, _, known in _all(view):
        if known is None:
            yield Hit(one, _path(name), f"{one.ref}: Istio has no annotation {name}", did_you_mean(name, ANNOTATIONS))


def check_misplaced(view: View) -> Iterator[Hit]:
    """Annotations of other kinds."""
    for one, name, _, known in _all(view):
        if known is not None and not _fits(one, known):
            hint = "put it on the pod template" if one.kind == "Deployment" and "Pod" in known.kinds else None
            yield Hit(one, _path(name), f"{one.ref}: {name} is for {', '.join(known.kinds)}, not for a {one.kind}", hint)


def check_invalid(view: View) -> Iterator[Hit]:
    """Values that injection refuses."""
    for one, name, value, known in _all(view):
        problem = _CHECKS[name](value) if name in _CHECKS and known is not None and _fits(one, known) else None
        if problem:
            yield Hit(one, _path(name), f"{one.ref}: {name}: {problem}")


def check_deprecated(view: View) -> Iterator[Hit]:
    """Deprecated ones; that for injection not where the label stands beside it."""
    for one, name, _, known in _all(view):
        if known is not None and known.deprecated and not (name == _INJECT and _INJECT in one.labels):
            hint = f'use the label {_INJECT}' if name == _INJECT else None
            yield Hit(one, _path(name), f"{one.ref}: {name} is deprecated", hint)


def check_alpha(view: View) -> Iterator[Hit]:
    """Those of alpha features, but for what Istio sets itself."""
    for one, name, _, known in _all(view):
        if known is None or name not in ALPHA or name == _SET_BY_ISTIO:
            continue
        by_cni = one.kind == "Pod" and not any(c.get("name") == "istio-init" for c in mappings(one.spec.get("initContainers")))
        if not (by_cni and name in _SET_BY_CNI):
            yield Hit(one, _path(name), f"{one.ref}: {name} belongs to an alpha feature")


def _uint(value: str) -> str | None:
    return None if value.isascii() and value.isdigit() and int(value) < 2**32 else f"{value!r} is no number from 0 to 4294967295"


def _boolean(value: str) -> str | None:
    return None if value in ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False") else f"{value!r} is neither true nor false"


def _mode(value: str) -> str | None:
    return None if value in ("REDIRECT", "TPROXY", "NONE") else f"{value!r} is none of REDIRECT, TPROXY, NONE"


def _status_port(value: str) -> str | None:
    return _uint(value) or (None if int(value) < 65536 else f"{value} is no port")


def _ports(value: str) -> str | None:
    for word in value.split(","):
        if word.strip() and not (word.strip().isdigit() and int(word) < 65536):
            return f"{word.strip()!r} is no port"
    return None


def _ports_or_all(value: str) -> str | None:
    return None if value == "*" else _ports(value)


def _ranges(value: str) -> str | None:
    for word in value.split(","):
        if word.strip():
            try:
                ipaddress.ip_network(word.strip(), strict=False)
            except ValueError:
                return f"{word.strip()!r} is no IP range"
    return None


def _ranges_or_all(value: str) -> str | None:
    return None if value == "*" else _ranges(value)


def _config(value: str) -> str | None:
    return None if not value.strip() or value.strip() == "{}" or embedded(value) else "is no ProxyConfig"


_TRAFFIC = "traffic.sidecar.istio.io"
_READINESS = "readiness.status.sidecar.istio.io"
_CHECKS: dict[str, Callable[[str], str | None]] = {
    "sidecar.istio.io/interceptionMode": _mode,
    "status.sidecar.istio.io/port": _status_port,
    f"{_READINESS}/initialDelaySeconds": _uint,
    f"{_READINESS}/periodSeconds": _uint,
    f"{_READINESS}/failureThreshold": _uint,
    f"{_TRAFFIC}/includeOutboundIPRanges": _ranges_or_all,
    f"{_TRAFFIC}/excludeOutboundIPRanges": _ranges,
    f"{_TRAFFIC}/includeInboundPorts": _ports_or_all,
    f"{_TRAFFIC}/excludeInboundPorts": _ports,
    f"{_TRAFFIC}/excludeOutboundPorts": _ports,
    "prometheus.istio.io/merge-metrics": _boolean,
    "proxy.istio.io/config": _config,
}
_POD = """apiVersion: v1
kind: Pod
metadata:
  name: cart
  namespace: shop
  annotations: {%s}
spec:
  containers: [{name: app, image: cart}]
"""
_SOURCE = "istio/istio pkg/config/analysis/analyzers/annotations/annotations.go; istio/api annotation/annotations.yaml"
_GOOD = _POD % 'proxy.istio.io/config: "concurrency: 2"'
RULES = (
    Rule(
        code="ANNOTATION_UNKNOWN", check=check_unknown,
        trigger="A Namespace, Service, Pod or Deployment has an annotation under istio.io that Istio does not know.",
        fix="Correct the name.", source=_SOURCE, bad=_POD % 'proxy.istio.io/confg: "concurrency: 2"', good=_GOOD,
    ),
    Rule(
        code="ANNOTATION_MISPLACED", check=check_misplaced,
        trigger="One of Istio's annotations on a kind that it is not read from, e.g. one for pods on a Deployment instead of its template.",
        fix="Move it.", source=_SOURCE, bad=_POD % "networking.istio.io/exportTo: shop", good=_GOOD,
    ),
    Rule(
        code="ANNOTATION_INVALID", check=check_invalid,
        trigger="The value is not what the injector takes: ports, IP ranges, a number, a mode.",
        fix="Correct the value.", source=f"{_SOURCE}; pkg/kube/inject/validate.go",
        bad=_POD % "traffic.sidecar.istio.io/excludeOutboundPorts: http", good=_POD % 'traffic.sidecar.istio.io/excludeOutboundPorts: "3306"',
    ),
    Rule(
        code="ANNOTATION_DEPRECATED", check=check_deprecated,
        trigger="A deprecated annotation. `sidecar.istio.io/inject` counts where the label of that name is not there too.",
        fix="Use its replacement.", source=_SOURCE, bad=_POD % 'sidecar.istio.io/inject: "true"', good=_GOOD,
    ),
    Rule(
        code="ANNOTATION_ALPHA", check=check_alpha,
        trigger="An annotation of an alpha feature. Not reported unless it is selected (`--select GW0445`), as istioctl leaves it out too.",
        fix="Be prepared for it to change.", source="istio/istio pkg/config/analysis/analyzers/maturity/maturity.go",
        bad=_POD % "sidecar.istio.io/proxyCPU: 100m", good=_GOOD,
    ),
)
