"""Saved runs: the same bytes, the same results, and damage that is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from synthetic import model, replications, resolved

from gwsim.engine.schema import differences
from gwsim.errors import UsageError
from gwsim.results import Results, Warmup, store
from gwsim.results.plain import json_schema, to_plain

SCHEMA = Path(store.__file__).with_name("schema.json")
BUDGETS = ('client.latency{route="cart"} p(99) < 60ms', "errors rate < 5%")


def made(seed: int = 1) -> Results:
    of = model(duration_s=20.0, warmup_s=2.0)
    warmup = Warmup(cut_s=2.0, stationary=True, note="cut")
    raws = replications(of, 3, 1000, seed=seed, errors={1: 7})
    raws[1].digest = 2**64 - 1
    return Results.of(resolved(of, budgets=BUDGETS), raws, warmup=warmup, notes=["settled"])


def test_a_saved_run_gives_the_same_results(tmp_path: Path) -> None:
    results = made()
    store.save(results, tmp_path / "run")
    again = store.load(tmp_path / "run" / "run.json")
    assert again.labels == results.labels
    assert (again.digest, again.notes, again.warmup) == (results.digest, results.notes, results.warmup)
    assert to_plain(again.total) == to_plain(results.total)
    for a, b in zip(results.raws, again.raws, strict=True):
        assert differences(a, b) == []


def test_the_same_counts_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = store.save(made(), tmp_path / "a"), store.save(made(), tmp_path / "elsewhere" / "b")
    for name in ("run.json", "arrays.npz"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    store.save(made(seed=2), two)
    assert (one / "arrays.npz").read_bytes() != (two / "arrays.npz").read_bytes()


def test_run_json_holds_no_place_or_time(tmp_path: Path) -> None:
    text = (store.save(made(), tmp_path) / "run.json").read_text()
    told = json.loads((tmp_path / "provenance.json").read_text())
    assert str(tmp_path) not in text and told["time"] not in text
    assert {"host", "time", "command", "python"} <= set(told)


def test_provenance_can_be_added_to(tmp_path: Path) -> None:
    store.save(made(), tmp_path, provenance={"engine": "compiled"})
    assert store.provenance_of(tmp_path)["engine"] == "compiled"
    assert store.provenance_of(tmp_path / "nowhere") == {}


def test_run_json_fits_its_schema(tmp_path: Path) -> None:
    head = json.loads((store.save(made(), tmp_path) / "run.json").read_text())
    jsonschema.validate(head, json.loads(SCHEMA.read_text()))
    assert head["budgets"]["checked"][0]["budget"]["line"] == 10
    without = Results.of(resolved(model(duration_s=20.0)), replications(model(duration_s=20.0), 2, 0))
    head = json.loads((store.save(without, tmp_path) / "run.json").read_text())
    jsonschema.validate(head, json.loads(SCHEMA.read_text()))


def test_the_schema_in_the_package_is_up_to_date() -> None:
    assert json.loads(SCHEMA.read_text()) == json_schema(), "write it again: python -m gwsim.results.plain"


def test_missing_and_damaged_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no run\.json"):
        store.load(tmp_path)
    run = store.save(made(), tmp_path / "run")
    (run / "arrays.npz").write_bytes(b"")
    with pytest.raises(UsageError, match="does not belong"):
        store.load(run)
    (run / "arrays.npz").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        store.load(run)
    (run / "run.json").write_text('{"format": "gwsim.run/99"}')
    with pytest.raises(UsageError, match=r"format 'gwsim\.run/99'"):
        store.load(run)
    (run / "run.json").write_text("{")
    with pytest.raises(UsageError, match="damaged"):
        store.load(run)


def test_other_files_in_the_directory_stay(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("x")
    store.save(made(), tmp_path)
    store.save(made(seed=2), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["arrays.npz", "provenance.json", "report.html", "run.json"]
