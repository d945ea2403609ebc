"""Calls to local servers through a real node: the same life as any call, in a child of the caller's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from audit.context import SYSTEM
from entitlements.catalog.models import System
from entitlements.definition_watch import comparisons
from entitlements.definition_watch.models import DefinitionWatch
from entitlements.grants import grants
from entitlements.stdio_commands import terms
from entitlements.stdio_commands.models import StdioSystem
from tests.entitlements.gateway import world
from tests.entitlements.gateway.world import Gateway, World
from tests.entitlements.stdio import packages, processes

pytestmark = pytest.mark.loopback
ANY: dict[str, Any] = {"type": "object"}


@pytest.fixture(scope="module")
def agreed() -> Iterator[dict[str, Any]]:
    with packages.small() as folder:
        yield terms.whole(packages.agreed(folder))


def local(agreed: dict[str, Any], tool: str = "echo") -> World:
    """Make a world behind the small server."""
    here = world.build("http://localhost:1/none", tool=tool, schema=ANY)
    System.objects.filter(pk=here.system.pk).update(kind="stdio", upstream_url="stdio:small")
    StdioSystem.objects.create(system=here.system, command="small", arguments=["mine"], terms=agreed)
    return replace(here, arguments={"what": "this"})


def facts(node: Gateway, here: World) -> dict[str, Any]:
    result = node.call(here).json()["result"]
    found: dict[str, Any] = json.loads(result["content"][0]["text"])
    return found


def test_a_call_is_decided_recorded_and_carried_out(node: Gateway, agreed: dict[str, Any]) -> None:
    here = local(agreed)
    found = facts(node, here)
    assert found["given"] == {"what": "this"}
    assert found["arguments"] == ["first", "mine"]
    assert facts(node, here)["place"] == found["place"]
    world.wait_until(lambda: len(here.calls()) == 4, 5)
    assert here.calls() == ["call.allowed", "call.finished"] * 2


def test_a_child_that_says_its_tools_changed_has_them_compared_at_once(node: Gateway, agreed: dict[str, Any]) -> None:
    quiet, here = local(agreed), local(agreed, "change")
    assert facts(node, quiet)["given"] == facts(node, here)["given"]
    world.wait_until(lambda: DefinitionWatch.objects.filter(system=here.system, asked_at__isnull=False).exists(), 5)
    assert comparisons.claim_due() == [here.system.pk]


def test_without_a_grant_nothing_is_started(node: Gateway, agreed: dict[str, Any]) -> None:
    here = local(agreed)
    token = here.token()
    grants.revoke(here.grant.pk, by=SYSTEM, reason="over")
    assert node.call(here, token).json()["result"]["isError"]
    assert here.calls() == ["call.denied"]


def test_the_child_ends_with_the_rights_of_its_caller(node: Gateway, agreed: dict[str, Any]) -> None:
    here = local(agreed)
    child = f"HOME={facts(node, here)['place']}"
    assert processes.having(child)
    grants.revoke(here.grant.pk, by=SYSTEM, reason="over")
    world.wait_until(lambda: not processes.having(child), 5)


def test_a_child_that_dies_leaves_the_call_unknown_and_its_owner_informed(
    node: Gateway, agreed: dict[str, Any]
) -> None:
    here = local(agreed, "die")
    answer = node.call(here).json()
    assert answer["error"]["data"]["certain"] is False, answer
    world.wait_until(lambda: len(here.calls()) == 2, 5)
    assert here.calls() == ["call.allowed", "call.indeterminate"]
    started = StdioSystem.objects.filter(system=here.system)
    world.wait_until(lambda: started.get().failed_at is not None, 5)
    assert (started.get().problem, started.get().stderr) == ("ended", "[removed]\nbroken?\n")


def test_a_system_without_a_command_in_force_is_not_served(node: Gateway, agreed: dict[str, Any]) -> None:
    here = local(agreed)
    StdioSystem.objects.filter(system=here.system).update(terms=None)
    assert node.call(here).status_code == 404
