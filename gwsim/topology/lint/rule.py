"""What a rule is: a code, a check over the objects of a cluster, and its own documentation with an example.

Every rule carries a configuration that triggers it and one that does not. They are printed in the reference
(`docs/reference/lint.md`) and run by the tests, so neither can go stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gwsim.diagnostics import Finding, Level
from gwsim.diagnostics.codes import BY_NAME, Code
from gwsim.resources.raw import RawObject

if TYPE_CHECKING:
    from gwsim.topology.lint.view import View


@dataclass(frozen=True, slots=True)
class Hit:
    """A place where a rule is broken. `level` is given where it differs from the code's own."""

    where: RawObject
    path: str
    message: str
    help: str | None = None
    level: Level | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One check. `code` is a symbolic name of the table of codes.

    `trigger` says when it fires, `fix` what to do. `bad` and `good` are YAML, or several texts, one a cluster.
    `source` names where the behaviour is defined.
    """

    code: str
    check: Callable[[View], Iterable[Hit]]
    trigger: str
    fix: str
    bad: str | tuple[str, ...]
    good: str | tuple[str, ...]
    source: str
    needs: str = "files"
    """`files`, or the objects of a running cluster that have to be among them."""

    @property
    def row(self) -> Code:
        """Its row of the table of codes."""
        return BY_NAME[self.code]

    def finding(self, hit: Hit) -> Finding:
        """A hit as a finding."""
        row = self.row
        ref = f"{hit.where.ref} {hit.path}".strip()
        return Finding(row.code, hit.level or row.level, hit.message, hit.where.span(hit.path), hit.help, ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRule(Rule):
    """A check over several clusters at once; `check` is not used."""

    compare: Callable[[dict[str, View]], Iterable[Hit]]


def level_if(known: bool) -> Level | None:
    """The level of a missing reference: the code's own, or only a note when the files hold no object of the kind.

    A folder without a single Service is a part of a configuration, and says nothing about which Services exist.
    """
    return None if known else Level.INFO


__all__ = ["ClusterRule", "Hit", "Rule", "level_if"]
