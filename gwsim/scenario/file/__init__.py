"""The scenario file as typed models. Values are in SI units once read; `schema()` is what editors check against."""

from gwsim.scenario.file.arrivals import Arrivals, Closed, Diurnal, ReplayLog
from gwsim.scenario.file.calls import Call, CallStage
from gwsim.scenario.file.clients import Client, ClientRetries, Connection, MixEntry
from gwsim.scenario.file.distributions import Sizes, Times
from gwsim.scenario.file.scenario import API_VERSION, Scenario
from gwsim.scenario.file.streams import Messages, Stream
from gwsim.scenario.file.system import (
    Backend,
    BackendVersion,
    ClusterSection,
    Costs,
    Front,
    GatewayOverride,
    NetworkSection,
    Run,
)

__all__ = [
    "API_VERSION",
    "Arrivals",
    "Backend",
    "BackendVersion",
    "Call",
    "CallStage",
    "Client",
    "ClientRetries",
    "Closed",
    "ClusterSection",
    "Connection",
    "Costs",
    "Diurnal",
    "Front",
    "GatewayOverride",
    "Messages",
    "MixEntry",
    "NetworkSection",
    "ReplayLog",
    "Run",
    "Scenario",
    "Sizes",
    "Stream",
    "Times",
]
