"""Every rule's own examples: the bad one is found, the good one is not, and neither breaks the reader."""

import pytest
from lint_calls import lint

from gwsim.diagnostics import CODES, Level
from gwsim.topology.lint import NOT_COVERED, catalogue
from gwsim.topology.lint.suppress import ON_REQUEST

RULES = catalogue()


def _texts(example):
    return (example,) if isinstance(example, str) else example


def _select(rule):
    return rule.row.code if rule.row.code in ON_REQUEST else None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.row.code)
def test_the_bad_example_is_found_at_a_line_of_its_object(rule):
    report = lint(*_texts(rule.bad), select=_select(rule))
    hits = [one for one in report.findings if one.code == rule.row.code]
    assert hits, [one.message for one in report.findings]
    for hit in hits:
        assert hit.span.line > 0 and hit.span.column > 0
        assert hit.object_ref and hit.message
        assert hit.level in (rule.row.level, Level.INFO)
    others = [one for one in report.findings if one.level is Level.ERROR and one.code != "GW0011"]
    assert not others, others


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.row.code)
def test_the_good_example_is_not_found_and_is_valid(rule):
    report = lint(*_texts(rule.good), select=_select(rule))
    assert rule.row.code not in {one.code for one in report.findings}
    assert not [one for one in report.findings if one.level is Level.ERROR]


def test_every_code_of_the_lint_range_has_a_rule_and_every_rule_says_what_it_is():
    ruled = {rule.row.code for rule in RULES}
    elsewhere = {"GW0471"}
    assert {code for code in CODES if code.startswith("GW04")} - ruled <= elsewhere
    for rule in RULES:
        assert rule.trigger.endswith(".") and rule.fix.endswith(".") and rule.source


def test_every_code_of_istioctl_is_covered_or_explained():
    retired = {104, 105, 114, 115, 117, 120, 121, 124, 172}
    covered = {row.istio for row in CODES.values() if row.istio} | set(NOT_COVERED)
    wanted = {f"IST{number:04}" for number in range(101, 178) if number not in retired} | {"IST0001", "IST0002"}
    assert wanted <= covered, sorted(wanted - covered)
