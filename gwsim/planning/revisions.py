"""A scenario as it was at a git revision: its whole tree, in a folder of its own that goes away again."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gwsim.errors import UsageError


@contextmanager
def at_revision(path: str, revision: str) -> Iterator[str]:
    """The path of a scenario as it was at a revision; UsageError where git, the revision or the path is missing."""
    here = Path(path).resolve()
    folder = here if here.is_dir() else here.parent
    top = Path(_git(folder, "rev-parse", "--show-toplevel", why=f"{path} is in no git repository").decode().strip())
    _git(top, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", why=f"git knows no revision {revision}")
    archive = _git(top, "archive", "--format=tar", revision, why=f"git cannot give the tree of {revision}")
    made = Path(tempfile.mkdtemp(prefix="gwsim-"))
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(made, filter="data")
        there = made / here.relative_to(top)
        if not there.exists():
            raise UsageError(f"{path} is not in revision {revision}; compare with a later one")
        yield str(there)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _git(folder: Path, *words: str, why: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=False)
    except FileNotFoundError:
        raise UsageError("git is not installed; compare with --config instead") from None
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(why + (f": {told[-1]}" if told else ""))
    return done.stdout


__all__ = ["at_revision"]
