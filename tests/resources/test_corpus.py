"""Real configuration from public projects: read without an error that is not the file's own."""

import os
from pathlib import Path

import pytest

from gwsim.diagnostics import CODES, Collector
from gwsim.resources import read

CORPUS = Path(os.environ.get("GWSIM_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus") / "istio"
FILES = sorted(CORPUS.rglob("*.y*ml"))

# Errors that the API server would answer with too, and why.
TRULY_BAD = {
    "egress/istio-docs-egress-http-proxy.yaml": ["BAD_VALUE", "WRONG_TYPE"],  # shell variables for address and port
    "egress/istio-docs-egress-tls-origination-sidecar.yaml": ["DUPLICATE_OBJECT"],  # two steps of a task in one file
    "gateway-api/istio-docs-gateway-api-task.yaml": ["DUPLICATE_OBJECT"],  # two steps of a task in one file
    "gateway-api/istio-sample-helloworld.yaml": ["DUPLICATE_OBJECT"],  # alternatives in one file
    "workloads/istio-gwapi-deployment-simple.yaml": ["MISSING_FIELD", "MISSING_FIELD"],  # a patch without name and spec
    "ingress/istio-docs-telemetry-addons-http-1.yaml": ["BAD_VALUE", "BAD_VALUE"],  # a shell variable in hosts
    "ingress/istio-docs-telemetry-addons-http-2.yaml": ["BAD_VALUE", "BAD_VALUE"],
    "ingress/istio-docs-telemetry-addons-https-grafana.yaml": ["BAD_VALUE", "BAD_VALUE"],
    "ingress/istio-docs-telemetry-addons-https-kiali.yaml": ["BAD_VALUE", "BAD_VALUE"],
    "ingress/kubeflow-pipelines-virtualservice.yaml": ["BAD_VALUE"],  # a kustomize variable in a host
    "ingress/kubeflow-profiles-virtualservice.yaml": ["BAD_VALUE"],
}

pytestmark = pytest.mark.skipif(not FILES, reason=f"no corpus of Istio configuration at {CORPUS} (set GWSIM_CORPUS)")


def test_every_file_is_read_without_an_error_of_ours():
    for file in FILES:
        collector = Collector()
        read([file], collector=collector)
        found = [CODES[f.code].name for f in collector.errors]
        assert found == TRULY_BAD.get(str(file.relative_to(CORPUS)), []), file


def test_every_place_can_be_found_again():
    for file in FILES:
        lines = file.read_text().splitlines()
        for resource in read([file], collector=Collector()).all:
            if resource.origin.text is None:
                continue  # rendered from an installation's values
            span = resource.span_of("metadata.name")
            assert resource.name in lines[span.line - 1], (file, resource.ref)


def test_the_corpus_as_one_folder():
    collector = Collector()
    objects = read([CORPUS], collector=collector)
    assert len(objects) > 150
    assert len(objects.virtual_services) > 40 and len(objects.gateways) > 20
    assert {CODES[f.code].name for f in collector.errors} <= {"DUPLICATE_OBJECT", "BAD_VALUE", "WRONG_TYPE", "MISSING_FIELD"}
