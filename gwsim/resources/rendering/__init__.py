"""What Istio's charts make of values: the objects they would render, as nodes that keep the place of each value."""

from gwsim.resources.rendering.gateway_chart import KNOWN as KNOWN_VALUES
from gwsim.resources.rendering.gateway_chart import TELLING as TELLING_VALUES
from gwsim.resources.rendering.gateway_chart import gateway_chart, is_gateway_values
from gwsim.resources.rendering.operator import (
    is_control_plane_values,
    named,
    operator_gateways,
    operator_of_values,
)

__all__ = [
    "KNOWN_VALUES",
    "TELLING_VALUES",
    "gateway_chart",
    "is_control_plane_values",
    "is_gateway_values",
    "named",
    "operator_gateways",
    "operator_of_values",
]
