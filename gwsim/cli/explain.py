"""`gwsim explain`: what a finding's code or a response flag means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.output import write
from gwsim.errors import UsageError

if TYPE_CHECKING:
    from gwsim.diagnostics.codes import Code


def explain(
    what: Annotated[str, typer.Argument(metavar="CODE|FLAG", help="A code of a finding (GW0103), one of istioctl analyze (IST0101), or a response flag of Envoy (UO).")],
) -> None:
    """Explain a code or a flag."""
    from gwsim.diagnostics import CODES, did_you_mean
    from gwsim.diagnostics.codes import BY_NAME
    from gwsim.report.flags import FLAGS

    word = what.upper()
    codes = [one for one in (CODES.get(word) or BY_NAME.get(word),) if one] or [one for one in CODES.values() if one.istio == word]
    if codes:
        write("\n".join(_code(one) for one in codes))
        return
    note = FLAGS.get(word)
    if note is None:
        hint = did_you_mean(word, [*CODES, *FLAGS]) or f"codes are GW0001 and so on, flags are {', '.join(FLAGS)}"
        raise UsageError(f"there is neither a code nor a flag {what!r}; {hint}")
    write(f"{note.flag} ({note.name}): {note.meaning}\n\nStatus at the client: {note.status}\nLook at: {note.look_at}\n")


def _code(row: Code) -> str:
    """What a code means; for lint rules also when it is reported, and what to do."""
    from gwsim.topology.lint import catalogue

    istio = f", istioctl's {row.istio}" if row.istio else ""
    text = f"{row.code} ({row.level.value}{istio}): {row.title}\n\n{row.meaning}\n"
    rule = next((one for one in catalogue() if one.row is row), None)
    return text if rule is None else f"{text}\nReported when: {rule.trigger}\nTo do: {rule.fix}\n"


__all__ = ["explain"]
