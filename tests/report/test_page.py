"""The HTML report, its figures and pictures."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from gwsim.report import figures, html, picture, svg
from gwsim.report.flow import LOCAL, MOST
from gwsim.report.happened import flow_of
from gwsim.report.report import Report, as_plain, from_plain

KINDS = ("pass", "fail", "undecided", "done", "saturated", "many")
ALONE = (figures.percentiles, figures.where_time_went, figures.rates, figures.latency_over_time, figures.errors, figures.in_system, figures.cpu)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_the_same_every_time(report: Callable[[str], Report], kind: str) -> None:
    """Byte for byte, below 2 MB, with every section."""
    page = html.render(report(kind))
    assert page == html.render(report(kind))
    assert len(page.encode()) < 2_000_000
    for section in ("answer", "traffic", "latency", "time", "limits", "tables", "assumptions", "provenance"):
        assert f'id="{section}"' in page
    assert f'<span class="word">{report(kind).headline.word.value}</span>' in page


def test_a_saved_run_gives_the_same_page(report: Callable[[str], Report]) -> None:
    """What provenance.json keeps beside the results is enough."""
    import json

    one = report("fail")
    again = from_plain(one.results, json.loads(json.dumps(as_plain(one), sort_keys=True)))
    assert html.render(again) == html.render(one)
    assert again.next_command == one.next_command


def test_names_are_escaped(report: Callable[[str], Report]) -> None:
    """Text of a user's files is text, never markup."""
    from dataclasses import replace

    one = report("pass")
    labels = replace(one.results.labels, question="<script>alert(1)</script> & more", name="<b>")
    page = html.render(replace(one, results=replace(one.results, labels=labels)))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page


@pytest.mark.parametrize("draw", ALONE)
def test_figures_draw_into_axes_given(report: Callable[[str], Report], draw: Callable[..., object]) -> None:
    """And give the figure in either case."""
    from matplotlib.figure import Figure

    results = report("pass").results
    own = Figure()
    axes = own.add_subplot()
    assert draw(results, ax=axes) is own
    assert axes.has_data()
    assert isinstance(draw(results), Figure)


def test_drawing_leaves_the_settings_of_others_alone(report: Callable[[str], Report]) -> None:
    """Nothing global of matplotlib is changed, and pyplot is not needed."""
    from matplotlib import rcParams

    before = dict(rcParams)
    figures.timeline(report("pass").results)
    assert dict(rcParams) == before
    assert "pyplot" not in Path(figures.__file__).read_text("utf-8")


def test_inline_svg_has_text_for_the_blind_and_the_colours_of_the_page(report: Callable[[str], Report]) -> None:
    """Well-formed, with title and description, no colour of its own for ink and grid, ids under its name."""
    text = svg.inline(figures.timeline(report("pass").results), name="one", title="A <title>", description="Words & more")
    root = ET.fromstring(text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
    assert root.get("role") == "img"
    assert root[0].text == "A <title>"
    assert "var(--ink)" in text
    assert "#1f2328" not in text
    assert all(name.startswith("one-") for name in re.findall(r'\bid="([^"]*)"', text))
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text)) <= set(re.findall(r'\bid="([^"]*)"', text))


@pytest.mark.parametrize("kind", KINDS)
def test_the_flow_keeps_what_flows(report: Callable[[str], Report], kind: str) -> None:
    """Into a node as much as out of it, up to where something is refused; no column is too long."""
    flow = flow_of(report(kind).results)
    for (column, name), node in flow.nodes.items():
        inward = sum(rps for (_, end), rps in flow.links.items() if end == (column, name))
        if column:
            assert inward == pytest.approx(node.rps, rel=1e-6), name
        if column < 2 or (column == 2 and kind != "saturated"):
            outward = sum(rps for (start, _), rps in flow.links.items() if start == (column, name))
            assert outward == pytest.approx(node.rps, rel=1e-6), name
    assert all(len(flow.column(i)) <= MOST for i in range(len(flow.columns)))


def test_answers_of_the_gateway_itself_are_in_the_picture(report: Callable[[str], Report]) -> None:
    """Requests that match no route reach no backend."""
    one = report("many")
    assert any(node.name == LOCAL for node in flow_of(one.results).column(3))
    ET.fromstring(picture.topology(one.results))


@pytest.mark.parametrize(("utilisation", "name"), [(None, "any"), (0.0, "low"), (0.6, "some"), (0.8, "high"), (0.95, "full"), (2.0, "full")])
def test_levels(utilisation: float | None, name: str) -> None:
    """Colours of utilisation."""
    assert picture.level(utilisation) == name


def test_bars_of_budgets_stay_within_their_track(report: Callable[[str], Report]) -> None:
    """Whatever the figure and whichever side of the limit is good."""
    for kind in KINDS:
        for one in report(kind).budgets.checked:
            bar = html.bar(one, report(kind))
            assert 0 <= bar.fill <= 100
            assert 0 <= bar.low <= bar.high <= 100
