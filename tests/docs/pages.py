"""Markdown pages, their blocks, and the commands in them.

A block marked `console` is run: every line after `$ ` is a command, what follows is what it prints. `# exit code N` at the
end of a command says how it ends; `...` stands for lines left out. Output is compared without its numbers, so that a page
does not lie about words, and does not have to follow every digit. Two marks stand in a comment before a block:

    <!-- not run: why -->        a console block that needs what a test does not have
    <!-- file: path -->          the block is written to that file before the commands after it
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!--\s*(?P<kind>not run|file):\s*(?P<text>[^>]*?)\s*-->\s*\Z")
_EXIT = re.compile(r"\s+#.*?\bexit code (\d+)\b.*$")
_COMMENT = re.compile(r"\s+#\s.*$")
_NUMBER = re.compile(r"[~<(±+-]*\s*\d[\d,.–-]*(?:k|m|%)?")
_BAR = re.compile(r"[▏▎▍▌▋▊▉█]+")


@dataclass(frozen=True)
class Block:
    """A fenced block: what it is marked as, its text, the line it starts at."""

    info: str
    body: str
    line: int
    not_run: str = ""
    file: str = ""


@dataclass(frozen=True)
class Command:
    """A command of a page, the exit code it should end with, and the lines shown below it."""

    text: str
    code: int
    shown: tuple[str, ...]
    line: int


def pages() -> list[Path]:
    """Every page for readers."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in their order."""
    text = path.read_text("utf-8")
    for match in _FENCE.finditer(text):
        mark = _MARK.search(text[: match.start()])
        kind = mark["kind"] if mark else ""
        yield Block(
            info=match["info"].strip(), body=match["body"], line=text.count("\n", 0, match.start()) + 1,
            not_run=mark["text"] if mark and kind == "not run" else "", file=mark["text"] if mark and kind == "file" else "",
        )


def commands(block: Block) -> list[Command]:
    """The commands of a console block."""
    made: list[Command] = []
    text, shown, first = "", [], block.line
    lines = block.body.splitlines()
    n = 0
    while n < len(lines):
        line = lines[n]
        if line.startswith("$ "):
            if text:
                made.append(_command(text, shown, first))
            text, shown, first = line[2:], [], block.line + 1 + n
            while text.endswith("\\"):
                n += 1
                text = text[:-1] + lines[n].lstrip("> ")
        elif text:
            shown.append(line)
        n += 1
    return [*made, _command(text, shown, first)] if text else made


def _command(text: str, shown: list[str], line: int) -> Command:
    match = _EXIT.search(text)
    return Command(_COMMENT.sub("", text), int(match[1]) if match else 0, tuple(shown), line)


def shape(line: str) -> str:
    """A line of output without its numbers, bars and spacing."""
    return re.sub(r"\s+", " ", _NUMBER.sub(" # ", _BAR.sub(" ", line))).strip()


def missing(shown: tuple[str, ...], printed: str) -> list[str]:
    """The lines shown that were not printed in that order, by their shape."""
    printed_shapes = [shape(line) for line in printed.splitlines()]
    at, lost = 0, []
    for line in shown:
        wanted = shape(line)
        if not wanted or wanted == "...":
            continue
        found = next((n for n in range(at, len(printed_shapes)) if printed_shapes[n] == wanted), None)
        if found is None:
            lost.append(line)
        else:
            at = found + 1
    return lost
