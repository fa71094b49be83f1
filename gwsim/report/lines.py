"""Lines of styled text with a width: what the terminal report is made of, printed with or without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 100
ELLIPSIS = "…"
CONTINUED = "    "


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a line; `style` is rich's, empty for none."""

    text: str
    style: str = ""


Line = tuple[Part, ...]
EMPTY: Line = ()


def line(*pieces: str | Part) -> Line:
    """A line of texts and parts."""
    return tuple(Part(piece) if isinstance(piece, str) else piece for piece in pieces)


def plain(lines: Iterable[Line]) -> str:
    """The lines without colour, ending in a newline."""
    return "".join("".join(part.text for part in one).rstrip() + "\n" for one in lines)


def coloured(lines: Iterable[Line]) -> str:
    """The lines with colour, as ANSI sequences."""
    from io import StringIO

    from rich.console import Console
    from rich.text import Text

    out = StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", highlight=False, width=10_000)
    for one in lines:
        console.print(Text.assemble(*((part.text, part.style) for part in one)), soft_wrap=True)
    return out.getvalue()


def clip(text: str, width: int) -> str:
    """The text, cut in its middle where it is too long: names differ most at their ends."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return text[:head] + ELLIPSIS + text[len(text) - (width - 1 - head) :]


def paragraph(label: str, text: str, *, indent: int, most: int = 3, width: int = WIDTH) -> list[Line]:
    """A label and a text beside it, wrapped, at most `most` lines."""
    rows = textwrap.wrap(text, width - indent, max_lines=most, placeholder=f" {ELLIPSIS}", break_on_hyphens=False)
    head = label.ljust(indent)
    return [line(Part(head, "bold") if i == 0 else " " * indent, row) for i, row in enumerate(rows or [""])]


def command_lines(label: str, command: str, *, indent: int, width: int = WIDTH) -> list[Line]:
    """A command beside its label, broken between words with a backslash, so that it can be copied as it is."""
    rows: list[str] = []
    row = " " * indent
    for word in _words(command):
        fits = len(row) + 1 + len(word) + 2 <= width
        if row.strip() and not fits:
            rows.append(row + " \\")
            row = CONTINUED + word
            if len(row) + 2 > width and " " in word:
                option, _, value = word.partition(" ")
                rows.append(f"{CONTINUED}{option} \\")
                row = CONTINUED * 2 + value
        else:
            row = f"{row} {word}" if row.strip() else row + word
    rows.append(row)
    return [line(Part(label.ljust(indent), "bold"), rows[0][indent:]), *(line(one) for one in rows[1:])]


def _words(command: str) -> list[str]:
    """The words of a command as written, each option with its value."""
    words: list[str] = []
    quote = ""
    for piece in command.split(" "):
        if quote or (words and words[-1] in ("--set", "--duration", "--replications", "gwsim")):
            words[-1] += " " + piece
        else:
            words.append(piece)
        quote = "'" if words[-1].count("'") % 2 else ""
    return words


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and whether it is aligned to the right."""

    heading: str
    right: bool = True


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str | Part]], *, width: int = WIDTH, gap: int = 2
) -> list[Line]:
    """Rows under their headings; the first column gives way where the table is too wide."""
    texts = [[cell.text if isinstance(cell, Part) else cell for cell in row] for row in rows]
    wide = [max([len(c.heading), *(len(row[i]) for row in texts)]) for i, c in enumerate(columns)]
    over = sum(wide) + gap * (len(columns) - 1) - width
    if over > 0:
        wide[0] = max(wide[0] - over, 12)
    space = " " * gap

    def laid(cells: Sequence[str | Part], style: str = "") -> Line:
        parts: list[str | Part] = []
        for i, (cell, column) in enumerate(zip(cells, columns, strict=True)):
            given = cell if isinstance(cell, Part) else Part(cell, style)
            text = clip(given.text, wide[i])
            parts.append(Part(text.rjust(wide[i]) if column.right else text.ljust(wide[i]), given.style))
            if i + 1 < len(columns):
                parts.append(space)
        return line(*parts)

    return [laid([column.heading for column in columns], "bold"), *(laid(row) for row in rows)]


__all__ = ["EMPTY", "WIDTH", "Column", "Line", "Part", "clip", "coloured", "command_lines", "line", "paragraph", "plain", "table"]
