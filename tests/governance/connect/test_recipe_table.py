"""The table of recipes: what claims a test has one that runs it, and no text shows a token or ends a literal."""

from __future__ import annotations

import ast
import json
import re
import shlex
from datetime import date
from typing import Final

import pytest

from entitlements.clients import redirects
from governance.connect import recipes
from governance.connect.recipes import Checked, NotRun, Recipe, Values, Where
from tests.architecture import tree

EVERY: Final = pytest.mark.parametrize("recipe", recipes.TABLE, ids=lambda recipe: recipe.key)
HOSTILE: Final = Values(
    "time", "https://gw.example/gw/time/mcp", "https://c.example/as/time", "a\"; $(id) 'b\\", "time:read", 4000
)
PROGRAMS: Final = {"claude-code", "vs-code", "cursor", "inspector", "python-sdk", "typescript-sdk"}


def _texts(recipe: Recipe) -> set[str]:
    return {step.text for where in Where for step in recipe.steps_at(where)}


def test_there_is_a_recipe_for_each_program_and_two_for_agents_on_their_own() -> None:
    assert {recipe.key for recipe in recipes.TABLE if not recipe.with_key} == PROGRAMS
    assert {recipe.key for recipe in recipes.TABLE if recipe.with_key} == {"python-sdk-key", "curl-key"}


@EVERY
def test_a_recipe_that_claims_a_test_has_one_which_runs_its_text(recipe: Recipe) -> None:
    if isinstance(recipe.status, NotRun):
        assert date(2026, 1, 1) < recipe.status.since
        return
    path, _, name = recipe.status.test.partition("::")
    module = ast.parse((tree.ROOT / path).read_text(encoding="utf-8"))
    (test,) = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name]
    renders = [
        node.args[0].value
        for node in ast.walk(test)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "render"
        if isinstance(node.args[0], ast.Constant)
    ]
    assert renders == [recipe.key]


def test_every_text_belongs_to_a_recipe() -> None:
    assert {path.name for path in recipes.TEXTS.iterdir()} == set().union(*map(_texts, recipes.TABLE))


@EVERY
def test_no_step_shows_a_token_or_takes_one(recipe: Recipe) -> None:
    for text in _texts(recipe):
        filled = recipes.render(text, HOSTILE)
        assert not re.search(r"echo|set -x|--header|CLIENT_SECRET|promptString|tee ", filled), text
        assert re.findall(r".{12}Bearer", filled) in ([], ["horization: Bearer"[-18:]]), text


@EVERY
def test_a_value_stays_one_literal_in_each_text(recipe: Recipe) -> None:
    for text in _texts(recipe):
        filled = recipes.render(text, HOSTILE)
        assert "{{" not in filled
        if text.endswith(".json"):
            json.loads(filled)
        elif text.endswith(".txt"):
            strings = {node.value for node in ast.walk(ast.parse(filled)) if isinstance(node, ast.Constant)}
            assert HOSTILE.client in strings
        elif "--client-id" in filled:
            assert HOSTILE.client in shlex.split(filled)


@EVERY
def test_what_a_client_is_registered_with_allows_the_port_that_a_recipe_listens_on(recipe: Recipe) -> None:
    for address in recipe.redirects:
        if redirects.is_loopback(address):
            with_port = re.sub(r"^(http://[^/]+)", rf"\1:{recipe.port or 33418}", address)
            assert redirects.allows(recipe.redirects, with_port)


@EVERY
def test_a_remote_place_forwards_the_port_and_a_virtual_desktop_is_like_this_machine(recipe: Recipe) -> None:
    assert recipe.steps_at(Where.VDI) == recipe.steps_at(Where.HERE)
    for where in (Where.SSH, Where.CONTAINER):
        forwards = [step.text for step in recipe.steps_at(where) if step.text.startswith("forward")]
        assert len(forwards) == (0 if recipe.with_key or recipe.port is None else 1)
        assert recipe.with_key or str(recipe.note_at(where))


def test_the_guide_repeats_the_table() -> None:
    guide = (tree.ROOT / "docs/operate/connect.md").read_text(encoding="utf-8")
    for recipe in recipes.TABLE:
        status = recipe.status
        ran = f"`{status.test}`" if isinstance(status, Checked) else f"not tried, {status.since.isoformat()}"
        addresses = ", ".join(f"`{each}`" for each in recipe.redirects) or "-"
        assert f"| {recipe.name} | {addresses} | {ran} |" in guide
