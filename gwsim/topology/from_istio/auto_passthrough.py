"""East-west servers (AUTO_PASSTHROUGH): a chain for every in-mesh service port and subset, by the mesh's server names.

Connections of sidecars carry the cluster they want in their SNI; the gateway hands the bytes on, still encrypted.
Source: istio/istio pilot/pkg/networking/core/{gateway,cluster_builder}.go (`builtAutoPassthroughFilterChains`,
`buildDefaultCluster` for SNI-DNAT), pilot/pkg/model/context.go `BuildDNSSrvSubsetKey`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from gwsim.topology.from_istio.context import place
from gwsim.topology.from_istio.hosts import subset_of
from gwsim.topology.from_istio.servers import BoundServer
from gwsim.topology.listeners import FilterChain, FilterChainMatch, TcpProxy
from gwsim.topology.routes import WeightedCluster
from gwsim.topology.upstream import MESH_ALPN, Cluster, mesh_server_name


def east_west(servers: Iterable[BoundServer]) -> bool:
    """Whether one of the servers is AUTO_PASSTHROUGH."""
    return any(_is_east_west(one) for one in servers)


def _is_east_west(server: BoundServer) -> bool:
    return server.tls and server.server.tls is not None and server.server.tls.mode == "AUTO_PASSTHROUGH"


def passthrough_clusters(clusters: Mapping[str, Cluster], network: str) -> dict[str, Cluster]:
    """Clusters under the mesh's server names: no TLS of their own, and only endpoints that speak mutual TLS.

    An endpoint of another network is not reached from here (the gateway's network view); `network` empty: any is.
    """
    result: dict[str, Cluster] = {}
    for cluster in clusters.values():
        if cluster.external or cluster.discovery in ("STRICT_DNS", "LOGICAL_DNS"):
            continue
        name = mesh_server_name(cluster.port, cluster.subset, cluster.host)
        endpoints = tuple(
            one
            for one in cluster.endpoints
            if (one.mtls or not one.mtls_known) and (not network or one.network in ("", network))
        )
        result[name] = replace(cluster, name=name, endpoints=endpoints, tls=None)
    return result


def passthrough_chains(server: BoundServer, clusters: Mapping[str, Cluster]) -> Iterator[FilterChain]:
    """The chains of an AUTO_PASSTHROUGH server for clusters under the mesh's server names."""
    hosts = [host for _, host in server.hosts]
    origin = place(server.gateway, server.path)
    for name, cluster in clusters.items():
        if not name.startswith("outbound_.") or not any(subset_of(cluster.host, host) for host in hosts):
            continue
        yield FilterChain(
            name=name,
            match=FilterChainMatch(
                server_names=(name,), transport_protocol="tls", application_protocols=MESH_ALPN
            ),
            filter=TcpProxy(
                clusters=(WeightedCluster(cluster=name),),
                stat_prefix=name,
                idle_timeout_s=3600.0 if cluster.tcp_idle_timeout_s is None else cluster.tcp_idle_timeout_s,
                max_connection_duration_s=cluster.max_connection_duration_s or 0.0,
                origin=origin,
            ),
            origin=origin,
        )
