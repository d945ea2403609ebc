"""A window that moves with time is decided at the time of the decision, wherever limits are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from entitlements.arguments import Schema
from entitlements.authorization_details import details
from entitlements.codes import Code
from entitlements.decisions import limits, policy
from entitlements.decisions.verdicts import Effect
from entitlements.guardrails.rules import Guardrail
from tests.entitlements import worlds
from tests.entitlements.worlds import NOW, World

SCHEMA = Schema('{"type": "object", "properties": {"day": {}, "link": {}}}')
RESOURCE = "https://mandate.example/gw/time/mcp"


def moment(**later: float) -> str:
    return (datetime.fromtimestamp(NOW, UTC) + timedelta(**later)).isoformat()


def world(value: object, written: dict[str, object] | None = None, *guardrails: Guardrail) -> World:
    made = worlds.with_schema(worlds.allowed(cap=limits.compile(written or {})), SCHEMA, {"day": value})
    made.facts.guardrails = guardrails
    return made


def code(made: World, now: float = NOW) -> Code:
    return policy.decide(made.call, made.facts, now).code


def test_a_window_of_a_grant_moves_with_time() -> None:
    soon = world(moment(minutes=2), {"day": {"within": "+PT1M"}})
    assert code(soon) is Code.ARGUMENT_OUTSIDE_LIMIT
    assert code(soon, NOW + 60) is Code.ALLOWED
    assert code(soon, NOW + 121) is Code.ARGUMENT_OUTSIDE_LIMIT


def test_a_window_of_a_token_moves_with_time() -> None:
    named = {
        "type": details.TYPE,
        "locations": [RESOURCE],
        "actions": [details.ACTION],
        "identifier": "get_current_time",
    }
    made = world(moment(minutes=2))
    for within, expected in (("PT1M", Code.OUTSIDE_AUTHORIZATION_DETAILS), ("PT2M", Code.ALLOWED)):
        covered = details.read([{**named, "constraints": {"day": {"within": within}}}], RESOURCE)
        assert made.call.token is not None
        made.call.token = replace(made.call.token, details=covered)
        assert code(made) is expected


@pytest.mark.parametrize(
    ("condition", "matching", "other"),
    [
        ({"within": "PT1M"}, moment(seconds=60), moment(seconds=61)),
        ({"within": "PT1M"}, "next year", moment(hours=1)),
        ({"after": moment()}, moment(seconds=1), moment()),
        ({"after": moment()}, "2000-01-01", moment(days=-1)),
        ({"before": "2026-01-01"}, "2025-12-31", "2026-01-01"),
        ({"min_length": 3}, "abc", "ab"),
        ({"min_length": 3}, 7, "ab"),
        ({"min_items": 1}, ["a"], []),
        ({"min_items": 1}, "a", []),
        ({"subset": ["a"]}, ["a"], ["b"]),
        ({"path_prefix": "/v1"}, "/v1/x", "/v2/x"),
        ({"path_prefix": "/v1"}, "/v2/../v1", "/v2/x"),
        ({"host_in": ["evil.example"]}, "https://evil.example/", "https://good.example/"),
        ({"host_in": ["evil.example"]}, "https://evil.example@good.example/", "https://good.example/"),
        ({"host_in": ["http://127.0.0.1"]}, "http://0x7f.1/", "http://127.0.0.2/"),
    ],
)
def test_a_guardrail_matches_what_does_not_surely_lie_outside(
    condition: dict[str, object], matching: object, other: object
) -> None:
    guardrail = Guardrail("no", Effect.DENY, arguments=limits.compile({"day": condition}))
    assert code(world(matching, None, guardrail)) is Code.GUARDRAIL
    assert code(world(other, None, guardrail)) is Code.ALLOWED
