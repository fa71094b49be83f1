"""Notebooks: each reads like an article, is paired with its text, and the smallest is executed here; `make notebooks` executes all."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from gwsim.engine.cache import is_warm

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
SMALLEST = "what-if"
MOST_BYTES = 1_000_000


def read(path: Path) -> object:
    """The notebook of a text file."""
    return pytest.importorskip("jupytext", reason="jupytext is not installed (extra notebook)").read(path)


def names() -> list[str]:
    """The notebooks."""
    return [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names())
def test_reads_like_an_article(path: Path) -> None:
    """A title, a text before most of its code, a figure, and short cells."""
    notebook = read(path)
    kinds = [cell.cell_type for cell in notebook.cells]  # type: ignore[attr-defined]
    assert kinds[0] == "markdown" and notebook.cells[0].source.startswith("# ")  # type: ignore[attr-defined]
    assert kinds.count("markdown") * 3 >= kinds.count("code")
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")  # type: ignore[attr-defined]
    assert re.search(r"\.(curve|percentiles|staircase|ratios|where_time_went|heat_map)\(|plt\.subplots", code)
    compile(code, str(path), "exec")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names())
def test_is_paired(path: Path) -> None:
    """The .ipynb beside it has the same cells, was executed without an error, and is small."""
    import json

    other = path.with_suffix(".ipynb")
    saved = json.loads(other.read_text("utf-8"))
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in saved["cells"]]
    assert cells == [(cell.cell_type, cell.source) for cell in read(path).cells], "run `make notebooks`"  # type: ignore[attr-defined]
    outputs = [out for cell in saved["cells"] if cell["cell_type"] == "code" for out in cell["outputs"]]
    assert not [out for out in outputs if out["output_type"] == "error"]
    assert other.stat().st_size < MOST_BYTES


@pytest.mark.skipif(not is_warm(), reason="the engine is not compiled: gwsim warmup (make test does it)")
def test_the_smallest_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a kernel of Jupyter, from its text."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (extra notebook)")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra notebook)")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = read(ROOT / "notebooks" / f"{SMALLEST}.py")
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    shown = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]  # type: ignore[attr-defined]
    assert sum("image/png" in out.get("data", {}) for out in shown) >= 3
