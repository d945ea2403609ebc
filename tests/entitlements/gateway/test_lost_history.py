"""A node whose database server took over from another, or came back, without all that the node has seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import psycopg
import pytest
from django.db import connections

from audit import clock
from audit.context import SYSTEM
from entitlements.feed import changes
from entitlements.feed.models import Change as Row
from entitlements.grants import grants
from entitlements.node_feed.change import Change
from entitlements.node_feed.feed import Feed
from tests import databases, make, waits

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.loopback]

_FLUSHED = "SELECT pg_current_wal_flush_lsn() > %s::pg_lsn"


def test_a_change_that_got_the_number_of_a_lost_one_is_not_missed() -> None:
    lost, other = make.grant(), make.grant()
    applied = list[Sequence[Change] | None]()

    def revoke(pk: object) -> int:
        grants.revoke(pk, by=SYSTEM, reason="leak")  # type: ignore[arg-type]  # a grant's
        position = changes.position(None)
        connections.close_all()
        return position

    def lose(seq: int) -> None:
        with psycopg.connect(databases.addresses().owner) as owner:
            owner.execute("DELETE FROM entitlements_change WHERE seq = %s", [seq])
            owner.execute("SELECT setval('entitlements_change_order', %s)", [seq - 1])

    async def follow() -> None:
        feed = Feed(databases.addresses().app, "node-in-test", applied.append)
        position = await asyncio.to_thread(revoke, lost.pk)
        await feed.start()
        assert feed.position == position
        applied.clear()
        await asyncio.to_thread(lose, position)
        assert await asyncio.to_thread(revoke, other.pk) == position
        await waits.until_so(lambda: applied)
        await feed.stop()

    asyncio.run(follow())
    assert applied[:1] == [None], "what it knew is forgotten"
    assert Row.objects.filter(grant_id=other.pk).exists()


def test_numbers_that_jump_as_after_a_failover_leave_no_gap_that_a_node_waits_for() -> None:
    first, second = make.grant(), make.grant()
    applied = list[Sequence[Change] | None]()

    def revoke(pk: object) -> None:
        grants.revoke(pk, by=SYSTEM, reason="leak")  # type: ignore[arg-type]  # a grant's
        connections.close_all()

    async def follow() -> None:
        feed = Feed(databases.addresses().app, "node-in-test", applied.append)
        await asyncio.to_thread(revoke, first.pk)
        await feed.start()
        applied.clear()
        with psycopg.connect(databases.addresses().owner) as owner:
            owner.execute("SELECT setval('entitlements_change_order', %s)", [feed.position + 32])
        await asyncio.to_thread(revoke, second.pk)
        await waits.until_so(lambda: applied)
        await feed.stop()

    asyncio.run(follow())
    (batch,) = applied
    assert {change.agent for change in batch or ()} == {second.agent.slug}


def test_an_acknowledgement_is_on_disk_before_the_node_serves_by_it() -> None:
    """Else a server that comes back within two seconds would not know of a lease that lives."""
    with psycopg.connect(databases.addresses().app, autocommit=True) as node:
        for position in range(5):
            before = node.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
            node.execute("SELECT acknowledge_v1('node-in-test', %s, %s)", [clock.now(), position])
            assert node.execute(_FLUSHED, before).fetchone() == (True,)
