"""Whether a call of a tool may become a task, as its definition says."""

from __future__ import annotations

from typing import Any

import pytest

from entitlements.definitions import definitions, offers, task_support
from entitlements.definitions.definitions import Change
from entitlements.definitions.task_support import EXTENSION, NO_TASKS, TaskSupport

TOOL: dict[str, Any] = {"name": "report", "inputSchema": {"type": "object"}}


@pytest.mark.parametrize(
    ("more", "support"),
    [
        ({}, NO_TASKS),
        ({"execution": {"taskSupport": "optional"}}, TaskSupport(by_caller=True)),
        ({"execution": {"taskSupport": "required"}}, TaskSupport(by_caller=True)),
        ({"execution": {"taskSupport": "forbidden"}}, NO_TASKS),
        ({"execution": {"taskSupport": ["optional"]}, "_meta": []}, NO_TASKS),
        ({"_meta": {EXTENSION: {}}}, TaskSupport(by_system=True)),
    ],
)
def test_a_definition_says_who_may_make_a_call_a_task(more: dict[str, Any], support: TaskSupport) -> None:
    assert task_support.of({**TOOL, **more}) == support


def test_a_server_with_the_extension_has_it_noted_at_each_tool_which_is_a_change_that_is_looked_at() -> None:
    tools = [TOOL, {**TOOL, "_meta": {"mine": 1}}, {**TOOL, "_meta": "no object"}]
    assert task_support.noted(tools, {"extensions": {"other": {}}}) == tools
    assert task_support.noted(tools, {"extensions": [EXTENSION]}) == tools
    noted = task_support.noted(tools, {"extensions": {EXTENSION: {}}})
    assert [tool["_meta"] for tool in noted] == [{EXTENSION: {}}, {"mine": 1, EXTENSION: {}}, "no object"]
    assert definitions.classify(TOOL, noted[0]) is Change.DESCRIPTION
    assert "_meta" not in offers.served(noted[0])
