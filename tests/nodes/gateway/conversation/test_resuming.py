"""A stream that ends before its answer goes on: at the system, asked again, and for a client that comes back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec
import pytest

from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.resumption import kept_streams
from entitlements.gateway.resumption.kept_streams import CallAsked, Ended, KeptStream
from entitlements.keys import session_keys
from entitlements.node.node import Node
from entitlements.node_messages.models import NodeMessage
from entitlements.revocation import revocation
from entitlements.revocation.targets import Target
from tests import make, waits
from tests.entitlements.node.unfed import on_a_node
from tests.nodes.gateway import world
from tests.nodes.gateway.conversation import polled
from tests.nodes.gateway.conversation.desk import LegacyClient, asks, tells
from tests.nodes.gateway.conversation.polled import BREAK, CLOSE, CUT, HOLD, REFUSE, RETRY_SECONDS, Polled
from tests.nodes.gateway.world import Gateway, World

ONE, TWO, THREE = (tells("notifications/message", level="info", data=word) for word in ("one", "two", "three"))
SCHEMA = {"type": "object", "properties": {"script": {"type": "array"}}, "required": ["script"]}


@pytest.fixture(scope="module")
def server() -> Iterator[Polled]:
    with polled.polled() as running:
        yield running


@pytest.fixture(scope="module")
def second(database: None) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    with world.gateway("node-2") as running:
        yield running


@pytest.fixture
def here(node: Gateway, server: Polled) -> World:  # noqa: ARG001 - the node must run
    server.asked_again.clear()
    server.closed.clear()
    return world.build(server.url, tool="poll", schema=SCHEMA)


@dataclass
class Heard:
    """One stream of a client: `ids` are those of its events, `messages` what they held, None where nothing."""

    lines: Iterator[str]
    ids: list[str] = field(default_factory=list)
    retry: str = ""

    def next(self) -> dict[str, Any] | None:
        """Return the next event; StopIteration at the end of the stream."""
        data: list[str] = []
        for line in self.lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self.ids.append(value)
            elif name == "retry":
                self.retry = value
            elif name == "data":
                data.append(value)
            elif not line and data:
                return json.loads(data[0]) if data[0] else None
        raise StopIteration

    def rest(self) -> list[Any]:
        """Return all messages up to the end."""
        found = []
        with contextlib.suppress(StopIteration):
            while True:
                found.append(self.next())
        return [said(message) for message in found if message is not None]


def said(message: dict[str, Any] | None) -> Any:  # noqa: ANN401 - any JSON
    """Return what a message says."""
    assert message is not None
    if "method" in message:
        return message.get("params", {}).get("data", message["method"])
    return message["result"]["content"][0]["text"] if "result" in message else message["error"]["message"]


@contextlib.contextmanager
def stream(client: LegacyClient, at: Gateway, *script: object, after: str = "") -> Iterator[Heard]:
    """Call with a script, or come back after an event, at a node."""
    with opened(client, at, *script, after=after) as answer:
        assert answer.status_code == 200, answer.read()
        yield Heard(answer.iter_lines())


def opened(
    client: LegacyClient, at: Gateway, *script: object, after: str = ""
) -> contextlib.AbstractContextManager[httpx2.Response]:
    headers = {
        **client.headers,
        "Authorization": f"Bearer {client.token}",
        "Accept": "application/json, text/event-stream",
    }
    headers |= {"Last-Event-ID": after} if after else {}
    called = asks("tools/call", 9, name=client.here.tool.name, arguments={"script": script})
    more: dict[str, Any] = {"json": called} if script else {}
    address = f"{at.base}/gw/{client.here.system.slug}/mcp"
    return httpx2.stream("POST" if script else "GET", address, headers=headers, timeout=waits.SECONDS, **more)


# ------------------------------------------------------------------------------------------------- at the system


def test_an_answer_that_comes_in_several_streams_is_one_answer(node: Gateway, here: World, server: Polled) -> None:
    before = server.calls
    answer = node.call(here, script=[CLOSE, ONE, CUT, CLOSE, BREAK, TWO])
    assert said(answer.json()) == "done"
    assert server.calls == before + 1
    name = f"call{server.calls}"
    assert [last for last, _ in server.asked_again] == [f"{name}/{at}" for at in (0, 2, 3, 3, 4)]
    pauses = [again - closed for (_, again), closed in zip(server.asked_again, server.closed, strict=False)]
    assert min(pauses[:2]) >= RETRY_SECONDS - 0.02
    waits.until(lambda: here.calls() == ["call.allowed", "call.finished"])


def test_a_system_that_does_not_go_on_leaves_the_call_in_doubt(node: Gateway, here: World) -> None:
    answer = node.call(here, script=[CLOSE, REFUSE]).json()
    assert answer["error"]["data"]["certain"] is False
    waits.until(lambda: here.calls() == ["call.allowed", "call.indeterminate"])


# ---------------------------------------------------------------------------------------------- for a client


def test_a_client_is_left_alone_where_the_system_leaves_us_and_comes_back_at_any_node(
    node: Gateway, second: Gateway, here: World
) -> None:
    client = LegacyClient(node, here)
    with stream(client, node, ONE, CLOSE, TWO, CLOSE, THREE) as first:
        assert first.next() is None  # an id, before anything is said
        assert first.rest() == ["one"]
        assert first.retry == str(round(RETRY_SECONDS * 1000))
    with stream(client, second, after=first.ids[-1]) as rest:
        assert rest.rest() == ["two", "three", "done"]
    with stream(client, node, after=first.ids[0]) as once_more:
        assert once_more.rest() == ["one", "two", "three", "done"]
    assert len({*first.ids, *rest.ids}) == len({*first.ids}) + 3
    waits.until(lambda: here.calls() == ["call.allowed", "call.finished"])


def test_a_lost_connection_cancels_nothing_and_loses_nothing(
    node: Gateway, second: Gateway, here: World, server: Polled
) -> None:
    client = LegacyClient(node, here)
    with stream(client, node, ONE, HOLD, TWO, HOLD) as lost:
        assert [lost.next(), said(lost.next())] == [None, "one"]
    with stream(client, second, after=lost.ids[-1]) as back:
        assert back.next() is None
        server.go_on()
        assert back.rest() == ["two", "done"]
    with stream(client, second, after=back.ids[-1]) as again:
        assert again.rest() == []  # it has the answer
    waits.until(lambda: here.calls() == ["call.allowed", "call.finished"])


def test_a_client_of_an_earlier_version_gets_no_event_without_data_and_is_not_left(node: Gateway, here: World) -> None:
    client = LegacyClient(node, here)
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {}}
    session = node.post(here.system.slug, asks("initialize", 1, **hello), client.token).headers["mcp-session-id"]
    client.session = session
    headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-06-18"}
    called = asks("tools/call", 9, name=here.tool.name, arguments={"script": [ONE, CLOSE, TWO]})
    answer = node.post(here.system.slug, called, client.token, headers=headers)
    heard = Heard(iter(answer.text.splitlines()))
    assert heard.rest() == ["one", "two", "done"]
    assert len(heard.ids) == 3


@pytest.mark.parametrize("what", ["garbage", "another number", "another session", "another caller", "the session"])
def test_an_event_that_is_not_the_clients_own_is_refused_and_recorded(node: Gateway, here: World, what: str) -> None:
    client = LegacyClient(node, here)
    with stream(client, node, ONE) as heard:
        heard.rest()
    own = heard.ids[0]
    other = LegacyClient(node, here.with_another_client() if what == "another caller" else here)
    named = {
        "garbage": "not-one-of-ours.1",
        "another number": f"{own.rpartition('.')[0]}.01",
        "the session": client.session,
    }.get(what, own)
    asking = other if "another" in what and what != "another number" else client
    with opened(asking, node, after=named) as answer:
        assert answer.status_code == 400
        assert b"No stream of this session has an event with this id." in answer.read()
    assert here.calls()[-1] == "call.denied"
    assert own not in str([event.detail for event in here.events()])


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_nothing_is_handed_out_once_the_rights_are_gone(
    node: Gateway, second: Gateway, here: World, server: Polled, when: str
) -> None:
    client = LegacyClient(node, here)
    more = make.entitlement(here.system, make.tool(here.system, "more"), scope=f"{here.entitlement.scope}2")
    make.grant(here.agent, more, people=[here.person])  # what goes is the right to this call alone
    with stream(client, node, ONE, HOLD, TWO) as lost:
        assert [lost.next(), said(lost.next())] == [None, "one"]
    if when == "before":
        revocation.revoke(Target("grant", str(here.grant.pk)), by=SYSTEM, reason="over")
        with opened(client, second, after=lost.ids[0]) as answer:
            assert answer.status_code == 403
            assert b"one" not in answer.read()
        assert here.calls()[-1] == "call.denied"
        return
    with stream(client, second, after=lost.ids[-1]) as back:
        assert back.next() is None
        revocation.revoke(Target("grant", str(here.grant.pk)), by=SYSTEM, reason="over")
        server.go_on()
        assert back.rest() == []


def test_an_answer_that_comes_at_once_is_kept_nowhere(node: Gateway, here: World) -> None:
    client = LegacyClient(node, here)
    NodeMessage.objects.all().delete()
    called = asks("tools/call", 9, name=here.tool.name, arguments={"script": []})
    assert client.post(called).headers["content-type"] == "application/json"
    assert not NodeMessage.objects.exists()


# -------------------------------------------------------------------------------------------- what is kept


def in_a_stream(client: LegacyClient, *events: bytes, ended: Ended | None = None) -> tuple[str, str]:
    """Keep events as a stream of this client's call; return the ids of its beginning and of its end."""

    async def keep(node: Node) -> tuple[str, str]:
        plain = await session_keys.opened(node.reads(), client.session)
        asked = CallAsked(client.here.system.slug, client.here.tool.name, {"script": []}, b"9")
        kept = KeptStream(node, msgspec.json.decode(plain, type=ClientSession), asked)
        node.now = lambda: 0.0  # type: ignore[method-assign]  # long ago
        assert await kept.begin()
        beginning = kept.id
        for event in events:
            kept.keep(event)
        await kept.flush(is_last=ended is None)
        if ended is not None:
            await kept.end(ended)
        return beginning, kept.id

    return on_a_node(keep)


