"""Workflow commands of GitHub Actions: what is wrong, at the line it stands in.

Source: GitHub Docs, Workflow commands for GitHub Actions (escaping of data and of properties).
"""

from __future__ import annotations

from collections.abc import Sequence

from gwsim.planning.batch import Batch


def annotation(level: str, message: str, *, file: str = "", line: int = 0, title: str = "") -> str:
    """One command; `level` is `error`, `warning` or `notice`."""
    parts = [("file", file), ("line", str(line) if line else ""), ("title", title)]
    properties = ",".join(f"{key}={_property(value)}" for key, value in parts if value)
    return f"::{level}{' ' if properties else ''}{properties}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def checked(made: Batch, files: Sequence[str]) -> str:
    """An annotation for every budget that does not hold; `files` are the scenario files, in the order of the batch."""
    lines = []
    for name, row, file in zip(made.names, made.rows, files, strict=True):
        if not row.get("budgets") and row["exit_code"] != 0:
            lines.append(annotation("error", row["sentence"], file=file, title=f"gwsim: {name}"))
        for one in row.get("budgets", ()):
            if one["answer"] == "pass":
                continue
            level = "error" if one["answer"] == "fail" and one["level"] == "error" else "warning"
            text = f"{one['text']}: {one['sentence']}"
            lines.append(annotation(level, text, file=file, line=one["line"], title=f"gwsim: {name}: {one['answer']}"))
    return "".join(line + "\n" for line in lines)


__all__ = ["annotation", "checked"]
