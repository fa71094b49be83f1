"""Whether machine code is there: of this version, for this checkout, from its files as they are."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from gwsim.engine import cache


def test_another_checkouts_machine_code_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba keeps it by the path of its source: a second checkout of the same version compiles for itself."""
    monkeypatch.setenv("GWSIM_CACHE_DIR", str(tmp_path))
    version = tmp_path / f"{cache.PREFIX}{cache.source_hash()}"
    for folder in (f"compiled_{hashlib.sha1(b'/elsewhere').hexdigest()}", _ours()):
        assert not cache.is_warm()
        kept = version / folder
        kept.mkdir(parents=True, exist_ok=True)
        for name in cache.KERNELS:
            assert not cache.is_warm()
            for end in ("py311.nbi", "py311.1.nbc"):
                (kept / f"{cache.ENTRY}{name}-217.{end}").touch()
    assert cache.is_warm()


def test_machine_code_older_than_its_source_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GWSIM_CACHE_DIR", str(tmp_path))
    kept = tmp_path / f"{cache.PREFIX}{cache.source_hash()}" / _ours()
    kept.mkdir(parents=True, exist_ok=True)
    for name in cache.KERNELS:
        for end in ("py311.nbi", "py311.1.nbc"):
            (kept / f"{cache.ENTRY}{name}-217.{end}").touch()
    old = cache.KERNELS[0]
    for path in kept.glob(f"{cache.ENTRY}{old}-*"):
        os.utime(path, (1.0, 1.0))
    assert [name for name in cache.KERNELS if not cache.is_warm(name)] == [old]
    assert not cache.is_warm()


def _ours() -> str:
    """The folder as numba names it."""
    from numba.core.caching import UserProvidedCacheLocator

    source = os.path.join(os.path.dirname(cache.__file__), "compiled", "loop.py")
    return str(UserProvidedCacheLocator.get_suitable_cache_subpath(source))
