"""The topology as Envoy's JSON: what `istioctl proxy-config -o json` would show of it, and a Bootstrap is made of.

`gwsim.topology.from_config_dump` reads it back. What the model knows and Envoy has no field for is in
`metadata.filterMetadata.gwsim`, which Envoy carries along and ignores.
"""

from gwsim.topology.to_envoy.clusters import cluster, cluster_status, load_assignment
from gwsim.topology.to_envoy.dump import TYPES, config_dump, node, route_configurations
from gwsim.topology.to_envoy.listeners import listener
from gwsim.topology.to_envoy.routes import route_configuration

__all__ = [
    "TYPES",
    "cluster",
    "cluster_status",
    "config_dump",
    "listener",
    "load_assignment",
    "node",
    "route_configuration",
    "route_configurations",
]
