"""`python -m tests.fields` writes docs/coverage.md and the list that `gwsim explain` reads; `--fill` first completes rows that lack `before` and `after`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent))

from coverage_effects import FOLDER, rows
from coverage_table import DECISIONS, PAGE, decisions, page, table


def fill() -> None:
    """Write what is seen into rows that end in `}` on one line and say nothing yet."""
    for row in rows():
        if "before" in row.data or "after" in row.data:
            continue
        try:
            before, after = (json.dumps(row.seen(applied=applied)) for applied in (False, True))
        except Exception as error:
            print(f"{row.file}: {row.field}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        if before == after:
            print(f"{row.file}: {row.field}: no difference: {before}", file=sys.stderr)
        path = FOLDER / row.file
        lines = path.read_text(encoding="utf-8").split("\n")
        at = next((n for n, line in enumerate(lines) if line.startswith("- {") and yaml.safe_load(line) == [row.data]), None)
        if at is None:
            print("not found", row.id, row.data)
            continue
        lines[at] = f"{lines[at].rstrip().removesuffix('}')}, before: {before}, after: {after}}}"
        path.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    if "--fill" in sys.argv[1:]:
        fill()
        rows.cache_clear()
    for problem in table().problems:
        print(problem, file=sys.stderr)
    PAGE.write_text(page(), encoding="utf-8")
    DECISIONS.write_text(decisions(), encoding="utf-8")
