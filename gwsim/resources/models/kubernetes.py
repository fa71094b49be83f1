"""Kubernetes Service, Deployment, HorizontalPodAutoscaler, Secret and Namespace, as far as traffic sees them.

Source modelled: the Kubernetes API reference v1.34 (core/v1, apps/v1, autoscaling/v1, v2beta2 and v2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from gwsim.resources.models.base import Bytes, Cores, Json, Labels, Natural, Opaque, Port, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """A port of a Service. `target_port` is a number, a container port's name, or None for `port` itself."""

    port: Port
    name: str | None = None
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    app_protocol: str | None = None
    target_port: int | str | None = None
    node_port: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Service(Resource):
    """A core/v1 Service. `selector` empty: its endpoints are managed by hand."""

    other_fields: ClassVar[frozenset[str]] = frozenset(
        ["allocateLoadBalancerNodePorts", "clusterIPs", "externalIPs", "healthCheckNodePort", "ipFamilies", "ipFamilyPolicy", "loadBalancerClass", "loadBalancerIP", "loadBalancerSourceRanges", "publishNotReadyAddresses", "sessionAffinity", "sessionAffinityConfig", "topologyKeys"]
    )

    ports: tuple[ServicePort, ...] = ()
    selector: Labels = field(default_factory=dict)
    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    cluster_ip: Annotated[str | None, Json("clusterIP")] = None
    external_name: str | None = None
    external_traffic_policy: Literal["Cluster", "Local"] | None = None
    internal_traffic_policy: Literal["Cluster", "Local"] | None = None
    traffic_distribution: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvVar:
    """An environment variable; `value` None with a `value_from`, or when it is the empty string."""

    name: str
    value: str | None = None
    value_from: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceList:
    """CPU in cores and memory in bytes; other resources are not read."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"*"})

    cpu_cores: Cores | None = None
    memory_bytes: Bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRequirements:
    """What a container asks for and may not exceed."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"claims"})

    requests: ResourceList = field(default_factory=ResourceList)
    limits: ResourceList = field(default_factory=ResourceList)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPort:
    """A port a container says it listens on."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"hostIP", "hostPort"})

    container_port: Port
    name: str | None = None
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepAction:
    """A pause of `seconds`."""

    seconds: Natural


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecAction:
    """A command in the container."""

    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleHandler:
    """What is done at a moment of a container's life."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"httpGet", "tcpSocket"})

    sleep: SleepAction | None = None
    exec: ExecAction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerLifecycle:
    """What a container does before it is told to stop."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"postStart", "stopSignal"})

    pre_stop: LifecycleHandler | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container of a pod, as far as capacity depends on it."""

    other_fields: ClassVar[frozenset[str]] = frozenset(
        ["command", "workingDir", "envFrom", "resizePolicy", "restartPolicy", "restartPolicyRules", "volumeMounts", "volumeDevices", "livenessProbe", "readinessProbe", "startupProbe", "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "securityContext", "stdin", "stdinOnce", "tty"]
    )

    name: str
    image: str | None = None
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    resources: ResourceRequirements = field(default_factory=ResourceRequirements)
    lifecycle: ContainerLifecycle | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A taint that pods put up with; `operator` Exists takes any value, an empty key any taint."""

    key: str | None = None
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str | None = None
    effect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSpec:
    """The pod's containers and what decides where it runs (kept as plain data)."""

    other_fields: ClassVar[frozenset[str]] = frozenset(
        ["activeDeadlineSeconds", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "enableServiceLinks", "ephemeralContainers", "hostAliases", "hostIPC", "hostNetwork", "hostPID", "hostUsers", "hostname", "hostnameOverride", "imagePullSecrets", "initContainers", "nodeName", "os", "overhead", "preemptionPolicy", "priority", "priorityClassName", "readinessGates", "resourceClaims", "resources", "restartPolicy", "runtimeClassName", "schedulerName", "schedulingGates", "securityContext", "serviceAccount", "setHostnameAsFQDN", "shareProcessNamespace", "subdomain", "volumes"]
    )

    containers: tuple[Container, ...]
    affinity: Opaque = None
    topology_spread_constraints: Opaque = None
    tolerations: tuple[Toleration, ...] = ()
    node_selector: Labels = field(default_factory=dict)
    service_account_name: str = "default"
    termination_grace_period_seconds: Natural = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PodMeta:
    """Labels and annotations of the pods."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"*"})

    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodTemplate:
    """What the pods of a Deployment look like."""

    metadata: PodMeta = field(default_factory=PodMeta)
    spec: PodSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSelector:
    """A selector by labels; expressions are kept as plain data."""

    match_labels: Labels = field(default_factory=dict)
    match_expressions: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PodOwner(Resource):
    """An object that keeps pods of one kind. `replicas` None: not given."""

    template: PodTemplate
    replicas: Natural | None = None
    selector: LabelSelector = field(default_factory=LabelSelector)

    @property
    def labels(self) -> Labels:
        """The labels of its pods, which Gateways and Services select by."""
        return self.template.metadata.labels

    @property
    def annotations(self) -> Labels:
        """The annotations of its pods."""
        return self.template.metadata.annotations

    @property
    def containers(self) -> tuple[Container, ...]:
        """The containers of its pods."""
        return self.template.spec.containers

    def container(self, name: str) -> Container | None:
        """The container of that name, or None."""
        return next((c for c in self.containers if c.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deployment(PodOwner):
    """An apps/v1 Deployment. `replicas` None: 1 unless an autoscaler owns it."""

    other_fields: ClassVar[frozenset[str]] = frozenset(
        ["paused", "progressDeadlineSeconds", "revisionHistoryLimit", "rollbackTo"]
    )

    strategy: Opaque = None
    min_ready_seconds: Natural = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleTarget:
    """The workload an autoscaler scales, in its own namespace."""

    kind: str
    name: str
    api_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaMetric:
    """One metric of an autoscaler, reduced to what all API versions share.

    `type` is Resource, ContainerResource, Pods, Object or External; `name` the resource or metric;
    exactly one of the targets is set (or none, for shapes not read): `utilization_percent` of the
    request (0 to 100 and more), or `average_value`/`value` in cores, bytes or the metric's unit.
    """

    type: str
    name: str
    container: str | None = None
    utilization_percent: int | None = None
    average_value: float | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPolicy:
    """At most `value` pods or percent per `period_seconds`."""

    type: Literal["Pods", "Percent"]
    value: Natural
    period_seconds: Natural


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRules:
    """Rules for scaling one way. None: Kubernetes' default."""

    stabilization_window_seconds: Natural | None = None
    select_policy: Literal["Max", "Min", "Disabled"] | None = None
    policies: tuple[ScalingPolicy, ...] = ()
    tolerance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingBehavior:
    """Rules for scaling up and down."""

    scale_up: ScalingRules | None = None
    scale_down: ScalingRules | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HorizontalPodAutoscaler(Resource):
    """An autoscaler of any API version. No metrics given: Kubernetes takes 80 % CPU utilisation."""

    scale_target_ref: ScaleTarget
    max_replicas: Natural
    min_replicas: Natural = 1
    metrics: tuple[HpaMetric, ...] = ()
    behavior: ScalingBehavior | None = None

    @property
    def cpu_utilization_percent(self) -> int | None:
        """The target CPU utilisation in percent of the request; None when it scales by something else."""
        if not self.metrics:
            return 80
        for metric in self.metrics:
            if metric.type == "Resource" and metric.name == "cpu" and metric.utilization_percent is not None:
                return metric.utilization_percent
        return None


KeyKind = Literal["rsa-2048", "rsa-3072", "rsa-4096", "ecdsa-p256", "ecdsa-p384", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Secret(Resource):
    """A Secret without its secrets: the names of its entries and the kind of its key, nothing else.

    `key_kind` is that of `tls.crt`/`cert` or `tls.key`/`key`, "unknown" for placeholders and for other
    kinds of key.
    """

    type: str = "Opaque"
    key_kind: KeyKind = "unknown"
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Namespace(Resource):
    """A namespace; only its name and labels count."""

