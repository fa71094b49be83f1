"""`gwsim explain`: what a finding's code, a response flag or a field of a configuration means."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.output import write
from gwsim.errors import UsageError

if TYPE_CHECKING:
    from gwsim.diagnostics.codes import Code
    from gwsim.resources.field_docs import FieldDoc


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="CODE|FLAG|FIELD",
            help="A code of a finding (GW0103), one of istioctl analyze (IST0101), a response flag of Envoy (UO, NoRouteFound), or a field (VirtualService.spec.http.timeout).",
        ),
    ],
) -> None:
    """Explain a code, a flag or a field."""
    from gwsim.diagnostics import CODES
    from gwsim.diagnostics.codes import BY_NAME
    from gwsim.report.flags import EVERY_FLAG
    from gwsim.topology.lint import NOT_COVERED

    word = what.upper()
    codes = [one for one in (CODES.get(word) or BY_NAME.get(word),) if one] or [one for one in CODES.values() if one.istio == word]
    if codes:
        write("\n".join(_code(one) for one in codes))
        return
    if word in NOT_COVERED:
        write(f"{word}: a code of istioctl analyze that gwsim lint does not check: {NOT_COVERED[word]}.\n")
        return
    note = EVERY_FLAG.get(word) or next((one for one in EVERY_FLAG.values() if one.name.upper() == word), None)
    if note is not None:
        text = f"{note.flag} ({note.name}): {note.meaning}\n\nStatus at the client: {note.status}\nLook at: {note.look_at}\n"
        write(text + f"In gwsim: {note.where}\n")
        return
    _field(what)


def _field(what: str) -> None:
    from gwsim.diagnostics import CODES, did_you_mean
    from gwsim.report.flags import EVERY_FLAG
    from gwsim.resources.field_docs import NoSuchField, field_doc, kinds

    names = [name for name in kinds() if "/" not in name]
    if "." not in what and what not in names:
        hint = did_you_mean(what, [*CODES, *EVERY_FLAG, *(one.name for one in EVERY_FLAG.values()), *names])
        hint = hint or f"codes are GW0001 and so on, flags are {', '.join(EVERY_FLAG)}, fields begin with their kind"
        raise UsageError(f"there is neither a code nor a flag nor a kind {what!r}; {hint}")
    try:
        doc = field_doc(what)
    except NoSuchField as error:
        shown = ", ".join(error.known[:12]) + (", ..." if len(error.known) > 12 else "")
        hint = f"did you mean {error.near}?" if error.near else f"there is {shown}"
        raise UsageError(f"there is no field {what}; {hint}") from None
    write(_text(doc))


def _text(doc: FieldDoc) -> str:
    facts = [doc.type, "required" if doc.required else f"default {doc.default}" if doc.default else ""]
    lines = [f"{doc.path}: {'; '.join(fact for fact in facts if fact)}"]
    if doc.about:
        lines += ["", *textwrap.wrap(doc.about, 100)]
    meaning = {
        "modelled": "it changes what is simulated and what gwsim route says",
        "decision only": f"gwsim route follows it, the simulation does not: {doc.reason}",
        "not modelled": doc.reason,
        "without effect": doc.reason,
    }
    lines += ["", f"In gwsim: {doc.status}: {meaning[doc.status]}"]
    if doc.fields:
        lines += ["", *textwrap.wrap(f"Fields: {', '.join(doc.fields)}", 100, subsequent_indent="  ")]
    return "\n".join(lines) + "\n"


def _code(row: Code) -> str:
    """What a code means; for lint rules also when it is reported, and what to do."""
    from gwsim.topology.lint import catalogue

    istio = f", istioctl's {row.istio}" if row.istio else ""
    text = f"{row.code} ({row.level.value}{istio}): {row.title}\n\n{row.meaning}\n"
    rule = next((one for one in catalogue() if one.row is row), None)
    return text if rule is None else f"{text}\nReported when: {rule.trigger}\nTo do: {rule.fix}\n"


__all__ = ["explain"]
