"""Findings: collected, sorted, rendered; the table of codes; exit codes; did you mean."""

import pickle
import re

import pytest

from gwsim import errors
from gwsim.diagnostics import (
    CODES,
    Collector,
    Finding,
    Level,
    Span,
    code,
    misspelling_of,
    nearest,
    render,
    render_all,
)


def test_findings_are_kept_once_and_sorted_by_file_line_and_code():
    collector = Collector()
    collector.add("GW0010", "second", Span("b.yaml", 2, 1))
    collector.add("GW0010", "third", Span("b.yaml", 10, 1))
    collector.add("GW0011", "first too", Span("a.yaml", 3, 1))
    collector.add("GW0010", "first", Span("a.yaml", 3, 9))
    collector.add("GW0010", "first", Span("a.yaml", 3, 9))
    assert [finding.message for finding in collector] == ["first", "first too", "second", "third"]


def test_errors_are_raised_together_with_everything_else():
    collector = Collector()
    collector.add("GW0301", "a note")
    collector.raise_if_errors()
    collector.add("GW0010", "wrong", Span("a.yaml", 3, 9))
    collector.add("GW0011", "also wrong", Span("a.yaml", 4, 9))
    with pytest.raises(errors.InputError, match=r"a.yaml:3:9: wrong \(and 1 more\)") as caught:
        collector.raise_if_errors()
    assert len(caught.value.findings) == 3
    assert caught.value.exit_code == 2
    assert pickle.loads(pickle.dumps(caught.value)).findings == caught.value.findings


def test_a_level_can_be_raised_above_the_codes_default():
    collector = Collector()
    assert collector.add("GW0008", "x").level is Level.WARNING
    assert collector.add("GW0008", "x", level=Level.ERROR).level is Level.ERROR


def test_an_unknown_code_is_refused():
    with pytest.raises(KeyError):
        Collector().add("GW9999", "x")


def test_rendering_is_a_compilers():
    finding = Finding(
        code("WRONG_TYPE"),
        Level.ERROR,
        "weight must be an integer",
        Span("istio/cart.yaml", 31, 13, "      weight: ten"),
        "write it without quotes",
        "VirtualService/shop/cart http[0].route[1].weight",
    )
    assert render(finding) == (
        "error[GW0010]: weight must be an integer\n"
        "  --> istio/cart.yaml:31:13  (VirtualService/shop/cart http[0].route[1].weight)\n"
        "   |   weight: ten\n"
        "   = help: write it without quotes"
    )
    assert render_all([finding, finding]).endswith("2 errors\n")
    assert render_all([]) == ""
    assert render(Finding("GW0301", Level.INFO, "fault has no effect")) == "note[GW0301]: fault has no effect"


def test_the_table_of_codes_is_in_order_and_complete():
    assert list(CODES) == sorted(CODES)
    assert len({row.name for row in CODES.values()}) == len(CODES)
    for row in CODES.values():
        assert re.fullmatch(r"GW0[0-6]\d\d", row.code)
        assert row.title and row.meaning.endswith(".")


def test_exit_codes():
    assert errors.worst([]) == 0
    assert errors.worst([0, 3, 1]) == 1
    assert errors.worst([1, 2, 3]) == 2
    assert errors.worst([2, 70]) == 70
    assert errors.exit_code_of(KeyboardInterrupt()) == 130
    assert errors.exit_code_of(ValueError()) == 70
    assert errors.exit_code_of(errors.UsageError("x")) == 2
    assert errors.exit_code_of(errors.UndecidedError("x")) == 3
    assert errors.exit_code_of(errors.AnswerIsNo("x")) == 1


@pytest.mark.parametrize(
    ("word", "meant"),
    [("timeOut", "timeout"), ("perTryTimout", "perTryTimeout"), ("per_try_timeout", "perTryTimeout"), ("exct", "exact"), ("too", None), ("banana", None)],
)
def test_misspellings(word, meant):
    assert misspelling_of(word, ["timeout", "perTryTimeout", "exact", "to", "weight"]) == meant


def test_nearest():
    assert nearest("ROUND_ROBBIN", ["ROUND_ROBIN", "RANDOM"]) == "ROUND_ROBIN"
    assert nearest("xyz", ["ROUND_ROBIN", "RANDOM"]) is None
