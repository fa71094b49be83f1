"""Route choice held against a real Envoy: every request is asked of both, and everything the client, the backend and the
access log can tell is compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gwsim.envoy.verify.client import REMOTE, Asking, Seen, ask
from gwsim.envoy.verify.instrument import CASE
from gwsim.envoy.verify.session import Session
from gwsim.topology import Decision, HttpConnectionManager, Listener, Outcome, Request, choose, filters
from gwsim.topology.dialling import dial
from gwsim.topology.exchange import Exchange, exchange, in_time, is_grpc
from gwsim.topology.routing import sni_of

GRPC_CODES = {
    "OK": 0, "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5, "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10, "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14, "DATA_LOSS": 15, "UNAUTHENTICATED": 16,
}  # fmt: skip
REJECTED = frozenset({Outcome.CONNECTION_REJECTED, Outcome.NO_LISTENER})
CHANCE = (filters.ExtProc, filters.Lua)
"""Filters that do what their own code says."""
ADDRESS = "198.51.100.1"
LONGEST_DELAY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request at a port of the proxy (the port it listens on)."""

    id: str
    port: int
    request: Request
    backend_delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """One thing that Envoy and route choice see differently."""

    question: Question
    what: str
    expected: str
    actual: str
    decision: Decision

    def __str__(self) -> str:
        one = self.question.request
        asked = f"{one.scheme} {one.method} {one.host}{one.path} at port {self.question.port}"
        return f"{self.question.id}: {asked}: {self.what}: gwsim says {self.expected}, Envoy {self.actual}"


