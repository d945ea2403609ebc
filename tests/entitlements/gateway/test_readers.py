"""A node's readers and its feed: a reader never writes, none that hangs keeps a connection, both see one database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import psycopg
import pytest
from django.conf import settings
from django.db import connections

from audit.context import SYSTEM
from audit.database import libpq
from entitlements.feed import changes
from entitlements.grants import grants
from entitlements.node.node import Node
from entitlements.node.refusals import Closed
from entitlements.node_feed.change import Change
from entitlements.node_feed.feed import Feed
from tests import databases, make, waits

pytestmark = pytest.mark.django_db(transaction=True)
_COUNT = "SELECT count(*) FROM entitlements_agent"
_AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mandate-gateway' AND state <> 'idle'"


def with_node(test: Callable[[Node], Awaitable[None]]) -> None:
    """Run a test with the readers of a node that serves nothing."""

    async def run() -> None:
        node = Node()
        async with node.pool:
            await test(node)

    asyncio.run(run())


@pytest.mark.parametrize(
    "statement", ["DELETE FROM entitlements_agent RETURNING 1", "SELECT nextval('pending_id_seq')"]
)
def test_a_reader_that_writes_is_refused_and_the_next_one_is_answered(statement: str) -> None:
    async def refused(node: Node) -> None:
        with pytest.raises(Closed) as why:
            await node.snapshots.query(statement, [])
        assert isinstance(why.value.__cause__, psycopg.errors.ReadOnlySqlTransaction)
        assert await node.snapshots.query("SELECT 7", []) == [(7,)]

    with_node(refused)


def test_a_reader_that_waits_for_a_lock_is_refused_in_time_and_leaves_no_connection_at_work() -> None:
    async def waits(node: Node) -> None:
        with psycopg.connect(databases.addresses().owner) as owner:
            owner.execute("LOCK TABLE entitlements_agent")
            answers = await asyncio.gather(
                *(node.snapshots.query(_COUNT, []) for _ in range(6)), return_exceptions=True
            )
            assert [type(answer) for answer in answers] == [Closed] * 6
            await asyncio.sleep(0.3)
            assert owner.execute(_AT_WORK).fetchone() == (0,), "the server has given the statements up"
        again = await asyncio.gather(*(node.snapshots.query("SELECT %s::int", [n]) for n in range(6)))
        assert again == [[(n,)] for n in range(6)], "no reader gets the answer of another"

    with_node(waits)


def test_a_feed_gets_no_lease_until_the_readers_see_what_it_writes() -> None:
    async def follows(node: Node) -> None:
        feed = Feed(libpq.address(settings.FEED_DATABASE), node.name, lambda _: None, node._sees_feed)
        await feed.start()
        assert (feed.is_alive, feed.is_listening) == (True, True)
        await feed.stop()
        asked, asked_twice = list[datetime](), asyncio.Event()

        async def sees_another(polled: datetime) -> bool:
            asked.append(polled)
            if len(asked) > 1:
                asked_twice.set()
            return await node._sees_feed(polled + timedelta(microseconds=1))

        apart = Feed(libpq.address(settings.FEED_DATABASE), node.name, lambda _: None, sees_another)
        await apart.start()
        await asyncio.wait_for(asked_twice.wait(), waits.SECONDS)
        assert not apart.is_alive
        await apart.stop()

    with_node(follows)


def test_a_lease_never_rests_on_a_poll_that_a_revoker_did_not_wait_for() -> None:
    """A node that comes back reads, then a grant ends without waiting for it, then the node acknowledges."""
    grant, receipts = make.grant(), list[object]()

    def revoke() -> int:
        grants.revoke(grant.pk, by=SYSTEM, reason="leak")
        position = changes.position(None)
        receipts.append(changes.wait_for_nodes(position, time.monotonic()))
        connections.close_all()
        return position

    async def follows(_: Node) -> None:
        ended = list[int]()

        def apply(_: Sequence[Change] | None) -> None:
            if not ended:
                with ThreadPoolExecutor(1) as elsewhere:
                    ended.append(elsewhere.submit(revoke).result())

        feed = Feed(libpq.address(settings.FEED_DATABASE), "node-late", apply)
        polled = list[tuple[bool, bool]]()

        async def note(connection: object, began: float, started: datetime) -> bool:
            renewed = await renew(connection, began, started)  # type: ignore[arg-type]  # passed through
            polled.append((feed.is_alive, feed.position >= ended[0]))
            return renewed

        renew, feed._renew = feed._renew, note  # type: ignore[method-assign]  # to look after each
        await feed.start()
        await feed.stop()
        assert receipts == [([], [])]
        assert polled == [(False, False), (True, True)]

    with_node(follows)
