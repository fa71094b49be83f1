"""The command: paths, streams, clusters, exit codes that do not depend on the format."""

import io
import json
import os
import subprocess
import sys

import pytest

from gwsim.cli import execute
from gwsim.topology.lint import catalogue

BAD = next(rule.bad for rule in catalogue() if rule.code == "GATEWAY_MISSING")
GOOD = next(rule.good for rule in catalogue() if rule.code == "GATEWAY_MISSING")


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = execute(["lint", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("output", ["text", "json", "sarif", "github"])
def test_the_exit_code_is_the_same_for_every_format(run, tmp_path, output):
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "good.yaml").write_text(GOOD)
    assert run(tmp_path / "good.yaml", "-o", output)[0] == 0
    assert run(tmp_path / "bad.yaml", "-o", output)[0] == 1
    assert run(tmp_path / "bad.yaml", "-o", output, "--fail-on", "error")[0] == 0
    assert run(tmp_path / "bad.yaml", "-o", output, "--fail-on", "never")[0] == 0
    (tmp_path / "broken.yaml").write_text("kind: [")
    assert run(tmp_path / "broken.yaml", "-o", output)[0] == 2
    assert run(tmp_path / "missing.yaml", "-o", output)[0] == 2


def test_infos_fail_only_when_asked(run, tmp_path):
    (tmp_path / "s.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\nspec: {ports: [{name: web, port: 80}]}\n")
    assert run(tmp_path)[0] == 0
    assert run(tmp_path, "--fail-on", "info")[0] == 1
    assert run(tmp_path, "--level", "IST0118=error", "--fail-on", "error")[0] == 1


def test_a_stream(monkeypatch, run):
    monkeypatch.setattr("sys.stdin", io.StringIO(BAD))
    code, out, _ = run("-", "-o", "json")
    assert code == 1
    assert json.loads(out)["findings"][0]["file"] == "<stdin>"


def test_a_list_of_kubectl(monkeypatch, run):
    import yaml

    items = list(yaml.safe_load_all(BAD))
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items})))
    code, out, _ = run("-", "-o", "json")
    assert code == 1
    assert {"GW0101"} <= {one["code"] for one in json.loads(out)["findings"]}


def test_several_clusters(run, tmp_path):
    rule = next(rule for rule in catalogue() if rule.code == "SERVICES_DIFFER")
    for name, text in zip(("east", "west"), rule.bad, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "s.yaml").write_text(text)
    code, out, _ = run(f"east={tmp_path / 'east'}", f"west={tmp_path / 'west'}", "-o", "json")
    assert code == 1 and "IST0170" in {one["istio_code"] for one in json.loads(out)["findings"]}
    code, _, err = run(f"east={tmp_path / 'east'}", tmp_path / "west")
    assert code == 2 and "belongs to no cluster" in err


def test_objects_kept_elsewhere(run, tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD)
    assert run(tmp_path, "--assume-exists", "Gateway/edge/shopp")[0] == 0
    assert run(tmp_path, "--assume-exists", "Gateway/edge/*")[0] == 0


def test_wrong_options_say_what_would_be_right(run, tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    code, _, err = run(tmp_path, "--ignore", "GW9999")
    assert code == 2 and "no code GW9999" in err
    code, _, err = run(tmp_path, "--level", "GW0101=bad")
    assert code == 2 and "error, warning or info" in err
    code, _, err = run(tmp_path, "--istio-version", "0.8")
    assert code == 2


def test_output_does_not_depend_on_hash_seeds(tmp_path):
    for at, rule in enumerate(catalogue()):
        for place, text in enumerate((rule.bad,) if isinstance(rule.bad, str) else rule.bad):
            (tmp_path / f"{at}-{place}").mkdir()
            (tmp_path / f"{at}-{place}" / "x.yaml").write_text(text)
    outputs = {
        subprocess.run(
            [sys.executable, "-m", "gwsim", "lint", ".", "-o", "json"], cwd=tmp_path,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True, check=False,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1 and b"GW0109" in outputs.pop()


def test_values_beside_manifests_are_no_errors_unless_named(run, tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "values.yaml").write_text("replicas: 3\nimage: {tag: v1}\n")
    code, out, _ = run(tmp_path, "-o", "json")
    assert code == 0 and [one["level"] for one in json.loads(out)["findings"] if one["code"] == "GW0005"] == ["info"]
    assert run(tmp_path / "values.yaml")[0] == 1


def test_a_helm_template_is_told_to_be_rendered(run, tmp_path):
    (tmp_path / "t.yaml").write_text("kind: Service\nmetadata: {{ .Values.meta }}\n  name: x\n")
    code, out, _ = run(tmp_path)
    assert code == 2 and "helm template" in out


def test_what_is_printed_can_be_limited_and_the_exit_code_stays(run, tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD)
    code, out, _ = run(tmp_path, "--min-level", "error", "-o", "json")
    assert code == 1 and json.loads(out)["findings"] == []


def test_explain_takes_codes_of_either_tool(capsys):
    for word in ("GW0109", "IST0130", "rule_unreachable"):
        assert execute(["explain", word]) == 0
        out = capsys.readouterr().out
        assert "GW0109" in out and "IST0130" in out and "Reported when:" in out and "To do:" in out
    assert execute(["explain", "IST0143"]) == 0
    assert "sockets of running pods" in capsys.readouterr().out
