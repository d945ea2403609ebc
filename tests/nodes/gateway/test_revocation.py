"""From a revocation to every node's obedience: receipts, withdrawn calls, cut streams, and a node that is cut off."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import httpx2
import psycopg
import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.clients import clients
from entitlements.feed.models import GatewayNode
from entitlements.grants import grants
from entitlements.keys import jws
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from governance.reviews.population import campaigns
from governance.reviews.remediation import remediation
from governance.reviews.staging import launch
from tests import databases, make, waits
from tests.conformance import servers
from tests.governance.reviews import worlds
from tests.nodes.gateway import cables, scripted, world
from tests.nodes.gateway.cables import Cable
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.world import Gateway, World, has_applied

DO = {"type": "object", "properties": {"do": {"type": "string"}}}


@pytest.fixture(scope="module")
def second(database: None) -> Iterator[Gateway]:  # noqa: ARG001
    with world.gateway("node-2") as running:
        yield running


@pytest.fixture(scope="module")
def modern() -> Iterator[Scripted]:
    with scripted.upstream() as server:
        yield server


def denial(answer: httpx2.Response) -> str:
    """Return why a call was denied: before it was on its way, or then (`call_withdrawn`)."""
    body = answer.json()
    told = body["error"]["data"] if "error" in body else body["result"].get("_meta", {}).get("mandate/denial", {})
    return str(told.get("code", ""))


def test_a_receipt_names_each_node_that_obeys_and_the_next_call_is_denied(
    node: Gateway, second: Gateway, here: World
) -> None:
    token = here.token()
    assert [denial(each.call(here, token)) for each in (node, second)] == ["", ""]

    receipt = revocation.revoke(Target("grant", str(here.grant.pk)), by=SYSTEM, reason="laptop stolen")

    assert {each["node"] for each in receipt.acknowledged} >= {"node-1", "node-2"}
    assert receipt.missing == []
    assert [denial(each.call(here, token)) for each in (node, second)] == ["no_grant", "no_grant"]


def test_what_a_review_removes_the_gateway_denies_with_the_next_call(node: Gateway, here: World) -> None:
    token, ana = here.token(), make.analyst()
    assert denial(node.call(here, token)) == ""
    due, scope = clock.now() + timedelta(days=9), {"agents": [here.agent.slug]}
    campaign = campaigns.make(here.agent.slug, name="Q4", due_at=due, scope=scope, by=ana)
    launch.activate(campaign.pk, by=ana)
    done = worlds.answer(campaign, here.agent.sponsor, [(worlds.item(campaign), worlds.REMOVE)])
    assert remediation.verify(done.removals[0]).state == "verified"

    waits.until(lambda: has_applied("node-1"))
    assert denial(node.call(here, token)) == "grant_suspended"


@pytest.mark.usefixtures("node")
def test_acknowledgements_come_within_milliseconds(here: World) -> None:
    waited: list[float] = []
    for _ in range(10):
        receipt = revocation.revoke(Target("grant", str(here.grant.pk)), by=SYSTEM, reason="again")
        waited += [each["after_ms"] for each in receipt.acknowledged if each["node"] == "node-1"]
        here.grant = make.grant(here.agent, here.entitlement, people=[here.person])

    assert sorted(waited)[5] < 50, waited


def test_a_call_that_waits_for_the_record_while_its_grant_goes_is_withdrawn(node: Gateway, modern: Scripted) -> None:
    here = world.build(modern.url, tool="act", schema=DO)
    modern.requests.clear()
    assert denial(node.call(here, do="answer")) == ""
    before = len(modern.calls)
    found: list[httpx2.Response] = []
    token = here.token()
    with psycopg.connect(databases.addresses().owner) as holder:
        holder.execute("LOCK TABLE pending IN SHARE MODE")  # the batch cannot commit
        thread = threading.Thread(target=lambda: found.append(node.call(here, token, do="answer")))
        thread.start()
        waits.until(lambda: waits_for_the_record(holder))
        with psycopg.connect(databases.addresses().owner, autocommit=True) as owner:
            end_quietly(owner, here)
        waits.until(lambda: has_applied("node-1"))
        holder.rollback()
        thread.join(waits.SECONDS)

    assert denial(found[0]) == "call_withdrawn"
    assert len(modern.calls) == before
    assert here.calls()[-2:] == ["call.allowed", "call.withdrawn"]


def waits_for_the_record(connection: psycopg.Connection) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_locks WHERE relation = 'pending'::regclass AND NOT granted"
    ).fetchone()
    return bool(row and row[0])


def end_quietly(owner: psycopg.Connection, here: World) -> None:
    """End the grant without an event, since the table of pending events is locked."""
    owner.execute(
        "UPDATE entitlements_grant SET state = 'revoked', ended_at = now(), end_reason = 'test' WHERE id = %s",
        [here.grant.pk],
    )
    owner.execute(
        "INSERT INTO entitlements_change (kind, agent_id, subject, noted_at) VALUES ('grant', %s, 'test', now())",
        [here.agent.pk],
    )


def test_a_call_under_way_is_cut_when_its_grant_goes(node: Gateway, modern: Scripted) -> None:
    here = world.build(modern.url, tool="act", schema=DO)
    modern.started.clear()
    modern.cancelled.clear()
    found: list[httpx2.Response] = []
    token = here.token()
    thread = threading.Thread(target=lambda: found.append(node.call(here, token, do="hang")))
    thread.start()
    assert modern.started.wait(waits.SECONDS)

    grants.revoke(here.grant.pk, by=SYSTEM, reason="test")

    thread.join(waits.SECONDS)
    assert modern.cancelled.wait(waits.SECONDS)
    assert found[0].json()["error"]["data"]["code"] == "call_withdrawn"
    waits.until(lambda: here.calls() == ["call.allowed", "call.indeterminate"])


def test_revoking_one_client_ends_its_calls_and_streams_and_refuses_none_of_another_client_of_its_agent(
    node: Gateway, second: Gateway, modern: Scripted
) -> None:
    here = world.build(modern.url, tool="act", schema=DO)
    other = here.with_another_client()
    mine, theirs = here.token(), other.token()
    cut, kept = hello(node, here, mine), hello(node, other, theirs)
    refused: list[str] = []
    is_over = threading.Event()

    def keep_calling() -> None:
        while not is_over.is_set():
            refused.extend(filter(None, (denial(each.call(other, theirs, do="answer")) for each in (node, second))))

    caller = threading.Thread(target=keep_calling)
    with listening(node, here, mine, cut) as ending, listening(node, other, theirs, kept) as staying:
        caller.start()
        receipt = revocation.revoke(Target("client", here.client.client_id), by=SYSTEM, reason="its key leaked")
        assert list(ending) in ([], [""])
        answers = [denial(each.call(here, mine, do="answer")) for each in (node, second)]
        is_over.set()
        caller.join(waits.SECONDS)
        assert node.call(other, theirs, do="answer").status_code == 200
        assert next(staying) == ""  # what ends a comment; the stream itself goes on
    clients.enable(here.client, by=SYSTEM, reason="its key is new")

    assert (answers, refused) == (["client_disabled"] * 2, [])
    assert receipt.covered == {"access_tokens": 1, "id_jags": 0, "sessions": 1}
    assert jws.read(receipt.receipt).claims["covered"] == receipt.covered
    back = [each.call(here, mine, do="answer") for each in (node, second)]
    assert [(each.status_code, each.json()["error"]["data"]["code"]) for each in back] == [(401, "token_revoked")] * 2


@contextlib.contextmanager
def listening(node: Gateway, here: World, token: str, session: str) -> Iterator[Iterator[str]]:
    """Hold the stream of a client session open, and hand out its lines after the first comment."""
    address = f"{node.base}/gw/{here.system.slug}/mcp"
    headers = {"Authorization": f"Bearer {token}", "Mcp-Session-Id": session, "Accept": "text/event-stream"}
    with httpx2.stream("GET", address, headers=headers, timeout=waits.SECONDS) as stream:
        lines = stream.iter_lines()
        assert ": keep-alive" in lines  # which reads up to it
        yield lines


def test_an_open_stream_ends_when_its_agent_is_suspended(node: Gateway, here: World) -> None:
    token = here.token()
    session = hello(node, here, token)
    with listening(node, here, token, session) as lines:
        agents.suspend(here.agent, by=SYSTEM, reason="test")
        assert list(lines) in ([], [""])


def hello(node: Gateway, here: World, token: str) -> str:
    body = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}},
    }  # fmt: skip
    return str(node.post(here.system.slug, body, token).headers["mcp-session-id"])


@pytest.fixture
def cable() -> Iterator[Cable]:
    with cables.cable() as relay:
        yield relay


def test_a_node_that_is_cut_off_refuses_within_two_seconds_and_comes_back(here: World, cable: Cable) -> None:
    token = here.token()
    with world.gateway("node-cut", DATABASE_URL=cable.leads_to(databases.addresses().app)) as node:
        assert denial(node.call(here, token)) == ""

        cable.pull()
        time.sleep(2.1)
        refused = node.call(here, token)

        assert (refused.status_code, refused.json()["error"]["data"]["code"]) == (503, "lease_lapsed")
        assert refused.headers["content-type"] == "application/json"
        grants.revoke(here.grant.pk, by=SYSTEM, reason="while the node was deaf")
        cable.plug()
        waits.until(lambda: node.call(here, token).status_code == 200)
        assert denial(node.call(here, token)) == "no_grant"


def test_a_node_that_is_cut_off_is_missing_from_the_receipt(here: World, cable: Cable, node: Gateway) -> None:
    del node
    with world.gateway("node-deaf", DATABASE_URL=cable.leads_to(databases.addresses().app)) as deaf:
        deaf.call(here)
        cable.pull()

        receipt = revocation.revoke(Target("grant", str(here.grant.pk)), by=SYSTEM, reason="test")

        assert [each["node"] for each in receipt.missing] == ["node-deaf"]
        assert "node-1" in {each["node"] for each in receipt.acknowledged}
        cable.plug()


def test_an_agent_without_facts_is_not_let_through_when_the_database_hangs(here: World, cable: Cable) -> None:
    with world.gateway("node-slow", DATABASE_URL=cable.leads_to(databases.addresses().app)) as node:
        node.modern(here.system.slug, "server/discover", here.token())
        other = world.build(here.system.upstream_url)
        token = other.token()
        cable.pull()

        answer = node.call(other, token)

        assert answer.status_code == 503
        cable.plug()


def test_a_node_that_stops_says_so(here: World) -> None:
    with world.gateway("node-brief") as node:
        assert denial(node.call(here)) == ""
        assert GatewayNode.objects.get(pk="node-brief").stopped_at is None

    assert GatewayNode.objects.get(pk="node-brief").stopped_at is not None


def test_a_record_that_takes_nothing_stops_every_call(
    node: Gateway, here: World, time_server: servers.Upstream
) -> None:
    assert denial(node.call(here)) == ""
    requests = time_server.seen()["requests"]
    with psycopg.connect(databases.addresses().owner, autocommit=True) as owner:
        owner.execute("REVOKE INSERT ON pending FROM mandate_app")
        try:
            answer = node.call(here)
        finally:
            owner.execute("GRANT INSERT ON pending TO mandate_app")

    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (503, "record_unavailable")
    assert time_server.seen()["requests"] == requests
    assert denial(node.call(here)) == ""
