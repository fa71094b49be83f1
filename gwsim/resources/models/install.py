"""How Istio is installed: IstioOperator, and `Istio` of the Sail operator.

Sources modelled: istio/api operator/v1alpha1/operator.proto, istio/istio operator/pkg/apis; istio-ecosystem/sail-operator
api/v1. The gateways of an IstioOperator are rendered by `gwsim.resources.rendering`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gwsim.resources.models.base import Opaque, Resource
from gwsim.resources.models.mesh_config import MeshConfig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IstioOperator(Resource):
    """An installation. `components` and `values` are kept as plain data."""

    other_fields: ClassVar[frozenset[str]] = frozenset(
        ["addonComponents", "hub", "installPackagePath", "resourceSuffix", "revision", "tag", "unvalidatedValues", "compatibilityVersion"]
    )

    profile: str | None = None
    namespace_: str | None = None
    mesh_config: MeshConfig | None = None
    components: Opaque = None
    values: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SailIstio(Resource):
    """`Istio` of the Sail operator. `values` are those of Istio's charts, kept as plain data."""

    other_fields: ClassVar[frozenset[str]] = frozenset(["namespace", "profile", "updateStrategy", "version"])

    values: Opaque = None


__all__ = ["IstioOperator", "SailIstio"]
