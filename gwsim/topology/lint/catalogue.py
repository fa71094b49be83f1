"""All rules, by code; and the codes of istioctl that no rule covers, each with the reason."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from gwsim.topology.lint import rules
from gwsim.topology.lint.rule import Rule


@lru_cache(maxsize=1)
def catalogue() -> tuple[Rule, ...]:
    """Every rule of `gwsim.topology.lint.rules`, in the order of their codes.

    Raises ValueError when two rules share a code.
    """
    found: dict[str, Rule] = {}
    for module in pkgutil.iter_modules(rules.__path__):
        loaded = importlib.import_module(f"{rules.__name__}.{module.name}")
        offered = getattr(loaded, "RULES", None) or tuple(filter(None, [getattr(loaded, "RULE", None)]))
        for rule in offered:
            if rule.row.code in found:
                raise ValueError(f"two rules have the code {rule.row.code}")
            found[rule.row.code] = rule
    return tuple(found[code] for code in sorted(found))


NOT_COVERED: dict[str, str] = {
    "IST0001": "a fault inside istioctl",
    "IST0113": "no longer reported by istioctl: mutual TLS is automatic",
    "IST0119": "no longer reported by istioctl: its policy API was removed",
    "IST0141": "needs the permissions of the user on a running cluster",
    "IST0142": "needs the version of a running cluster",
    "IST0143": "needs the sockets of running pods",
    "IST0156": "needs the Gateway API version of a running cluster; CRDs among the files are checked as IST0176",
    "IST0168": "is about an upgrade of the control plane, not about configuration",
    "IST0169": "is about an upgrade of the control plane, not about configuration",
}
"""Codes of `istioctl analyze` that files cannot decide."""

__all__ = ["NOT_COVERED", "catalogue"]
