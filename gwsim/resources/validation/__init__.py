"""What the API server or Istio's webhook would refuse, beyond what types can say: one module per kind.

Source modelled: istio/istio pkg/config/validation, 1.30, the validation of the Kubernetes API, and the CRDs of the
Gateway API 1.5.
"""

from __future__ import annotations

from collections.abc import Mapping

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
from gwsim.resources.validation.gateway_api import (
    check_backend_tls_policy,
    check_backend_traffic_policy,
    check_kubernetes_gateway,
    check_listener_set,
    check_reference_grant,
)
from gwsim.resources.validation.gateway_routes import (
    check_grpc_route,
    check_http_route,
    check_tcp_route,
    check_tls_route,
)
from gwsim.resources.validation.ingress import check_ingress
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
    "Ingress": check_ingress,
    "HorizontalPodAutoscaler": check_hpa,
}

_GATEWAY_API_GROUPS = ("gateway.networking.k8s.io", "gateway.networking.x-k8s.io")
_GATEWAY_API_CHECKS = {
    "Gateway": check_kubernetes_gateway,
    "ListenerSet": check_listener_set,
    "XListenerSet": check_listener_set,
    "ReferenceGrant": check_reference_grant,
    "BackendTLSPolicy": check_backend_tls_policy,
    "XBackendTrafficPolicy": check_backend_traffic_policy,
    "HTTPRoute": check_http_route,
    "GRPCRoute": check_grpc_route,
    "TLSRoute": check_tls_route,
    "TCPRoute": check_tcp_route,
}


def validate(resource: Resource, ctx: ObjectContext, node: Node) -> None:
    """Report everything about the object that would be refused; `node` is the document it was read from."""
    table: Mapping[str, object] = _GATEWAY_API_CHECKS if resource.meta.group in _GATEWAY_API_GROUPS else _CHECKS
    check = table.get(resource.meta.kind)
    if check:
        check(resource, Check(ctx, node))  # type: ignore[operator]


__all__ = ["validate"]
