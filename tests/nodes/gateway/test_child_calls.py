"""Calls to a local server that another node has: by one internal address, sealed, once, and decided there once more."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.feed.models import GatewayNode
from entitlements.grants import grants
from entitlements.secrets import seal
from entitlements.stdio import other_nodes
from entitlements.stdio.models import StdioChild, StdioNode
from entitlements.stdio.other_nodes import Asked
from entitlements.stdio.sandbox import bubblewrap
from entitlements.stdio_commands import terms
from entitlements.stdio_commands.models import StdioSystem
from tests import waits
from tests.entitlements.stdio import packages, processes
from tests.nodes.gateway import world
from tests.nodes.gateway.test_local_servers import facts, local
from tests.nodes.gateway.world import Gateway, World


@pytest.fixture(scope="module")
def agreed() -> Iterator[dict[str, Any]]:
    with packages.small() as folder:
        yield terms.whole(packages.agreed(folder, shared=True))


@pytest.fixture(scope="module")
def other(database: None) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    with world.gateway("node-2") as running:
        yield running


def own(agreed: dict[str, Any], tool: str = "echo") -> World:
    """Make a world whose callers have a child each, though the command lets them share one."""
    here = local(agreed, tool)
    StdioSystem.objects.filter(system=here.system).update(is_shared=False)
    return here


def asked(here: World, **changes: object) -> Asked:
    """Return what a node sends for a call of the world's tool."""
    now = clock.now().timestamp()
    params = {"name": here.tool.name, "arguments": here.arguments}
    given: dict[str, Any] = {
        "at": now, "number": uuid.uuid4().hex, "system": here.system.slug, "position": 0, "agent": here.agent.slug,
        "person": here.person.login, "client": here.client.client_id, "session": str(here.session.pk), "chain": (),
        "jti": here.token_id(), "issued": now, "expires": now + 60, "scopes": (here.entitlement.scope,),
        "covers_all": False,
        "message": json.dumps({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params}).encode(),
    }  # fmt: skip
    return Asked(**given | changes)


def sealed(request: Asked, node: str = "node-1", run: uuid.UUID | None = None) -> bytes:
    run = run or StdioNode.objects.get(node=node).run
    return seal.seal(other_nodes._encode(request), f"stdio-request:{node}:{run}")


def sent(body: bytes, node: str = "node-1") -> httpx2.Response:
    return httpx2.post(StdioNode.objects.get(node=node).address, content=body, timeout=waits.SECONDS)


def test_a_call_at_any_node_reaches_the_child_of_its_caller(
    node: Gateway, other: Gateway, agreed: dict[str, Any]
) -> None:
    here = own(agreed)
    place = facts(node, here)["place"]
    assert facts(other, here)["place"] == place
    child = StdioChild.objects.get(system=here.system)
    assert (child.node, child.agent, child.person) == ("node-1", here.agent, here.person)
    waits.until(lambda: len(here.calls()) == 4)
    assert here.calls() == ["call.allowed", "call.finished"] * 2, "each is in the record once, by the node it came to"


def test_callers_share_a_child_of_one_node_where_command_and_system_say_so(
    node: Gateway, other: Gateway, agreed: dict[str, Any]
) -> None:
    here = local(agreed)
    assert facts(other, here)["place"] == facts(node, here)["place"]
    child = StdioChild.objects.get(system=here.system)
    assert (child.node, child.agent, child.person) == ("node-2", None, None)


def test_how_a_child_is_held_is_kept_with_its_start_and_said_of_each_node(
    node: Gateway, agreed: dict[str, Any]
) -> None:
    here = own(agreed)
    facts(node, here)
    level = bubblewrap.level(has_network=False)
    assert StdioNode.objects.get(node="node-1").level == level
    waits.until(lambda: StdioChild.objects.get(system=here.system).level == level)
    about = Event.objects.filter(action="stdio_child.started", links__contains=[f"system:{here.system.slug}"])
    waits.until(about.exists)
    assert about.get().detail == {"level": level, "node": "node-1", "agent": here.agent.slug}


