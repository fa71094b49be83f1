"""Sampled requests with their names: what the access log and the spans tell of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from gwsim.engine.codes import Flag
from gwsim.engine.schema import ANSWER_RESET, ANSWER_UPSTREAM, RECORD_FIELDS
from gwsim.report.emit import Wanted
from gwsim.report.emit.streams import flag_text
from gwsim.results.results import Results
from gwsim.scenario.resolved import ClassLabel

DETAILS: Mapping[Flag, str] = {
    Flag.DC: "downstream_remote_disconnect", Flag.UT: "response_timeout", Flag.UO: "upstream_reset_before_response_started{overflow}",
    Flag.UH: "no_healthy_upstream", Flag.UF: "upstream_reset_before_response_started{connection_failure}",
    Flag.UC: "upstream_reset_before_response_started{connection_termination}", Flag.NC: "cluster_not_found", Flag.NR: "route_not_found",
    Flag.SI: "stream_idle_timeout", Flag.RL: "request_rate_limited", Flag.RLSE: "rate_limiter_error", Flag.UAEX: "ext_authz_denied", Flag.FI: "fault_filter_abort",
}
"""Response code details by flag. Source: envoy/stream_info/stream_info.h."""
CUT = Flag.SI | Flag.UT | Flag.UC
OPENED = {"websocket": 101, "grpc": 200}
"""With what long streams are opened; one that the gateway resets keeps it."""
OUTCOMES: Mapping[str, str] = {"redirect": "direct_response", "direct_response": "direct_response", "denied": "rbac_access_denied_matched_policy[none]"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A request as the gateway saw it. Times in ns from the start of the run; `station` is empty where none was reached."""

    values: Mapping[str, int]
    label: ClassLabel
    cluster: str
    host: str
    station: str
    address: str
    pod: str
    request_id: str

    @property
    def flags(self) -> str:
        """Response flags as Envoy prints them: in the order of their setting, so the failed attempt first where it is the only one."""
        text = flag_text(self.values["flags"])
        return text.replace("URX,UF", "UF,URX") if self.label.tcp else text

    @property
    def details(self) -> str:
        """Why the answer is what it is, in Envoy's words."""
        if self.values["answer"] == ANSWER_UPSTREAM:
            return "via_upstream"
        flags = Flag(self.values["flags"])
        known = next((text for flag, text in DETAILS.items() if flags & flag), None)
        return known or OUTCOMES.get(self.label.outcome, "-")


def sampled(results: Results, wanted: Wanted) -> list[Sampled]:
    """The uniform sample of a replication, those that reached a gateway, by the time they did."""
    raw, labels = results.raws[wanted.replication], results.labels
    pods = list(dict.fromkeys(worker.pod for worker in labels.workers))
    made = []
    for record in raw.samples.tolist():
        values = dict(zip(RECORD_FIELDS, record, strict=True))
        label = labels.classes[values["class_id"]]
        if label.stream and values["answer"] == ANSWER_RESET and values["flags"] & CUT:
            values["status"] = OPENED[label.stream]  # the client got that long before, and logs have it
        if values["gw_start_ns"] < 0 or values["gw_end_ns"] < 0:
            continue
        cluster = labels.clusters[values["cluster"]] if values["cluster"] >= 0 else None
        station = labels.stations[values["station"]] if values["station"] >= 0 else None
        made.append(Sampled(
            values=values, label=label, cluster=cluster.name if cluster else "", host=cluster.host if cluster else "",
            station=station.name if station else "", address=station.address if station else "",
            pod=pods[values["pod"]] if 0 <= values["pod"] < len(pods) else "",
            request_id=identity(f"{labels.seed}/{wanted.replication}/{values['source']}/{values['number']}/{values['client_attempts']}"),
        ))
    return sorted(made, key=lambda one: (one.values["gw_start_ns"], one.values["source"], one.values["number"]))


def identity(text: str) -> str:
    """32 hexadecimal digits that are always the same for the same text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


__all__ = ["Sampled", "identity", "sampled"]
