"""`gwsim show` and `gwsim diff`: tables, JSON, exit codes, bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli_calls import Command

DUMPS = Path(__file__).parents[1] / "topology" / "dumps"
SECRET = ("--assume-exists", "Secret/gateways/fruit-cert")
APPLES = "apples.orchard.svc.cluster.local"


@pytest.fixture
def orchard(tmp_path: Path) -> Path:
    """A folder with the configuration and the dump of its gateway beside each other."""
    for name in ("orchard.yaml", "orchard.json"):
        shutil.copy(DUMPS / name, tmp_path / name)
    return tmp_path


def test_no_difference(gwsim: Command, orchard: Path) -> None:
    ended = gwsim("diff", "--config", ".", "--dump", "orchard.json", *SECRET)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("gateways/fruit-gateway: no difference between the configuration and the dump")
    assert "2 x listener: Istio's own (0.0.0.0_15021, 0.0.0.0_15090)" in ended.out
    assert "In the dump and not modelled" in ended.out and "$.configs" not in ended.out
    assert "$.configs[3]" in gwsim("diff", "--config", ".", "--dump", "orchard.json", *SECRET, "--all").out


def test_a_difference_with_the_line_of_the_yaml(gwsim: Command, orchard: Path) -> None:
    yaml = orchard / "orchard.yaml"
    yaml.write_text(yaml.read_text().replace("timeout: 4s", "timeout: 6s"))
    line = next(n for n, text in enumerate(yaml.read_text().splitlines(), 1) if "prefix: /pick" in text)
    ended = gwsim("diff", "-c", "orchard.yaml", "--dump", "orchard.json", *SECRET)
    assert ended.code == 1
    assert f"~ route picked (prefix /pick)  (orchard.yaml:{line})" in ended.out
    assert "action.timeout_s: 6 in the configuration, 4 in the dump" in ended.out
    answer = json.loads(gwsim("diff", "-c", "orchard.yaml", "--dump", "orchard.json", *SECRET, "-o", "json").out)
    assert answer["schema"] == "gwsim/diff/v1" and answer["istio_version"] == "1.30"
    found = [one for one in answer["differences"] if one["counts"]]
    # The same VirtualService serves both ports, and istiod caps gRPC's own time-outs with the route's.
    assert answer["counted"] == len(found) == 2
    assert {one["configuration"] for one in found} == {f"orchard.yaml:{line}"}
    fields = {each["name"]: (each["configuration"], each["dump"]) for each in found[0]["fields"]}
    assert fields == {"action.timeout_s": (6.0, 4.0), "action.max_grpc_timeout_s": (6.0, 4.0)}


@pytest.mark.parametrize(
    ("part", "head", "row"),
    [
        ("listeners", "ADDRESSES", "0.0.0.0 8443 SNI: fruit.example Route: https.443.https.fruit.gateways"),
        ("routes", "NAME", "/pick* (x-basket)"),
        ("clusters", "SERVICE FQDN", f"{APPLES}"),
        ("endpoints", "ENDPOINT", "HEALTHY"),
    ],
)
def test_tables_from_files_and_from_a_dump(gwsim: Command, orchard: Path, part: str, head: str, row: str) -> None:
    for source in (("-c", "orchard.yaml", *SECRET), ("--dump", "orchard.json")):
        ended = gwsim("show", part, *source)
        assert ended.code == 0, ended.err
        assert ended.out.startswith(head)
        assert row in " ".join(ended.out.split()).replace(" FROM ", "")


def test_rows_are_chosen(gwsim: Command, orchard: Path) -> None:
    by_declared = gwsim("show", "listeners", "-c", "orchard.yaml", "--port", "443").out
    assert by_declared == gwsim("show", "listeners", "-c", "orchard.yaml", "--port", "8443").out
    assert len(by_declared.splitlines()) == 2
    ripe = gwsim("show", "clusters", "-c", "orchard.yaml", "--host", APPLES, "--subset", "ripe").out.splitlines()
    assert len(ripe) == 2 and ripe[1].split()[:5] == [APPLES, "8000", "ripe", "outbound", "EDS"]
    assert ripe[1].split()[5].startswith("orchard.yaml:")


def test_json_is_read_back_as_the_same(gwsim: Command, orchard: Path) -> None:
    whole = gwsim("show", "all", "-c", "orchard.yaml", *SECRET, "-o", "json").out
    (orchard / "ours.json").write_text(whole)
    ended = gwsim("diff", "-c", "orchard.yaml", "--dump", "ours.json", *SECRET)
    assert ended.code == 0 and "Not counted" not in ended.out
    assert gwsim("show", "all", "--dump", "ours.json", "-o", "json").out == whole
    words = []
    for part in ("listeners", "routes", "clusters", "endpoints"):
        (orchard / f"{part}.json").write_text(gwsim("show", part, "-c", "orchard.yaml", *SECRET, "-o", "json").out)
        words += ["--dump", f"{part}.json"]
    assert gwsim("diff", "-c", "orchard.yaml", *words, *SECRET).code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("diff", "-c", "orchard.yaml"), "--dump"),
        (("diff", "-c", "orchard.yaml", "--dump", "none.json"), "there is no file none.json"),
        (("diff", "-c", "orchard.yaml", "--dump", "orchard.yaml"), "orchard.yaml:1:1"),
        (("diff", "-c", "orchard.yaml", "--dump", "bad.json"), "bad.json:2:2"),
        (("diff", "-c", "orchard.yaml", "--dump", "empty.json"), "GW0601"),
        (("show", "routes", "-c", "orchard.yaml", "--dump", "orchard.json"), "--dump excludes --config"),
        (("show", "everything"), "everything"),
        (("diff", "-c", "orchard.yaml", "--dump", "orchard.json", "--gateway", "gateways/veg"), "gateways/fruit"),
    ],
)
def test_wrong_input_is_2_and_told(gwsim: Command, orchard: Path, words: tuple[str, ...], message: str) -> None:
    (orchard / "bad.json").write_text("{\n}}")
    (orchard / "empty.json").write_text("{}")
    ended = gwsim(*words)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


def test_sidecars_are_shown_and_compared(gwsim: Command, orchard: Path) -> None:
    client = ("--from", "orchard/apples-v1")
    table = gwsim("show", "listeners", "-c", "orchard.yaml", *client)
    assert table.code == 0 and " 15001 " in table.out
    (orchard / "sidecar.json").write_text(gwsim("show", "all", "-c", "orchard.yaml", *client, "-o", "json").out)
    ended = gwsim("diff", "-c", "orchard.yaml", "--dump", "sidecar.json")
    assert ended.code == 0, ended.out
    assert ended.out.startswith("orchard/apples-v1: no difference")
    yaml = orchard / "orchard.yaml"
    yaml.write_text(yaml.read_text().replace("maxConnections: 64", "maxConnections: 65"))
    assert gwsim("diff", "-c", "orchard.yaml", "--dump", "sidecar.json").code == 1
