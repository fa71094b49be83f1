"""`gwsim emit`: a saved run as its gateways would have emitted it."""

from __future__ import annotations

from pathlib import Path

from cli_calls import QUICK, Command
from prometheus_client.parser import text_string_to_metric_families


def test_a_saved_run_is_emitted(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    gwsim("run", str(demo), *QUICK, "--out", "run", "--no-html")
    printed = gwsim("emit", "run", "--as", "prometheus")
    assert printed.code == 0
    assert "istio_requests" in {one.name for one in text_string_to_metric_families(printed.out)}
    written = gwsim("emit", "run", "--as", "access-log", "--to", "access.log", "--began", "2026-03-01T12:00:00Z", "--replication", "2")
    assert (written.code, written.out) == (0, "")
    assert (tmp_path / "access.log").read_text().startswith("[2026-03-01T12:00:0")


def test_what_cannot_be_emitted_is_a_usage_error(gwsim: Command, demo: Path) -> None:
    gwsim("run", str(demo), *QUICK, "--out", "run", "--no-html")
    for words, told in (
        (("run", "--as", "prometheus", "--replication", "3"), "the run has 2"),
        (("run", "--as", "otlp", "--began", "yesterday"), "no time"),
        (("nowhere", "--as", "otlp"), "holds no run"),
        (("run", "--as", "zipkin"), "zipkin"),
    ):
        ended = gwsim("emit", *words)
        assert ended.code == 2 and told in ended.err
