"""Which matches of a VirtualService's rules can never be reached, because an earlier one takes their requests.

Source: istio/istio pkg/config/validation/validation.go `analyzeUnreachableHTTPRules`. Where istioctl takes a missing
method for GET, this takes it for what Envoy does: any method.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gwsim.resources.raw import RawObject, mapping, mappings, text

_SAME = ("port", "gateways", "sourceLabels", "sourceNamespace", "scheme", "authority", "withoutHeaders", "sourceSubnet")


@dataclass(frozen=True, slots=True)
class Blocked:
    """A match (or a whole rule, `whole`) that another one, at path `by`, leaves nothing to."""

    path: str
    by: str
    reason: str
    whole: bool


def blocked(service: RawObject) -> Iterator[Blocked]:
    """All of a VirtualService's rules and matches that are never used."""
    for block in ("http", "tcp", "tls"):
        yield from _block(block, mappings(service.spec.get(block)))


def _block(block: str, rules: list[dict[str, Any]]) -> Iterator[Blocked]:
    catch_all = ""
    seen: dict[str, str] = {}
    prefixes: list[tuple[int, str, dict[str, Any]]] = []
    for at, rule in enumerate(rules):
        path = f"{block}[{at}]"
        found = mappings(rule.get("match"))
        if catch_all:
            yield Blocked(path, catch_all, f"{catch_all} has no match and takes every request", True)
            continue
        if not found:
            catch_all = path
            continue
        duplicates = []
        for place, match in enumerate(found):
            key = json.dumps({name: value for name, value in match.items() if name != "name"}, sort_keys=True)
            here = f"{path}.match[{place}]"
            if key in seen:
                duplicates.append(Blocked(here, seen[key], f"{seen[key]} has the same conditions", False))
                continue
            seen[key] = here
            if block == "http":
                yield from _covered(prefixes, at, here, match)
                prefixes.append((at, here, match))
        yield from duplicates
        if len(duplicates) == len(found):
            yield Blocked(path, duplicates[0].by, "all its matches are used by earlier rules", True)


def _covered(before: list[tuple[int, str, dict[str, Any]]], at: int, path: str, match: dict[str, Any]) -> Iterator[Blocked]:
    for rule, other_path, other in before:
        if covers(other, match, same_rule=rule == at):
            shown = text(mapping(other.get("uri")).get("prefix"))
            yield Blocked(path, other_path, f"{other_path} with prefix {shown} takes its requests first", False)
            return


def covers(first: dict[str, Any], later: dict[str, Any], *, same_rule: bool) -> bool:
    """Whether `first` has a prefix, shorter than the other's path, and takes every request that `later` is for."""
    uri, other = mapping(first.get("uri")), mapping(later.get("uri"))
    prefix = text(uri.get("prefix"))
    wanted = text(other.get("prefix")) or ("" if same_rule else text(other.get("exact")))
    if not prefix or not wanted.startswith(prefix) or text(other.get("prefix")) == prefix:
        return False
    if bool(first.get("ignoreUriCase")) != bool(later.get("ignoreUriCase")):
        return False
    if any(first.get(name) and first.get(name) != later.get(name) for name in _SAME):
        return False
    if first.get("method") and not _implies(first.get("method"), later.get("method")):
        return False
    return all(
        _implies(condition, mapping(later.get(field)).get(name))
        for field in ("headers", "queryParams") for name, condition in mapping(first.get(field)).items()
    )


def _implies(first: Any, later: Any) -> bool:
    """Whether a value that meets `later` also meets `first`."""
    if not isinstance(later, dict):
        return False
    if first == later:
        return True
    prefix = text(mapping(first).get("prefix"))
    return bool(prefix) and (text(later.get("exact")) or text(later.get("prefix"))).startswith(prefix)


__all__ = ["Blocked", "blocked", "covers"]
