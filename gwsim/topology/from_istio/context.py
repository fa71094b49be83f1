"""What every step of the build needs: the objects, the options, and where findings and assumptions go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gwsim.diagnostics import Collector, Level, Span, code
from gwsim.resources.mesh import Mesh
from gwsim.resources.models import MeshConfig, MeshNetworks, Resource
from gwsim.topology.from_istio.attachment import PolicyIndex
from gwsim.topology.from_istio.converted import Converted
from gwsim.topology.from_istio.registry import Registry
from gwsim.topology.from_istio.versions import VersionRules

ROOT_NAMESPACE = "istio-system"
"""The root namespace of a mesh that names no other; see `Context.root_namespace`."""


@dataclass(slots=True)
class Context:
    """State of one build; lives no longer than it."""

    registry: Registry
    rules: VersionRules
    collector: Collector
    cluster: str = ""
    network: str = ""
    """Network of its pods; empty: there is only one."""
    zones: tuple[str, ...] = ()
    node_cpus: int = 0
    """Cores of a node, for gateways without a CPU limit; 0: not known."""
    regions: Mapping[str, str] = field(default_factory=dict)
    """Region of each zone that a node of the files is in."""
    assumptions: dict[str, None] = field(default_factory=dict)
    converted: Converted = field(default_factory=Converted)
    """What the Gateway API and Ingresses come to."""
    in_force: Mesh = field(default_factory=Mesh)
    """Mesh configuration and networks: what the files give, and istiod's defaults for the rest."""

    policies: PolicyIndex = field(default_factory=PolicyIndex)
    """Policies and plugins, whatever workload they are for."""

    @property
    def mesh(self) -> MeshConfig:
        """The mesh configuration."""
        return self.in_force.config

    @property
    def networks(self) -> MeshNetworks:
        """The networks of the mesh."""
        return self.in_force.networks

    @property
    def root_namespace(self) -> str:
        """The namespace whose objects hold for the whole mesh."""
        return self.in_force.config.root_namespace

    def quiet(self) -> Context:
        """The same, with findings and assumptions that go nowhere."""
        return replace(self, collector=Collector(), assumptions={})

    def find(
        self,
        name: str,
        message: str,
        resource: Resource,
        path: str = "",
        *,
        help: str | None = None,
        level: Level | None = None,
    ) -> None:
        """Report something noticed at a field of an object."""
        ref = f"{resource.ref} {path}".strip()
        self.collector.add(code(name), message, place(resource, path), help=help, object_ref=ref, level=level)

    def assume(self, text: str) -> None:
        """Record something that the files leave open and the model had to settle."""
        self.assumptions[text] = None


def place(resource: Resource, path: str = "") -> Span:
    """Where a field of an object stands."""
    return resource.span_of(path) if path else resource.span