@pytest.mark.parametrize("what", ["the end", "the beginning", "the middle", "all"])
def test_what_is_kept_no_more_is_told(node: Gateway, here: World, what: str) -> None:
    client = LegacyClient(node, here)
    NodeMessage.objects.all().delete()
    one = json.dumps(ONE).encode()
    beginning, _ = in_a_stream(client, one, one, ended=Ended(is_lost=what == "the end"))
    rows = NodeMessage.objects.order_by("number")
    assert [row.number for row in rows] == [1, 2, 3]  # the call, what was said, where it ended
    if what != "the end":
        gone = {"the beginning": [1], "the middle": [2], "all": [1, 2, 3]}[what]
        NodeMessage.objects.filter(number__in=gone).delete()
    with opened(client, node, after=beginning) as answer:
        assert answer.status_code == 400
        assert b"What followed this event is not kept any more." in answer.read()


def test_a_stream_is_kept_up_to_a_bound(node: Gateway, here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_streams, "MOST_BYTES", 200)
    client = LegacyClient(node, here)
    said_in_all = json.dumps(ONE).encode()
    beginning, end = in_a_stream(client, said_in_all, said_in_all, said_in_all)
    assert end == ""  # no id for what is not kept
    with opened(client, node, after=beginning) as answer:
        assert answer.status_code == 400


