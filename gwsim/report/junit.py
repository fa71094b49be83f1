"""JUnit XML: a test suite a scenario, a test case a budget. What CI servers draw their tables from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from gwsim.planning.batch import Batch
from gwsim.planning.figures import Row

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(made: Batch) -> str:
    """The document. Failed budgets are failures, undecided ones and wrong input errors; times are left out."""
    suites = ElementTree.Element("testsuites", name="gwsim check")
    totals = [0, 0, 0]
    for name, row in zip(made.names, made.rows, strict=True):
        suite = _suite(name, row)
        suites.append(suite)
        for n, key in enumerate(("tests", "failures", "errors")):
            totals[n] += int(suite.get(key, "0"))
    for key, total in zip(("tests", "failures", "errors"), totals, strict=True):
        suites.set(key, str(total))
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _suite(name: str, row: Row) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_clean(name))
    cases = [*_verdict_cases(row), *row.get("budgets", ())]
    for one in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=_clean(name), name=_clean(one["text"]))
        tag = {"pass": "", "fail": "failure"}.get(one["answer"], "error")
        if tag and one["level"] == "warn":
            ElementTree.SubElement(case, "system-out").text = _clean(f"warning: {one['sentence']}")
        elif tag:
            ElementTree.SubElement(case, tag, type=one["answer"].replace(" ", "-"), message=_clean(one["sentence"]))
    counted = suite.findall("testcase")
    suite.set("tests", str(len(counted)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in counted)))
    suite.set("errors", str(sum(case.find("error") is not None for case in counted)))
    return suite


def _verdict_cases(row: Row) -> Sequence[Row]:
    """What a scenario comes to beyond its budgets: it was run, and it is not saturated."""
    if row["verdict"] == "ERROR":
        return ({"text": "the scenario can be run", "answer": "error", "level": "error", "sentence": row["sentence"]},)
    answer = "fail" if row["verdict"] in ("SATURATED", "METASTABLE") else "pass"
    return ({"text": "the gateway keeps up with the load", "answer": answer, "level": "error", "sentence": row["sentence"]},)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


__all__ = ["render"]