@dataclass(slots=True)
class Tally:
    """How many questions were asked, and what came of them. `compared` counts single facts."""

    asked: int = 0
    compared: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    not_asked: dict[str, int] = field(default_factory=dict)
    disagreements: list[Disagreement] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Together with another."""
        self.asked += other.asked
        self.compared += other.compared
        self.disagreements += other.disagreements
        for mine, more in ((self.outcomes, other.outcomes), (self.not_asked, other.not_asked)):
            for name, count in more.items():
                mine[name] = mine.get(name, 0) + count


def verify(session: Session, questions: Iterable[Question]) -> Tally:
    """Ask every question of both, and compare."""
    tally = Tally()
    waiting: list[tuple[str, Question, Decision]] = []
    for number, question in enumerate(questions):
        decision = choose(session.proxy, question.port, question.request)
        if question.backend_delay_s:
            decision = in_time(decision, question.backend_delay_s)
        why = _cannot_ask(session, question, decision)
        if why:
            tally.not_asked[why] = tally.not_asked.get(why, 0) + 1
            continue
        case = f"{number}-{question.id}"[:200].replace(" ", "_")
        checked = _Check(session, question, decision, case)
        tally.asked += 1
        tally.outcomes[decision.outcome.value] = tally.outcomes.get(decision.outcome.value, 0) + 1
        checked.ask()
        tally.compared += checked.compared
        tally.disagreements += checked.found
        if checked.logged:
            waiting.append((case, question, decision))
    _logs(session, waiting, tally)
    return tally


def _cannot_ask(session: Session, question: Question, decision: Decision) -> str:
    """Why a question is left out; empty: it is not."""
    if decision.outcome is Outcome.NO_LISTENER:
        return "nothing listens there"
    if decision.outcome in (Outcome.PASSTHROUGH, Outcome.BLACKHOLE):
        return "destinations outside the configuration"
    if any(isinstance(one.config, CHANCE) for one in decision.filters):
        return "a filter that runs foreign code"
    if question.request.http_version == "3":
        return "HTTP/3"
    if question.backend_delay_s > LONGEST_DELAY_S:
        return f"backends slower than {LONGEST_DELAY_S:g} s"
    dialled = dial(session.proxy, question.port, question.request)
    if dialled is None or session.placed.port_of(dialled.listener) is None:
        return "a listener that this machine cannot have"
    return ""


def _logs(session: Session, waiting: list[tuple[str, Question, Decision]], tally: Tally) -> None:
    """The route and the flags, from the access log."""
    if not waiting:
        return
    log = session.log({case for case, _, _ in waiting})
    for case, question, decision in waiting:
        entry = log.get(case)
        if entry is None:
            tally.disagreements.append(Disagreement(question=question, what="access log", expected="an entry", actual="none", decision=decision))
            continue
        route = session.told.routes.get(str(entry.get("route") or ""))
        tally.compared += 1
        if decision.rule is not None and route is not decision.rule:
            expected = session.told.name_of(decision.rule) or decision.rule.name
            tally.disagreements.append(Disagreement(question=question, what="route", expected=expected, actual=str(entry.get("route")), decision=decision))
        flags = {one for one in str(entry.get("flags") or "-").split(",") if one != "-"}
        expected_flags = set(decision.flags)
        if question.request.scheme != "tcp" and flags - {"DI", "URX"} != expected_flags - {"DI", "URX"}:
            tally.disagreements.append(
                Disagreement(question=question, what="response flags", expected=str(sorted(expected_flags)), actual=str(sorted(flags)), decision=decision)
            )


class _Check:
    """One question, asked and compared."""

    def __init__(self, session: Session, question: Question, decision: Decision, case: str) -> None:
        self.session, self.question, self.decision, self.case = session, question, decision, case
        self.request = question.request
        self.expected: Exchange = exchange(decision, self.request)
        self.compared = 0
        self.found: list[Disagreement] = []
        self.logged = False

    def ask(self) -> None:
        """Send it and compare what comes back."""
        dialled = dial(self.session.proxy, self.question.port, self.request)
        assert dialled is not None
        port = self.session.placed.port_of(dialled.listener)
        assert port is not None
        asking = self._asking(dialled.listener, dialled.address or ADDRESS, dialled.port)
        seen = ask(port, asking, timeout_s=self.question.backend_delay_s + 15.0)
        http = self._speaks_http(dialled.listener)
        if not http:
            self._connection(seen)
        else:
            self._answer(seen)
            self.logged = not seen.rejected and CASE not in {name.lower() for name in self.request.headers}

    def _speaks_http(self, listener: Listener) -> bool:
        if self.decision.outcome in REJECTED or self.request.scheme in ("tcp", "tls"):
            return False
        chains = [*listener.filter_chains, *([listener.default_chain] if listener.default_chain is not None else [])]
        chain = next((one for one in chains if one.name == self.decision.filter_chain), None)
        return chain is not None and isinstance(chain.filter, HttpConnectionManager)

    def _asking(self, listener: Listener, address: str, port: int) -> Asking:
        request = self.request
        grpc = is_grpc(request)
        headers = {name: str(value) for name, value in request.headers.items()}
        lower = {name.lower() for name in headers}
        if grpc and "content-type" not in lower:
            headers["content-type"] = "application/grpc"
        own = {CASE: self.case, "x-gwsim-echo": "1"}
        if self.question.backend_delay_s:
            own["x-gwsim-delay"] = f"{self.question.backend_delay_s:g}"
        answers = "&".join(f"{name}=from-backend" for name in self.expected.removed_response_headers)
        if answers:
            own["x-gwsim-answer"] = answers
        token = self._token(listener)
        if token:
            own[token[0]] = token[1]
        version = request.http_version
        return Asking(
            method="POST" if grpc and request.method == "GET" else request.method, host=request.host or "", path=request.path or "/",
            headers=(*headers.items(), *own.items()), http=2 if grpc or version == "2" else 1,
            version="1.0" if version == "1.0" else "1.1", tls=request.encrypted, sni=sni_of(request), alpn=request.alpn,
            certificate=self._certificate(), remote=request.remote_ip or REMOTE, destination=(address, port), raw=request.scheme == "tcp",
        )  # fmt: skip

    def _certificate(self) -> Any:
        if not self.request.encrypted or self.request.client_certificate is False:
            return None
        uri = f"spiffe://{self.request.principal}" if self.request.principal else ""
        return self.session.authority.issue("client", kind="p256", hosts=() if uri else ("client",), uri=uri)

    def _token(self, listener: Listener) -> tuple[str, str] | None:
        """The header that carries the token a request is said to have."""
        request = self.request
        if request.claims is None and not request.token_rejected:
            return None
        providers = [
            one
            for chain in listener.filter_chains
            if isinstance(chain.filter, HttpConnectionManager)
            for each in chain.filter.http_filters
            if isinstance(each.config, filters.JwtAuthn)
            for one in each.config.providers
        ]
        provider = providers[0] if providers else None
        place = next((one for one in provider.locations if one.kind == "header"), None) if provider is not None else None
        name, prefix = (place.name, place.prefix) if place is not None else ("authorization", "Bearer ")
        if request.token_rejected:
            return name, f"{prefix}not.a.token"
        claims = dict(request.claims or {})
        if provider is not None:
            claims.setdefault("iss", provider.issuer)
            if provider.audiences and claims["iss"] == provider.issuer:
                claims.setdefault("aud", provider.audiences[0])
        return name, prefix + self.session.signer.token(claims)

    # --- comparing ---

    def _same(self, what: str, expected: Any, actual: Any) -> bool:
        self.compared += 1
        if expected != actual:
            self.found.append(
                Disagreement(question=self.question, what=what, expected=str(expected), actual=str(actual), decision=self.decision)
            )
        return bool(expected == actual)

    def _connection(self, seen: Seen) -> None:
        """Of a connection that carries no HTTP of the gateway's: whether it stands, and where it ends."""
        stands = self.decision.outcome is Outcome.FORWARD
        # Bytes that are no HTTP are answered 400, and the connection ends.
        answered = not seen.rejected and not (self.request.scheme == "tcp" and seen.status == 400)
        if self.request.scheme == "tcp" and stands:
            return
        if self._same("connection", "stands" if stands else "rejected", "stands" if answered else f"rejected ({seen.rejected})" if stands else "rejected") and stands:
            self._destination(seen)

    def _answer(self, seen: Seen) -> None:
        decision = self.decision
        if seen.rejected:
            self._same("answer", f"status {decision.status}", f"rejected ({seen.rejected})")
            return
        local = decision.outcome is not Outcome.FORWARD
        if is_grpc(self.request) and local and decision.outcome is not Outcome.REDIRECT:
            self._same("gRPC status", str(GRPC_CODES.get(self.expected.grpc_status, 2)), seen.header("grpc-status"))
        else:
            self._same("status", decision.status, seen.status)
        backend = seen.header("x-gwsim-backend")
        if decision.outcome is Outcome.FORWARD and self._same("reaches a backend", True, backend is not None):
            self._destination(seen)
            self._arrived(seen)
        elif local:
            self._same("reaches a backend", decision.outcome is Outcome.TIMEOUT and backend is not None, backend is not None)
        if decision.redirect is not None:
            self._same("location", str(decision.redirect), seen.header("location"))
        if decision.outcome is Outcome.DIRECT_RESPONSE and self.request.method != "HEAD" and not is_grpc(self.request):
            self._same("body", decision.body, seen.body.decode("utf-8", "replace"))
        if seen.status == decision.status:
            self._headers(seen)

    def _headers(self, seen: Seen) -> None:
        for name, value in self.expected.response_headers.items():
            if "%" not in value:
                self._same(f"response header {name}", value, seen.header(name))
        for name in self.expected.removed_response_headers:
            if name not in self.expected.response_headers and not name.startswith("x-gwsim"):
                self._same(f"response header {name}", None, seen.header(name))

    def _destination(self, seen: Seen) -> None:
        cluster = self.session.endpoints.get(seen.header("x-gwsim-backend") or "", "")
        possible = {one.cluster for one in self.decision.clusters if one.weight > 0 and not one.missing}
        self._same("destination", True, cluster in possible)

    def _arrived(self, seen: Seen) -> None:
        """The request as the backend saw it. With several destinations, their own changes depend on which it was."""
        try:
            told: Mapping[str, Any] = json.loads(seen.body)
        except ValueError:
            return
        several = len([one for one in self.decision.clusters if one.weight > 0]) > 1
        arrived: dict[str, list[str]] = {}
        for name, value in told["headers"]:
            arrived.setdefault(name, []).append(value)
        rewrite = self.decision.rewrite
        path = rewrite.path if rewrite is not None and rewrite.path is not None else None
        if path is not None:
            self._same("path at the backend", path, told["path"])
        if several:
            return
        for name, value in self.expected.request_headers.items():
            if "%" not in value and name not in ("connection", "te", "upgrade", "keep-alive", "transfer-encoding"):
                self._same(f"request header {name}", value.replace(", ", ","), ",".join(arrived.get(name, [])).replace(", ", ",") if name in arrived else None)
        for name in self.expected.removed_request_headers:
            if name not in self.expected.request_headers:
                self._same(f"request header {name}", None, ",".join(arrived[name]) if name in arrived else None)


__all__ = ["Disagreement", "Question", "Tally", "verify"]
