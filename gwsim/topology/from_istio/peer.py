"""Whether workloads accept plaintext and mutual TLS: the PeerAuthentication in force for a port of a workload.

Source: istio/istio pilot/pkg/security/authn/policy_applier.go `ComposePeerAuthentication`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gwsim.resources.models import PeerAuthentication
from gwsim.topology.from_istio.context import ROOT_NAMESPACE
from gwsim.topology.from_istio.registry import Registry, contains

Mode = Literal["DISABLE", "PERMISSIVE", "STRICT"]
DEFAULT: Mode = "PERMISSIVE"


def peer_mode(registry: Registry, namespace: str, labels: Mapping[str, str], port: int) -> Mode:
    """The mode of a workload's port: of the port, the workload, the namespace, the mesh; the oldest policy of each.

    UNSET leaves it to the next wider scope. `port` is where the workload listens.
    """
    own = _first(registry, namespace, labels, selected=True)
    if own is not None:
        level = own.port_level_mtls.get(str(port))
        mode = _mode(level.mode if level is not None else "UNSET") or _mode_of(own)
        if mode is not None:
            return mode
    for owner in (namespace, ROOT_NAMESPACE):
        wide = _first(registry, owner, labels, selected=False)
        mode = _mode_of(wide) if wide is not None else None
        if mode is not None:
            return mode
    return DEFAULT


def _first(registry: Registry, namespace: str, labels: Mapping[str, str], *, selected: bool) -> PeerAuthentication | None:
    for policy in registry.peer_authentications:
        selector = policy.selector.match_labels if policy.selector is not None else {}
        if policy.namespace == namespace and bool(selector) == selected and contains(labels, selector):
            return policy
    return None


def _mode_of(policy: PeerAuthentication) -> Mode | None:
    return _mode(policy.mtls.mode if policy.mtls is not None else "UNSET")


def _mode(written: str) -> Mode | None:
    modes: dict[str, Mode] = {"DISABLE": "DISABLE", "PERMISSIVE": "PERMISSIVE", "STRICT": "STRICT"}
    return modes.get(written)
