"""What the scenario file accepts, and how it refuses the rest."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from scenario_text import REPOSITORY, SCENARIO, changed, one, read, refused

from gwsim import scenario
from gwsim.errors import InputError
from gwsim.scenario import reference, schema


def test_the_example_of_the_design_loads() -> None:
    loaded = read(changed(("concurrency: 32}", "concurrency: 32, keepalive_timeout: 5s}")) + "front: {cross_zone: true, idle_timeout: 350s, deregistration: 30s}\n")
    web = loaded.scenario.clients["web"]
    assert web.arrivals.poisson == 2000.0
    assert (web.connection.http, web.connection.requests, web.connection.tls, web.connection.offers_ticket) == (2, 6, "1.3", 0.4)
    assert web.timeout == 10.0
    assert [entry.weight for entry in web.mix] == [30.0, 70.0]
    assert loaded.scenario.backends["east/checkout.shop"].keepalive_timeout == 5.0
    assert [(budget.text, budget.span.line) for budget in loaded.budgets] == [
        ('gateway.latency{route="checkout"} p(99) < 250ms', 22),
        ('errors{route="checkout"} rate < 0.1%', 23),
    ]


def test_places_of_fields() -> None:
    loaded = read(SCENARIO)
    span = loaded.span("clients", "web", "mix", 1, "path")
    assert (span.file, span.line) == ("s.yaml", 17)
    assert span.text is not None
    assert "/cart" in span.text
    assert loaded.span("clients", "web", "retries").line == 8  # not written: its parent's place
    assert loaded.has("clients", "web", "timeout")
    assert not loaded.has("clients", "web", "retries")


@pytest.mark.parametrize(
    ("old", "new", "line", "said", "help"),
    [
        ("    timeout: 10s", "    tiemout: 10s", 14, "there is no field tiemout in clients.web", "did you mean timeout?"),
        ("arrivals: {poisson: 2000rps}", "arrivals: {possion: 2000rps}", 11, "no field possion", "did you mean poisson?"),
        ("timeout: 10s", "timeout: 10x", 14, "'10x' is not a duration", None),
        ("timeout: 10s", "timeout: 0s", 14, "it must be above 0", None),
        ("timeout: 10s", "timeout: [1]", 14, "is not a duration", None),
        ("2000rps", "-5rps", 11, "is negative", None),
        ("2000rps", "0rps", 11, "it must be above 0", None),
        ("2000rps", ".nan", 11, "is not a rate", None),
        ("{poisson: 2000rps}", "{poisson: 2krps, paced: 1rps}", 11, "give one of poisson, paced, not several", None),
        ("{poisson: 2000rps}", "{}", 11, "arrivals is empty", None),
        ("http: 2", "http: 3", 12, "clients.web.connection.http cannot be 3", None),
        ('tls: "1.3"', "tls: 1.4", 12, "tls cannot be '1.4'", "auto or none or 1.2 or 1.3"),
        ("40%", "140%", 12, "not between 0 and 1", None),
        ("weight: 30", "weight: -1", 16, "it must be at least 0", None),
        ("path: /cart,", "path: cart,", 17, "must begin with a slash", None),
        ("name: cart", "name: checkout", 15, "'checkout' is given twice", None),
        ("kind: steady", "kind: stedy", 20, "run.kind cannot be 'stedy'", "did you mean steady?"),
        ("seed: 1}", "seed: 1.5}", 20, "run.seed must be a whole number", None),
        ("seed: 1}", "seed: true}", 20, "run.seed must be a whole number", None),
        ("seed: 1}", "warmup: 60s}", 20, "warmup must be shorter than duration", None),
        ("seed: 1}", "warmup: 61s}", 20, "warmup must be shorter than duration", None),
        ("kind: steady, duration: 60s", "kind: timeline, warmup: 1s", 20, "a timeline has no warmup", None),
        ("[istio/]", "istio/", 5, "clusters.east.config must be a list", None),
        ("zones: [a, b, c]", "zones: [a, a]", 5, "given twice", None),
        ('"1.30"', '"2.0"', 3, "istio.version cannot be '2.0'", "1.28 or 1.29 or 1.30 or 1.31"),
        ("Gateway/platform/public", "platform/public", 6, "does not name an object", None),
        ("p99: 80ms", "p99: 8ms", 19, "p99 is below median", None),
        ("p99: 80ms", "p99: 80ms, cv: 1", 19, "give two parameters", None),
        ("median: 12ms, p99", "median: 12ms, p9", 19, "there is no field p9", "did you mean p99?"),
        ("apiVersion: gwsim/v1", "apiVersion: gwsim/v2", 1, "apiVersion cannot be 'gwsim/v2'", "write gwsim/v1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_line(old: str, new: str, line: int, said: str, help: str | None) -> None:
    finding = one(refused(changed((old, new))))
    assert finding.span is not None
    assert (finding.span.file, finding.span.line) == ("s.yaml", line)
    assert said in finding.message
    if help is not None:
        assert finding.help is not None
        assert help in finding.help


def test_every_problem_is_told_at_once() -> None:
    findings = refused(changed(("timeout: 10s", "timeout: 10x"), ("weight: 30", "weight: -1"), ("kind: steady", "kind: x")))
    assert [finding.span.line for finding in findings if finding.span] == [14, 16, 20]


def test_an_empty_mix_and_weights_of_zero() -> None:
    mix = SCENARIO[SCENARIO.index("    mix:") : SCENARIO.index("backends:")]
    assert "clients.web.mix is empty" in one(refused(changed((mix, "    mix: []\n")))).message
    finding = one(refused(changed(("weight: 30", "weight: 0"), ("weight: 70", "weight: 0"))))
    assert "all weights are 0" in finding.message
    assert finding.span is not None
    assert finding.span.line == 15


def test_missing_fields_and_sections() -> None:
    assert "give either target" in one(refused(changed(("    target: east/Service/istio-system/istio-ingressgateway:443\n", "")))).message
    assert one(refused("")).message == "the scenario is empty"
    assert "is a mapping" in one(refused("- 1")).message
    messages = [finding.message for finding in refused("apiVersion: gwsim/v1")]
    assert messages == ["clients is missing in the scenario", "clusters is missing in the scenario"]


def test_a_host_must_come_from_somewhere() -> None:
    """In the mesh it is what is dialled; at a gateway the port decides (TCP has none)."""
    target = "    target: east/Service/istio-system/istio-ingressgateway:443\n"
    nameless = changed(("    sni: shop.example\n", ""), ("name: cart, host: shop.example", "name: cart"), (target, "    from: shop/orders\n"))
    assert "has no host" in one(refused(nameless)).message


def test_syntax_errors_and_duplicate_keys() -> None:
    finding = one(refused(changed(("requests: 6,", "requests: 6, ["))))
    assert finding.code == "GW0001"
    assert finding.span is not None
    assert finding.span.line >= 12
    assert "given twice" in one(refused(SCENARIO + "run: {}\n")).message
    assert "one document" in one(refused(SCENARIO + "---\na: 1\n")).message


def test_a_kubernetes_object_is_not_a_scenario() -> None:
    messages = [finding.message for finding in refused("kind: Gateway\nmetadata: {}")]
    assert "this is a Kubernetes object, not a scenario" in messages


def test_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text("")
    with pytest.raises(InputError) as caught:
        scenario.load(tmp_path / "scenari.yaml")
    assert one(list(caught.value.findings)).help == "did you mean scenario.yaml?"
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(InputError, match="not UTF-8"):
        scenario.load(tmp_path / "binary.yaml")


def test_a_folder_is_the_scenario_in_it(folder: Path) -> None:
    assert scenario.load(folder).scenario == scenario.load(folder / "scenario.yaml").scenario


def test_aliases_do_not_expand_without_bound() -> None:
    text = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True))
    assert refused(text)[0].code == "GW0014"


def test_fields_without_a_value_are_as_if_not_written() -> None:
    assert read(changed(("    timeout: 10s", "    timeout:"))).scenario.clients["web"].timeout is None


def test_values_that_yaml_reads_as_something_else() -> None:
    loaded = read(changed(('"1.30"', "1.30"), ('tls: "1.3"', "tls: 1.3"), ("http: 2", "http: 1.1"), ("requests: 6", "requests: 6")))
    assert loaded.scenario.istio.version == "1.30"
    assert loaded.scenario.clients["web"].connection.tls == "1.3"
    assert loaded.scenario.clients["web"].connection.http == 1


def test_the_effective_scenario_reads_back_as_the_same() -> None:
    from gwsim.scenario.file import Scenario
    from gwsim.scenario.resolution import effective

    first = read(SCENARIO).scenario
    assert Scenario.model_validate(json.loads(json.dumps(effective(first)))) == first


def test_the_schema_is_up_to_date_and_accepts_what_is_accepted() -> None:
    assert schema.shipped_text() == schema.schema_text(), "run python -m gwsim.scenario.schema > gwsim/scenario/schema.json"
    made = schema.schema()
    jsonschema.Draft202012Validator.check_schema(made)
    validator = jsonschema.Draft202012Validator(made)
    for file in (REPOSITORY / "scenarios").glob("*/scenario.yaml"):
        assert list(validator.iter_errors(yaml.safe_load(file.read_text(encoding="utf-8")))) == []
    assert list(validator.iter_errors(yaml.safe_load(SCENARIO))) == []
    wrong = yaml.safe_load(changed(("timeout: 10s", "tiemout: 10s")))
    assert len(list(validator.iter_errors(wrong))) == 1


def test_the_reference_page_is_up_to_date() -> None:
    page = (REPOSITORY / "docs" / "reference" / "scenario.md").read_text(encoding="utf-8")
    assert page == reference.document(), "run python -m gwsim.scenario.reference > docs/reference/scenario.md"
