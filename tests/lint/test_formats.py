"""Formats: one order, one content, and SARIF as its schema wants it."""

import json

import pytest
from lint_calls import lint

from gwsim.report import findings as formats
from gwsim.topology.lint import catalogue

SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "additionalProperties": False,
                "properties": {
                    "tool": {
                        "type": "object", "required": ["driver"], "additionalProperties": False,
                        "properties": {"driver": {"$ref": "#/$defs/driver"}},
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
                    "properties": {"type": "object"},
                },
            },
        },
    },
    "$defs": {
        "text": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "driver": {
            "type": "object", "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "semanticVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
                "informationUri": {"type": "string", "format": "uri"},
                "rules": {
                    "type": "array", "uniqueItems": True,
                    "items": {
                        "type": "object", "required": ["id"], "additionalProperties": False,
                        "properties": {
                            "id": {"type": "string"}, "name": {"type": "string"}, "helpUri": {"type": "string", "format": "uri"},
                            "shortDescription": {"$ref": "#/$defs/text"}, "fullDescription": {"$ref": "#/$defs/text"},
                            "defaultConfiguration": {"type": "object", "properties": {"level": {"$ref": "#/$defs/level"}}},
                            "properties": {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}},
                        },
                    },
                },
            },
        },
        "result": {
            "type": "object", "required": ["message"], "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"}, "ruleIndex": {"type": "integer", "minimum": -1}, "level": {"$ref": "#/$defs/level"},
                "message": {"$ref": "#/$defs/text"}, "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
                "properties": {"type": "object"},
                "locations": {
                    "type": "array",
                    "items": {
                        "type": "object", "additionalProperties": False,
                        "properties": {
                            "physicalLocation": {
                                "type": "object", "required": ["artifactLocation"],
                                "properties": {
                                    "artifactLocation": {"type": "object", "properties": {"uri": {"type": "string"}}},
                                    "region": {
                                        "type": "object",
                                        "properties": {
                                            "startLine": {"type": "integer", "minimum": 1}, "startColumn": {"type": "integer", "minimum": 1},
                                            "snippet": {"$ref": "#/$defs/text"},
                                        },
                                    },
                                },
                            },
                            "logicalLocations": {"type": "array", "items": {"type": "object"}},
                        },
                    },
                },
            },
        },
    },
}
"""The part of the SARIF 2.1.0 schema that gwsim uses, with the same names, types and requirements."""


@pytest.fixture(scope="module")
def report():
    return lint(*[rule.bad for rule in catalogue() if isinstance(rule.bad, str)][:6])


def test_sarif_is_valid_and_refers_to_its_rules(report):
    jsonschema = pytest.importorskip("jsonschema")
    document = json.loads(formats.sarif(report.findings))
    jsonschema.validate(document, SARIF)
    run = document["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    by_code = {rule["id"]: rule for rule in rules}
    assert by_code["GW0101"]["properties"]["istio_code"] == "IST0101"


def test_fingerprints_outlive_a_move():
    rule = next(one for one in catalogue() if one.code == "GATEWAY_MISSING")
    before = json.loads(formats.sarif(lint(rule.bad).findings))
    after = json.loads(formats.sarif(lint("# a line more\n" + rule.bad).findings))
    prints = [[one["partialFingerprints"] for one in run["runs"][0]["results"]] for run in (before, after)]
    assert prints[0] == prints[1]
    lines = [run["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] for run in (before, after)]
    assert lines[1] == lines[0] + 1


def test_json_carries_the_code_of_istioctl_and_counts(report):
    document = json.loads(formats.json(report.findings, suppressed=2))
    assert document["version"] == 1 and document["summary"]["suppressed"] == 2
    first = next(one for one in document["findings"] if one["code"] == "GW0101")
    assert first["istio_code"] == "IST0101" and first["object"].startswith("VirtualService/")
    assert sum(document["summary"][level] for level in ("error", "warning", "info")) == len(document["findings"])


def test_all_formats_have_the_same_order(report):
    listed = [(one["file"], one["line"], one["code"]) for one in json.loads(formats.json(report.findings))["findings"]]
    assert listed == sorted(listed, key=lambda one: (one[0], one[1]))
    results = json.loads(formats.sarif(report.findings))["runs"][0]["results"]
    assert [one["ruleId"] for one in results] == [code for _, _, code in listed]
    heads = [line.partition("[")[2].partition("]")[0].split()[0] for line in formats.text(report.findings).splitlines() if "[GW" in line]
    assert heads == [code for _, _, code in listed]
    commands = [line for line in formats.github(report.findings).splitlines() if line.startswith("::")]
    assert len(commands) == len(listed)


def test_text_marks_the_place():
    rule = next(one for one in catalogue() if one.code == "GATEWAY_MISSING")
    text = formats.text(lint(rule.bad).findings)
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if "gateways: [edge/shopp]" in line)
    assert lines[at + 1].index("^") == lines[at].index("edge/shopp")
    assert lines[at + 1].count("^") == len("edge/shopp")
    assert "did you mean edge/shop?" in text


def test_github_escapes_what_would_end_a_command():
    report = lint("kind: Service\n\tbroken: [\n")
    commands = [line for line in formats.github(report.findings).splitlines() if line.startswith("::")]
    assert commands and all("\n" not in line for line in commands)
    assert commands[0].startswith("::error file=a.yaml,line=")
