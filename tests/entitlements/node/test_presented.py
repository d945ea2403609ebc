"""Sessions and tokens end by their id: at once, alone, and without a right being read again."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.codes import Code
from entitlements.decisions import facts
from entitlements.decisions.snapshot import Call, Token
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.node import presented
from entitlements.node.node import Node
from entitlements.node.presented import Presented
from entitlements.node.refusals import Closed
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.tokens import tokens
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.node.test_dropping import done, with_node
from tests.entitlements.node.test_kept import aside

WHY: dict[str, Any] = {"by": SYSTEM, "reason": "for a test"}
SESSION, TOKEN = str(uuid.uuid4()), str(uuid.uuid4())


@dataclass
class World:
    """An agent that acts for alice at the mail by one tool, in a session."""

    agent: Agent
    client: Client
    alice: Person
    grant: Grant
    session: Session

    def begin(self, **changes: Any) -> Session:  # noqa: ANN401 - columns
        now = clock.now()
        columns = {"started_at": now, "last_used_at": now, "auth_time": now, "expires_at": now + timedelta(hours=8)}
        return Session.objects.create(
            client=self.client,
            person=self.alice,
            sign_in_sha256=uuid.uuid4().hex,
            **{"agent": self.agent, **columns, **changes},
        )

    def token(self, parent: uuid.UUID | None = None) -> IssuedToken:
        now = clock.now()
        return IssuedToken.objects.create(
            kind="access_token" if parent else "id_jag",
            system=self.grant.entitlement.system,
            client=self.client,
            agent=self.agent,
            person=self.alice,
            session=self.session,
            parent=parent,
            scope="mail:read",
            issued_at=now,
            expires_at=now + timedelta(minutes=5),
        )

    def call(self, token: IssuedToken, session: Session | None = None) -> Call:
        issued, expires = token.issued_at.timestamp(), token.expires_at.timestamp()
        presented_token = Token(str(token.pk), issued, expires, frozenset({self.grant.entitlement.scope}))
        session = session or self.session
        return Call(
            "reader", self.client.client_id, "alice", "mail", "read", {}, presented_token, session=str(session.pk)
        )


@pytest.fixture
def world(transactional_db: None) -> World:  # noqa: ARG001
    alice, mail, reader = make.person("alice"), make.system("mail"), make.agent("reader")
    grant = make.grant(reader, make.entitlement(mail, make.tool(mail, "read")), people=[alice])
    client, _ = make.client(reader, "mine")
    made = World(reader, client, alice, grant, Session())
    made.session = made.begin()
    return made


def counted(node: Node, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the statements that a node runs from now on, as they come."""
    ran: list[str] = []
    query_many = node.snapshots.query_many

    async def query(*reads: tuple[str, Any]) -> Any:  # noqa: ANN401
        ran.extend(statement for statement, _ in reads)
        return await query_many(*reads)

    monkeypatch.setattr(node.snapshots, "query_many", query)
    monkeypatch.setattr(node.snapshots.presented, "_query_many", query)
    read = node.snapshots._query_facts

    async def query_facts(key: tuple[str, str]) -> Any:  # noqa: ANN401
        ran.append("rights")
        return await read(key)

    monkeypatch.setattr(node.snapshots, "_query_facts", query_facts)
    return ran


@pytest.mark.parametrize("what", ["token", "session"])
def test_what_ends_is_denied_at_once_and_no_right_is_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    dying, other = world.call(world.token()), world.call(world.token(), world.begin())
    ends: dict[str, tuple[Callable[[], object], Code]] = {
        "token": (lambda: tokens.revoke(uuid.UUID(dying.token.jti), **WHY), Code.TOKEN_REVOKED),  # type: ignore[union-attr]
        "session": (lambda: sessions.end(world.session.pk, **WHY), Code.SESSION_ENDED),
    }

    async def story(node: Node) -> None:
        (first, held), (second, _) = await node.decide(dying), await node.decide(other)
        assert first.allowed
        assert second.allowed
        ran = counted(node, monkeypatch)
        end, code = ends[what]
        await done(end, node)
        assert not node.still_allows(dying, held)
        assert node.still_allows(other, held)
        verdict, still_held = await node.decide(dying)
        assert (verdict.code, still_held) == (code, held)
        assert (await node.decide(other))[0].allowed
        assert node.snapshots.current("reader", "mail") is held
        assert ran == []

    with_node(story)


