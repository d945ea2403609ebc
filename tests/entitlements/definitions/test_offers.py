"""Resources, templates and prompts as definitions: what is pinned, what a client is served, what is malformed."""

from __future__ import annotations

from typing import Any

import pytest

from entitlements.definitions import classes, definitions, offers
from entitlements.definitions.definitions import Change, DefinitionMalformed
from entitlements.definitions.primitives import Primitive
from entitlements.words import Action

RESOURCE: dict[str, Any] = {"uri": "crm://notes", "name": "notes", "description": "Delete all the notes.", "size": 3}
TEMPLATE: dict[str, Any] = {"uriTemplate": "crm://orders/{id}", "name": "order", "mimeType": "text/plain"}
PROMPT: dict[str, Any] = {
    "name": "code review",
    "title": "Review",
    "arguments": [{"name": "language", "description": "Its language.", "required": True}],
}
OFFERS = [(Primitive.RESOURCE, RESOURCE), (Primitive.TEMPLATE, TEMPLATE), (Primitive.PROMPT, PROMPT)]


def pinned(kind: Primitive, offered: object) -> dict[str, Any]:
    return offers.check(offers.listed(kind, offered))


@pytest.mark.parametrize(("kind", "offered"), OFFERS)
def test_a_client_is_served_what_the_server_listed_but_what_changes_with_content(
    kind: Primitive, offered: dict[str, Any]
) -> None:
    hidden = {**offered, "icons": [], "other": 1, "_meta": {"a": 1}}
    assert offers.served(pinned(kind, hidden)) == {key: value for key, value in offered.items() if key != "size"}


def test_names_and_arguments_are_those_that_limits_are_held_against() -> None:
    made = [pinned(kind, offered) for kind, offered in OFFERS]
    assert [each["name"] for each in made] == [
        "resources/crm://notes",
        "resources/templates/crm://orders/{id}",
        "prompts/code%20review",
    ]
    assert [list(each["inputSchema"]["properties"]) for each in made] == [["uri"], ["uri", "id"], ["language"]]


def test_new_content_changes_no_hash_and_all_else_does() -> None:
    before = definitions.digest(pinned(Primitive.RESOURCE, RESOURCE))
    grown = {**RESOURCE, "size": 4, "annotations": {"lastModified": "2026-01-01T00:00:00Z"}}
    assert definitions.digest(pinned(Primitive.RESOURCE, {**grown, "annotations": {}})) != before
    as_before = definitions.digest(pinned(Primitive.RESOURCE, {**RESOURCE, "annotations": {}}))
    assert definitions.digest(pinned(Primitive.RESOURCE, grown)) == as_before
    for change in ({"mimeType": "text/html"}, {"description": "Other."}, {"name": "other"}, {"unknown": 1}):
        assert definitions.digest(pinned(Primitive.RESOURCE, {**RESOURCE, **change})) != before


def test_a_text_is_a_text_and_all_else_may_change_what_is_read() -> None:
    old = pinned(Primitive.TEMPLATE, TEMPLATE)
    texts, other = ({**TEMPLATE, "description": "Other."}, {**TEMPLATE, "mimeType": "text/html"})
    assert definitions.classify(old, pinned(Primitive.TEMPLATE, texts)) is Change.DESCRIPTION
    assert definitions.classify(old, pinned(Primitive.TEMPLATE, other)) is Change.SCHEMA_CHANGED


@pytest.mark.parametrize(("kind", "offered"), OFFERS)
def test_reading_is_suggested_whatever_the_texts_say(kind: Primitive, offered: dict[str, Any]) -> None:
    assert classes.suggest(pinned(kind, offered)).action is Action.READ


@pytest.mark.parametrize(
    ("kind", "offered"),
    [
        (Primitive.RESOURCE, {"name": "x"}),
        (Primitive.RESOURCE, {"uri": "notes", "name": "x"}),
        (Primitive.RESOURCE, {"uri": "templates/x:y", "name": "x"}),
        (Primitive.RESOURCE, {"uri": "crm://é", "name": "x"}),
        (Primitive.RESOURCE, {"uri": "crm://x", "name": 1}),
        (Primitive.TEMPLATE, {"uriTemplate": "crm://{a}{b}", "name": "x"}),
        (Primitive.TEMPLATE, {"uriTemplate": 1, "name": "x"}),
        (Primitive.PROMPT, {"name": ""}),
        (Primitive.PROMPT, {"name": "x" * 900}),
        (Primitive.PROMPT, {"name": "x", "arguments": {}}),
        (Primitive.PROMPT, {"name": "x", "arguments": [{"name": "a"}, {"name": "a"}]}),
        (Primitive.PROMPT, "x"),
        (Primitive.TOOL, {"name": "x"}),
    ],
)
def test_what_cannot_be_governed_is_malformed(kind: Primitive, offered: object) -> None:
    with pytest.raises(DefinitionMalformed):
        pinned(kind, offered)


@pytest.mark.parametrize(("kind", "offered"), OFFERS)
def test_a_definition_is_read_again_as_it_was_made(kind: Primitive, offered: dict[str, Any]) -> None:
    made = offers.check(offers.listed(kind, {**offered, "annotations": {"priority": 1}}, completes=True))
    assert definitions.digest(offers.check(made)) == definitions.digest(made)


@pytest.mark.parametrize("member", [{}, {"kind": {}}, {"kind": "tool", "offered": {"name": "x"}}, [], 1, None, "tool"])
def test_a_member_of_another_form_is_malformed(member: object) -> None:
    for name in ("x", "resources/a:b"):
        raw = {"name": name, "inputSchema": {"type": "object"}, "primitive": member}
        with pytest.raises(DefinitionMalformed):
            offers.check(raw)
        with pytest.raises(DefinitionMalformed):
            definitions.check(raw)


def test_no_tool_has_the_name_of_a_resource() -> None:
    for name in ("resources/crm://notes", "prompts/x"):
        with pytest.raises(DefinitionMalformed):
            offers.check({"name": name, "inputSchema": {"type": "object"}})
    with pytest.raises(DefinitionMalformed):
        offers.check({"name": "x", "inputSchema": {"type": "object"}, "primitive": "resource"})
