"""Files, folders and standard input to a `ResourceSet`. Everything is read before anything is refused."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from gwsim.diagnostics import Collector, Span, code
from gwsim.errors import UsageError
from gwsim.resources.context import SourceFile
from gwsim.resources.objects import ObjectReader
from gwsim.resources.patches import Patches
from gwsim.resources.resource_set import ResourceSet
from gwsim.resources.yaml_nodes import Problem, documents, prepare

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_CODES = {"syntax": "YAML_SYNTAX", "duplicate": "DUPLICATE_KEY", "key": "WRONG_TYPE", "size": "TOO_LARGE"}


def read(
    paths: Sequence[str | Path],
    *,
    collector: Collector,
    unknown_fields: str = "warn",
    stdin: IO[Any] | None = None,
    patches: Patches | None = None,
) -> ResourceSet:
    """The objects of files, folders (recursive, sorted, .yaml/.yml/.json) and "-" (standard input).

    YAML with any number of documents, JSON, and the Lists of `kubectl get -o yaml|json` are read. What
    is wrong goes to `collector`, with file, line and column; file names stay as given. Nothing is raised
    for wrong input. `unknown_fields` is "warn" or "error"; `stdin` stands in for sys.stdin.
    `patches` are overrides of single fields, applied before the objects are read.

    Raises UsageError for another value of `unknown_fields`.
    """
    return read_contents(
        contents(paths, collector=collector, stdin=stdin),
        given=paths, collector=collector, unknown_fields=unknown_fields, patches=patches,
    )


def read_contents(
    named: Iterable[tuple[str, str]],
    *,
    given: Sequence[str | Path] = (),
    collector: Collector,
    unknown_fields: str = "warn",
    patches: Patches | None = None,
) -> ResourceSet:
    """The objects of texts given as (name, text); otherwise as `read`. `given` is what messages call the input."""
    reader = _reader(collector, unknown_fields, patches)
    with _without_gc():
        for name, content in named:
            _read_content(reader, name, content)
    reader.finish()
    if not reader.objects and not reader.passed_over and not collector.has_errors:
        names = ", ".join(str(path) for path in given) or "the input"
        collector.add(code("EMPTY_INPUT"), f"no object in {names}")
    return ResourceSet(reader.objects)


def read_text(
    text: str, name: str = "<text>", *, collector: Collector | None = None, unknown_fields: str = "warn"
) -> ResourceSet:
    """The objects of a text, for tests and notebooks. Without a collector, errors raise `InputError`."""
    own = Collector() if collector is None else collector
    reader = _reader(own, unknown_fields)
    _read_content(reader, name, text)
    reader.finish()
    if collector is None:
        own.raise_if_errors()
    return ResourceSet(reader.objects)


def _reader(collector: Collector, unknown_fields: str, patches: Patches | None = None) -> ObjectReader:
    if unknown_fields not in ("warn", "error"):
        raise UsageError(f"unknown_fields cannot be {unknown_fields!r}; write warn or error")
    return ObjectReader(collector, unknown_fields, patches)


@contextmanager
def _without_gc() -> Iterator[None]:
    """Hold the cyclic collector: walking a growing heap of new nodes again and again takes three quarters of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def contents(
    paths: Sequence[str | Path], *, collector: Collector, stdin: IO[Any] | None = None
) -> Iterator[tuple[str, str]]:
    """Names and texts of all files; a file reached twice is read once."""
    seen: set[str] = set()
    for path in paths:
        if str(path) == "-":
            text = _stdin_text(stdin, collector)
            if text is not None:
                yield "<stdin>", text
            continue
        for name in _files(str(path), collector):
            real = os.path.realpath(name)
            if real in seen:
                continue
            seen.add(real)
            text = _file_text(name, collector)
            if text is not None:
                yield name, text


def _files(path: str, collector: Collector) -> list[str]:
    """The file itself, or the folder's files in order; hidden ones are left out."""
    if not os.path.isdir(path):
        return [path]
    found: list[str] = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            os.path.join(folder, name)
            for name in names
            if os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")
        ]
    if not found:
        collector.add(code("EMPTY_INPUT"), f"{path} holds no .yaml, .yml or .json file", Span(path))
    return sorted(found)


def _file_text(name: str, collector: Collector) -> str | None:
    try:
        with open(name, "rb") as file:
            content = file.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        collector.add(code("FILE_MISSING"), f"cannot read {name}: {reason}", Span(name))
        return None
    return _decoded(content, name, collector)


def _stdin_text(stdin: IO[Any] | None, collector: Collector) -> str | None:
    stream: Any = stdin or sys.stdin
    content = getattr(stream, "buffer", stream).read()
    return content if isinstance(content, str) else _decoded(content, "<stdin>", collector)


def _decoded(content: bytes, name: str, collector: Collector) -> str | None:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        collector.add(code("FILE_MISSING"), f"{name} is not UTF-8 text", Span(name, line))
        return None


def _read_content(reader: ObjectReader, name: str, text: str) -> None:
    text = prepare(text)
    source = SourceFile(name, text)
    # A line of a Secret may hold a key, and which document a syntax error is in is not known.
    quote = "Secret" not in text
    for found in documents(text):
        if isinstance(found, Problem):
            span = source.span(found.line, found.column, quote=quote)
            help = "this looks like a Helm template: render it first, helm template ... | gwsim lint -" if "{{" in text else None
            reader.collector.add(code(_CODES[found.kind]), found.message, span, help=help if found.kind == "syntax" else None)
        else:
            reader.read(source, found)
