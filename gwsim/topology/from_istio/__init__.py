"""From Istio and Kubernetes objects to the topology, by istiod's rules."""

from gwsim.topology.from_istio.build import ClusterConfig, build_mesh, from_istio
from gwsim.topology.from_istio.versions import VERSIONS, VersionRules, rules_for

__all__ = ["VERSIONS", "ClusterConfig", "VersionRules", "build_mesh", "from_istio", "rules_for"]
