"""`gwsim explain`: what a finding's code or a response flag means."""

from __future__ import annotations

from typing import Annotated

import typer

from gwsim.cli.output import write
from gwsim.errors import UsageError


def explain(
    what: Annotated[str, typer.Argument(metavar="CODE|FLAG", help="A code of a finding (GW0103) or a response flag of Envoy (UO).")],
) -> None:
    """Explain a code or a flag."""
    from gwsim.diagnostics import CODES, did_you_mean
    from gwsim.diagnostics.codes import BY_NAME
    from gwsim.report.flags import FLAGS

    word = what.upper()
    code = CODES.get(word) or BY_NAME.get(word)
    if code is not None:
        write(f"{code.code} ({code.level.value}): {code.title}\n\n{code.meaning}\n")
        return
    note = FLAGS.get(word)
    if note is None:
        hint = did_you_mean(word, [*CODES, *FLAGS]) or f"codes are GW0001 and so on, flags are {', '.join(FLAGS)}"
        raise UsageError(f"there is neither a code nor a flag {what!r}; {hint}")
    write(f"{note.flag} ({note.name}): {note.meaning}\n\nStatus at the client: {note.status}\nLook at: {note.look_at}\n")


__all__ = ["explain"]
