"""docs/reference/lint.md is what the rules say."""

from pathlib import Path

from gwsim.report.lint_reference import render

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "lint.md"


def test_the_page_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == render(), "run `make reference`"
