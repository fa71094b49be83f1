"""Every test that docs/background/oracles.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/background/oracles.md").read_text(encoding="utf-8")
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}


def test_named_files_exist() -> None:
    named = set(re.findall(r"test_\w+\.py", PAGE))
    assert len(named) > 8
    assert named <= set(SOURCES)


def test_named_tests_exist() -> None:
    """`test_x*` stands for all that begin so."""
    everything = "\n".join(SOURCES.values())
    named = {name for name in re.findall(r"(?<![\w/])test_\w+\*?(?![\w.*])", PAGE) if f"{name}.py" not in SOURCES}
    assert len(named) > 20
    for name in named:
        end = r"\w*" if name.endswith("*") else ""
        assert re.search(rf"def {name.rstrip('*')}{end}\(", everything), name
