"""Which row of the catalog a request for a resource, a prompt or a completion is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from entitlements.definitions import uri_templates
from entitlements.gateway import all_systems
from entitlements.gateway.primitives import names
from entitlements.node.directory import ListedTool, ServedSystem
from entitlements.node.refusals import Refused

LISTED = ListedTool("1", b"{}", {}, is_listable=True)


def at(*rows: str, stopped: frozenset[str] = frozenset()) -> ServedSystem:
    return replace(all_systems.ENTRY, tools=dict.fromkeys(rows, LISTED), stopped=stopped)


def read(entry: ServedSystem, uri: str) -> names.Called:
    return names.called(entry, "resources/read", {"uri": uri})


def test_a_uri_is_the_resource_that_is_listed_else_the_template_that_it_fits() -> None:
    entry = at("resources/crm://orders/1", "resources/templates/crm://orders/{id}")
    assert read(entry, "crm://orders/1") == ("resources/crm://orders/1", {"uri": "crm://orders/1"})
    assert read(entry, "crm://orders/2") == (
        "resources/templates/crm://orders/{id}",
        {"uri": "crm://orders/2", "id": "2"},
    )
    assert read(entry, "crm://other") == ("resources/crm://other", {"uri": "crm://other"})


def test_no_template_opens_a_resource_that_a_person_has_stopped() -> None:
    entry = at("resources/templates/crm://orders/{id}", stopped=frozenset({"resources/crm://orders/9"}))
    assert read(entry, "crm://orders/9")[0] == "resources/crm://orders/9"


def test_two_templates_that_fit_are_refused() -> None:
    entry = at("resources/templates/crm://{kind}/1", "resources/templates/crm://orders/{id}")
    with pytest.raises(Refused, match="More than one resource template"):
        read(entry, "crm://orders/1")


def test_a_prompt_and_a_completion_carry_their_arguments() -> None:
    entry = at("prompts/review", "resources/templates/crm://orders/{id}")
    assert names.called(entry, "prompts/get", {"name": "code review"}) == ("prompts/code%20review", {})
    for ref, row in (
        ({"type": "ref/prompt", "name": "review"}, "prompts/review"),
        ({"type": "ref/resource", "uri": "crm://orders/{id}"}, "resources/templates/crm://orders/{id}"),
    ):
        params = {"ref": ref, "argument": {"name": "id", "value": "1"}, "context": {"arguments": {"other": "x"}}}
        assert names.called(entry, "completion/complete", params) == (row, {"other": "x", "id": "1"})


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/read", {}),
        ("resources/read", {"uri": 1}),
        ("resources/subscribe", {"uri": "a:" + "b" * 900}),
        ("prompts/get", {"name": 1}),
        ("prompts/get", {"name": "x" * 900}),
        ("prompts/get", {"name": "x", "arguments": []}),
        ("completion/complete", {"ref": {"type": "ref/tool", "name": "x"}, "argument": {"name": "a", "value": "b"}}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": 1}}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {}, "context": []}),
    ],
)
def test_params_of_another_form_are_refused(method: str, params: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        names.called(at(), method, params)


@pytest.mark.parametrize(
    ("template", "uri", "values"),
    [
        ("a://{x}", "a://b", {"x": "b"}),
        ("a://{x}/c", "a://b/c", {"x": "b"}),
        ("a://{x}", "a://b%20c", {"x": "b c"}),
        ("a://{x}", "a://b%2Fc", {"x": "b/c"}),
        ("a://{x}", "a://b/c", None),
        ("a://{+x}", "a://b/c", {"x": "b/c"}),
        ("a://{x*}", "a://b/c", {"x": "b/c"}),
        ("a://{x}-{y}", "a://1-2", {"x": "1", "y": "2"}),
        ("a://{x}-{y}", "a://1-2-3", None),
        ("a://{x}", "a://", None),
        ("a://{x}", "A://b", None),
        ("a://{x}", "a://..", None),
        ("a://{x}", "a://%2E%2E", None),
        ("a://{x}", "a://%2e%2e%2fb", None),
        ("a://{x}", "a://..%2Fb", None),
        ("a://{x}", "a://..%5Cb", None),
        ("a://{+x}", "a://b/../c", None),
        ("a://{+x}", "a://./c", None),
        ("a://{x}", "a://%62", None),
        ("a://{x}", "a://b%00", None),
        ("a://{x}", "a://b%0A", None),
        ("a://{x}", "a://%FF", None),
        ("a://{x}", "a://b%2", None),
        ("a://{x}5b", "a://%5b", None),
        ("a://{x}", "a://b?c=d", None),
        ("a://{x}", "a://b#c", None),
        ("a://{x}", "a://b\nc", None),
        ("a://{x}", "a://é", None),
    ],
)
def test_a_uri_is_read_back_in_one_way_or_not_at_all(template: str, uri: str, values: dict[str, str] | None) -> None:
    assert uri_templates.read(template).values(uri) == values


@pytest.mark.parametrize(
    "template",
    [
        "{x}",
        "a",
        "a://b",
        "a://{x}{y}",
        "a://{x}/{x}",
        "a://{uri}",
        "a://{?x}",
        "a://{x,y}",
        "a://{x",
        "a://{x}é",
        "a:" + "b" * 900 + "{x}",
    ],
)
def test_templates_that_cannot_be_read_back_are_malformed(template: str) -> None:
    with pytest.raises(uri_templates.Malformed):
        uri_templates.read(template)


def test_a_hostile_uri_costs_little() -> None:
    template = uri_templates.read("a://" + "-".join(f"{{v{number}}}" for number in range(10)))
    assert template.values("a://" + "-" * 850) is None
