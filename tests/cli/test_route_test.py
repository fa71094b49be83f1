"""`gwsim route test`: differences, formats, exit codes, bad files, coverage."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cli_calls import Command

CONFIG = """
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: app}
spec: {selector: {app: shop}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: app}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: app}
spec:
  hosts: [shop.example]
  gateways: [public]
  http:
  - name: old
    match: [{uri: {prefix: /old}}]
    redirect: {uri: /new}
  - name: cart
    match: [{uri: {prefix: /cart}}]
    headers: {request: {set: {x-team: cart}, remove: [x-secret]}}
    timeout: 2s
    rewrite: {uri: /}
    route: [{destination: {host: shop}}]
  - name: cors
    match: [{uri: {prefix: /api}}]
    corsPolicy: {allowOrigins: [{exact: "https://a.example"}], allowMethods: [GET, POST], maxAge: 60s}
    route: [{destination: {host: shop}}]
"""

DEFAULTS = """
defaults:
  config: config.yaml
  gateway: {selector: {istio: ingressgateway}, namespace: istio-system}
  port: 80
  request: {host: shop.example}
cases:
"""


def write(folder: Path, cases: str, config: str = CONFIG) -> str:
    """A configuration and a file of cases beside it."""
    (folder / "config.yaml").write_text(config)
    (folder / "cases.yaml").write_text(DEFAULTS + cases)
    return "cases.yaml"


PASSES = """
- id: cart
  request: {path: /cart/1, headers: {X-Secret: s}}
  expect:
    outcome: forward
    status: 200
    backends: [{host: shop.app.svc.cluster.local, port: 80}]
    rewrite: {path: //1}
    timeout: 2s
    request_headers: {x-team: cart, host: shop.example}
    absent_request_headers: [x-secret]
"""


def test_all_pass(gwsim: Command, tmp_path: Path) -> None:
    ended = gwsim("route", "test", write(tmp_path, PASSES))
    assert ended.code == 0, ended.out + ended.err
    assert "1 cases: 1 pass" in ended.out
    assert "routes reached: 1 of 3" in ended.out
    assert "not reached: old  config.yaml:19" in ended.out or "not reached: old" in ended.out


def test_a_difference_is_shown_with_both_places(gwsim: Command, tmp_path: Path) -> None:
    ended = gwsim("route", "test", write(tmp_path, "- {id: gone, request: {path: /old/x}, expect: {outcome: forward, status: 200}}\n"))
    assert ended.code == 1
    assert "- expected forward" in ended.out
    assert "+ actual   redirect" in ended.out
    assert "cases.yaml:8" in ended.out
    assert "route old: every condition holds" in ended.out
    assert "config.yaml:" in ended.out


def test_json_tells_the_actual_answer_of_every_case(gwsim: Command, tmp_path: Path) -> None:
    cases = PASSES + "- {id: old, request: {path: /old/x?a=1}, expect: {outcome: not_found}}\n- {id: odd, expect: {outcom: x}}\n"
    ended = gwsim("route", "test", write(tmp_path, cases), "-o", "json")
    assert ended.code == 2
    told = {one["id"]: one for one in json.loads(ended.out)["cases"]}
    assert {name: one["status"] for name, one in told.items()} == {"cart": "pass", "old": "fail", "odd": "error"}
    assert told["old"]["actual"]["redirect"]["location"] == "http://shop.example/new?a=1"
    assert told["old"]["differences"][0]["path"] == "expect.outcome"
    assert told["odd"]["actual"]["outcome"] == "not_found"
    assert "did you mean outcome" in ended.err


def test_junit(gwsim: Command, tmp_path: Path) -> None:
    cases = PASSES + "- {id: old, request: {path: /old}, expect: {outcome: not_found}}\n- {id: later, skip: soon, request: {path: /old}, expect: {status: 200}}\n"
    gwsim("route", "test", write(tmp_path, cases), "--junit", "out.xml")
    suite = ElementTree.parse(tmp_path / "out.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped"), suite.get("errors")) == ("3", "1", "1", "0")
    failure = suite.find("testcase[@name='old']/failure")
    assert failure is not None
    assert "expected not_found, actual redirect" in (failure.text or "")


@pytest.mark.parametrize(
    ("cases", "told"),
    [
        ("- {id: a, request: {schema: https}, expect: {}}", "request.schema"),
        ("- {id: a, expect: {outcome: forwarded}}", "did you mean forward"),
        ("- {id: a, port: 99999, expect: {}}", "port must be"),
        ("- {id: a, config: nowhere.yaml, expect: {}}", "there is no file nowhere.yaml"),
        ("- {id: a, expect: {}}\n- {id: a, expect: {}}", "another case has this id"),
        ("- {id: a, expect: {backends: x}}", "must be a list"),
        ("- {id: a, istio_version: 1.2, expect: {}}", "it is one of 1.28"),
        ("- {id: a, expect: [", "GW0001"),
        ("- just text", "a case is a mapping"),
        ("- {id: a, expect: {}, gateway: {selector: 5, nmae: x}}", "gateway"),
    ],
)
def test_bad_cases_are_told_with_their_line(gwsim: Command, tmp_path: Path, cases: str, told: str) -> None:
    ended = gwsim("route", "test", write(tmp_path, cases + "\n"))
    assert ended.code == 2
    assert told in ended.err
    assert "cases.yaml:" in ended.err
    assert "Traceback" not in ended.err


def test_a_refused_configuration_is_an_error(gwsim: Command, tmp_path: Path) -> None:
    config = CONFIG.replace("timeout: 2s", "timeout: soon")
    ended = gwsim("route", "test", write(tmp_path, PASSES, config))
    assert ended.code == 2
    assert "config.yaml:" in ended.err


def test_missing_files_and_no_cases(gwsim: Command, tmp_path: Path) -> None:
    assert gwsim("route", "test", "nothing.yaml").code == 2
    (tmp_path / "empty.yaml").write_text("[]\n")
    assert gwsim("route", "test", "empty.yaml").code == 2


def test_preflights_are_answered_by_the_gateway(gwsim: Command, tmp_path: Path) -> None:
    cases = """
- id: preflight
  request: {path: /api, method: OPTIONS, headers: {Origin: "https://a.example", Access-Control-Request-Method: GET}}
  expect:
    outcome: direct_response
    status: 200
    response_headers:
      access-control-allow-origin: https://a.example
      access-control-allow-methods: GET,POST
      access-control-max-age: "60"
- id: foreign preflight
  request: {path: /api, method: OPTIONS, headers: {origin: "https://b.example", access-control-request-method: GET}}
  expect: {outcome: forward, absent_response_headers: [access-control-allow-origin]}
- id: simple
  request: {path: /api, headers: {origin: "https://a.example"}}
  expect: {outcome: forward, response_headers: {access-control-allow-origin: "https://a.example"}}
- id: slow
  request: {path: /cart, backend_delay: 3s}
  expect: {outcome: timeout, status: 504}
- id: in time
  request: {path: /cart, backend_delay: 1s}
  expect: {outcome: forward, status: 200}
"""
    ended = gwsim("route", "test", write(tmp_path, cases))
    assert ended.code == 0, ended.out + ended.err


def test_numbers_in_headers_stay_text(gwsim: Command, tmp_path: Path) -> None:
    cases = "- {id: a, request: {path: /cart, headers: {x-v: 1.10}}, expect: {request_headers: {x-v: '1.10'}}}\n"
    assert gwsim("route", "test", write(tmp_path, cases)).code == 0


def test_configuration_in_a_folder_of_cases_is_passed_over(gwsim: Command, tmp_path: Path) -> None:
    write(tmp_path, PASSES)
    assert gwsim("route", "test", ".").code == 0
    ended = gwsim("route", "test", "config.yaml")
    assert ended.code == 2
    assert "a case file is a list of cases" in ended.err


def test_grpc_is_grpc_without_being_told_twice(gwsim: Command, tmp_path: Path) -> None:
    cases = """
- id: grpc
  request: {scheme: grpc, path: /cart}
  expect: {outcome: forward, grpc_status: OK, request_headers: {content-type: application/grpc}}
- id: numbers as names
  request: {path: /cart}
  expect: {absent_request_headers: [5, x-none]}
"""
    assert gwsim("route", "test", write(tmp_path, cases)).code == 0


def test_only_some_paths_are_asserted(gwsim: Command, tmp_path: Path) -> None:
    cases = """
- id: host only
  request: {path: /cart}
  assert_only: [expect.outcome, "expect.backends[].host"]
  expect: {outcome: forward, status: 418, backends: [{host: shop.app.svc.cluster.local, port: 9999}]}
- id: host differs
  request: {path: /cart}
  assert_only: ["expect.backends[].host"]
  expect: {backends: [{host: other.app.svc.cluster.local, port: 9999}]}
"""
    ended = gwsim("route", "test", write(tmp_path, cases))
    assert ended.code == 1
    assert "2 cases: 1 pass, 1 fail" in ended.out


def test_a_case_may_say_which_istio_serves_it(gwsim: Command, tmp_path: Path) -> None:
    cases = """
- {id: usual, request: {path: /old/x}, expect: {redirect: {path: /old/x}}}
- {id: newer, istio_version: "1.31", request: {path: /old/x}, expect: {redirect: {path: /new/x}}}
- {id: newest, istio_support: supported-at-head, request: {path: /old/x}, expect: {redirect: {path: /new/x}}}
"""
    config = CONFIG.replace("redirect: {uri: /new}", "redirect: {prefixRewrite: /new}")
    ended = gwsim("route", "test", write(tmp_path, cases, config))
    assert ended.code == 0, ended.out + ended.err
