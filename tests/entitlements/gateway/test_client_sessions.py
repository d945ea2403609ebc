"""What the name of a client's session is good for, and until when."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from audit.context import SYSTEM
from entitlements.decisions.snapshot import AgentFacts, Line, SessionFacts, Token
from entitlements.gateway.conversation import client_sessions
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.grants.models import Grant
from entitlements.keys import session_keys
from entitlements.keys.models import SigningKey
from entitlements.node.bearer import Bearer
from entitlements.node.node import Node
from entitlements.node.refusals import Closed, Refused
from entitlements.sessions import sessions
from entitlements.words import Status
from tests.entitlements.node.test_kept import aside
from tests.entitlements.node.unfed import on_a_node
from tests.nodes.gateway import world
from tests.nodes.gateway.world import World

Clock = Callable[[datetime | timedelta], datetime]
BEGAN = 1000.0
LINE = Line("g", "time:read", 0.0, 5000.0)


def facts(line: Line = LINE, **changes: object) -> AgentFacts:
    known = AgentFacts(
        agent="bot",
        position=1,
        status=Status.ACTIVE,
        sponsor=Status.ACTIVE,
        clients={"bot-client": Status.ACTIVE},
        people={"alice": Status.ACTIVE},
        systems={"time": Status.ACTIVE},
        tools={},
        lines={("time", "now", "alice"): (line,)},
        sessions={"sid": SessionFacts("alice", math.inf, math.inf, 0.0)},
    )
    return replace(known, **changes)  # type: ignore[arg-type]  # what a test names


def session(**changes: object) -> ClientSession:
    values: dict[str, object] = {
        "id": uuid4(),
        "system": "time",
        "agent": "bot",
        "person": "alice",
        "client": "bot-client",
        "session": "sid",
        "version": "2025-11-25",
        "began": BEGAN,
        "until": 9000.0,
        "had_grant": True,
    }
    return ClientSession(**{**values, **changes})  # type: ignore[arg-type]  # what a test names


ENDED = {"sid": SessionFacts("alice", math.inf, math.inf, 0.0, ended=True)}
OVER = {
    "its agent was stopped since": facts(tokens_valid_after=BEGAN + 1),
    "its client was stopped since": facts(client_tokens_valid_after={"bot-client": BEGAN}),
    "its agent's session was ended": facts(sessions=ENDED),
    "its last grant is revoked": facts(lines={}),
    "its last grant is suspended": facts(replace(LINE, suspended=True)),
    "its last grant is over": facts(replace(LINE, expires=1500.0)),
}
GOES_ON = {
    "nothing happened": facts(),
    "a stop was before": facts(tokens_valid_after=BEGAN - 1, client_tokens_valid_after={"bot-client": 1.0}),
    "another client was stopped": facts(client_tokens_valid_after={"another": BEGAN + 1}),
    "its agent's session is not known here yet": facts(sessions={}),
    "its agent's session is idle": facts(sessions={"sid": SessionFacts("alice", 0.0, math.inf, 0.0)}),
}


@pytest.mark.parametrize("since", OVER)
def test_a_session_is_over_when(since: str) -> None:
    assert client_sessions.is_over(session(), OVER[since], 2000.0)


@pytest.mark.parametrize("since", GOES_ON)
def test_a_session_goes_on_when(since: str) -> None:
    assert not client_sessions.is_over(session(), GOES_ON[since], 2000.0)


def test_a_session_that_began_without_a_grant_goes_on_without_one() -> None:
    assert not client_sessions.is_over(session(had_grant=False), facts(lines={}), 2000.0)
    assert client_sessions.is_over(session(had_grant=False), facts(lines={}, sessions=ENDED), 2000.0)


def bearer(here: World, **changes: str | None) -> Bearer:
    token = Token("one", 0.0, math.inf, frozenset())
    plain = Bearer("", token, here.agent.slug, here.client.client_id, here.person.login, str(here.session.pk))
    return replace(plain, **changes)  # type: ignore[arg-type]  # texts


async def begin(node: Node, here: World, who: Bearer) -> str:
    held = await node.snapshots.get(here.agent.slug, here.system.slug)
    assert held is not None
    return await client_sessions.begin(node, who, here.system.slug, "2025-11-25", held.facts, had_grant=True)


async def is_known(node: Node, here: World, name: str, who: Bearer, system: str = "") -> bool:
    try:
        found = await client_sessions.find(node, name, who, system or here.system.slug)
    except Refused as why:
        if (why.status, why.code) != (404, "session_unknown"):
            raise
        return False
    return found.version == "2025-11-25"


@pytest.mark.django_db(transaction=True)
def test_a_name_serves_who_began_it_at_its_system_until_its_time_is_over(at: Clock) -> None:
    at(timedelta())
    here = world.build("https://time.example/mcp")
    who = bearer(here)

    async def names(node: Node) -> tuple[str, str]:
        mine = await begin(node, here, who)
        assert await is_known(node, here, mine, who)
        assert await is_known(node, here, mine, replace(who, session="of another sign-in"))
        for other in (bearer(here, agent="b"), bearer(here, client="c"), bearer(here, person="d")):
            assert not await is_known(node, here, mine, other)
        assert not await is_known(node, here, mine, bearer(here, person=None))
        assert not await is_known(node, here, mine, who, "another")
        return mine, await begin(node, here, bearer(here, session=None))

    async def known(node: Node) -> list[bool]:
        return [await is_known(node, here, mine, who), await is_known(node, here, longer, who)]

    mine, longer = on_a_node(names)
    at(timedelta(minutes=59))
    assert on_a_node(known) == [True, True]
    at(timedelta(minutes=1, seconds=1))  # the agent's session began an hour ago, and ends
    assert on_a_node(known) == [False, True]
    at(session_keys.LIFE - timedelta(hours=1))
    assert on_a_node(known) == [False, False]


@pytest.mark.django_db(transaction=True)
def test_a_node_that_never_met_the_agents_session_finds_that_it_was_ended() -> None:
    here = world.build("https://time.example/mcp")
    who = bearer(here)
    name = on_a_node(lambda node: begin(node, here, who))
    assert on_a_node(lambda node: is_known(node, here, name, who))
    sessions.end(here.session.pk, by=SYSTEM, reason="odd")
    assert not on_a_node(lambda node: is_known(node, here, name, who))


@pytest.mark.django_db(transaction=True)
def test_no_session_is_over_by_what_a_node_remembers_alone() -> None:
    here = world.build("https://time.example/mcp")
    who = bearer(here)

    def become(state: str) -> None:
        Grant.objects.filter(pk=here.grant.pk).update(state=state)

    async def known(node: Node) -> bool:
        name = await begin(node, here, who)
        await aside(lambda: become("suspended"))
        await node.snapshots.get(here.agent.slug, here.system.slug, fresh=True)
        await aside(lambda: become("active"))
        return await is_known(node, here, name, who)

    assert on_a_node(known)


@pytest.mark.django_db(transaction=True)
def test_nothing_begins_without_a_key_and_what_another_key_sealed_otherwise_is_unknown() -> None:
    here = world.build("https://time.example/mcp")

    async def other(node: Node) -> None:
        strange = await session_keys.sealed(node.reads(), b'["no","session"]')
        assert not await is_known(node, here, strange, bearer(here))

    async def closed(node: Node) -> None:
        with pytest.raises(Closed, match="no key"):
            await begin(node, here, bearer(here))

    on_a_node(other)
    SigningKey.objects.filter(issuer=session_keys.ISSUER).delete()
    on_a_node(closed)
