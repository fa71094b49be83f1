"""Tools the validations share: findings by field path, hosts, patterns."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from gwsim.resources.context import ObjectContext
from gwsim.resources.origin import readable_steps, walk
from gwsim.resources.yaml_nodes import Node

_LABEL = re.compile(r"[a-zA-Z0-9_]([-a-zA-Z0-9_]*[a-zA-Z0-9_])?")
MAX_REGEX = 1024


class Check:
    """Makes the findings of one object's validation, by field path below `spec`.

    A field at or below which something was refused already is not judged again: what is missing there is
    missing because it could not be read. The same goes for items of a list that lost one.
    """

    __slots__ = ("_incomplete", "_refused", "ctx", "node")

    def __init__(self, ctx: ObjectContext, node: Node) -> None:
        self.ctx, self.node = ctx, node
        self._refused = tuple(ctx.error_paths)
        self._incomplete = tuple(f"{path}[" for path in ctx.incomplete_lists)

    def _unsure(self, path: str) -> bool:
        below = (f"{path}.", f"{path}[")
        refused = any(not path or error == path or error.startswith(below) for error in self._refused)
        return refused or path.startswith(self._incomplete)

    def bad(self, path: str, message: str, help: str | None = None) -> None:
        """A value that is not allowed."""
        self._report("BAD_VALUE", path, message, help)

    def missing(self, path: str, message: str, help: str | None = None) -> None:
        """Something that has to be there."""
        self._report("MISSING_FIELD", path, message, help)

    def conflict(self, path: str, message: str, help: str | None = None) -> None:
        """Fields that exclude each other."""
        self._report("FIELD_CONFLICT", path, message, help)

    def warn(self, path: str, message: str, help: str | None = None) -> None:
        """Accepted, but ignored or hardly meant."""
        self._report("FIELD_WARNING", path, message, help)

    def _report(self, code_name: str, path: str, message: str, help: str | None) -> None:
        if self._unsure(path):
            return
        steps = readable_steps(path)
        nested: tuple[Any, ...] = ()
        for step in steps:
            nested = (nested, step)
        self.ctx.report(code_name, message, walk(self.node, steps or ["spec"]), nested, help)

    def at_most_one(self, path: str, fields: dict[str, Any]) -> None:
        """At most one of the named fields may be set."""
        present = [name for name, value in fields.items() if value is not None]
        if len(present) > 1:
            self.conflict(f"{path}.{present[1]}", f"{' and '.join(present)} exclude each other")

    def regex(self, path: str, pattern: str | None) -> None:
        """A pattern must be RE2 and at most 1024 bytes."""
        if pattern is None:
            return
        if len(pattern.encode()) > MAX_REGEX:
            self.bad(path, f"the pattern is {len(pattern.encode())} bytes long; Istio allows {MAX_REGEX}")
            return
        problem = re2_problem(pattern)
        if problem:
            self.bad(path, f"{pattern!r} is not an RE2 pattern: {problem}")

    def host(self, path: str, host: str, *, wildcard: bool = True) -> None:
        """A host must be a DNS name, `*`, or a DNS name whose first label is `*`, or an address."""
        problem = host_problem(host, wildcard)
        if problem:
            self.bad(path, f"{host!r} is not a host: {problem}")


@lru_cache(maxsize=4096)
def re2_problem(pattern: str) -> str | None:
    """What RE2 says against a pattern, or None."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        detail = error.args[0] if error.args else "it cannot be compiled"
        return detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
    return None


@lru_cache(maxsize=65536)
def host_problem(host: str, wildcard: bool = True) -> str | None:
    """What is wrong with a host, or None. Source modelled: ValidateWildcardDomain of Istio's validation."""
    if not host:
        return "it is empty"
    if host == "*":
        return None if wildcard else "a wildcard is not allowed here"
    if ":" in host:
        return None if is_address(host) else "a port does not belong here"
    if "$" in host or "{" in host:
        return "it holds a template variable that has not been filled in"
    if len(host) > 255:
        return "it is longer than 255 characters"
    first, *rest = host.split(".")
    labels = rest if first == "*" else [first, *rest]
    if first == "*" and not wildcard:
        return "a wildcard is not allowed here"
    if "*" in "".join(labels):
        return "* can only stand for the whole first label"
    if labels and labels[-1] == "":
        labels = labels[:-1]
    for label in labels:
        if len(label) > 63 or not _LABEL.fullmatch(label):
            return f"{label!r} is not a DNS label"
    return None


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_network(text: str) -> bool:
    """Whether it is an IP address or a CIDR range."""
    import ipaddress

    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def hosts_overlap(left: str, right: str) -> bool:
    """Whether two hosts, each a name, `*` or `*.suffix`, have a name in common. Source: istio pkg/config/host."""
    left, right = left.lower(), right.lower()
    if left == right or "*" in (left, right):
        return True
    if left.startswith("*") and right.startswith("*"):
        return left[1:].endswith(right[1:]) or right[1:].endswith(left[1:])
    if left.startswith("*"):
        return right.endswith(left[1:])
    return right.startswith("*") and left.endswith(right[1:])


def covers(pattern: str, host: str) -> bool:
    """Whether every name of `host` is one of `pattern`."""
    pattern, host = pattern.lower(), host.lower()
    if pattern.startswith("*"):
        return host.endswith(pattern[1:]) if host != pattern else True
    return pattern == host
