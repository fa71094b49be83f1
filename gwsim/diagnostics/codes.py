"""The one table of finding codes. Other packages add their rows here and nowhere else.

Ranges: GW00xx syntax and schema, GW01xx Istio semantics and topology, GW02xx scenario, GW03xx modelling, GW04xx lint,
GW05xx route tests, GW06xx dumps of a real Envoy.
A code, once released, keeps its meaning; a withdrawn one is not given out again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad a finding is: an error stops the run, a warning does not, info is for knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Code:
    """A row of the table: the code's short title, its default level and what it means to traffic."""

    code: str
    name: str
    level: Level
    title: str
    meaning: str
    istio: str = ""
    """The code of `istioctl analyze` for the same thing, "" where it has none."""


_E, _W, _I = Level.ERROR, Level.WARNING, Level.INFO

_ROWS: tuple[tuple[str, str, Level, str, str] | tuple[str, str, Level, str, str, str], ...] = (
    # GW00xx: syntax and schema
    ("GW0001", "YAML_SYNTAX", _E, "not valid YAML or JSON", "The file cannot be parsed from here on; nothing after this place in it was read."),
    ("GW0002", "FILE_MISSING", _E, "file cannot be read", "The path does not exist, is not readable, or is not text."),
    ("GW0003", "EMPTY_INPUT", _W, "no object in the input", "Nothing that gwsim reads was found in the files given."),
    ("GW0004", "DUPLICATE_KEY", _E, "key given twice", "YAML forbids a key twice in one mapping; which of the two counts depends on the parser."),
    ("GW0005", "NOT_AN_OBJECT", _E, "document is not a Kubernetes object", "A document needs apiVersion, kind and metadata.name."),
    ("GW0006", "KIND_NOT_READ", _I, "kind not read", "Objects of this kind have no influence on gwsim's model, so they are left out."),
    ("GW0007", "UNKNOWN_KIND", _E, "no such kind or version", "The API group is known, but has no such kind or version; the API server would refuse the object.", "IST0106"),
    ("GW0008", "UNKNOWN_FIELD", _W, "unknown field", "Not in the Istio 1.30 schema known here. Istio would prune it or refuse it; gwsim ignores it.", "IST0106"),
    ("GW0009", "MISSPELT_FIELD", _E, "field resembles a known one", "Almost certainly a misspelling, so the setting meant would not be in force.", "IST0106"),
    ("GW0010", "WRONG_TYPE", _E, "value of the wrong type", "The API server would refuse the object.", "IST0106"),
    ("GW0011", "BAD_VALUE", _E, "value not allowed", "The API server or Istio's validation would refuse the object.", "IST0106"),
    ("GW0012", "MISSING_FIELD", _E, "required field missing", "The API server or Istio's validation would refuse the object.", "IST0106"),
    ("GW0013", "DUPLICATE_OBJECT", _E, "object defined twice", "Two objects have the same kind, namespace and name; which one counts would depend on the order of applying them."),
    ("GW0014", "TOO_LARGE", _E, "document too large or too deep", "Aliases expand to more nodes than any real configuration has, or refer to themselves."),
    ("GW0015", "FIELD_CONFLICT", _E, "fields exclude each other", "Istio's validation would refuse the object.", "IST0106"),
    ("GW0016", "FIELD_WARNING", _W, "accepted, but probably not what is meant", "Istio accepts the object with a warning or ignores the field.", "IST0133"),
    ("GW0017", "HELM_VALUES", _I, "values of a Helm chart", "The objects that Istio's gateway chart renders from these values are taken, for the release named."),
    ("GW0018", "FORMER_VERSION", _W, "version no longer served", "Clusters of today refuse the object; its fields are those of the version that replaced it."),
    # GW01xx: Istio semantics and topology
    ("GW0101", "GATEWAY_MISSING", _W, "VirtualService names a missing Gateway", "Its routes exist nowhere: requests are answered 404 NR. Declare Gateways kept elsewhere with assume_exists.", "IST0101"),
    ("GW0102", "SELECTOR_MATCHES_NOTHING", _W, "Gateway selector matches no workload", "No proxy opens the listener: connections are refused.", "IST0101"),
    ("GW0103", "DESTINATION_HOST_UNKNOWN", _W, "destination host unknown", "There is no such cluster: requests are answered 503 NC.", "IST0101"),
    ("GW0104", "DESTINATION_PORT_UNKNOWN", _W, "destination port not on the service", "There is no such cluster: requests are answered 503 NC.", "IST0101"),
    ("GW0105", "SUBSET_UNKNOWN", _W, "subset not in any DestinationRule of the host", "There is no such cluster: requests are answered 503 NC.", "IST0101"),
    ("GW0106", "PORT_NOT_EXPOSED", _W, "gateway port not exposed by the Service", "The port cannot be reached through the Service.", "IST0162"),
    ("GW0107", "NO_HOST_MATCHES", _W, "no VirtualService host matches the Gateway's hosts", "The VirtualService adds no virtual host: requests are answered 404 NR.", "IST0132"),
    ("GW0108", "PORT_AMBIGUOUS", _W, "multi-port service without a destination port", "Istio falls back to the Gateway's port number, usually a cluster that does not exist: 503 NC.", "IST0112"),
    ("GW0109", "RULE_UNREACHABLE", _W, "rule unreachable after a catch-all", "An earlier rule matches every request, so this one is never used.", "IST0130"),
    ("GW0110", "CREDENTIAL_MISSING", _W, "credential Secret missing", "The filter chain has no certificate: TLS handshakes fail.", "IST0101"),
    ("GW0111", "SERVER_DROPPED", _W, "server dropped when gateways were merged", "Another server on the port is in the way, so istiod leaves this one out.", "IST0145"),
    ("GW0112", "RULE_HOST_UNKNOWN", _W, "DestinationRule host matches no service", "The policy is unused and Istio's defaults apply.", "IST0174"),
    ("GW0113", "SUBSET_EMPTY", _W, "subset selects no pods", "The cluster has no endpoints: requests are answered 503 UH.", "IST0173"),
    ("GW0114", "L4_ROUTE_MISSING", _W, "TCP or TLS server without a route", "The server gets no filter chain: connections are refused or closed."),
    ("GW0115", "NO_TIMEOUT", _I, "route without any timeout", "Istio's default is none: requests wait as long as the backend takes, and pools fill up."),
    ("GW0116", "DELEGATE_MISSING", _W, "delegate cannot be used", "The rule disappears; the other rules of the VirtualService stay."),
    ("GW0117", "DELEGATE_CONFLICT", _W, "delegate's match is not within the root's", "This rule of the delegate disappears."),
    ("GW0118", "ROUTE_NOT_ATTACHED", _W, "route attaches to no listener", "The Gateway does not serve the route: requests meant for it are answered 404 NR or not at all."),
    ("GW0119", "ROUTE_REFUSED", _W, "route not translated", "istiod makes nothing of the whole route, because a part of it is not supported or not valid."),
    ("GW0120", "BACKEND_REFUSED", _W, "backend may not be used", "The backend's share of the requests is answered 500; TCP connections are closed."),
    ("GW0121", "LISTENER_INVALID", _W, "listener not programmed", "The proxy does not open the listener: connections are refused."),
    ("GW0122", "GATEWAY_NOT_SERVED", _I, "Gateway or Ingress of another controller", "Its class is not one of Istio's, so Istio's gateways do not serve it."),
    ("GW0123", "GATEWAY_PART_IGNORED", _W, "part of a Gateway, route or Ingress has no effect", "The object is accepted, but Istio ignores this part of it."),
    ("GW0125", "PODS_PENDING", _W, "pods that find no place", "Required anti-affinity keeps pods apart, and there are fewer nodes or zones than pods: the rest stays pending and serves nothing."),
    ("GW0130", "PROVIDER_MISSING", _W, "extension provider missing", "CUSTOM authorization has nobody to ask: requests that its rules match are refused with 403."),
    ("GW0131", "PATCH_WITHOUT_EFFECT", _W, "EnvoyFilter patch changes nothing", "Nothing in the generated configuration matches the patch, so Istio leaves it out without a word."),
    ("GW0132", "PATCH_BREAKS", _W, "EnvoyFilter patch breaks the listener", "Envoy refuses the configuration that results; the proxy keeps what it had before."),
    # GW02xx: scenario
    ("GW0201", "TARGET_MISSING", _E, "target does not exist", "A client's target names no Service, Gateway or port of the configuration."),
    ("GW0202", "MIX_MATCHES_NO_ROUTE", _W, "request of the mix matches no route", "These requests are answered 404 NR and count as errors."),
    ("GW0203", "SCENARIO_FIELD", _E, "no such field in a scenario", "The name is not part of the scenario file, so what it was meant to set would not be in force."),
    ("GW0204", "SCENARIO_VALUE", _E, "value not allowed in a scenario", "The value is of the wrong type or out of range, or fields contradict each other."),
    ("GW0205", "SCENARIO_MISSING", _E, "field missing in a scenario", "The scenario cannot be simulated without it."),
    ("GW0206", "SET_PATH", _E, "path of an override does not exist", "The path given to --set names nothing in the scenario or in the configuration."),
    ("GW0207", "BACKEND_UNKNOWN", _E, "backend does not exist", "No cluster of the configuration leads to a service of that name, so its settings would have no effect."),
    ("GW0208", "GATEWAY_UNKNOWN", _E, "gateway does not exist", "No gateway of the configuration has that name, so the override would have no effect."),
    ("GW0209", "CONNECTION_REJECTED", _W, "connection of the mix is rejected", "The listener has no filter chain for it: the client gets no answer, and its requests count as errors."),
    ("GW0210", "REPLICAS_UNDER_HPA", _E, "replicas are set by an autoscaler", "An autoscaler owns the number of pods; fix the replicas, or change its bounds."),
    ("GW0211", "REPLAY_UNMATCHED", _W, "log entries match no entry of the mix", "Their requests are drawn from the mix by its weights instead."),
    ("GW0212", "SCENARIO_NOT_MODELLED", _I, "part of the scenario is not modelled", "The setting is accepted, but has no effect in gwsim's model yet."),
    # GW03xx: modelling
    ("GW0301", "NOT_MODELLED", _I, "field not modelled", "The field is valid Istio, but has no effect in gwsim's model yet."),
    ("GW0302", "HPA_CEILING_LOW", _W, "HPA reaches its ceiling at a tiny load", "The target is a share of a small CPU request, so all replicas exist long before the pods are busy."),
    ("GW0303", "CPU_LIMIT_BELOW_WORKERS", _W, "CPU limit below the number of workers", "The kernel stops the workers for the rest of a period of 100 ms once the limit is spent; requests wait meanwhile (CPU throttling)."),
    ("GW0304", "MEMORY_LIMIT_LOW", _W, "memory limit below what a pod needs", "The kernel ends a container that crosses its limit: its connections are lost, and come back to the other pods at once."),
    ("GW0305", "MEMORY_LIMIT_TIGHT", _I, "memory limit within the range of what a pod may need", "What a connection needs is known within a factor of three only; slow clients of large bodies fill buffers on top."),
    # GW04xx: lint; each has a rule in gwsim/topology/lint/rules
    ("GW0401", "HOST_IN_SEVERAL_SERVICES", _W, "host in several VirtualServices of the mesh", "Sidecars use the oldest of them for the host; the routes of the others exist nowhere.", "IST0109"),
    ("GW0402", "MATCH_OVERLAPS", _I, "match covered by an earlier one", "Requests it is meant for are taken by an earlier match.", "IST0131"),
    ("GW0403", "REFERENCE_MISSING", _W, "reference to an object that does not exist", "The object names something that is not there, so the part that depends on it has no effect.", "IST0101"),
    ("GW0404", "GATEWAYS_CONFLICT", _W, "Gateways share selector, port and host", "Of two TLS servers the newer is dropped; plain HTTP servers are merged into one.", "IST0145"),
    ("GW0405", "CERTIFICATE_SHARED", _W, "certificate in several Gateways", "Browsers reuse an HTTP/2 connection for all names of a certificate, and are answered 404 by the other Gateway's chain.", "IST0138"),
    ("GW0406", "CREDENTIAL_INVALID", _W, "credential Secret cannot be used", "The filter chain has no valid certificate: TLS handshakes fail, or clients see an expired certificate.", "IST0161"),
    ("GW0407", "SUBSET_NOT_AT_INGRESS", _W, "routing by subset does not hold at the ingress", "Requests through the gateway go to all versions, past the split that the VirtualService of the mesh makes.", "IST0140"),
    ("GW0408", "CLAIM_ROUTE_UNAUTHENTICATED", _W, "route by JWT claim without RequestAuthentication", "No claim is ever known at the gateway, so the match never holds.", "IST0149"),
    ("GW0409", "INTERNAL_GATEWAY", _W, "VirtualService bound to a generated Gateway", "The name belongs to istiod's translation of the Gateway API and may change; bind an HTTPRoute instead.", "IST0165"),
    ("GW0410", "SELECTOR_INEFFECTIVE", _W, "selector on the pods of a Gateway API Gateway", "The policy does not hold on waypoints; targetRefs names the Gateway itself.", "IST0166"),
    ("GW0411", "SIDECAR_INEFFECTIVE", _W, "Sidecar for workloads without sidecars", "Workloads in ambient mode have no sidecar that could be configured.", "IST0167"),
    ("GW0412", "SERVER_NOT_VERIFIED", _I, "TLS without CA certificates", "The server is checked against the system's authorities: handshakes fail where it has a private CA's certificate.", "IST0128"),
    ("GW0413", "SERVER_NOT_VERIFIED_ON_PORT", _I, "TLS on a port without CA certificates", "The server is checked against the system's authorities: handshakes fail where it has a private CA's certificate.", "IST0129"),
    ("GW0414", "PORT_PROTOCOL_UNKNOWN", _I, "port name without a protocol", "Sidecars detect the protocol; gateways speak HTTP/1.1 to the port, which breaks gRPC.", "IST0118"),
    ("GW0415", "PORT_PROTOCOLS_DIFFER", _W, "one port with several protocols", "Several Services select the pods and declare the port differently; which protocol the sidecar speaks is undefined.", "IST0116"),
    ("GW0416", "TARGET_PORT_CONFLICT", _W, "one target port behind different ports", "Several Services lead to the same container port by different numbers; inbound listeners follow only one.", "IST0137"),
    ("GW0417", "ADDRESSES_MISSING", _W, "TCP ServiceEntry without addresses", "Without a virtual address TCP can be told apart by port only: the entry captures the port for every destination.", "IST0134"),
    ("GW0418", "EXTERNAL_NAME_PORT", _W, "ExternalName Service with a TCP port name", "Unmatched TCP traffic of that port may not be forwarded as it should be.", "IST0150"),
    ("GW0419", "REGISTRY_UNKNOWN", _W, "network endpoint from an unknown registry", "Endpoints of that cluster are not given the network's gateway: cross-network requests go straight and fail.", "IST0126"),
    ("GW0420", "SERVICES_DIFFER", _W, "Service differs between clusters", "The clusters' Services are merged into one host; ports or kinds that differ lead to wrong endpoints.", "IST0170"),
    ("GW0421", "FILTER_RELATIVE", _W, "EnvoyFilter placed relative to another filter", "The patch applies only if the other filter is there already; without a priority that is not certain.", "IST0151"),
    ("GW0422", "FILTER_RELATIVE_TO_VERSION", _W, "EnvoyFilter relative to one for a proxy version", "During an upgrade the other patch does not apply, and this one with it.", "IST0155"),
    ("GW0423", "FILTER_REPLACE_IGNORED", _W, "REPLACE where Envoy configuration cannot be replaced", "The patch is ignored.", "IST0152"),
    ("GW0424", "FILTER_ADD_IGNORED", _W, "ADD where nothing can be added", "The patch is ignored.", "IST0153"),
    ("GW0425", "FILTER_REMOVE_IGNORED", _W, "REMOVE where nothing can be removed", "The patch is ignored.", "IST0154"),
    ("GW0426", "POLICY_SELECTS_NOTHING", _W, "policy selects no workload", "The policy is not in force anywhere.", "IST0127"),
    ("GW0427", "TELEMETRIES_CONFLICT", _W, "several Telemetries select a workload", "Only the oldest is used.", "IST0159"),
    ("GW0428", "TELEMETRIES_WITHOUT_SELECTOR", _W, "several Telemetries for a whole namespace", "Only the oldest is used.", "IST0160"),
    ("GW0429", "TELEMETRY_PROVIDER_MISSING", _W, "access logging without a provider", "The entry is ignored: nothing is logged.", "IST0157"),
    ("GW0430", "CRD_TOO_OLD", _W, "Gateway API CRD too old", "istiod does not watch the kind: its objects have no effect.", "IST0176"),
    ("GW0431", "CONDITION_FALSE", _W, "status reports a problem", "The controller says that the object is not in force as written.", "IST0171"),
    ("GW0432", "NAMESPACE_NOT_INJECTED", _I, "namespace without an injection label", "Its pods get no sidecar: no mutual TLS, no retries, no telemetry; endpoints in other networks cannot be reached.", "IST0102"),
    ("GW0433", "POD_WITHOUT_PROXY", _W, "pod without a sidecar in an injected namespace", "The pod is outside the mesh until it is created again.", "IST0103"),
    ("GW0434", "INJECTION_LABELS_CONFLICT", _W, "several injection labels on a namespace", "istio-injection wins over istio.io/rev, which may be another control plane than meant.", "IST0123"),
    ("GW0435", "INJECTED_BY_DEFAULT", _I, "namespace injected by default", "Istio was installed with enableNamespacesByDefault, so pods without any label get a sidecar.", "IST0148"),
    ("GW0436", "PROXY_IMAGE_DIFFERS", _W, "sidecars of another version", "The pods run another proxy than injection would give them now; they have not been restarted since an upgrade.", "IST0158"),
    ("GW0437", "IMAGE_AUTO_NOT_INJECTED", _W, "image: auto without injection", "No webhook puts the proxy's image in, so the pods never start: the gateway has no endpoints.", "IST0146"),
    ("GW0438", "IMAGE_AUTO_IN_POD", _W, "pod with image: auto", "The pod was not injected and cannot start.", "IST0147"),
    ("GW0439", "DEPRECATED", _W, "deprecated", "Still read, but a later Istio may drop it.", "IST0002"),
    ("GW0440", "ENTRY_PROTOCOLS_CONFLICT", _W, "ServiceEntries disagree about a port", "Only one of the protocols is used for the host and port.", "IST0177"),
    ("GW0441", "ANNOTATION_MISPLACED", _W, "annotation on the wrong kind of object", "It has no effect there.", "IST0107"),
    ("GW0442", "ANNOTATION_UNKNOWN", _W, "unknown Istio annotation", "Nothing reads it.", "IST0108"),
    ("GW0443", "ANNOTATION_INVALID", _W, "invalid annotation", "Injection refuses the pod or ignores the annotation.", "IST0125"),
    ("GW0444", "ANNOTATION_DEPRECATED", _I, "deprecated annotation", "A later Istio may not read it.", "IST0135"),
    ("GW0445", "ANNOTATION_ALPHA", _I, "annotation of an alpha feature", "It may change or go without notice. Only reported when selected.", "IST0136"),
    ("GW0446", "SIDECARS_CONFLICT", _W, "several Sidecars select a workload", "Which of them is used is undefined.", "IST0110"),
    ("GW0447", "SIDECARS_WITHOUT_SELECTOR", _W, "several Sidecars for a whole namespace", "Which of them is used is undefined.", "IST0111"),
    ("GW0448", "UID_RESERVED", _W, "application runs as the proxy's user", "Traffic of user 1337 is not captured, so the application bypasses its sidecar.", "IST0144"),
    ("GW0449", "WEBHOOK_INVALID", _W, "injection webhook cannot work", "Pods are injected twice, or not at all.", "IST0139"),
    ("GW0450", "EXTERNAL_CONTROL_PLANE", _W, "webhook without a usable address", "The API server cannot reach the external control plane.", "IST0163"),
    ("GW0451", "EXTERNAL_CONTROL_PLANE_BY_IP", _I, "webhook addressed by IP", "A changed address stops injection and validation.", "IST0164"),
    ("GW0452", "REGEX_INVALID", _W, "regular expression not valid in RE2", "Envoy refuses the route configuration: the proxy keeps its old routes.", "IST0122"),
    ("GW0453", "JWKS_FETCH_UNRESTRICTED", _W, "istiod fetches keys from anywhere", "Whoever may write a RequestAuthentication can make istiod call addresses inside the network.", "IST0175"),
    ("GW0454", "ROUTE_CACHE_CLEARED", _W, "filter may undo authorization by route", "A filter that clears the route cache lets a request take another route than the one that was authorized."),
    ("GW0455", "WAYPOINT_IGNORES_SELECTOR", _W, "workloadSelector on a DestinationRule of a waypoint", "The waypoint does not use the rule."),
    ("GW0461", "RETRIES_EXCEED_TIMEOUT", _W, "retries do not fit the timeout", "The route's timeout ends the request before the last tries begin, so they exist on paper only."),
    ("GW0462", "RETRIES_AMPLIFY", _W, "retries on overload at several tiers", "Each tier multiplies the tries of the one before: an overloaded backend gets many times its load, and stays down."),
    ("GW0463", "PORT_SETTINGS_REPLACE", _W, "port settings hide settings of the rule", "A port with settings of its own takes none of the rule's connection pool, outlier detection, load balancer or TLS."),
    ("GW0464", "HASH_ONLY_ON_PORT", _W, "consistent hash on a port no route names", "Envoy's route gets no hash policy, so requests are spread at random."),
    ("GW0465", "FAILOVER_WITHOUT_OUTLIERS", _W, "locality settings without outlier detection", "Locality load balancing works by outlier detection only: traffic neither fails over nor keeps to its zone."),
    ("GW0466", "PREFIX_WITHOUT_SLASH", _I, "prefix matches more than a path", "/foo as a prefix matches /foobar too."),
    ("GW0467", "PREFIX_SHADOWS", _W, "rule shadowed by another VirtualService", "Rules of the older VirtualService of a host come first, so requests meant for this rule go elsewhere."),
    ("GW0468", "PASSTHROUGH_ENTRY_ROUTED", _W, "gateway routes to a ServiceEntry without endpoints", "With resolution NONE there is no endpoint but the caller's own address: 503 UH at a gateway."),
    ("GW0469", "AUTHORIZATION_UNBOUNDED", _W, "external authorization without a timeout", "Requests wait up to 600 s while the authorization service is out of order."),
    ("GW0470", "DRAIN_TOO_SHORT", _W, "drain shorter than the longest timeout", "Requests still in flight are reset when a gateway pod is replaced."),
    ("GW0471", "POOL_TOO_SMALL", _W, "connection pool too small for the load", "Little's law: load times response time needs more requests in flight than the pool allows, so the rest is answered 503 UO."),
    ("GW0472", "EGRESS_TLS_WITHOUT_SNI", _W, "TLS to a gateway chosen by SNI, without an SNI", "The gateway has no filter chain for it: the connection is closed."),
    ("GW0473", "RULE_NOT_USED_AT_GATEWAY", _W, "DestinationRule hidden by another", "Only the rule of the nearest namespace and most specific host counts; the settings of the others are not merged."),
    # GW05xx: route tests
    ("GW0501", "CASE_FIELD", _E, "no such field in a case", "The name is not part of a route test, so what it was meant to ask for or to assert would be left out in silence."),
    ("GW0502", "CASE_VALUE", _E, "value not allowed in a case", "The route test cannot be trusted; its status is an error."),
    ("GW0503", "CASE_MISSING", _E, "field missing in a case", "The route test cannot be carried out without it."),
    # GW06xx: dumps of a real Envoy
    ("GW0601", "NOT_A_DUMP", _E, "no Envoy configuration in the file", "The file is JSON, but holds no listeners, routes, clusters or endpoints of an Envoy."),
)

CODES: dict[str, Code] = {row[0]: Code(*row) for row in _ROWS}
"""Every code of gwsim by its number."""

BY_NAME: dict[str, Code] = {code.name: code for code in CODES.values()}
"""The same rows by their symbolic name."""


def code(name: str) -> str:
    """The number of a code given by its symbolic name: `code("YAML_SYNTAX")` is "GW0001".

    Raises KeyError for a name not in the table.
    """
    return BY_NAME[name].code
