"""Questions to the decision point by which a caller could bring it down, or be taken for another."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from audit.models import Event
from tests.nodes.gateway import world
from tests.nodes.gateway.test_authzen import ask, caller, question
from tests.nodes.gateway.world import Gateway, World


@pytest.fixture
def here(node: Gateway) -> World:  # noqa: ARG001 - the node must run
    return world.build("http://localhost:9/mcp")


STRANGE = ["Alice Smith", "a\u2028b", "x" * 5000, "\u0001" * 5000, "\U0001f600" * 3000, " "]


@pytest.mark.parametrize("name", STRANGE, ids=range(len(STRANGE)))
@pytest.mark.parametrize("place", ["person", "agent", "system", "tool", "action", "client"])
def test_a_name_that_nobody_bears_is_denied_and_recorded(node: Gateway, here: World, place: str, name: str) -> None:
    asked: dict[str, Any] = question(here)
    {"person": asked["subject"], "tool": asked["resource"]}.get(place, {})["id"] = name
    if place == "system":
        asked["resource"]["properties"]["server"] = name
    if place in ("agent", "client"):
        asked["context"][place] = name
    if place == "action":
        asked["action"]["name"] = name

    answer = ask(node, asked)

    assert answer.status_code == 200, answer.text
    assert answer.json()["decision"] is False
    assert Event.objects.filter(uuid=answer.json()["context"]["evaluation_id"]).exists()


@pytest.mark.parametrize("place", ["subject", "resource"])
def test_a_name_that_the_database_cannot_hold_is_malformed(node: Gateway, here: World, place: str) -> None:
    asked: dict[str, Any] = question(here)
    if place == "subject":
        asked["subject"]["id"] = "a\u0000b"
    else:
        asked["resource"]["properties"]["server"] = "a\u0000b"

    assert ask(node, asked).status_code == 400


@pytest.mark.parametrize("path", ["/gw/%00/mcp", "/.well-known/oauth-protected-resource/gw/%00/mcp"])
def test_an_address_that_the_database_cannot_hold_is_no_systems(node: Gateway, path: str) -> None:
    send = httpx2.post if path.startswith("/gw") else httpx2.get
    assert send(node.base + path).status_code == 404


def test_a_question_with_two_tokens_is_refused(node: Gateway, here: World) -> None:
    headers = [("Authorization", f"Bearer {caller()}"), ("Authorization", f"Bearer {caller()}")]

    answer = httpx2.post(f"{node.base}/access/v1/evaluation", json=question(here), headers=headers)

    assert answer.status_code == 400
