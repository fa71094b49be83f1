"""What the API server or Istio's webhook would refuse, beyond what types can say: one module per kind.

Source modelled: istio/istio pkg/config/validation, 1.30, and the validation of the Kubernetes API.
"""

from __future__ import annotations

from gwsim.resources.context import ObjectContext
from gwsim.resources.models.base import Resource
from gwsim.resources.validation.check import Check
from gwsim.resources.validation.destination_rule import check_destination_rule
from gwsim.resources.validation.extensions import (
    check_envoy_filter,
    check_proxy_config,
    check_traffic_extension,
    check_wasm_plugin,
)
from gwsim.resources.validation.gateway import check_gateway
from gwsim.resources.validation.kubernetes import check_deployment, check_hpa, check_service
from gwsim.resources.validation.mesh import (
    check_peer_authentication,
    check_registered_workload,
    check_sidecar,
    check_workload_group,
)
from gwsim.resources.validation.security import check_authorization_policy, check_request_authentication
from gwsim.resources.validation.service_entry import check_service_entry
from gwsim.resources.validation.telemetry import check_telemetry
from gwsim.resources.validation.virtual_service import check_virtual_service
from gwsim.resources.yaml_nodes import Node

_CHECKS = {
    "Gateway": check_gateway,
    "VirtualService": check_virtual_service,
    "DestinationRule": check_destination_rule,
    "ServiceEntry": check_service_entry,
    "Sidecar": check_sidecar,
    "WorkloadEntry": check_registered_workload,
    "WorkloadGroup": check_workload_group,
    "PeerAuthentication": check_peer_authentication,
    "AuthorizationPolicy": check_authorization_policy,
    "RequestAuthentication": check_request_authentication,
    "Telemetry": check_telemetry,
    "WasmPlugin": check_wasm_plugin,
    "TrafficExtension": check_traffic_extension,
    "EnvoyFilter": check_envoy_filter,
    "ProxyConfig": check_proxy_config,
    "Service": check_service,
    "Deployment": check_deployment,
    "HorizontalPodAutoscaler": check_hpa,
}


def validate(resource: Resource, ctx: ObjectContext, node: Node) -> None:
    """Report everything about the object that would be refused; `node` is the document it was read from."""
    check = _CHECKS.get(resource.meta.kind)
    if check:
        check(resource, Check(ctx, node))  # type: ignore[operator]


__all__ = ["validate"]
