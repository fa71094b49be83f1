"""Expected against actual: a list of differences, empty when the case passes.

Weights agree within half a percent point, destinations with weight 0 count as absent, the port of a redirect may be
the scheme's default or absent. `reason` and `envoy` are for reading and are not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gwsim.units import parse_duration_s

WEIGHT_TOLERANCE = 0.5
ANY = float("inf")
"""Share of a destination whose weight is not asserted."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NOT_COMPARED = frozenset({"reason", "envoy"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as expected; `path` is below the case (`expect.status`)."""

    path: str
    expected: Any
    actual: Any


def compare(expect: Mapping[str, Any], actual: Mapping[str, Any], only: tuple[str, ...] | None = None) -> list[Difference]:
    """What differs, in the order of the expectation; `only` limits it to some paths."""
    found: list[Difference] = []
    for name, wanted in expect.items():
        if name in _NOT_COMPARED:
            continue
        test, have = _TESTS.get(name, _equal), actual.get(name)
        if name in ("backends", "mirrors") and only is not None:
            wanted, have = _narrowed(wanted, name, only), _narrowed(have, name, only)
        for one in test(f"expect.{name}", wanted, have, actual):
            if only is None or _asserted(one.path, only):
                found.append(one)
    return found


def _narrowed(entries: Any, name: str, only: tuple[str, ...]) -> Any:
    """Destinations with nothing but the fields that are asserted (`backends[].host`); all where the whole list is."""
    plain = [one.replace("[]", "").removeprefix("expect.") for one in only]
    fields = {one.removeprefix(f"{name}.") for one in plain if one.startswith(f"{name}.")}
    if name in plain or not fields or not isinstance(entries, list):
        return entries
    return [{key: value for key, value in one.items() if key in fields} if isinstance(one, dict) else one for one in entries]


def _asserted(path: str, only: tuple[str, ...]) -> bool:
    """Whether a path, or the part it is in, is among those to compare (`expect.` may be left out; `[]` is any entry)."""
    plain = path.replace("[]", "").removeprefix("expect.")
    wanted = [one.replace("[]", "").removeprefix("expect.") for one in only]
    return any(plain == one or plain.startswith(f"{one}.") or one.startswith(f"{plain}.") for one in wanted)


def _equal(path: str, wanted: Any, have: Any, _: Mapping[str, Any]) -> list[Difference]:
    return [] if wanted == have else [Difference(path, wanted, have)]


def _text(path: str, wanted: Any, have: Any, _: Mapping[str, Any]) -> list[Difference]:
    """Texts that may be written in upper or lower case."""
    return [] if str(wanted).upper() == str(have).upper() else [Difference(path, wanted, have)]


def _duration(path: str, wanted: Any, have: Any, _: Mapping[str, Any]) -> list[Difference]:
    try:
        same = have is not None and abs(parse_duration_s(wanted) - parse_duration_s(have)) < 1e-9
    except (ValueError, TypeError):
        same = wanted == have
    return [] if same else [Difference(path, wanted, have)]


def _tls(path: str, wanted: Any, have: Any, actual: Mapping[str, Any]) -> list[Difference]:
    if isinstance(wanted, bool):
        return [] if wanted == bool(have) else [Difference(path, wanted, bool(have))]
    mode = actual.get("upstream_tls_mode", have if have else "DISABLE")
    return [] if str(wanted).upper() == str(mode).upper() else [Difference(path, wanted, mode)]


def _shares(entries: Any, amount: str) -> dict[tuple[Any, ...], float]:
    shares: dict[tuple[Any, ...], float] = {}
    for one in entries or ():
        # Without a weight any will do; a mirror without one gets everything.
        share = float(one.get(amount, 100.0 if amount == "percent" or len(entries) == 1 else ANY))
        if share > 0:
            key = (one.get("host"), one.get("port"), one.get("subset") or None)
            shares[key] = shares.get(key, 0.0) + share
    return shares


def _destinations(amount: str) -> Callable[[str, Any, Any, Mapping[str, Any]], list[Difference]]:
    def test(path: str, wanted: Any, have: Any, _: Mapping[str, Any]) -> list[Difference]:
        try:
            expected, found = _shares(wanted, amount), _shares(have, amount)
        except (AttributeError, TypeError, ValueError):
            return [Difference(path, wanted, have)]
        known = {key: _named_like(key, expected) for key in found}
        matched = {known[key]: share for key, share in found.items()}
        if matched.keys() != expected.keys():
            return [Difference(path, wanted, have)]
        if any(share != ANY and abs(matched[key] - share) > WEIGHT_TOLERANCE for key, share in expected.items()):
            return [Difference(f"{path}[].{amount}", wanted, have)]
        return []

    return test


def _named_like(key: tuple[Any, ...], expected: Mapping[tuple[Any, ...], float]) -> tuple[Any, ...]:
    """The expected destination that this one is; an expectation without a port takes any."""
    if key in expected:
        return key
    return next((one for one in expected if one[1] is None and (one[0], one[2]) == (key[0], key[2])), key)


def _redirect(path: str, wanted: Any, have: Any, actual: Mapping[str, Any]) -> list[Difference]:
    if not isinstance(have, Mapping):
        return [Difference(path, wanted, actual.get("outcome"))]
    if "location" in wanted:
        one, other = wanted["location"], have["location"]
        return [] if one == other else [Difference(f"{path}.location", one, other)]
    default = _DEFAULT_PORTS.get(str(have.get("scheme")))
    found: list[Difference] = []
    for name, value in ({"port": None} | dict(wanted)).items():
        one = None if name == "port" and value == default else value
        other = have.get(name)
        other = None if name == "port" and other == default else other
        if one != other:
            found.append(Difference(f"{path}.{name}", value, have.get(name)))
    return found


def _rewrite(path: str, wanted: Any, have: Any, _: Mapping[str, Any]) -> list[Difference]:
    have = have or {}
    return [Difference(f"{path}.{k}", v, have.get(k)) for k, v in wanted.items() if v != have.get(k)]


def _headers(path: str, wanted: Any, have: Any, _: Mapping[str, Any]) -> list[Difference]:
    have = {name.lower(): value for name, value in (have or {}).items()}
    found: list[Difference] = []
    for name, value in wanted.items():
        expected = ",".join(str(one) for one in value) if isinstance(value, list) else str(value)
        other = have.get(str(name).lower())
        if other is None or _spaceless(other) != _spaceless(expected):
            found.append(Difference(f"{path}.{name}", value, other))
    return found


def _spaceless(value: str) -> str:
    return ",".join(part.strip() for part in value.split(","))


def _absent(side: str) -> Callable[[str, Any, Any, Mapping[str, Any]], list[Difference]]:
    def test(path: str, wanted: Any, _: Any, actual: Mapping[str, Any]) -> list[Difference]:
        have = {name.lower() for name in actual.get(side) or {}}
        names = [str(name).lower() for name in wanted]
        return [Difference(f"{path}.{name}", "absent", actual[side].get(name)) for name in names if name in have]

    return test


_TESTS: dict[str, Callable[[str, Any, Any, Mapping[str, Any]], list[Difference]]] = {
    "grpc_status": _text,
    "backends": _destinations("weight"),
    "mirrors": _destinations("percent"),
    "redirect": _redirect,
    "rewrite": _rewrite,
    "request_headers": _headers,
    "response_headers": _headers,
    "absent_request_headers": _absent("request_headers"),
    "absent_response_headers": _absent("response_headers"),
    "timeout": _duration,
    "fault_delay": _duration,
    "upstream_tls": _tls,
}
