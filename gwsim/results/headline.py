"""The answer in a word, a sentence and an exit code: the first thing every report says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gwsim.errors import ExitCode
from gwsim.results.evaluation import Answer, Budgets, Checked
from gwsim.results.parts import Status
from gwsim.results.results import Results
from gwsim.units import format_duration_s, format_rate_rps, format_share


class Word(StrEnum):
    """What a run comes to."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"
    SATURATED = "SATURATED"
    METASTABLE = "METASTABLE"
    DONE = "DONE"
    """There is no budget to hold or to fail."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The word, the sentence that answers the question, and what the process returns."""

    word: Word
    sentence: str
    exit_code: ExitCode


def headline_of(results: Results, budgets: Budgets) -> Headline:
    """The headline of a run. A saturated or metastable run is a "no", whatever its budgets are."""
    status, checked = results.verdict.status, budgets.checked
    if status is Status.SATURATED:
        return Headline(Word.SATURATED, results.verdict.sentence.removeprefix("Saturated: "), ExitCode.ANSWER_IS_NO)
    if status is Status.METASTABLE:
        sentence = results.verdict.sentence.removeprefix("Metastable: ")
        return Headline(Word.METASTABLE, f"It does not come back: {sentence}", ExitCode.ANSWER_IS_NO)
    if status is Status.NO_DATA:
        return Headline(Word.UNDECIDED, results.verdict.sentence, ExitCode.UNDECIDED)
    if not checked:
        return Headline(Word.DONE, f"{_plain(results)} No budget is set, so nothing is held against it.", ExitCode.OK)
    code = budgets.exit_code
    if code is ExitCode.ANSWER_IS_NO:
        failed = [one for one in budgets.failed if one.budget.level == "error"]
        return Headline(Word.FAIL, _failed(failed, checked), code)
    if code is ExitCode.UNDECIDED:
        return Headline(Word.UNDECIDED, _undecided(results, checked), code)
    return Headline(Word.PASS, _passed(checked), code)


def _plain(results: Results) -> str:
    """What happened, without budgets."""
    if results.verdict.status is Status.TOO_SHORT:
        return results.verdict.sentence
    tail, rate = results.total.client_latency.p99.value, results.throughput.served_rps.value
    if tail is None or rate is None:
        return results.verdict.sentence
    return f"Keeps up with {format_rate_rps(rate)}: p99 at the client {format_duration_s(tail)}, {_errors(results)}."


def _errors(results: Results) -> str:
    errors = results.total.errors.value
    return f"{format_share(errors)} errors" if errors else "no errors"


def _failed(failed: list[Checked], checked: tuple[Checked, ...]) -> str:
    worst = min(failed, key=lambda one: one.margin if one.margin is not None else 0.0)
    if len(checked) == 1:
        return f"The budget fails: {worst.budget.text}, {_observed(worst)}."
    count = f"{len(failed)} of {len(checked)} budgets fail{'s' if len(failed) == 1 else ''}"
    which = "" if len(failed) == 1 else " worst"
    return f"{count};{which} {worst.budget.text}: {_observed(worst)}."


def _observed(one: Checked) -> str:
    return one.sentence.partition(", limit")[0]


def _undecided(results: Results, checked: tuple[Checked, ...]) -> str:
    open_ = [one for one in checked if one.answer in (Answer.UNDECIDED, Answer.NO_DATA)]
    count = f"{len(open_)} of {len(checked)} budgets {'is' if len(open_) == 1 else 'are'} undecided"
    if results.verdict.status is Status.TOO_SHORT and not all(one.observed.trusted for one in open_):
        return f"{count}. {results.verdict.sentence}"
    return f"{count}; {open_[0].budget.text}: {_observed(open_[0])}."


def _passed(checked: tuple[Checked, ...]) -> str:
    held = [one for one in checked if one.answer is Answer.PASS]
    missed = len(checked) - len(held)
    warned = f" ({missed} at level warn {'does' if missed == 1 else 'do'} not)" if missed else ""
    count = "The budget holds" if len(checked) == 1 else f"All {len(checked)} budgets hold"
    if missed:
        count = f"{len(held)} of {len(checked)} budgets hold"
    known = [one for one in held if one.margin is not None]
    if not known:
        return f"{count}{warned}."
    tight = min(known, key=lambda one: one.margin or 0.0)
    return f"{count}{warned}; the tightest is {tight.budget.text}, {format_share(tight.margin or 0.0, 2)} to spare."


__all__ = ["Headline", "Word", "headline_of"]
