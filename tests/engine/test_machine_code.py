"""Whether machine code is there: of this version, for this processor, and whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gwsim.engine import cache
from gwsim.engine.compiled import machine_code
from gwsim.engine.features import KERNELS


def test_kernels_have_the_names_that_the_cache_knows() -> None:
    assert tuple(KERNELS) == cache.KERNELS
    smaller, larger = KERNELS.values()
    assert smaller < larger


def test_machine_code_is_one_version_s_and_one_processor_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GWSIM_CACHE_DIR", str(tmp_path))
    for other in ("kernels-0123456789abcdef/lean-" + cache.processor(), f"{cache.PREFIX}{cache.source_hash()}/lean-0123456789abcdef"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).touch()
        assert not cache.is_warm("lean")
    for name in cache.KERNELS:
        assert not cache.is_warm()
        cache.code_file(name).touch()
        assert cache.is_warm(name)
    assert cache.is_warm()


def test_a_file_that_is_not_whole_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was cut off or changed is not run."""
    whole = cache.code_file("lean").read_bytes() if cache.is_warm("lean") else None
    if whole is None:
        machine_code.kernel("lean")
        whole = cache.code_file("lean").read_bytes()
    monkeypatch.setenv("GWSIM_CACHE_DIR", str(tmp_path))
    path = cache.code_file("lean")
    path.parent.mkdir(parents=True)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    for content, kept in ((whole, True), (whole[:-1], False), (bytes(damaged), False), (b"", False)):
        path.write_bytes(content)
        assert bool(machine_code.read("lean")) is kept


COMPILER_FREE = """
import sys
from gwsim.engine.compiled import driver
from gwsim.engine.compiled.selftest import smallest
assert driver.run(smallest(), 0, kernel="lean").requests[0] == 3
assert "numba" not in sys.modules
"""


def test_a_run_does_without_the_compiler() -> None:
    """Once the machine code is there, numba is not imported."""
    machine_code.kernel("lean")
    subprocess.run([sys.executable, "-c", COMPILER_FREE], check=True)
