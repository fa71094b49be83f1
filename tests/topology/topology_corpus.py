"""Where the routing examples are."""

from __future__ import annotations

import os
from pathlib import Path


def corpus_folder() -> Path | None:
    """The folder of the routing examples, wherever it was put."""
    given = os.environ.get("GWSIM_CORPUS")
    repository = Path(__file__).resolve().parents[2]
    candidates = [Path(given)] if given else []
    candidates.append(repository.parent / "shared" / "corpus")
    for candidate in candidates:
        for folder in (candidate, candidate / "routing-examples", candidate.parent / "routing-examples"):
            if (folder / "index.json").is_file() and (folder / "cases").is_dir():
                return folder
    return None
