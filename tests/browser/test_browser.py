"""The HTML pages in a real browser: no errors, nothing loaded from elsewhere, tables that sort, usable by keyboard, dark and printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Chromium, found

from gwsim.cli import execute
from gwsim.engine.cache import is_warm
from gwsim.scenario import write_template

QUICK = (
    "-q", "--set", "run.warmup=100ms", "--set", "run.duration=1s", "--set", "run.replications=2", "--set", "clients.web.connection.count=20",
)
LOAD = ("--set", "clients.web.arrivals.poisson=150rps")
PAGES = ("run", "sweep", "plan", "compare")

pytestmark = [
    pytest.mark.skipif(found() is None, reason="there is no Chromium on the path"),
    pytest.mark.skipif(not is_warm(), reason="the engine is not compiled: gwsim warmup (make test does it)"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One page of every kind, of the example project."""
    folder = tmp_path_factory.mktemp("pages")
    demo = folder / "demo"
    write_template(demo)
    timeout = "VirtualService/shop/shop:spec.http[0].timeout=30ms"
    calls: dict[str, tuple[str, ...]] = {
        "run": ("run", str(demo), *QUICK, *LOAD, "--undecided", "pass"),
        "sweep": ("sweep", str(demo), *QUICK, "--over", "clients.web.arrivals.poisson=100rps,200rps,300rps", "--over", "backends.east/cart.shop.concurrency=1,32"),
        "plan": ("plan", str(demo), *QUICK, *LOAD, "--load", "150rps,300rps", "--budget", "errors rate < 50%", "--no-headroom"),
        "compare": ("compare", str(demo), "-q", "--duration", "1s", "-n", "2", "--set", timeout, "--undecided", "pass"),
    }
    names = {"run": "report.html", "sweep": "sweep.html", "plan": "plan.html", "compare": "comparison.html"}
    for name, words in calls.items():
        assert execute((*words, "--out", str(folder / name))) in (0, 1), name
    return {name: folder / name / names[name] for name in PAGES}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser for all tests of the module."""
    with Chromium(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, pages: dict[str, Path], browser: Chromium) -> Chromium:
    """The browser with a page open."""
    browser.messages.clear()
    browser.media()
    browser.open(pages[request.param])
    return browser


def test_opens_without_an_error_and_asks_for_nothing(page: Chromium, pages: dict[str, Path]) -> None:
    """The console stays empty, and the page is whole by itself."""
    assert page.messages == []
    assert page.run("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).map(e => e.name)") == []
    assert all(path.stat().st_size < 2_000_000 for path in pages.values())


def test_a_table_sorts(page: Chromium) -> None:
    """By a click on a heading, up and down; screen readers are told."""
    sorted_by = """(() => {
      const table = [...document.querySelectorAll('table.sortable')].find(t => t.tBodies[0].rows.length > 1);
      if (!table) { return null; }
      const cells = [...table.tHead.rows[0].cells], at = cells.findIndex(c => c.classList.contains('n'));
      const column = Math.max(at, 0), seen = [];
      for (let i = 0; i < 2; i++) {
        cells[column].querySelector('button').click();
        const rows = [...table.tBodies[0].rows].filter(r => !r.cells[0].classList.contains('total'));
        seen.push([cells[column].getAttribute('aria-sort'), rows.map(r => r.cells[column].dataset.v ?? r.cells[column].textContent)]);
      }
      return seen;
    })()"""
    seen = page.run(sorted_by)
    assert seen is not None
    (first, down), (second, up) = seen
    assert {first, second} == {"ascending", "descending"}
    assert sorted(down) == sorted(up)
    falling = [float(x.replace("inf", "Infinity")) for x in (down if first == "descending" else up)]
    assert falling == sorted(falling, reverse=True)


def test_works_by_keyboard(page: Chromium) -> None:
    """The first Tab is the way past the head of the page; every control has the focus in its turn, and shows it; Enter sorts."""
    page.press("Tab", 9)
    assert page.run("document.activeElement.className") == "skip"
    controls = int(page.run("document.querySelectorAll('a[href], button, summary').length"))
    reached = page.run("document.activeElement.textContent") and 1
    for _ in range(controls - 1):
        page.press("Tab", 9)
        reached += page.run("document.activeElement !== document.body && getComputedStyle(document.activeElement).outlineStyle !== 'none'")
    assert reached == controls
    page.run("document.querySelector('table.sortable thead button').focus()")
    page.press("Enter", 13)
    assert page.run("document.querySelector('table.sortable thead th').getAttribute('aria-sort')") in ("ascending", "descending")


def test_pictures_and_sections_have_names(page: Chromium) -> None:
    """Every picture has a title, every table a caption, and there is one first heading."""
    assert page.run("[...document.querySelectorAll('figure svg')].every(s => s.getAttribute('role') === 'img' && s.querySelector('title'))")
    assert page.run("[...document.querySelectorAll('table')].every(t => t.caption && t.caption.textContent.trim())")
    assert page.run("document.querySelectorAll('h1').length") == 1
    assert page.run("[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.getAttribute('href')))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_themes(page: Chromium, scheme: str) -> None:
    """Contrast of the body's text of at least 7 to 1 (WCAG AAA), and the page follows the scheme."""
    page.media(scheme=scheme)
    contrast = """(() => {
      const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).slice(0, 3).map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const body = getComputedStyle(document.body), a = light(body.color), b = light(body.backgroundColor);
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), b];
    })()"""
    ratio, background = page.run(contrast)
    assert ratio >= 7.0
    assert (background > 0.5) == (scheme == "light")


def test_nothing_overflows(page: Chromium) -> None:
    """Neither on a wide screen nor, but for tables that scroll by themselves, on a narrow one."""
    for width in (1280, 400):
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        assert page.run("document.documentElement.scrollWidth") <= width
    page.call("Emulation.clearDeviceMetricsOverride")


def test_prints(page: Chromium, tmp_path: Path) -> None:
    """Black on white whatever the screen, without navigation."""
    page.media(scheme="dark", media="print")
    assert page.run("getComputedStyle(document.querySelector('nav') ?? document.createElement('p')).display") in ("none", "")
    assert page.run("getComputedStyle(document.body).backgroundColor") in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    page.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


