"""Kubernetes objects that the API server refuses. Source modelled: Kubernetes API validation, v1.34."""

from __future__ import annotations

from gwsim.resources.models.kubernetes import Deployment, HorizontalPodAutoscaler, Service
from gwsim.resources.validation.check import Check


def check_service(service: Service, check: Check) -> None:
    """Report what would be refused about a Service."""
    if not service.ports and service.type != "ExternalName" and service.cluster_ip != "None":
        check.missing("ports", "a Service needs at least one port")
    names: set[str] = set()
    numbers: set[tuple[int, str]] = set()
    for index, port in enumerate(service.ports):
        if len(service.ports) > 1 and not port.name:
            check.missing(f"ports[{index}]", "a Service with several ports needs a name for each")
        if port.name and port.name in names:
            check.bad(f"ports[{index}].name", f"port name {port.name!r} is given twice")
        if (port.port, port.protocol) in numbers:
            check.bad(f"ports[{index}].port", f"port {port.port}/{port.protocol} is given twice")
        if isinstance(port.target_port, int) and not 1 <= port.target_port <= 65535:
            check.bad(f"ports[{index}].targetPort", f"port {port.target_port} does not exist; ports are 1 to 65535")
        names.add(port.name or "")
        numbers.add((port.port, port.protocol))


def check_deployment(deployment: Deployment, check: Check) -> None:
    """Report what would be refused about a Deployment."""
    if not deployment.containers:
        check.missing("template.spec.containers", "a pod needs at least one container")
    wanted = deployment.selector.match_labels
    if not wanted and not deployment.selector.match_expressions:
        # The beta versions of the API filled the selector in from the pods' labels.
        if deployment.meta.api_version == "apps/v1":
            check.missing("selector", "selector is missing")
    elif any(deployment.labels.get(key) != value for key, value in wanted.items()):
        check.bad("selector", "the selector does not match the labels of the pod template")
    for index, container in enumerate(deployment.containers):
        path = f"template.spec.containers[{index}].resources.requests"
        requests, limits = container.resources.requests, container.resources.limits
        for name, request, limit in (
            ("cpu", requests.cpu_cores, limits.cpu_cores),
            ("memory", requests.memory_bytes, limits.memory_bytes),
        ):
            if request is not None and limit is not None and request > limit:
                check.bad(f"{path}.{name}", f"the {name} request is above the limit")


def check_hpa(autoscaler: HorizontalPodAutoscaler, check: Check) -> None:
    """Report what would be refused about a HorizontalPodAutoscaler."""
    if autoscaler.max_replicas < 1:
        check.bad("maxReplicas", "maxReplicas must be at least 1")
    elif autoscaler.min_replicas > autoscaler.max_replicas:
        message = f"minReplicas {autoscaler.min_replicas} is above maxReplicas {autoscaler.max_replicas}"
        check.bad("minReplicas", message)
    for index, metric in enumerate(autoscaler.metrics):
        if metric.utilization_percent == 0:
            check.bad(f"metrics[{index}]", "the target utilisation must be above 0")
