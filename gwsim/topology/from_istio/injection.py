"""Whether pods have an Istio sidecar, as far as the files tell.

Source: istio/istio pkg/kube/inject/inject.go `injectRequired`, gateway-injection-template.yaml.
"""

from __future__ import annotations

from gwsim.resources.models import Namespace, PodOwner

INJECTION_LABEL = "sidecar.istio.io/inject"
TLS_MODE_LABEL = "security.istio.io/tlsMode"


def looks_like_gateway(owner: PodOwner) -> bool:
    """Whether the pods run a gateway proxy, whatever selects them."""
    if "gateway" in owner.annotations.get("inject.istio.io/templates", ""):
        return True
    proxy = owner.container("istio-proxy")
    return proxy is not None and "router" in proxy.args


def injection(owner: PodOwner, namespace: Namespace | None) -> bool | None:
    """Whether the pods get a sidecar; None: neither they nor a Namespace of the files says.

    The pods' own label or annotation decides, else the namespace's label. Gateway pods never have the label that
    says so.
    """
    labels, annotations = owner.labels, owner.annotations
    if TLS_MODE_LABEL in labels:
        return labels[TLS_MODE_LABEL] == "istio"
    if looks_like_gateway(owner):
        return False
    own = labels.get(INJECTION_LABEL) or annotations.get(INJECTION_LABEL)
    if own is not None:
        return own.lower() == "true"
    if owner.container("istio-proxy") is not None:
        return True
    if namespace is None:
        return None
    given = namespace.meta.labels
    return given.get("istio-injection") == "enabled" or (
        "istio.io/rev" in given and given.get("istio-injection") != "disabled"
    )
