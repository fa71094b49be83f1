"""Every field of every kind does what docs/coverage.md says of it."""

from __future__ import annotations

import dataclasses

import pytest
from coverage_effects import Row, rows
from coverage_fields import Field, all_fields
from coverage_table import DECISIONS, MODELLED, PAGE, decisions, page, table


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_effect(row: Row):
    assert row.data["before"] != row.data["after"], "a row must say what changes"
    assert row.seen(applied=False) == row.data["before"]
    assert row.seen(applied=True) == row.data["after"]


def test_every_field_is_accounted_for():
    assert not table().problems


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.fields"


def test_the_list_for_explain_is_current():
    assert DECISIONS.read_text(encoding="utf-8") == decisions(), "run python -m tests.fields"


def test_a_new_field_names_itself():
    new = Field("VirtualService", "http[].brandNew", (("HTTPRoute", "brandNew"),), None, None)
    (problem,) = table([*all_fields(), new]).problems
    assert "VirtualService.spec.http[].brandNew" in problem


def test_a_row_taken_away_is_missed():
    proven = next(one for one in table().entries if one.status == MODELLED and one.field.path == "http[].timeout")
    left = tuple(row for row in rows() if row.id != proven.shown_by)
    assert any("http[].timeout" in problem for problem in table(effects=left).problems)


def test_an_ignored_field_fails_its_row(monkeypatch):
    """The reader made to drop a field: exactly what the rows are there to notice."""
    from gwsim.resources.models import HTTPRoute
    from gwsim.topology.from_istio import http_routes

    row = next(one for one in rows() if one.field == "http[].timeout")
    original = http_routes.RouteBuilder._forward

    def forgetful(self, rule, *more):
        forgotten: HTTPRoute = dataclasses.replace(rule.rule, timeout_s=None)
        return original(self, dataclasses.replace(rule, rule=forgotten), *more)

    monkeypatch.setattr(http_routes.RouteBuilder, "_forward", forgetful)
    assert row.seen(applied=True) != row.data["after"]


def test_nothing_is_pending():
    """The list is for work under way; what is finished has its rows."""
    from coverage_table import pending

    assert not pending()
