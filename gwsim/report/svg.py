"""A matplotlib figure as SVG within a page: deterministic, small, in the page's colours and fonts."""

from __future__ import annotations

import html
import re
from io import StringIO
from typing import TYPE_CHECKING

from gwsim.report.style import VARIABLES, applied

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = re.compile("|".join(re.escape(color) for color in VARIABLES), re.IGNORECASE)
_BY_LOWER = {color.lower(): name for color, name in VARIABLES.items()}
_FONT = re.compile(r"font: (?:[a-z]+ )*(?:(\d{3}) )?([0-9.]+)px [^;\"]*")
_ID = re.compile(r' id="([^"]*)"')
_USED = re.compile(r'(?:url\(#|href="#)([^)"]+)')


def inline(figure: Figure, *, name: str, title: str, description: str) -> str:
    """The figure as an `<svg>` element. `name` keeps ids apart; `title` and `description` are read to the blind."""
    out = StringIO()
    with applied():
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = _own_ids(text, name)
    text = _COLORS.sub(lambda match: f"var(--{_BY_LOWER[match[0].lower()]})", text)
    text = _FONT.sub(lambda m: f"font-size: {m[2]}px" + (f"; font-weight: {m[1]}" if m[1] else ""), text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    return _with_text(text, name, title, description)


def _own_ids(text: str, name: str) -> str:
    """Ids that something refers to get the figure's name before them, all others go."""
    used = set(_USED.findall(text))
    text = _ID.sub(lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", text)
    return _USED.sub(lambda match: match[0].replace("#", f"#{name}-"), text)


def _with_text(text: str, name: str, title: str, description: str) -> str:
    box = re.search(r'viewBox="([^"]*)"', text)
    assert box is not None
    head = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box[1]}" role="img" '
        f'aria-labelledby="{name}-title {name}-description"><title id="{name}-title">{html.escape(title)}</title>'
        f'<desc id="{name}-description">{html.escape(description)}</desc>'
    )
    return head + text[text.index(">") + 1 :].strip()


__all__ = ["inline"]
