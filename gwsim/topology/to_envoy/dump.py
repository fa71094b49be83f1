"""A whole proxy as the admin page's `/config_dump?include_eds` shows it.

Source: envoyproxy/envoy api/envoy/admin/v3/config_dump.proto.
"""

from __future__ import annotations

from gwsim.topology.listeners import HttpConnectionManager
from gwsim.topology.model import Proxy
from gwsim.topology.routes import RouteConfiguration
from gwsim.topology.to_envoy.clusters import cluster, load_assignment
from gwsim.topology.to_envoy.listeners import listener
from gwsim.topology.to_envoy.routes import route_configuration
from gwsim.topology.to_envoy.words import TYPE, Json, without_none

PREFIX = "type.googleapis.com/"
_ADMIN = f"{PREFIX}envoy.admin.v3"
TYPES = {
    "listener": f"{PREFIX}envoy.config.listener.v3.Listener",
    "routeConfig": f"{PREFIX}envoy.config.route.v3.RouteConfiguration",
    "cluster": f"{PREFIX}envoy.config.cluster.v3.Cluster",
    "endpointConfig": f"{PREFIX}envoy.config.endpoint.v3.ClusterLoadAssignment",
}
DEFAULT_TRUST_DOMAIN = "cluster.local"
EDGE = {"gateway": "router", "sidecar": "sidecar", "waypoint": "waypoint"}


def config_dump(proxy: Proxy, istio_version: str = "") -> Json:
    """Bootstrap (the node alone), clusters, endpoints, listeners and routes."""
    clusters = [cluster(one) for one in proxy.clusters.values()]
    dynamic = [one for one in proxy.clusters.values() if one.discovery == "EDS"]
    return {
        "configs": [
            {TYPE: f"{_ADMIN}.BootstrapConfigDump", "bootstrap": {"node": node(proxy, istio_version)}},
            {
                TYPE: f"{_ADMIN}.ClustersConfigDump",
                "dynamicActiveClusters": [{"cluster": _typed("cluster", one)} for one in clusters],
            },
            {
                TYPE: f"{_ADMIN}.EndpointsConfigDump",
                "dynamicEndpointConfigs": [
                    {"endpointConfig": _typed("endpointConfig", load_assignment(one))} for one in dynamic
                ],
            },
            {
                TYPE: f"{_ADMIN}.ListenersConfigDump",
                "dynamicListeners": [
                    {"name": one.name, "activeState": {"listener": _typed("listener", listener(one))}}
                    for one in proxy.listeners
                ],
            },
            {
                TYPE: f"{_ADMIN}.RoutesConfigDump",
                "dynamicRouteConfigs": [
                    {"routeConfig": _typed("routeConfig", route_configuration(one))} for one in route_configurations(proxy)
                ],
            },
        ]
    }


def _typed(kind: str, fields: Json) -> Json:
    return {TYPE: TYPES[kind], **fields}


def node(proxy: Proxy, istio_version: str = "") -> Json:
    """Who the proxy is, as Istio's agent tells Envoy. Source: istio pkg/bootstrap/config.go."""
    pod = proxy.pods[0] if proxy.pods else None
    name = pod.name if pod is not None else proxy.name
    where = pod.locality if pod is not None else None
    metadata = without_none({
        "WORKLOAD_NAME": proxy.name,
        "NAMESPACE": proxy.namespace,
        "CLUSTER_ID": proxy.cluster or None,
        "NETWORK": proxy.network or None,
        "SERVICE_ACCOUNT": proxy.identity.rpartition("/")[2] or None,
        "TRUST_DOMAIN": trust if (trust := proxy.identity.partition("/")[0]) != DEFAULT_TRUST_DOMAIN and trust else None,
        "LABELS": dict(proxy.labels) or None,
        "ISTIO_VERSION": istio_version or None,
        "PROXY_CONFIG": {"concurrency": proxy.workers},
    })
    return without_none({
        "id": f"{EDGE[proxy.kind]}~~{name}.{proxy.namespace}~{proxy.namespace}.svc.cluster.local",
        "cluster": f"{proxy.name}.{proxy.namespace}",
        "metadata": metadata,
        "locality": None
        if where is None or not where.region
        else without_none({"region": where.region, "zone": where.zone or None, "subZone": where.subzone or None}),
    })


def route_configurations(proxy: Proxy) -> list[RouteConfiguration]:
    """The route configurations of all listeners, each name once."""
    found: dict[str, RouteConfiguration] = {}
    for one in proxy.listeners:
        for chain in [*one.filter_chains, *([one.default_chain] if one.default_chain else [])]:
            if isinstance(chain.filter, HttpConnectionManager):
                configuration = chain.filter.route_config
                if configuration.name:
                    found.setdefault(configuration.name, configuration)
    return list(found.values())
