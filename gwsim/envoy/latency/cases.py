"""What is run: four kinds of traffic at four loads each."""

from __future__ import annotations

from dataclasses import dataclass

from gwsim.envoy.calibrate.subjects import BASE, SUBJECTS, Subject, filter_subject

LOADS = (0.25, 0.45, 0.6, 0.75)
"""Utilisations aimed at; the generator's own limit may keep a case below."""
BEFORE_LOAD = 0.4
"""A run at this load comes first and gives the time outside the gateway, which a calibration does not; it is not scored."""
MOST_RPS = {"kept": 20000.0, "new": 1500.0}
"""What the generator can send, on kept connections and with a handshake each, which costs it nearly what it costs the gateway."""
LUA = """
function envoy_on_request(handle)
  local x = 0
  for i = 1, 400000 do x = (x * 3 + i) % 1000003 end
  handle:headers():replace("x-burnt", tostring(x))
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of traffic: a listener of the bench, whether connections are kept, the certificate."""

    name: str
    title: str
    subject: str
    certificate: str = ""
    kept: bool = True


LUA_SUBJECT: Subject = filter_subject(
    "lua", "a Lua filter that computes",
    [{"name": "envoy.filters.http.lua", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", "default_source_code": {"inline_string": LUA},
    }}], "lua",
)  # fmt: skip
CASES = (
    Case(name="plain", title="HTTP/1.1, connections kept", subject=BASE),
    Case(name="rsa2048", title="TLS 1.3 handshake for every request, RSA-2048", subject="rsa2048", certificate="rsa2048", kept=False),
    Case(name="p256", title="TLS 1.3 handshake for every request, P-256", subject="p256", certificate="p256", kept=False),
    Case(name="lua", title="a Lua filter that computes", subject="lua"),
)
BENCH_SUBJECTS = (*SUBJECTS, LUA_SUBJECT)

__all__ = ["BEFORE_LOAD", "BENCH_SUBJECTS", "CASES", "LOADS", "LUA_SUBJECT", "MOST_RPS", "Case"]