def test_an_agent_and_a_node_keep_so_much_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_streams, "MOST_OF_AN_AGENT", 10)
    monkeypatch.setattr(kept_streams, "MOST_OF_A_NODE", 15)
    room = kept_streams.Room()
    assert [room.take("a", 8), room.take("a", 8), room.take("b", 8), room.take("b", 7)] == [True, False, False, True]
    monkeypatch.setattr(kept_streams, "KEPT_SECONDS", -1.0)
    assert room.take("a", 8)


# -------------------------------------------------------------------------------------- the stream of a session


def test_what_a_session_was_told_while_its_client_was_away_is_told_once_at_another_node(
    node: Gateway, second: Gateway, here: World, server: Polled
) -> None:
    client, scope = LegacyClient(node, here), here.entitlement.scope
    client.token = here.token(scope=f"{scope} {scope}2")
    with stream(client, node) as lost:
        assert lost.next() is None
        assert server.is_listened_to
        server.say(ONE)
        assert said(lost.next()) == "one"
    server.say(TWO)
    more = make.entitlement(here.system, make.tool(here.system, "more"), scope=f"{scope}2")
    make.grant(here.agent, more, people=[here.person])
    with stream(client, second, after=lost.ids[-1]) as back:
        assert back.next() is None
        found = {said(back.next()), said(back.next())}
        assert found == {"two", "notifications/tools/list_changed"}
        server.say(THREE)
        assert said(back.next()) == "three"
    with stream(client, node, after=back.ids[0]) as again:
        assert again.next() is None
        assert [said(again.next()) for _ in range(3)][-1] == "three"


def test_a_stream_whose_client_is_away_ends_with_its_session(node: Gateway, second: Gateway, here: World) -> None:
    client = LegacyClient(node, here)
    with stream(client, node) as lost:
        assert lost.next() is None
    headers = {**client.headers, "Authorization": f"Bearer {client.token}"}
    assert httpx2.delete(f"{second.base}/gw/{here.system.slug}/mcp", headers=headers).status_code == 200
    with opened(client, node, after=lost.ids[-1]) as answer:
        assert answer.status_code == 404


def test_a_stream_of_a_session_ends_with_the_agent(node: Gateway, second: Gateway, here: World) -> None:
    client = LegacyClient(node, here)
    with stream(client, node) as lost:
        assert lost.next() is None
    with stream(client, second, after=lost.ids[-1]) as back:
        assert back.next() is None
        agents.suspend(here.agent, by=SYSTEM, reason="Stopped.")
        assert set(back.rest()) <= {"notifications/tools/list_changed"}  # it has none any more, if that is seen first
    with opened(client, node, after=back.ids[-1]) as answer:
        assert answer.status_code in (401, 403, 404)


def test_a_node_that_stops_hands_its_streams_over(node: Gateway, here: World, server: Polled) -> None:
    client = LegacyClient(node, here)
    with world.gateway("node-3") as third, stream(client, third) as lost:
        assert lost.next() is None
        third.child.terminate()
        with contextlib.suppress(httpx2.RemoteProtocolError):
            assert lost.rest() == []
    server.say(TWO)  # which the system kept
    with stream(client, node, after=lost.ids[-1]) as back:
        assert back.next() is None
        assert said(back.next()) == "two"  # and no list counts as changed


def test_many_clients_may_go_away(node: Gateway, here: World) -> None:
    client = LegacyClient(node, here)
    for _ in range(15):  # more streams than a token may have open
        with stream(client, node) as heard:
            assert heard.next() is None
    waits.until(NodeMessage.objects.exists)
