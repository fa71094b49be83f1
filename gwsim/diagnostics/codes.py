"""The one table of finding codes. Other packages add their rows here and nowhere else.

Ranges: GW00xx syntax and schema, GW01xx Istio semantics and topology, GW02xx scenario, GW03xx modelling,
GW05xx route tests (GW04xx: lint).
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


_E, _W, _I = Level.ERROR, Level.WARNING, Level.INFO

_ROWS: tuple[tuple[str, str, Level, str, str], ...] = (
    # GW00xx: syntax and schema
    ("GW0001", "YAML_SYNTAX", _E, "not valid YAML or JSON", "The file cannot be parsed from here on; nothing after this place in it was read."),
    ("GW0002", "FILE_MISSING", _E, "file cannot be read", "The path does not exist, is not readable, or is not text."),
    ("GW0003", "EMPTY_INPUT", _W, "no object in the input", "Nothing that gwsim reads was found in the files given."),
    ("GW0004", "DUPLICATE_KEY", _E, "key given twice", "YAML forbids a key twice in one mapping; which of the two counts depends on the parser."),
    ("GW0005", "NOT_AN_OBJECT", _E, "document is not a Kubernetes object", "A document needs apiVersion, kind and metadata.name."),
    ("GW0006", "KIND_NOT_READ", _I, "kind not read", "Objects of this kind have no influence on gwsim's model, so they are left out."),
    ("GW0007", "UNKNOWN_KIND", _E, "no such kind or version", "The API group is known, but has no such kind or version; the API server would refuse the object."),
    ("GW0008", "UNKNOWN_FIELD", _W, "unknown field", "Not in the Istio 1.30 schema known here. Istio would prune it or refuse it; gwsim ignores it."),
    ("GW0009", "MISSPELT_FIELD", _E, "field resembles a known one", "Almost certainly a misspelling, so the setting meant would not be in force."),
    ("GW0010", "WRONG_TYPE", _E, "value of the wrong type", "The API server would refuse the object."),
    ("GW0011", "BAD_VALUE", _E, "value not allowed", "The API server or Istio's validation would refuse the object."),
    ("GW0012", "MISSING_FIELD", _E, "required field missing", "The API server or Istio's validation would refuse the object."),
    ("GW0013", "DUPLICATE_OBJECT", _E, "object defined twice", "Two objects have the same kind, namespace and name; which one counts would depend on the order of applying them."),
    ("GW0014", "TOO_LARGE", _E, "document too large or too deep", "Aliases expand to more nodes than any real configuration has, or refer to themselves."),
    ("GW0015", "FIELD_CONFLICT", _E, "fields exclude each other", "Istio's validation would refuse the object."),
    ("GW0016", "FIELD_WARNING", _W, "accepted, but probably not what is meant", "Istio accepts the object with a warning or ignores the field."),
    # GW01xx: Istio semantics and topology
    ("GW0101", "GATEWAY_MISSING", _W, "VirtualService names a missing Gateway", "Its routes exist nowhere: requests are answered 404 NR. Declare Gateways kept elsewhere with assume_exists. Same as IST0101."),
    ("GW0102", "SELECTOR_MATCHES_NOTHING", _W, "Gateway selector matches no workload", "No proxy opens the listener: connections are refused. Same as IST0101."),
    ("GW0103", "DESTINATION_HOST_UNKNOWN", _W, "destination host unknown", "There is no such cluster: requests are answered 503 NC. Same as IST0101."),
    ("GW0104", "DESTINATION_PORT_UNKNOWN", _W, "destination port not on the service", "There is no such cluster: requests are answered 503 NC. Same as IST0101."),
    ("GW0105", "SUBSET_UNKNOWN", _W, "subset not in any DestinationRule of the host", "There is no such cluster: requests are answered 503 NC. Same as IST0101."),
    ("GW0106", "PORT_NOT_EXPOSED", _W, "gateway port not exposed by the Service", "The port cannot be reached through the Service. Same as IST0162."),
    ("GW0107", "NO_HOST_MATCHES", _W, "no VirtualService host matches the Gateway's hosts", "The VirtualService adds no virtual host: requests are answered 404 NR. Same as IST0132."),
    ("GW0108", "PORT_AMBIGUOUS", _W, "multi-port service without a destination port", "Istio falls back to the Gateway's port number, usually a cluster that does not exist: 503 NC. Same as IST0112."),
    ("GW0109", "RULE_UNREACHABLE", _W, "rule unreachable after a catch-all", "An earlier rule matches every request, so this one is never used. Same as IST0130."),
    ("GW0110", "CREDENTIAL_MISSING", _W, "credential Secret missing", "The filter chain has no certificate: TLS handshakes fail. Same as IST0101."),
    ("GW0111", "SERVER_DROPPED", _W, "server dropped when gateways were merged", "Another server on the port is in the way, so istiod leaves this one out. Same as IST0145."),
    ("GW0112", "RULE_HOST_UNKNOWN", _W, "DestinationRule host matches no service", "The policy is unused and Istio's defaults apply. Same as IST0174."),
    ("GW0113", "SUBSET_EMPTY", _W, "subset selects no pods", "The cluster has no endpoints: requests are answered 503 UH. Same as IST0173."),
    ("GW0114", "L4_ROUTE_MISSING", _W, "TCP or TLS server without a route", "The server gets no filter chain: connections are refused or closed."),
    ("GW0115", "NO_TIMEOUT", _I, "route without any timeout", "Istio's default is none: requests wait as long as the backend takes, and pools fill up."),
    ("GW0116", "DELEGATE_MISSING", _W, "delegate cannot be used", "The rule disappears; the other rules of the VirtualService stay."),
    ("GW0117", "DELEGATE_CONFLICT", _W, "delegate's match is not within the root's", "This rule of the delegate disappears."),
    ("GW0125", "PODS_PENDING", _W, "pods that find no place", "Required anti-affinity keeps pods apart, and there are fewer nodes or zones than pods: the rest stays pending and serves nothing."),
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
    ("GW0303", "CPU_LIMIT_BELOW_WORKERS", _W, "CPU limit below the number of workers", "The kernel would throttle the workers by CFS period; that is not modelled yet, so answers are optimistic."),
    # GW05xx: route tests
    ("GW0501", "CASE_FIELD", _E, "no such field in a case", "The name is not part of a route test, so what it was meant to ask for or to assert would be left out in silence."),
    ("GW0502", "CASE_VALUE", _E, "value not allowed in a case", "The route test cannot be trusted; its status is an error."),
    ("GW0503", "CASE_MISSING", _E, "field missing in a case", "The route test cannot be carried out without it."),
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
