"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from gwsim.errors import UsageError


def write_whole(path: Path, data: bytes | str) -> None:
    """Replace a file by `data` (text as UTF-8), synced to disk first; UsageError where that is not possible."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None


def folder_for_writing(folder: Path) -> Path:
    """The folder, made if need be; UsageError where nothing can be written into it."""
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror or error}; choose another with --out") from None


__all__ = ["folder_for_writing", "write_whole"]
