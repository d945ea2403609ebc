"""The list shows what may be called and the chosen decoys, whatever is wrong; nothing else learns of a decoy."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.arguments import Schema
from entitlements.decisions import limits, policy
from entitlements.decisions.snapshot import Token
from entitlements.decoys import decoy_tools
from entitlements.decoys.decoy_tools import DecoyTool
from tests.entitlements import worlds
from tests.entitlements.worlds import PERSON_SPOILERS, SPOILERS, Spoiler

SCHEMA = Schema(json.dumps({"type": "object"}))
FREE = limits.Compiled.unlimited()


def decoy(name: str, beside: str = "get_current_time") -> DecoyTool:
    return DecoyTool(name, name, beside, b"{}", SCHEMA, "failed", {})


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["get_current_time", "convert_time"])), max_size=6)
)
def test_the_list_is_exactly_what_may_be_called_and_the_decoys_beside_it(planted: list[tuple[str, str]]) -> None:
    world = worlds.allowed()
    decoys = [decoy(f"decoy_{name}", beside) for name, beside in dict(planted).items()]
    granted = world.seen()
    assert granted == {"get_current_time"}
    shown = {each.name for each in decoy_tools.visible(world.call, world.facts, decoys, world.now)}
    assert shown == {each.name for each in decoys if each.beside in granted}
    assert world.seen() == granted, "the facts of decisions are as they were"


@pytest.mark.parametrize("spoil", [*SPOILERS, *PERSON_SPOILERS], ids=lambda spoil: spoil.name)
def test_what_hides_a_tool_hides_the_decoy_beside_it_and_is_answered_alike(spoil: Spoiler) -> None:
    world = spoil(worlds.allowed(cap=FREE))
    planted = [decoy("export_all")]
    shown = decoy_tools.visible(world.call, world.facts, planted, world.now)
    assert bool(shown) is (world.call.tool in world.seen())
    call = replace(world.call, definition=None)
    of_tool = policy.decide(call, world.facts, world.now)
    of_decoy = decoy_tools.judge(planted, replace(call, tool="export_all"), world.facts, world.now)
    assert (of_decoy.code, of_decoy.effect) == (of_tool.code, of_tool.effect)


def test_every_other_question_about_a_decoy_is_one_about_no_tool() -> None:
    world = worlds.allowed()
    asked = replace(world.call, tool="export_all", definition=None)
    assert policy.decide(asked, world.facts, world.now).code == "unknown_tool"
    assert policy.reachable(asked, world.facts, world.now).code == "unknown_tool"
    issue = world.issue().issue
    assert issue is not None
    assert issue.scopes == ("time:read",)


def test_a_tool_goes_before_a_decoy_of_its_name() -> None:
    world = worlds.allowed()
    assert decoy_tools.visible(world.call, world.facts, [decoy("convert_time")], world.now) == []


def test_a_token_that_names_its_calls_opens_no_decoy() -> None:
    class OneTool:
        def outside(self, tool: str, arguments: object, now: float) -> str:
            del arguments, now
            return "" if tool == "get_current_time" else "not named"

    world = worlds.allowed()
    token = world.call.token
    assert isinstance(token, Token)
    call = replace(world.call, token=replace(token, details=OneTool()))
    assert decoy_tools.visible(call, world.facts, [decoy("export_all")], world.now) == []
