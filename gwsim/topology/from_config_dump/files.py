"""The files of a dump: JSON, also gzipped, of whatever shape Envoy's admin page or istioctl give."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from gwsim.diagnostics import Collector, Span, code
from gwsim.errors import InputError

_GZIP = b"\x1f\x8b"


def load(path: str | Path, collector: Collector) -> Any:
    """The content of a file. Raises InputError, with the line, for what is not JSON."""
    name = str(path)
    try:
        content = Path(path).read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        collector.add(code("FILE_MISSING"), f"{name} cannot be read: {reason}", Span(name))
        collector.raise_if_errors()
        raise
    return parse(content, name, collector)


def parse(content: bytes | str, name: str, collector: Collector) -> Any:
    """JSON as data. Raises InputError with file, line and column for what is not."""
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        return json.loads(text)
    except json.JSONDecodeError as error:
        lines = error.doc.splitlines()
        shown = lines[error.lineno - 1][:120] if error.lineno <= len(lines) else None
        span = Span(name, error.lineno, error.colno, shown)
        collector.add(code("YAML_SYNTAX"), f"not JSON: {error.msg}", span, help=_HELP)
    except UnicodeDecodeError:
        collector.add(code("YAML_SYNTAX"), "not JSON: not text in UTF-8", Span(name), help=_HELP)
    except RecursionError:
        collector.add(code("TOO_LARGE"), "nested deeper than any dump is", Span(name))
    collector.raise_if_errors()
    raise InputError(name)


_HELP = "a dump is what `istioctl proxy-config all POD -o json` prints, or the admin page's /config_dump?include_eds"