def test_a_new_session_and_a_new_token_drop_no_right(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(node: Node) -> None:
        _, held = await node.decide(world.call(await aside(world.token)))
        ran = counted(node, monkeypatch)
        began = await aside(world.begin)
        verdict, now_held = await node.decide(world.call(await aside(world.token), began))
        assert (verdict.code, now_held) == (Code.ALLOWED, held)
        assert ran == [facts.SESSION, facts.REVOKED]

    with_node(story)


def test_a_revoked_token_that_a_node_never_saw_is_denied(world: World) -> None:
    token = world.token()
    tokens.revoke(token.pk, **WHY)

    async def story(node: Node) -> None:
        assert (await node.decide(world.call(token)))[0].code is Code.TOKEN_REVOKED

    with_node(story)


def test_a_session_of_another_agent_is_none(world: World) -> None:
    foreign = world.begin(agent=make.agent("writer"))

    async def story(node: Node) -> None:
        await node.snapshots.presented.look_up("writer", str(foreign.pk), None)
        assert (await node.decide(world.call(world_token, foreign)))[0].code is Code.SESSION_UNKNOWN

    world_token = world.token()
    with_node(story)


def test_a_denial_from_memory_is_decided_again_on_facts_of_now(world: World) -> None:
    """Use makes a session last longer without a word in the feed."""
    long_ago = clock.now() - timedelta(hours=7)
    idle, token = world.begin(last_used_at=long_ago), world.token()

    async def story(node: Node) -> None:
        assert (await node.decide(world.call(token, idle)))[0].code is Code.SESSION_IDLE
        await aside(lambda: Session.objects.filter(pk=idle.pk).update(last_used_at=clock.now()))
        assert (await node.decide(world.call(token, idle)))[0].allowed

    with_node(story)


def test_sessions_that_end_with_their_person_or_client_are_denied(world: World) -> None:
    call = world.call(world.token())

    async def story(node: Node) -> None:
        assert (await node.decide(call))[0].allowed
        await done(lambda: people.disable(world.alice, **WHY), node)
        await done(lambda: people.enable(world.alice, **WHY), node)
        await done(lambda: grants.revoke(world.grant.pk, **WHY), node)
        await done(lambda: make.grant(world.agent, world.grant.entitlement, people=[world.alice]), node)
        assert (await node.decide(call))[0].code is Code.SESSION_ENDED

    with_node(story)


async def decided(node: Node, call: Call) -> bool:
    verdict, held = await node.decide(call)
    return verdict.allowed or held is None or held.is_dropped


async def admitted(node: Node, call: Call) -> bool:
    verdict, held = await node.admits(call)
    return verdict.allowed or held is None or held.is_dropped


async def read(node: Node, call: Call) -> bool:
    assert call.token is not None
    found = await node.reads().facts("reader", "mail", session=call.session, token=call.token.jti)
    return found is None or bool(found.lines)


async def after_a_look_up(node: Node, asking: Coroutine[Any, Any, bool], meanwhile: Awaitable[None]) -> bool:
    """Return the answer to a question, after something that happens between what it reads and what it does with it."""
    query, has_read, may_answer = node.snapshots.presented._query_many, asyncio.Event(), asyncio.Event()

    async def late(*reads: tuple[str, Any]) -> Any:  # noqa: ANN401
        rows = await query(*reads)
        has_read.set()
        await may_answer.wait()
        return rows

    node.snapshots.presented._query_many = late
    answer = asyncio.create_task(asking)
    await has_read.wait()
    await meanwhile
    may_answer.set()
    return await answer


@pytest.mark.parametrize("ask", [decided, admitted, read])
def test_facts_that_are_dropped_during_a_look_up_decide_nothing(
    world: World, ask: Callable[[Node, Call], Coroutine[Any, Any, bool]]
) -> None:
    call = world.call(world.token())

    async def story(node: Node) -> None:
        await node.snapshots.get("reader", "mail")
        revoked = done(lambda: grants.revoke(world.grant.pk, **WHY), node)
        assert not await after_a_look_up(node, ask(node, call), revoked)

    with_node(story)


@pytest.mark.parametrize("ask", [decided, read])
def test_nothing_is_decided_when_the_lease_lapses_during_a_look_up(
    world: World, ask: Callable[[Node, Call], Coroutine[Any, Any, bool]]
) -> None:
    call = world.call(world.token())

    async def story(node: Node) -> None:
        with pytest.raises(Closed) as closed:
            await after_a_look_up(node, ask(node, call), node.feed.stop())
        assert closed.value.code is Code.LEASE_LAPSED

    with_node(story)


# ----------------------------------------------------------------------------- without a database


def of_rows(meanwhile: Callable[[Presented], None] = lambda _: None, *, revoked: bool = False) -> Presented:
    """Return what reads one session and one token, while something happens."""
    asked: list[object] = []

    async def query_many(*reads: object) -> list[list[tuple[Any, ...]]]:
        asked.append(reads)
        if len(asked) == 1:
            meanwhile(known)
        seen = (1.0, 1.0, None, "", "", "low", "low", None)
        return [[(SESSION, "alice", 2.0, 3.0, 1.0, False, "low", "[]", *seen)], [(1,)] if revoked else []]

    known = Presented(query_many)
    return known


def learned(known: Presented) -> Presented:
    asyncio.run(known.look_up("reader", SESSION, TOKEN))
    return known


def test_what_ends_while_it_is_read_has_ended() -> None:
    known = learned(of_rows(lambda it: it.end_token(TOKEN)))
    assert TOKEN in known.revoked_tokens
    known = learned(of_rows(lambda it: it.end_session(SESSION, "reader")))
    assert known.sessions_of("reader")[SESSION].ended


def test_what_changes_while_it_is_read_is_read_again() -> None:
    for forget in (Presented.forget, lambda it: it.look_again("reader")):
        known = of_rows(forget, revoked=True)
        learned(known)
        assert TOKEN in known.revoked_tokens


def test_a_revoked_token_is_read_again_once_so_many_others_ended_that_its_name_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presented, "MOST_KEPT", 3)
    known = learned(of_rows())
    assert known.is_known("reader", SESSION, TOKEN)
    known.end_token(TOKEN)
    assert known.is_known("reader", SESSION, TOKEN)
    for number in range(3):
        known.end_token(str(number))
    assert TOKEN not in known.revoked_tokens
    assert not known.is_known("reader", None, TOKEN)
    assert known.is_known("reader", SESSION, None)


@pytest.mark.parametrize("agent", ["reader", "writer"])
def test_a_living_token_is_known_of_its_agent_until_that_is_to_be_looked_at_again(agent: str) -> None:
    known = learned(of_rows())
    assert not known.is_known("writer", None, TOKEN)
    known.look_again(agent)
    assert known.is_known("reader", None, TOKEN) is (agent == "writer")
    learned(known)
    assert known.is_known("reader", None, TOKEN)


def test_facts_of_an_agent_hold_what_is_learned_later_and_nothing_is_kept_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = of_rows()
    held, dead = known.sessions_of("reader"), known.revoked_tokens
    learned(known)
    assert held.keys() == {SESSION}
    known.end_token(TOKEN)
    assert TOKEN in dead
    monkeypatch.setattr(presented, "MOST_KEPT", 3)
    session = held[SESSION]
    for number in range(9):
        known.keep_session("reader", str(number), session)
        known.end_token(str(number))
    assert held is known.sessions_of("reader")
    assert 0 < len(held) <= 3
    assert len(dead) == 3
