"""Replay of access logs: Istio's text, JSON, CSV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenario_text import changed

from gwsim.errors import InputError
from gwsim.scenario import Resolved, model, replay
from gwsim.scenario.file import MixEntry

LINE = (
    '[2026-05-01T10:00:0{t}Z] "{m} {p} HTTP/2" 200 - via_upstream - "-" 0 178 12 11 "10.0.0.1" "curl/8" "id-1" '
    '"{h}" "10.1.2.3:8080" outbound|8080||cart.shop.svc.cluster.local 10.0.0.2:1 10.0.0.3:8443 10.0.0.1:2 {h} cart\n'
)


def log(*entries: tuple[str, str, str, str]) -> str:
    return "".join(LINE.format(t=t, m=m, h=h, p=p) for t, m, h, p in entries)


def replayed(resolve: Callable[..., Resolved], folder: Path, text: str, options: str = "") -> tuple[Resolved, model.Replay]:
    (folder / "access.log").write_text(text, encoding="utf-8")
    resolved = resolve(text=changed(("{poisson: 2000rps}", f"{{replay: {{file: access.log{options}}}}}")))
    made = resolved.model.clients[0].arrivals
    assert isinstance(made, model.Replay)
    return resolved, made


def test_istio_text(resolve: Callable[..., Resolved], folder: Path) -> None:
    text = log(("2.5", "GET", "shop.example", "/cart/7?x=1"), ("1.0", "POST", "shop.example:443", "/checkout"), ("3.0", "GET", "other", "/cart"))
    resolved, made = replayed(resolve, folder, text + "not a request\n", ", speed: 2")
    assert made.times_s == (0.0, 0.75, 1.0)
    assert made.shapes == (0, 1, -1)
    messages = [f.message for f in resolved.findings if f.code == "GW0211"]
    assert len(messages) == 2
    assert any("1 of 3 requests match no entry" in message for message in messages)
    assert any("1 lines are no requests" in message and "line 4" in message for message in messages)


def test_json_and_csv(resolve: Callable[..., Resolved], folder: Path) -> None:
    lines = [
        '{"start_time": "2026-05-01T10:00:00.000Z", "method": "GET", "path": "/cart", "authority": "shop.example"}',
        '{"start_time": "2026-05-01T10:00:00.250Z", "method": "POST", "path": "/checkout", "authority": "shop.example"}',
    ]
    assert replayed(resolve, folder, "\n".join(lines))[1] == model.Replay(times_s=(0.0, 0.25), shapes=(1, 0))
    table = "time,method,host,path\n1777629600.5,GET,,/cart\n1777629600.0,,,\n"
    assert replayed(resolve, folder, table)[1] == model.Replay(times_s=(0.0, 0.5), shapes=(0, 1))
    assert replayed(resolve, folder, "Timestamp\n10\n20\n")[1].times_s == (0.0, 10.0)


def test_times_of_other_units() -> None:
    assert replay.time_of("1777629600500") == pytest.approx(1777629600.5)
    assert replay.time_of(1777629600500000) == pytest.approx(1777629600.5)
    assert replay.time_of("2026-05-01 10:00:00") == replay.time_of("2026-05-01T12:00:00+02:00")
    assert [replay.time_of(x) for x in ("", "yesterday", None, True, "-1", "nan")] == [None] * 6


def test_the_longest_path_wins() -> None:
    mix = [MixEntry(path="/", host="a"), MixEntry(path="/api", host="a"), MixEntry(path="/api/v1", host="a", method="POST")]
    entry = replay.Entry(0.0, "GET", "A:443", "/api/v1/x")
    assert replay.match(entry, mix, "") == 1
    assert replay.match(entry._replace(method="POST"), mix, "") == 2
    assert replay.match(entry._replace(path="/apis"), mix, "") == 0
    assert replay.match(entry._replace(host="b"), mix, "") == replay.DRAWN


@pytest.mark.parametrize(("name", "text"), [("missing.log", None), ("access.log", ""), ("access.log", "hello\nworld\n")])
def test_a_log_that_cannot_be_used(resolve: Callable[..., Resolved], folder: Path, name: str, text: str | None) -> None:
    if text is not None:
        (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"cannot replay {name}"):
        resolve(text=changed(("{poisson: 2000rps}", f"{{replay: {{file: {name}}}}}")))


@given(st.text(), st.sampled_from(["auto", "istio", "json", "csv"]))
def test_no_text_is_a_traceback(text: str, form: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            found = replay.read_log(path, form)
        except ValueError:
            return
        assert list(found.entries) == sorted(found.entries, key=lambda entry: entry.time_s)
