"""Differences as data, from a left topology to a right one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from gwsim.diagnostics import Span

Kind = Literal[
    "proxy", "listener", "filter_chain", "http_filter", "route_configuration", "virtual_host", "route", "cluster", "endpoint"
]
Change = Literal["added", "removed", "changed"]
"""`added`: only on the right; `removed`: only on the left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A field that is not the same. `excuse` says why that is no difference to count; empty when it is one."""

    name: str
    left: Any
    right: Any
    excuse: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An object that only one side has, or whose fields differ.

    `where` is the path from the outside in, e.g. listener, filter chain, virtual host. `left` and `right` are the places
    in the files it was made from; `excuse` says why it does not count.
    """

    kind: Kind
    change: Change
    name: str
    where: tuple[str, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    left: Span | None = None
    right: Span | None = None
    excuse: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is a difference that nothing excuses."""
        if self.excuse:
            return False
        return self.change != "changed" or any(not one.excuse for one in self.fields)


def counted(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """Those that nothing excuses."""
    return tuple(one for one in differences if one.counts)
