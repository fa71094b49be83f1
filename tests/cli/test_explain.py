"""`gwsim explain`: codes, response flags and fields."""

from __future__ import annotations

import pytest
from cli_calls import Command

from gwsim.report.flags import EVERY_FLAG, FLAGS
from gwsim.resources.decode import schema_of
from gwsim.resources.field_docs import DECISION, MODELLED, NOT, field_doc, kinds
from gwsim.resources.field_notes import NOTES

DOCUMENTED = (
    ["UH", "UF", "UO", "NR", "URX", "NC", "DT", "DC", "LH", "UT", "LR", "UR", "UC", "DI", "FI", "RL", "UAEX", "RLSE", "IH", "SI", "DPE", "UPE", "UMSDR", "RFCF", "NFCF", "OM", "DF", "DO", "UDO", "DR"]
)
"""Envoy's flags. Source: envoyproxy/envoy source/common/stream_info/utility.h."""


def test_every_flag_of_envoy_is_explained(gwsim: Command) -> None:
    assert set(DOCUMENTED) <= EVERY_FLAG.keys()
    for flag in DOCUMENTED:
        ended = gwsim("explain", flag)
        assert ended.code == 0
        assert EVERY_FLAG[flag].name in ended.out
        assert "Look at: " in ended.out
        assert "In gwsim: " in ended.out
    assert gwsim("explain", "UpstreamOverflow").out == gwsim("explain", "uo").out


def test_flags_of_the_model_are_not_said_to_be_left_out() -> None:
    assert [one.flag for one in FLAGS.values() if one.where.startswith("never")] == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("VirtualService.spec.http.timeout", ("duration", "default unset", "504 UT", "modelled")),
        ("VirtualService.http[0].route[1].weight", ("whole number from 0", "default 0")),
        ("Gateway.servers[].tls.mode", ("one of PASSTHROUGH, SIMPLE", "default PASSTHROUGH")),
        ("VirtualService.http.match.headers.x-user.exact", ("text",)),
        ("DestinationRule", ("Fields: host, trafficPolicy",)),
        ("Service.spec.ports.port", ("port number", "required")),
    ],
)
def test_fields(gwsim: Command, path: str, told: tuple[str, ...]) -> None:
    ended = gwsim("explain", path)
    assert ended.code == 0, ended.err
    for text in told:
        assert text in ended.out


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("VirtualService.spec.http.timout", "did you mean VirtualService.spec.http.timeout?"),
        ("VirtualServce.spec.http", "did you mean VirtualService"),
        ("VirtualService.spec.http.nothing_like_it_at_all", "there is name, match"),
        ("UOO", "did you mean UO"),
        ("GW9999", "neither a code nor a flag nor a kind"),
    ],
)
def test_what_does_not_exist(gwsim: Command, word: str, told: str) -> None:
    ended = gwsim("explain", word)
    assert ended.code == 2
    assert told in ended.err


def test_status_and_reason() -> None:
    assert field_doc("VirtualService.http.timeout").status == MODELLED
    assert field_doc("Gateway.servers.defaultEndpoint").status in (NOT, DECISION)
    assert field_doc("Gateway.servers.defaultEndpoint").reason


def test_notes_are_about_fields_that_exist() -> None:
    """Walks all messages that any kind holds."""
    known: set[str] = set()
    for name, kind in kinds().items():
        if "/" not in name:
            _collect(kind.spec, kind.is_istio, known, set())
    assert sorted(set(NOTES) - known) == []


def _collect(message: type, proto: bool, known: set[str], seen: set[type]) -> None:
    from typing import get_type_hints

    from gwsim.resources.field_docs import _message_of

    if message in seen:
        return
    seen.add(message)
    hints = get_type_hints(message, include_extras=True)
    for spec in schema_of(message, proto).fields:
        known.add(f"{message.__name__}.{spec.name}")
        inner, _ = _message_of(hints[spec.attribute])
        if inner is not None:
            _collect(inner, proto, known, seen)
