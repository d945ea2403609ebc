"""A node follows its feed whatever strangers say on its channels, and begins anew after an unexpected error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection, connections

from audit import clock
from audit.context import SYSTEM
from audit.database import libpq
from entitlements.grants import grants
from entitlements.node import streams
from entitlements.node.node import Node
from entitlements.node_feed import feed
from entitlements.node_feed.change import Change
from entitlements.node_feed.feed import Feed
from tests import make, waits
from tests.entitlements.node.test_dropping import done, with_node

pytestmark = pytest.mark.django_db(transaction=True)


def notify(*notices: str) -> None:
    with connection.cursor() as cursor:
        for notice in notices:
            cursor.execute("SELECT pg_notify(%s, %s)", [feed.CANCELLATIONS, notice])
    connections.close_all()


def test_a_node_ignores_a_cancellation_that_it_cannot_read_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    grant = make.grant()

    async def story(node: Node) -> None:
        await asyncio.to_thread(notify, "x", "", f"{uuid4()} {'a' * 64}", "y")
        await done(lambda: grants.revoke(grant.pk, by=SYSTEM, reason="leak"), node)
        assert node.feed.is_alive

    with caplog.at_level(logging.WARNING):
        with_node(story)
    assert [record.message for record in caplog.records] == ["cancellation_unreadable"]


def test_a_cancellation_makes_no_node_look_for_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    grant, taken = make.grant(), list[str]()

    async def story(node: Node) -> None:
        monkeypatch.setattr(node.feed, "_cancelled", taken.append)
        monkeypatch.setattr(feed, "POLL_SECONDS", 30.0)
        await done(lambda: grants.revoke(grant.pk, by=SYSTEM, reason="leak"), node)  # so the next wait is a long one
        await asyncio.sleep(0.1)
        polled = node.feed.held_since
        await asyncio.to_thread(notify, "a", "b")
        await waits.until_so(lambda: taken == ["a", "b"])
        await asyncio.sleep(0.1)
        assert node.feed.held_since == polled

    with_node(story)


def test_a_session_hands_over_so_many_cancellations_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, one, other = list[str](), uuid4(), uuid4()
    monkeypatch.setattr(streams, "MOST_CANCELLED", 2)

    async def story(node: Node) -> None:
        monkeypatch.setattr(node.feed, "_cancelled", taken.append)
        for number in range(4):
            await node.cancel(one, b"%d" % number)
        await node.cancel(other, b"last")
        last = f"{other} {streams.digest_of(b'last')}"
        await waits.until_so(lambda: last in taken)
        assert taken == [*(f"{one} {streams.digest_of(name)}" for name in (b"0", b"1")), last]
        node.cancelled_counts._began -= 1
        await node.cancel(one, b"5")
        await waits.until_so(lambda: len(taken) == 4)

    with_node(story)


def test_a_feed_that_fails_unexpectedly_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    grant, applied = make.grant(), list[Sequence[Change] | None]()

    def apply(changes: Sequence[Change] | None) -> None:
        applied.append(changes)
        if changes is not None:
            raise ValueError("unexpected")

    async def story() -> None:
        follower = Feed(libpq.address(settings.FEED_DATABASE), "node", apply)
        await follower.start()
        try:
            await asyncio.to_thread(revoke)
            await waits.until_so(lambda: len(applied) == 3 and follower.is_alive)
        finally:
            await follower.stop()
            clock.forget()

    def revoke() -> None:
        grants.revoke(grant.pk, by=SYSTEM, reason="leak")
        connections.close_all()

    asyncio.run(story())
    assert (applied[0], applied[2]) == (None, None)
    (lost,) = [record for record in caplog.records if record.message == "feed_lost"]
    assert lost.exc_info is not None
