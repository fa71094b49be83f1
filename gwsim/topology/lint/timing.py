"""Durations and retries as rules read them from the YAML."""

from __future__ import annotations

from typing import Any

from gwsim.resources.raw import mapping, number, text
from gwsim.units import parse_go_duration_s

_OVERLOAD = frozenset({"5xx", "gateway-error", "retriable-status-codes", "500", "502", "503", "504", "unavailable", "resource-exhausted"})


def seconds(value: Any) -> float | None:
    """A Go duration in seconds; None where there is none, or none that can be read."""
    try:
        return parse_go_duration_s(text(value)) if text(value) else None
    except ValueError:
        return None


def tries(rule: dict[str, Any]) -> int:
    """How often a request of the rule is tried at most, by its own `retries`; 1 where it has none."""
    retries = mapping(rule.get("retries"))
    return 1 + number(retries.get("attempts")) if retries else 1


def retries_overload(rule: dict[str, Any]) -> bool:
    """Whether the rule's `retryOn` repeats answers that an overloaded backend gives."""
    words = text(mapping(rule.get("retries")).get("retryOn")).lower().split(",")
    return any(word.strip() in _OVERLOAD for word in words)


__all__ = ["retries_overload", "seconds", "tries"]
