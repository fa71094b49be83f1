"""The page that sweeps, comparisons and plans share: verdict, sections of figures and tables, provenance."""

from __future__ import annotations

from dataclasses import dataclass, field

from gwsim._version import __version__
from gwsim.report.html import environment, template_text, variables
from gwsim.report.html_tables import Table


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as safe SVG, and what is said under it."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a page; `name` is its anchor."""

    name: str
    title: str
    text: str = ""
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One self-contained HTML file; `style` is `good`, `bad`, `unsure` or `plain`."""

    title: str
    question: str = ""
    word: str
    style: str
    sentences: tuple[str, ...]
    sections: tuple[Section, ...] = field(default=())
    command: str = ""


def render(page: Page) -> str:
    """The HTML, the same bytes for the same page."""
    template = environment().get_template("page.html.j2")
    return template.render(
        page=page, version=__version__, style=template_text("report.css"), script=template_text("report.js"), light=variables()
    )


__all__ = ["Page", "Picture", "Section", "render"]
