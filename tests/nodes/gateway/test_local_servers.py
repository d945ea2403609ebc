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
from tests import waits
from tests.entitlements.stdio import packages, processes
from tests.nodes.gateway import test_wire, world
from tests.nodes.gateway.world import Gateway, World

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
    waits.until(lambda: len(here.calls()) == 4)
    assert here.calls() == ["call.allowed", "call.finished"] * 2


def test_a_child_that_says_its_tools_changed_has_them_compared_at_once(node: Gateway, agreed: dict[str, Any]) -> None:
    quiet, here = local(agreed), local(agreed, "change")
    assert facts(node, quiet)["given"] == facts(node, here)["given"]
    waits.until(lambda: DefinitionWatch.objects.filter(system=here.system, asked_at__isnull=False).exists())
    due = comparisons.claim_due()
    assert (here.system.pk in due, quiet.system.pk in due) == (True, False)


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
    waits.until(lambda: not processes.having(child))


def test_a_child_that_dies_leaves_the_call_unknown_and_its_owner_informed(
    node: Gateway, agreed: dict[str, Any]
) -> None:
    here = local(agreed, "die")
    answer = node.call(here).json()
    assert answer["error"]["data"]["certain"] is False, answer
    waits.until(lambda: len(here.calls()) == 2)
    assert here.calls() == ["call.allowed", "call.indeterminate"]
    started = StdioSystem.objects.filter(system=here.system)
    waits.until(lambda: started.get().failed_at is not None)
    assert (started.get().problem, started.get().stderr) == ("ended", "[removed]\nbroken?\n")


def test_a_system_without_a_command_in_force_is_not_served(node: Gateway, agreed: dict[str, Any]) -> None:
    here = local(agreed)
    StdioSystem.objects.filter(system=here.system).update(terms=None)
    assert node.call(here).status_code == 404


def told(node: Gateway, here: World, token: str, meta: dict[str, object], **headers: str) -> dict[str, Any]:
    """Call the tool that says what the child was told beside its arguments."""
    body = test_wire.call_of(here, _meta={**world.META, **meta})
    answer = node.post(here.system.slug, body, token, headers=test_wire.headers_of(here, **headers))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.json()["result"]["content"][0]["text"])["given"]
    return found


def test_the_trace_reaches_the_child_in_meta_and_nothing_else_does(node: Gateway, agreed: dict[str, Any]) -> None:
    here, trace, span = local(agreed, "meta"), "ab" * 16, "1" * 16
    token = here.token(txn="5e" * 16)
    meta: dict[str, object] = {
        "traceparent": f"00-{trace}-{span}-00", "tracestate": "vendor=1", "baggage": "team=a,user=b", "own": 1,
    }  # fmt: skip
    found = told(node, here, token, meta, traceparent=f"00-{'cd' * 16}-{span}-01", baggage="from=header")

    _, of, ours, flags = found["meta"]["traceparent"].split("-")
    assert (of, flags, found["meta"]["tracestate"], found["meta"]["baggage"]) == (
        trace, "00", "vendor=1", "team=a,user=b",
    )  # fmt: skip
    assert ours != span
    assert found["meta"].keys() == {"traceparent", "tracestate", "baggage", "own"}
    assert found["params"] == ["_meta", "arguments", "name"]
    whole = json.dumps(found)
    secrets = [token, token.split(".")[1], here.agent.slug, here.person.login, str(here.session.pk), "from=header"]
    assert not [secret for secret in secrets if secret in whole]
    assert found["environment"].keys() <= {"KIND", "HOME", "PATH", "LANG", "TMPDIR", "LC_CTYPE"}


def test_without_one_it_is_that_of_the_session_and_what_breaks_a_rule_does_not_reach_it(
    node: Gateway, agreed: dict[str, Any]
) -> None:
    here = local(agreed, "meta")
    meta: dict[str, object] = {"traceparent": "junk", "tracestate": "vendor=1", "baggage": "no baggage"}
    found = told(node, here, here.token(txn="5e" * 16), meta)
    assert found["meta"]["traceparent"].split("-")[1] == "5e" * 16
    assert found["meta"].keys() == {"traceparent"}
