"""The default mappings of COAZ-MCP (draft 1), and what 2026-07-28 added."""

from __future__ import annotations

import pytest

from entitlements.gateway import mcp
from entitlements.gateway.primitives import mapping
from entitlements.gateway.primitives.mapping import Mapped

SERVER = "https://mandate.example/gw/crm/mcp"


@pytest.mark.parametrize(
    ("method", "params", "type_", "id_"),
    [
        ("initialize", {}, "mcp_server", SERVER),
        ("server/discover", {}, "mcp_server", SERVER),
        ("tools/list", {}, "mcp_server", SERVER),
        ("resources/list", {}, "mcp_server", SERVER),
        ("resources/templates/list", {}, "mcp_server", SERVER),
        ("prompts/list", {}, "mcp_server", SERVER),
        ("logging/setLevel", {"level": "info"}, "mcp_server", SERVER),
        ("subscriptions/listen", {}, "mcp_server", SERVER),
        ("tools/call", {"name": "add"}, "tool", "add"),
        ("resources/read", {"uri": "crm://notes"}, "resource", "crm://notes"),
        ("resources/subscribe", {"uri": "crm://notes"}, "resource", "crm://notes"),
        ("resources/unsubscribe", {"uri": "crm://notes"}, "resource", "crm://notes"),
        ("prompts/get", {"name": "greet"}, "prompt", "greet"),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "greet"}}, "prompt", "greet"),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "crm://{x}"}}, "resource", "crm://{x}"),
        ("tasks/get", {"taskId": "1"}, "task", "1"),
        ("tasks/update", {"taskId": "1"}, "task", "1"),
        ("tasks/cancel", {"taskId": "1"}, "task", "1"),
    ],
)
def test_a_method_is_about_one_resource(method: str, params: dict[str, object], type_: str, id_: str) -> None:
    assert mapping.mapped(method, params, SERVER) == Mapped(method, type_, id_)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("sampling/createMessage", {}),
        ("tools/other", {"name": "add"}),
        ("", {}),
        ("tools/call", {}),
        ("resources/read", {"uri": 1}),
        ("prompts/get", {"name": ""}),
        ("completion/complete", {}),
        ("completion/complete", {"ref": {"type": "ref/tool", "name": "add"}}),
    ],
)
def test_what_nothing_maps_is_denied(method: str, params: dict[str, object]) -> None:
    assert mapping.mapped(method, params, SERVER) is None
    assert not mapping.is_passed(method)


def test_every_method_that_the_gateway_answers_is_mapped_or_passed_on() -> None:
    params = {"name": "x", "uri": "x:y", "taskId": "x", "ref": {"type": "ref/prompt", "name": "x"}}
    for method in mcp._MODERN.keys() | mcp._LEGACY.keys():
        assert mapping.mapped(method, params, SERVER) is not None or mapping.is_passed(method), method
    assert mapping.is_passed("notifications/cancelled")
