"""Real configuration from public projects: every file loads, and every finding is the file's own."""

import os
from pathlib import Path

import pytest
from corpus_findings import EXPECTED, PASSED_OVER

from gwsim.diagnostics import CODES, Collector, Level
from gwsim.resources import read
from gwsim.topology.from_istio import from_istio

CORPUS = Path(os.environ.get("GWSIM_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus") / "istio"
FILES = sorted(CORPUS.rglob("*.y*ml"))

pytestmark = pytest.mark.skipif(not FILES, reason=f"no corpus of Istio configuration at {CORPUS} (set GWSIM_CORPUS)")


def expected_of(file: Path) -> set[str]:
    """Codes of warnings and errors that the table has for a file."""
    name = file.relative_to(CORPUS).as_posix()
    return {code for code, _, files in EXPECTED if name in files}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(CORPUS).as_posix())
def test_every_finding_is_explained(file: Path):
    collector = Collector()
    from_istio(read([file], collector=collector), collector=collector)
    found = {CODES[one.code].name for one in collector if one.level is not Level.INFO}
    assert found == expected_of(file), [str(one) for one in collector]
    for one in collector:
        if CODES[one.code].name == "KIND_NOT_READ":
            assert one.message.split(" of kind ")[1].split()[0] in PASSED_OVER


def test_the_table_names_files_of_the_corpus():
    names = {file.relative_to(CORPUS).as_posix() for file in FILES}
    assert {name for _, _, files in EXPECTED for name in files} <= names


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
