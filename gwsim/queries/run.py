"""Every case through route choice, each by itself: whatever is wrong with one never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gwsim.diagnostics import Finding, Level
from gwsim.errors import GwsimError
from gwsim.queries.actual import actual_of
from gwsim.queries.case import Case
from gwsim.queries.compare import Difference, compare
from gwsim.queries.topologies import Built, NotServed, Topologies
from gwsim.topology import Decision, Outcome, Request, choose
from gwsim.topology.exchange import in_time

Choice = Callable[[Built, Case, Request], Decision]


class Status(StrEnum):
    """How a case ended."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    """The case or its configuration is wrong, so that its answer cannot be relied on."""
    SKIPPED = "skipped"
    """It differs, and the case says that this does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """A case with its actual answer; `decision` is None when there is none."""

    case: Case
    status: Status
    actual: dict[str, Any] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    message: str = ""
    """Why it is an error or skipped."""
    decision: Decision | None = None
    built: Built | None = None
    problems: tuple[Finding, ...] = ()
    """Errors of the configuration."""


def run_cases(cases: Iterable[Case], topologies: Topologies | None = None) -> Iterator[CaseResult]:
    """The results in order. Configurations are read and built once for all cases that share them."""
    known = Topologies() if topologies is None else topologies
    for case in cases:
        yield run_case(case, known)


def run_case(case: Case, topologies: Topologies) -> CaseResult:
    """One case. Nothing is raised: what goes wrong is the result's message."""
    try:
        return _run(case, topologies)
    except GwsimError as error:
        return CaseResult(case=case, status=Status.ERROR, message=str(error), actual=_no_answer(str(error)))
    except RecursionError:
        return CaseResult(case=case, status=Status.ERROR, message="the configuration is nested too deeply")
    except Exception as error:  # A fault of gwsim's in one case must not hide the answers of all others.
        message = f"a fault inside gwsim: {type(error).__name__}: {error}"
        return CaseResult(case=case, status=Status.ERROR, message=message, actual=_no_answer(message))


def _no_answer(reason: str) -> dict[str, Any]:
    return {"outcome": Outcome.NO_LISTENER.value, "reason": reason}


def _run(case: Case, topologies: Topologies) -> CaseResult:
    problem = next(iter(case.problems), None)
    if case.request is None or case.gateway is None or not case.config or not case.port:
        message = problem.message if problem is not None else "the case is not complete"
        return CaseResult(case=case, status=Status.ERROR, message=message)
    try:
        built = topologies.of(case)
    except NotServed as error:
        actual = _no_answer(str(error))
        differences = tuple(compare(case.expect, actual, case.assert_only))
        status = Status.ERROR if problem is not None else Status.FAIL if differences else Status.PASS
        return CaseResult(case=case, status=status, actual=actual, differences=differences, message=str(error))
    decision = decide(built, case, case.request)
    asked = [*case.expect.get("absent_request_headers", ()), *case.expect.get("absent_response_headers", ())]
    spelling = [str(name) for side in ("request_headers", "response_headers") for name in case.expect.get(side, ())]
    actual = actual_of(decision, case.request, built.proxy, [str(one) for one in asked], spelling)
    differences = tuple(compare(case.expect, actual, case.assert_only))
    wrong = tuple(one for one in built.findings if one.level is Level.ERROR)
    status, message = Status.FAIL if differences else Status.PASS, ""
    if problem is not None:
        status, message = Status.ERROR, problem.message
    elif wrong:
        status, message = Status.ERROR, f"the configuration is refused: {wrong[0].span}: {wrong[0].message}"
    elif differences and case.skip:
        status, message = Status.SKIPPED, case.skip
    return CaseResult(
        case=case, status=status, actual=actual, differences=differences, message=message, decision=decision, built=built,
        problems=wrong,
    )  # fmt: skip


def decide(built: Built, case: Case, request: Request) -> Decision:
    """Route choice for a case, with its steps, and with the time the backend takes."""
    decision = choose(built.proxy, case.port, request, explain=True)
    return in_time(decision, case.backend_delay_s) if case.backend_delay_s else decision