def test_after_a_revocation_the_node_of_the_child_hands_nothing_on(node: Gateway, agreed: dict[str, Any]) -> None:
    here = own(agreed)
    facts(node, here)
    assert sent(sealed(asked(here))).status_code == 200
    grants.revoke(here.grant.pk, by=SYSTEM, reason="over")
    assert sent(sealed(asked(here))).status_code == 503


def test_a_node_that_knows_less_than_the_sender_is_in_doubt(node: Gateway, agreed: dict[str, Any]) -> None:
    here = own(agreed)
    facts(node, here)
    ahead = GatewayNode.objects.get(pk="node-1").position + 1000
    assert sent(sealed(asked(here, position=ahead))).status_code == 503


def test_what_is_not_sealed_for_this_process_now_is_none_of_ours(node: Gateway, agreed: dict[str, Any]) -> None:
    here = own(agreed)
    facts(node, here)
    once = sealed(asked(here))
    assert sent(once).status_code == 200
    old = asked(here, at=clock.now().timestamp() - other_nodes.FRESH_SECONDS - 1)
    another = sealed(asked(here), run=uuid.uuid4())
    plain = other_nodes._encode(asked(here))
    altered = bytearray(sealed(asked(here)))
    altered[-1] ^= 1
    for body in (once, sealed(old), another, plain, bytes(altered), b""):
        assert sent(body).status_code == 401
    assert httpx2.get(StdioNode.objects.get(node="node-1").address).status_code == 405
    assert node.post(here.system.slug, {}).status_code == 401
    assert httpx2.post(f"{node.base}{other_nodes.PATH}", content=once).status_code == 404, "no client reaches it"


def test_all_that_is_no_call_is_decided_at_the_node_of_the_child_too(node: Gateway, agreed: dict[str, Any]) -> None:
    here = own(agreed)

    def said(**message: object) -> int:
        body = json.dumps({"jsonrpc": "2.0", "id": 9, **message}).encode()
        return sent(sealed(asked(here, message=body))).status_code

    listens: dict[str, Any] = {"method": other_nodes.LISTEN}
    answers: dict[str, Any] = {"result": {}}
    levels = {"method": "logging/setLevel", "params": {"level": "info"}}
    reads = {"method": "resources/read", "params": {"uri": "note://x"}}
    assert said(**listens) == 404, "no child is started for a stream"
    facts(node, here)
    assert said(**answers) == 404, "it was asked nothing"
    for unknown in ({"method": "tools/list"}, {"method": "initialize"}, {"method": "resources/read", "params": []}):
        assert said(**unknown) == 401
    assert said(**reads) == 503, "without a grant"
    grants.revoke(here.grant.pk, by=SYSTEM, reason="over")
    assert {said(**each) for each in (listens, answers, levels, reads)} == {503}


def test_a_call_given_up_at_another_node_is_said_to_the_child(node: Gateway, agreed: dict[str, Any]) -> None:
    here = own(agreed)
    assert facts(node, here)["cancelled"] == []
    notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 4}}
    assert sent(sealed(asked(here, message=json.dumps(notice).encode()))).status_code == 202
    assert facts(node, here)["cancelled"] == [4]


def test_a_child_of_another_node_is_not_asked_for_here(node: Gateway, other: Gateway, agreed: dict[str, Any]) -> None:
    here = own(agreed)
    place = facts(other, here)["place"]
    assert sent(sealed(asked(here))).status_code == 404
    assert facts(node, here)["place"] == place


def test_the_child_of_a_node_that_is_gone_is_anothers(node: Gateway, agreed: dict[str, Any]) -> None:
    here = own(agreed)
    with world.gateway("node-3") as third:
        place = facts(third, here)["place"]
        assert facts(node, here)["place"] == place
        third.child.kill()
        third.child.wait()
        waits.until(lambda: not processes.having(f"HOME={place}"))
        waits.until(lambda: "result" in node.call(here).json())
    assert facts(node, here)["place"] != place
    assert StdioChild.objects.get(system=here.system).node == "node-1"
