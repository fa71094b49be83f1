"""Headers and line numbers of recorded arrivals, as recorders write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwsim.diagnostics import Collector
from gwsim.envoy.replay.arrivals import Arrivals, read_arrivals


def read(tmp_path: Path, text: str) -> tuple[Arrivals | None, Collector]:
    """The arrivals of a file."""
    path, collector = tmp_path / "arrivals.csv", Collector()
    path.write_text(text, "utf-8")
    return read_arrivals(path, collector), collector


@pytest.mark.parametrize(("cell", "headers"), [
    ("cookie: a=1; b=2", (("cookie", "a=1; b=2"),)),
    ("cookie: a=1; b=2; x-user: 7", (("cookie", "a=1; b=2"), ("x-user", "7"))),
    ("x-list: a|b", (("x-list", "a|b"),)),
    ("x-user: 7 | x-plan: gold", (("x-plan", "gold"), ("x-user", "7"))),
    ("x-user=7; x-plan=gold", (("x-plan", "gold"), ("x-user", "7"))),
    ('[{""name"": ""x-user"", ""value"": ""7""}]', (("x-user", "7"),)),
    ('[[""x-user"", ""7""]]', (("x-user", "7"),)),
    ('{""x-user"": [""7"", ""8""]}', (("x-user", "7, 8"),)),
])
def test_headers_in_every_form(tmp_path: Path, cell: str, headers: tuple[tuple[str, str], ...]) -> None:
    made, collector = read(tmp_path, f'time,headers\n0.1,"{cell}"\n')
    assert made is not None and made.asked[0].headers == headers
    assert not list(collector)


def test_findings_name_the_line_of_the_file(tmp_path: Path) -> None:
    made, collector = read(tmp_path, "# a comment\n\ntime,path\n0.1,/a\n\nsoon,/b\n")
    (finding,) = collector
    assert made is not None and len(made) == 1
    assert finding.span is not None and finding.span.line == 6


def test_a_file_of_bad_times_says_so_once(tmp_path: Path) -> None:
    made, collector = read(tmp_path, "time\nsoon\n")
    assert made is None and len(list(collector)) == 1
