"""GatewayClasses that Istio serves. Source: istio/istio pilot/pkg/config/kube/gateway/gatewayclass.go (`classInfos`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gwsim.resources.models import GatewayClass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassInfo:
    """What Istio does for Gateways of a class."""

    controller: str
    programmed: bool = True
    """False: Istio only records the Gateway (`istio-remote`)."""
    waypoint: bool = False
    listener_sets: bool = False
    name_suffix: bool = True
    """The Deployment is named `<gateway>-<class>`, else like the Gateway."""
    service_type: str = "LoadBalancer"


_GATEWAY = ClassInfo(controller="istio.io/gateway-controller", listener_sets=True)
_REMOTE = ClassInfo(controller="istio.io/unmanaged-gateway", programmed=False)
_WAYPOINT = ClassInfo(controller="istio.io/mesh-controller", waypoint=True, name_suffix=False, service_type="ClusterIP")
_EAST_WEST = ClassInfo(controller="istio.io/eastwest-controller", name_suffix=False)
_BY_CONTROLLER = {one.controller: one for one in (_GATEWAY, _REMOTE, _WAYPOINT, _EAST_WEST)}
_BUILT_IN = {"istio": _GATEWAY, "istio-remote": _REMOTE, "istio-waypoint": _WAYPOINT, "istio-east-west": _EAST_WEST}


def class_info(classes: Sequence[GatewayClass], name: str) -> ClassInfo | None:
    """What Istio does for the class; None when it is another controller's. Istio's own classes need no object."""
    written = next((one for one in classes if one.name == name), None)
    if written is not None:
        return _BY_CONTROLLER.get(written.controller_name)
    return _BUILT_IN.get(name)
