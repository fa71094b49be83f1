"""Generated pages are what their sources say."""

from __future__ import annotations

import pytest
from pages import ROOT

from gwsim.cli.reference_pages import PAGES


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_fresh(name: str) -> None:
    """`make reference` writes it again."""
    assert (ROOT / "docs" / "reference" / name).read_text("utf-8") == PAGES[name]()


def test_pages_say_what_the_tables_say() -> None:
    """Every code, metric, flag and command has its place."""
    from gwsim.diagnostics import CODES
    from gwsim.report.flags import EVERY_FLAG
    from gwsim.results.budgets import METRICS

    assert all(f"| {code} |" in PAGES["findings.md"]() for code in CODES)
    assert all(f"| `{metric}` |" in PAGES["metrics.md"]() for metric in METRICS)
    assert all(f"| {flag} |" in PAGES["response-flags.md"]() for flag in EVERY_FLAG)
    for name in ("run", "sweep", "plan", "compare", "check", "batch", "route test", "cache info"):
        assert f"## gwsim {name}\n" in PAGES["commands.md"]()
