"""A session at a legacy upstream is kept while any node uses it, and ended when none does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import LazySettings as Settings

from audit import clock
from entitlements.decisions.snapshot import Token
from entitlements.gateway.models import UpstreamSession
from entitlements.node import upstreams
from entitlements.node.bearer import Bearer
from entitlements.node.node import Node
from entitlements.node.shared import upstream_sessions
from entitlements.node.shared.upstream_sessions import Key, UpstreamSessions
from entitlements.node.upstreams import Connection
from entitlements.secrets import seal
from governance.operations import invariants
from tests import waits
from tests.entitlements.node.test_kept import aside
from tests.entitlements.node.unfed import on_nodes
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.loopback]


@pytest.fixture(autouse=True)
def _this_machine(settings: Settings) -> None:
    """Let a node reach an upstream on this machine."""
    settings.DEMO = True


@pytest.fixture
def old() -> Iterator[Scripted]:
    with scripted.upstream(is_modern=False) as server:
        yield server


async def connection(node: Node, here: World) -> Connection:
    entry = await node.directory.get(here.system.slug)
    assert entry is not None
    token = Token("one", 0.0, 9e9, frozenset())
    return await node.upstreams.get(
        entry, Bearer("", token, here.agent.slug, here.client.client_id, here.person.login, None)
    )


def rows() -> list[UpstreamSession]:
    return list(UpstreamSession.objects.order_by("opened_at"))


def unused() -> timedelta:
    used_at = rows()[0].used_at
    assert used_at is not None
    return clock.now() - used_at


def age(minutes: float) -> None:
    UpstreamSession.objects.update(used_at=clock.now() - timedelta(minutes=minutes))


def test_a_node_that_stops_leaves_the_session_to_the_others(old: Scripted) -> None:
    here = world.build(old.url)
    names = [on_nodes(1, lambda node: connection(node, here)).conversation.session for _ in range(2)]
    assert names == old.sessions * 2
    assert old.deleted == []


def test_what_no_node_has_used_for_long_is_ended_once_at_its_system(old: Scripted) -> None:
    here = world.build(old.url)

    async def forgotten(first: Node, second: Node) -> None:
        await connection(first, here)
        await asyncio.gather(first.upstreams.end_idle(), second.upstreams.end_idle())
        assert old.deleted == []
        await aside(lambda: age(11))
        await asyncio.gather(first.upstreams.end_idle(), second.upstreams.end_idle())
        await waits.until_so(lambda: old.deleted == old.sessions)

    on_nodes(2, forgotten)
    assert [row.ended_at is None for row in rows()] == [False]


def test_use_is_noted_so_that_a_session_in_use_never_counts_as_idle(old: Scripted) -> None:
    here = world.build(old.url)

    async def used(node: Node) -> None:
        held = await connection(node, here)
        await aside(lambda: age(9))
        assert await connection(node, here) is held
        assert await aside(unused) > timedelta(minutes=8)  # not with each call
        held.touched_at -= upstream_sessions.TOUCH_SECONDS
        assert await connection(node, here) is held
        assert await aside(unused) < timedelta(minutes=1)

    on_nodes(1, used)
    # A call that was about to begin when its session was noted for the last time is over before it counts as idle.
    assert upstream_sessions.TOUCH_SECONDS + upstreams.CALL_SECONDS < upstream_sessions.IDLE_SECONDS


def test_a_session_that_another_node_ended_is_found_to_be_so_and_replaced(old: Scripted) -> None:
    here = world.build(old.url)

    async def replaced(first: Node, second: Node) -> None:
        held, same = await connection(first, here), await connection(second, here)
        assert held.conversation.session == same.conversation.session
        second.upstreams.end(here.system.slug, (here.agent.slug, here.person.login, here.client.client_id))
        await waits.until_so(lambda: len(old.deleted) == 1)
        held.touched_at -= upstream_sessions.TOUCH_SECONDS
        assert (await connection(first, here)).conversation.session == old.sessions[1]

    on_nodes(2, replaced)


def test_a_row_that_opens_nothing_here_is_ended_and_replaced(old: Scripted) -> None:
    here = world.build(old.url)
    on_nodes(1, lambda node: connection(node, here))
    for altered in (True, False):
        row = rows()[-1]
        of_another_address = seal.seal(b'["session-0","another"]', upstream_sessions.place(row.pk))
        sealed = bytes(row.sealed)[:-1] + b"x" if altered else of_another_address
        UpstreamSession.objects.filter(pk=row.pk).update(sealed=sealed)
        on_nodes(1, lambda node: connection(node, here))
    assert [each.ended_at is None for each in rows()] == [False, False, True]
    assert len(old.sessions) == 3
    UpstreamSession.objects.update(sealed=b"session-0 of an upstream in plain text")
    assert invariants.check(only={"11"})[0].count == 3


def test_a_session_is_found_by_its_own_caller_at_its_own_system_in_its_own_row_alone(old: Scripted) -> None:
    here = world.build(old.url)
    agent, person, client = key = (here.agent.slug, here.person.login, here.client.client_id)

    async def found(node: Node) -> list[bool]:
        target = (await connection(node, here)).conversation.target
        shared, (row,) = UpstreamSessions(node.snapshots, node.writes), await aside(rows)
        assert upstream_sessions.opened(uuid4(), bytes(row.sealed), row.protocol, target) is None
        asked: list[tuple[str, Key]] = [
            (here.system.slug, key),
            ("another", key),
            (here.system.slug, ("another", person, client)),
            (here.system.slug, (agent, "another", client)),
            (here.system.slug, (agent, None, client)),
            (here.system.slug, (agent, person, "another")),
        ]
        return [await shared.find(*each, None, target) is not None for each in asked]

    assert on_nodes(1, found) == [True, *[False] * 5]
