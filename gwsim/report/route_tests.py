"""Results of route tests: differences as text, everything as JSON, and JUnit XML for CI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from gwsim.queries import CaseResult, Coverage, Status
from gwsim.report.lines import Line, Part, line

SCHEMA = "gwsim/route-tests/v1"
MOST_STEPS = 12
_STYLES = {Status.PASS: "green", Status.FAIL: "bold red", Status.ERROR: "bold red", Status.SKIPPED: "yellow"}


def counts_of(results: Sequence[CaseResult]) -> dict[str, int]:
    """How many cases ended how."""
    return {status.value: sum(one.status is status for one in results) for status in Status}


def text(results: Sequence[CaseResult], coverage: Coverage, *, verbose: bool = False) -> list[Line]:
    """What differs, case by case, then the routes not reached and the totals. `verbose` names passing cases too."""
    lines: list[Line] = []
    for result in results:
        if verbose or result.status in (Status.FAIL, Status.ERROR):
            lines += _case(result)
    lines += _coverage(coverage, verbose)
    counts = counts_of(results)
    told = ", ".join(f"{counts[one.value]} {one.value}" for one in Status if counts[one.value]) or "no case"
    style = "bold red" if counts["fail"] or counts["error"] else "bold green"
    return [*lines, line(Part(f"{len(results)} cases: {told}", style))]


def _case(result: CaseResult) -> list[Line]:
    case = result.case
    title = f" {case.id}" + (f"  {case.name}" if case.name else "")
    lines = [line(Part(result.status.value.upper().ljust(7), _STYLES[result.status]), Part(title, "bold"), f"  {case.span()}")]
    if result.message:
        lines.append(line(f"        {result.message}"))
    for one in result.differences:
        lines.append(line(f"        {one.path}  ({case.span(one.path)})"))
        lines.append(line(Part(f"          - expected {_shown(one.expected)}", "red")))
        lines.append(line(Part(f"          + actual   {_shown(one.actual)}", "green")))
    if result.differences:
        lines += _why(result)
    return lines


def _why(result: CaseResult) -> list[Line]:
    if result.decision is None:
        return []
    steps = result.decision.steps
    shown = steps if len(steps) <= MOST_STEPS else steps[-MOST_STEPS:]
    lines = [line("        why:" + (f" (last {MOST_STEPS} of {len(steps)} steps)" if len(shown) < len(steps) else ""))]
    for step in shown:
        mark = "✓" if step.taken else "✗"
        where = f"  {step.span.file}:{step.span.line}" if step.span is not None else ""
        lines.append(line(f"          {mark} {step.kind.replace('_', ' ')} {step.name}: {step.why}{where}"))
    if result.decision.reason:
        lines.append(line(f"          = {result.decision.reason}"))
    return lines


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _coverage(coverage: Coverage, verbose: bool) -> list[Line]:
    missed = coverage.missed
    if not coverage.routes:
        return []
    shown = missed if verbose else missed[:5]
    lines = [line(f"routes reached: {len(coverage.routes) - len(missed)} of {len(coverage.routes)}")]
    lines += [line(f"  not reached: {one.name}  {one.file}:{one.line}") for one in shown]
    if len(shown) < len(missed):
        lines.append(line(f"  ... and {len(missed) - len(shown)} more (-v lists all)"))
    return lines


def as_json(results: Sequence[CaseResult], coverage: Coverage) -> str:
    """Everything, in the order of the cases. Fields: docs/route-tests.md."""
    made = {
        "schema": SCHEMA,
        "summary": {"cases": len(results), **counts_of(results)},
        "cases": [_plain(one) for one in results],
        "coverage": {
            "routes": len(coverage.routes),
            "reached": len(coverage.routes) - len(coverage.missed),
            "missed": [{"route": one.name, "file": one.file, "line": one.line} for one in coverage.missed],
        },
    }
    return json.dumps(made, indent=1, ensure_ascii=False, default=str) + "\n"


def _plain(result: CaseResult) -> dict[str, Any]:
    case = result.case
    made: dict[str, Any] = {
        "id": case.id, "name": case.name, "status": result.status.value, "file": case.file, "line": case.line,
        "actual": result.actual,
    }  # fmt: skip
    if result.message:
        made["message"] = result.message
    if result.differences:
        made["differences"] = [
            {"path": one.path, "expected": one.expected, "actual": one.actual, "line": case.span(one.path).line}
            for one in result.differences
        ]
        made["why"] = [] if result.decision is None else [step_plain(one) for one in result.decision.steps]
    return made


def step_plain(step: Any) -> dict[str, Any]:
    """A step of route choice as data."""
    made = {"kind": step.kind, "name": step.name, "taken": step.taken, "why": step.why}
    return made | ({"file": step.span.file, "line": step.span.line} if step.span is not None else {})


def junit(results: Sequence[CaseResult]) -> str:
    """JUnit XML, one suite for each case file. Skipped cases and errors are told apart from failures."""
    root = ElementTree.Element("testsuites", name="gwsim route test")
    suites: dict[str, list[CaseResult]] = {}
    for result in results:
        suites.setdefault(result.case.file, []).append(result)
    for file, inside in suites.items():
        counts = counts_of(inside)
        suite = ElementTree.SubElement(
            root, "testsuite", name=file, tests=str(len(inside)), failures=str(counts["fail"]),
            errors=str(counts["error"]), skipped=str(counts["skipped"]),
        )  # fmt: skip
        for result in inside:
            _junit_case(suite, result)
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _without_controls(ElementTree.tostring(root, encoding="unicode")) + "\n"


def _junit_case(suite: ElementTree.Element, result: CaseResult) -> None:
    case = result.case
    element = ElementTree.SubElement(suite, "testcase", name=case.id, classname=case.file, file=case.file, line=str(case.line))
    told = "\n".join(f"{one.path}: expected {_shown(one.expected)}, actual {_shown(one.actual)}" for one in result.differences)
    why = "\n".join("".join(part.text for part in one) for one in _why(result)) if result.differences else ""
    if result.status is Status.FAIL:
        first = told.splitlines()[0]
        ElementTree.SubElement(element, "failure", message=first).text = f"{told}\n{why}"
    elif result.status is Status.ERROR:
        ElementTree.SubElement(element, "error", message=result.message).text = f"{told}\n{why}".strip()
    elif result.status is Status.SKIPPED:
        ElementTree.SubElement(element, "skipped", message=result.message)


def _without_controls(text: str) -> str:
    """XML 1.0 has no place for most control characters."""
    return "".join(char for char in text if char in "\t\n\r" or ord(char) >= 32)


__all__ = ["SCHEMA", "as_json", "counts_of", "junit", "step_plain", "text"]
