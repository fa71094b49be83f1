"""The tail anatomy of a report: sentence, figure and tables, of one proxy and of a chain."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from gwsim.engine.codes import Component
from gwsim.report import anatomy, anatomy_tables, html, svg, text
from gwsim.report.report import Report
from gwsim.results.anatomy import Anatomy, Cause, Group
from gwsim.results.contrast import Contrast, Trait

INGRESS, EGRESS = "east/istio-system/istio-ingressgateway", "east/istio-system/istio-egressgateway"


def groups(*totals: float) -> tuple[Group, ...]:
    """Groups at the three percentiles."""
    return tuple(Group(percent=p, count=100, from_s=t, to_s=t, total_s=t) for p, t in zip((50.0, 95.0, 99.0), totals, strict=True))


CHAIN = Anatomy(
    groups=groups(0.010, 0.030, 0.100), estimated=True,
    causes=(
        Cause(gateway=INGRESS, depth=0, component=Component.CLIENT_NETWORK, times_s=(0.004, 0.005, 0.006)),
        Cause(gateway=EGRESS, depth=1, component=Component.CLIENT_NETWORK, times_s=(0.001, 0.001, 0.001)),
        Cause(gateway=EGRESS, depth=1, component=Component.WORKER_QUEUE, times_s=(0.005, 0.024, 0.093)),
    ),
)


def with_anatomy(report: Report, made: Anatomy, contrast: Contrast | None = None) -> Report:
    """A report whose results say what is given."""
    results = replace(report.results)
    results.__dict__.update(anatomy=made, contrast=contrast)
    return replace(report, results=results)


def cells(page: str, name: str) -> list[list[str]]:
    """Texts of a table's rows."""
    found = re.search(rf'id="table-{name}">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    assert found
    return [re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row) for row in found[1].split("</tr>") if "<t" in row]


def test_the_sentence_says_what_makes_the_tail_and_where(report: Callable[[str], Report]) -> None:
    """Ninety-eight hundredths of the gap are at one proxy, and it is named."""
    one = with_anatomy(report("pass"), CHAIN)
    said = anatomy.sentence(one.results)
    assert "Requests around the p99 take 100 ms, those around the median 10 ms." in said
    assert re.search(r"Of the 90 ms between them 98 % is \S*istio-egressgateway: gateway queue", said)


def test_a_flat_tail_is_said_to_be_flat(report: Callable[[str], Report]) -> None:
    """Nothing is made of a gap that is not there."""
    flat = replace(CHAIN, groups=groups(0.010, 0.0101, 0.0102))
    assert "hardly slower" in anatomy.sentence(with_anatomy(report("pass"), flat).results)


def test_the_busiest_worker_is_named(report: Callable[[str], Report]) -> None:
    """Of the gateway that the cause is at, with its utilisation."""
    results = report("pass").results
    cause = Cause(gateway=INGRESS, depth=0, component=Component.WORKER_QUEUE, times_s=(0.0, 0.0, 0.0))
    busiest = max(results.workers, key=lambda one: one.utilisation.value or 0.0)
    assert f"{busiest.pod}/{busiest.worker}" in anatomy.Places(results).of(cause)
    assert anatomy.Places(results).of(replace(cause, component=Component.CLIENT_NETWORK)) == ""


def test_a_full_pool_and_a_full_backend_are_named(report: Callable[[str], Report]) -> None:
    """Where their causes are."""
    places = anatomy.Places(report("fail").results)
    wait = Cause(gateway=INGRESS, depth=0, component=Component.POOL_WAIT, times_s=(0.0, 0.0, 0.0))
    assert "pool to checkout" in places.of(wait)
    assert "busy" in places.of(replace(wait, component=Component.UPSTREAM_QUEUE))


def test_causes_are_a_table_of_the_page(report: Callable[[str], Report]) -> None:
    """The largest of the p99 first, with its part of the gap; the total last."""
    page = html.render(with_anatomy(report("pass"), CHAIN))
    rows = cells(page, "causes")
    assert rows[0][0].endswith("istio-egressgateway: gateway queue")
    assert rows[0][1:6] == ["5.00", "24.0", "93.0", "93 %", "98 %"]
    assert rows[1][0].endswith("istio-ingressgateway: client network")
    assert rows[2][0].endswith("istio-egressgateway: network to it")
    assert rows[-1][:4] == ["all", "10.0", "30.0", "100"]
    assert "divided as the requests there were" in page


def test_what_slow_requests_have_in_common_is_a_table(report: Callable[[str], Report]) -> None:
    """With names as they are elsewhere in the report."""
    found = Contrast(percent=99.0, from_s=0.3, records=40, sampled=4000, traits=(
        Trait(kind="cluster", name=report("pass").results.labels.clusters[0].name, slow=0.8, usual=0.2),
        Trait(kind="request", name="made a full TLS handshake", slow=0.5, usual=0.1),
        Trait(kind="flag", name="UT", slow=0.2, usual=0.01),
    ))
    rows = cells(html.render(with_anatomy(report("pass"), CHAIN, found)), "traits")
    assert rows[0] == ["went to cluster cart", "80 %", "20 %", "4 ×"]
    assert rows[1][0] == "made a full TLS handshake"
    assert rows[2][0].startswith("has response flag UT (")


def test_the_slowest_requests_are_listed_slowest_first(report: Callable[[str], Report]) -> None:
    """With where they went and what took longest."""
    table = next(one for one in anatomy_tables.tables(report("pass")) if one.name == "slowest")
    times = [row[3].value or 0.0 for row in table.rows]
    assert times == sorted(times, reverse=True)
    assert times[0] == pytest.approx(max((row["end_ns"] - row["start_ns"]) * 1e-9 for row in report("pass").results.frame("samples").to_dict("records")))
    workers = {one.name for one in report("pass").results.labels.workers}
    assert {row[5].text for row in table.rows} <= workers


def test_the_figure_has_a_bar_a_percentile_and_names_the_proxies(report: Callable[[str], Report]) -> None:
    """Bars are as long as the latency; every proxy of a chain is named."""
    results = with_anatomy(report("pass"), CHAIN).results
    drawn = anatomy.figure(results)
    axes = drawn.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["p50", "p95", "p99"]
    ends = [max(bar.get_x() + bar.get_width() for bar in axes.patches if abs(bar.get_y() + bar.get_height() / 2 - at) < 1e-6) for at in range(3)]
    assert ends == pytest.approx([10.0, 30.0, 100.0])
    shown = svg.inline(drawn, name="one", title="t", description=anatomy.in_words(CHAIN, report("pass").names))
    assert "egress" in shown
    assert "p99 100 ms" in shown


def test_the_terminal_names_the_proxies_of_a_chain(report: Callable[[str], Report]) -> None:
    """In place of one line for all further hops."""
    plain = text.plain(text.compact(with_anatomy(report("pass"), CHAIN)))
    assert re.search(r"istio-egressgateway: gateway queue +5\.00 +24\.0 +93\.0 +93 %", plain)


def test_a_saturated_run_has_no_anatomy(report: Callable[[str], Report]) -> None:
    """Its latencies grow with its length."""
    page = html.render(report("saturated"))
    assert 'id="tail"' not in page
    assert anatomy_tables.tables(report("saturated")) == ()
