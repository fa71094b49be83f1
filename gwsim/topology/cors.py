"""Cross-origin requests: which preflights the proxy answers by itself, and what it adds to answers.

Source: envoyproxy/envoy source/extensions/filters/http/cors/cors_filter.cc.
"""

from __future__ import annotations

from collections.abc import Callable

from gwsim.topology.matching import text_test
from gwsim.topology.routes import Cors

Lookup = Callable[[str], str | None]


def allowed(cors: Cors, origin: str) -> bool:
    """Whether a page of that origin may read the answer."""
    return any(test("*") or test(origin) for test in map(text_test, cors.allow_origins))


def answers_preflight(cors: Cors, method: str, header: Lookup) -> bool:
    """Whether the request is a preflight that goes no further than the proxy."""
    origin = header("origin")
    if method != "OPTIONS" or not origin or not header("access-control-request-method"):
        return False
    return not cors.forward_unmatched_preflights or allowed(cors, origin)


def preflight_headers(cors: Cors, header: Lookup) -> dict[str, str]:
    """The headers of the proxy's answer to a preflight. A lone `*` is answered with what was asked for."""
    origin = header("origin") or ""
    made: dict[str, str] = {}
    if allowed(cors, origin):
        made["access-control-allow-origin"] = origin
        if cors.expose_headers:
            made["access-control-expose-headers"] = ",".join(cors.expose_headers)
    if cors.allow_credentials:
        made["access-control-allow-credentials"] = "true"
    for name, asked, listed in (
        ("access-control-allow-methods", "access-control-request-method", cors.allow_methods),
        ("access-control-allow-headers", "access-control-request-headers", cors.allow_headers),
    ):
        text = ",".join(listed)
        value = header(asked) or "" if text == "*" else text
        if value:
            made[name] = value
    if cors.max_age_s is not None:
        made["access-control-max-age"] = str(int(cors.max_age_s))
    return made


def answer_headers(cors: Cors, header: Lookup) -> dict[str, str]:
    """What is set on an answer that comes from behind the proxy."""
    origin = header("origin")
    if not origin or not allowed(cors, origin):
        return {}
    made = {"access-control-allow-origin": origin}
    if cors.allow_credentials:
        made["access-control-allow-credentials"] = "true"
    if cors.expose_headers:
        made["access-control-expose-headers"] = ",".join(cors.expose_headers)
    return made
