"""What no one declared is denied on every way in, MCP of both eras and AuthZEN, and nothing of it goes upstream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from entitlements.grants.models import GrantLine
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.test_authzen import ask, question
from tests.nodes.gateway.test_eras import begin, legacy
from tests.nodes.gateway.world import Gateway, World

SCHEMA = {"type": "object", "properties": {"do": {"type": "string"}, "path": {"type": "string"}}, "required": ["do"]}
INSIDE = {"do": "answer", "path": "/pub/a"}
DENIED: dict[str, tuple[dict[str, Any], str]] = {
    "extra": ({**INSIDE, "extra": "/etc"}, "argument_not_declared"),
    "lookalike": ({**INSIDE, "p\u0430th": "/etc"}, "argument_not_declared"),
    "outside": ({**INSIDE, "path": "/etc"}, "argument_outside_limit"),
    "not valid": ({**INSIDE, "do": 5}, "argument_not_valid"),
    "missing": ({"path": "/pub/a"}, "argument_not_valid"),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Scripted]:
    with scripted.upstream() as server:
        yield server


@pytest.fixture(scope="module")
def limited(node: Gateway, upstream: Scripted) -> World:  # noqa: ARG001 - the node must run
    here = world.build(upstream.url, tool="act", schema=SCHEMA)
    GrantLine.objects.filter(grant=here.grant).update(limits={"path": {"under": "/pub"}})
    return here


def codes(node: Gateway, here: World, sent: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Send one call by MCP of both eras and ask AuthZEN of it; return the codes and what was said first of each."""
    token = here.token()
    session = begin(node, here, token)
    modern = node.modern(here.system.slug, "tools/call", token, name="act", arguments=sent)
    old = legacy(node, here, "tools/call", token, session, name="act", arguments=sent)
    told = [answer.json()["result"].get("_meta", {}).get("mandate/denial", {}) for answer in (modern, old)]
    asked = question(here, context={"agent": here.agent.slug, "arguments": sent})
    told.append(ask(node, asked).json()["context"])
    return [each.get("code", "allowed") for each in told], [each.get("reasons", [""])[0] for each in told]


def test_what_is_declared_and_inside_the_limits_passes_everywhere(
    node: Gateway, limited: World, upstream: Scripted
) -> None:
    upstream.requests.clear()

    assert codes(node, limited, INSIDE)[0] == ["allowed"] * 3
    assert [call["params"]["arguments"] for call in upstream.calls] == [INSIDE] * 2


@pytest.mark.parametrize("name", DENIED)
def test_what_is_not_declared_or_not_valid_is_denied_everywhere_and_reaches_no_upstream(
    node: Gateway, limited: World, upstream: Scripted, name: str
) -> None:
    sent, code = DENIED[name]
    upstream.requests.clear()

    found, said = codes(node, limited, sent)

    assert (found, upstream.calls) == ([code] * 3, [])
    assert len(set(said)) == 1
    if code == "argument_not_declared":
        assert said[0].endswith('Declared: "do", "path".')
        assert ('"extra"' if name == "extra" else '"p\\u0430th"') in said[0]
    denied = [event for event in limited.events() if event.code == code]
    assert {event.action for event in denied} == {"call.denied", "evaluation.denied"}
