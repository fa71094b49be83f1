"""Cost profiles: CPU per visit, byte, handshake and filter, network times, memory, prices, with sources.

    from gwsim import costs

    profile = costs.load().with_overrides({"worker.wakeup_us": 30})
    visit = costs.visit_costs(profile, downstream_tls="1.3", upstream_tls="istio_mutual")

`profile` holds the model, `loading` its YAML, `visits` what the engines charge, `environment` everything that
is not CPU, `document` the reference page.
"""

from gwsim.costs.environment import (
    Kubernetes,
    Memory,
    Network,
    Ports,
    Prices,
    Services,
    kubernetes,
    memory,
    network,
    ports,
    prices,
    services,
)
from gwsim.costs.profile import Cost, CostProfile, Visit, load
from gwsim.costs.visits import (
    CALLING,
    CERTIFICATES,
    Charge,
    Situation,
    VisitCosts,
    cpu_per_request,
    cpu_per_request_range,
    filter_charges,
    istio_charges,
    tracing_charges,
    visit_costs,
)

__all__ = [
    "CALLING",
    "CERTIFICATES",
    "Charge",
    "Cost",
    "CostProfile",
    "Kubernetes",
    "Memory",
    "Network",
    "Ports",
    "Prices",
    "Services",
    "Situation",
    "Visit",
    "VisitCosts",
    "cpu_per_request",
    "cpu_per_request_range",
    "filter_charges",
    "istio_charges",
    "kubernetes",
    "load",
    "memory",
    "network",
    "ports",
    "prices",
    "services",
    "tracing_charges",
    "visit_costs",
]
