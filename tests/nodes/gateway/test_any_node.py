"""A session of the 2025 era at any node: what its name carries, what ends it everywhere, and one upstream session."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx2
import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements import tasks
from entitlements.agents import agents
from entitlements.feed.models import GatewayNode
from entitlements.gateway.models import EndedClientSession, UpstreamSession
from entitlements.grants import grants
from entitlements.keys import session_keys, signing
from entitlements.node_feed import other_nodes
from entitlements.secrets import vault
from entitlements.sessions import sessions
from tests import make, waits
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.test_calls import behind
from tests.nodes.gateway.test_eras import begin, legacy
from tests.nodes.gateway.test_revocation import denial, listening
from tests.nodes.gateway.world import Gateway, World


@pytest.fixture(scope="module")
def second(database: None) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    with world.gateway("node-2") as running:
        yield running


@pytest.fixture(scope="module")
def old(database: None) -> Iterator[Scripted]:  # noqa: ARG001 - its sessions are rows there
    with scripted.upstream(is_modern=False) as server:
        yield server


@pytest.fixture
def legacy_here(old: Scripted) -> World:
    """Make a world behind the legacy upstream, with nothing noted there."""
    old.sessions.clear()
    old.deleted.clear()
    old.dead.clear()
    return behind(old)


def call(node: Gateway, here: World, token: str, session: str, **arguments: object) -> httpx2.Response:
    name, given = here.tool.name, arguments or here.arguments
    return legacy(node, here, "tools/call", token, session, name=name, arguments=given)


def delete(node: Gateway, here: World, token: str, session: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "Mcp-Session-Id": session}
    return httpx2.delete(f"{node.base}/gw/{here.system.slug}/mcp", headers=headers).status_code


def ends(lines: Iterator[str]) -> bool:
    """Read a stream to its end; False when it is still open after all and says something again."""
    deadline = time.monotonic() + waits.SECONDS
    return all(time.monotonic() < deadline for _ in lines)


def statuses(here: World, token: str, session: str, *nodes: Gateway) -> list[int]:
    return [legacy(node, here, "tools/list", token, session).status_code for node in nodes]


def test_a_session_begun_at_one_node_is_served_by_another_until_it_is_deleted_at_either(
    node: Gateway, second: Gateway, here: World
) -> None:
    token = here.token()
    session, stays = begin(node, here, token), begin(node, here, token)
    assert call(second, here, token, session).json()["result"]["structuredContent"]["timezone"] == "UTC"
    with listening(node, here, token, session) as ending, listening(node, here, token, stays) as staying:
        assert delete(second, here, token, session) == 200
        assert statuses(here, token, session, node, second) == [404, 404]  # at once, not when the feed has come there
        assert ends(ending)
        assert next(staying) == ""  # what ends a comment; the stream itself goes on
    assert delete(node, here, token, session) == 404
    headers = {"Authorization": f"Bearer {token}", "Mcp-Session-Id": session}
    assert httpx2.get(f"{node.base}/gw/{here.system.slug}/mcp", headers=headers).status_code == 404
    assert statuses(here, token, stays, node, second) == [200, 200]


def test_a_delete_is_answered_when_each_node_that_serves_has_applied_it(node: Gateway, here: World) -> None:
    token = here.token()
    session = begin(node, here, token)
    now = clock.now()
    slow = GatewayNode.objects.create(id="slow", started_at=now, polled_at=now + timedelta(minutes=1))
    try:
        with ThreadPoolExecutor(1) as pool:
            deleting = pool.submit(delete, node, here, token, session)
            time.sleep(0.5)
            assert not deleting.done()
            GatewayNode.objects.filter(pk=slow.pk).update(position=10**12)
            assert deleting.result(waits.SECONDS) == 200
    finally:
        slow.delete()


def test_nodes_are_waited_for_no_longer_than_two_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_nodes, "LONGEST_WAIT", 0.01)

    async def one_is_behind(*_: object) -> list[tuple[int]]:
        return [(1,)]

    assert not asyncio.run(other_nodes.have_applied(one_is_behind, None))


def test_the_row_of_a_deleted_session_goes_when_its_name_is_over_anyway(node: Gateway, here: World) -> None:
    token = here.token()
    session = begin(node, here, token)
    assert delete(node, here, token, session) == 200
    row = EndedClientSession.objects.latest("ended_at")
    assert abs(row.expires_at - here.session.expires_at) < timedelta(milliseconds=1)  # sooner than LIFE
    tasks.forget_ended_sessions()
    assert EndedClientSession.objects.filter(pk=row.pk).exists()
    EndedClientSession.objects.filter(pk=row.pk).update(expires_at=clock.now())
    tasks.forget_ended_sessions()
    assert not EndedClientSession.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("what", ["agent", "session", "grant"])
def test_what_ends_a_session_ends_it_at_each_node_for_good(
    node: Gateway, second: Gateway, here: World, what: str
) -> None:
    token = here.token()
    session = begin(node, here, token)
    assert statuses(here, token, session, node, second) == [200, 200]
    with listening(second, here, token, session) as lines:
        if what == "agent":
            agents.suspend(here.agent, by=SYSTEM, reason="test")
            agents.restore(here.agent, by=SYSTEM, reason="test is over")
        elif what == "session":
            sessions.end(here.session.pk, by=SYSTEM, reason="test")
        else:
            grants.revoke(here.grant.pk, by=SYSTEM, reason="test")
        assert ends(lines)
    waits.until(lambda: statuses(here, token, session, node, second) == [404, 404])
    if what == "grant":  # a new session is told why, instead of being sent round in a circle
        again = begin(node, here, token)
        assert denial(call(second, here, token, again)) == "no_grant"


def test_a_name_of_a_key_that_is_gone_is_unknown_and_a_retired_key_still_opens(
    node: Gateway, second: Gateway, here: World
) -> None:
    token = here.token()
    session = begin(node, here, token)
    first = session.partition(".")[0]
    signing.rotate(session_keys.ISSUER, by=SYSTEM, now=True)
    assert statuses(here, token, session, node, second) == [200, 200]
    waits.until(lambda: begin(second, here, token).partition(".")[0] != first)
    signing.withdraw(first, by=SYSTEM, reason="leaked")
    waits.until(lambda: statuses(here, token, session, node, second) == [404, 404])
    assert statuses(here, token, begin(node, here, token), node, second) == [200, 200]


def test_a_call_that_one_node_carries_is_cancelled_at_another(
    node: Gateway, second: Gateway, legacy_here: World, old: Scripted
) -> None:
    here, token = legacy_here, legacy_here.token()
    session = begin(node, here, token)
    found: list[httpx2.Response] = []
    thread = threading.Thread(target=lambda: found.append(call(node, here, token, session, do="hang")))
    thread.start()
    assert old.started.wait(waits.SECONDS)
    other = begin(second, here, token)
    wish = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "a"}}
    headers = {"MCP-Protocol-Version": "2025-11-25"}

    ignored = second.post(here.system.slug, wish, token, headers={**headers, "Mcp-Session-Id": other})
    assert not old.cancelled.wait(waits.MOMENT)  # the same request id, in another session
    taken = second.post(here.system.slug, wish, token, headers={**headers, "Mcp-Session-Id": session})

    assert (ignored.status_code, taken.status_code) == (202, 202)
    thread.join(waits.SECONDS)
    assert not thread.is_alive()
    waits.until(lambda: told(old) == [old.calls[-1]["id"]])


def told(server: Scripted) -> list[int]:
    """Return the request ids that the upstream was told are cancelled."""
    return [each["params"]["requestId"] for each in server.requests if each["method"] == "notifications/cancelled"]


def test_two_nodes_use_one_session_of_an_upstream_with_request_ids_of_their_own(
    node: Gateway, second: Gateway, legacy_here: World, old: Scripted
) -> None:
    here, token = legacy_here, legacy_here.token()
    for each in (node, second, node, second):
        assert each.call(here, token, do="answer").status_code == 200
    used = {headers["mcp-session-id"] for headers in old.headers if "mcp-session-id" in headers}
    assert used == set(old.sessions)
    assert len(old.sessions) == 1
    assert len({request["id"] for request in old.calls}) == 4
    row = UpstreamSession.objects.get(agent=here.agent)
    assert (row.person, row.client, row.ended_at) == (here.person, here.client, None)
    assert old.sessions[0].encode() not in bytes(row.sealed)


def test_nodes_that_begin_at_the_same_time_agree_on_one_session_and_the_loser_ends_its_own(
    node: Gateway, second: Gateway, legacy_here: World, old: Scripted
) -> None:
    here, token = legacy_here, legacy_here.token()
    old.meet_at_greeting = threading.Barrier(2)
    try:
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda each: each.call(here, token, do="answer"), (node, second)))
    finally:
        old.meet_at_greeting = None
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(old.sessions) == 2
    waits.until(lambda: len(old.deleted) == 1)
    (kept,) = set(old.sessions) - set(old.deleted)
    assert {headers["mcp-session-id"] for headers in old.headers[-6:] if headers.get("mcp-session-id")} >= {kept}
    assert UpstreamSession.objects.filter(agent=here.agent).count() == 1
    old.headers.clear()
    for each in (node, second):
        each.call(here, token, do="answer")
    assert {headers["mcp-session-id"] for headers in old.headers} == {kept}


def test_a_session_that_the_upstream_forgot_is_replaced_for_both_nodes(
    node: Gateway, second: Gateway, legacy_here: World, old: Scripted
) -> None:
    here, token = legacy_here, legacy_here.token()
    for each in (node, second):
        each.call(here, token, do="answer")
    old.dead.update(old.sessions)
    for each in (node, second, node):
        assert each.call(here, token, do="answer").json()["result"]["content"][0]["text"] == "done"
    assert len(old.sessions) == 2
    rows = UpstreamSession.objects.filter(agent=here.agent)
    assert (rows.count(), rows.filter(ended_at=None).count()) == (2, 1)


def test_a_session_at_an_upstream_ends_with_the_rights_it_served(
    node: Gateway, second: Gateway, legacy_here: World, old: Scripted
) -> None:
    here, token = legacy_here, legacy_here.token()
    for each in (node, second):
        each.call(here, token, do="answer")
    grants.revoke(here.grant.pk, by=SYSTEM, reason="test")
    waits.until(lambda: bool(old.deleted))
    assert UpstreamSession.objects.get(agent=here.agent).ended_at is not None
    make.grant(here.agent, here.entitlement, people=[here.person])
    waits.until(lambda: second.call(here, here.token(), do="answer").json()["result"].get("isError") is None)
    assert old.deleted == old.sessions[:1]  # by one of the two nodes


def test_after_a_new_credential_no_session_of_the_old_one_is_used(
    node: Gateway, second: Gateway, legacy_here: World, old: Scripted
) -> None:
    here, token = legacy_here, legacy_here.token()
    node.call(here, token, do="answer")
    vault.set_secret(here.system, kind="bearer", value="another-secret-4711", by=SYSTEM)
    waits.until(lambda: second.call(here, token, do="answer").status_code == 200)
    with_new = [each for each in old.headers if each["authorization"] == "Bearer another-secret-4711"]
    assert old.sessions[0] not in {each.get("mcp-session-id") for each in with_new}
    assert UpstreamSession.objects.filter(agent=here.agent, ended_at=None).count() == 1


def test_rows_of_ended_upstream_sessions_go_after_a_day(here: World) -> None:
    now = clock.now()
    row = UpstreamSession.objects.create(
        system=here.system, agent=here.agent, person=here.person, client=here.client, protocol="2025-11-25",
        opened_at=now, used_at=now, ended_at=now - timedelta(hours=25),
    )  # fmt: skip
    tasks.forget_ended_sessions()
    assert not UpstreamSession.objects.filter(pk=row.pk).exists()
