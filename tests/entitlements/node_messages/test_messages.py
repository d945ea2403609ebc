"""Messages between nodes: in order, once, sealed, bounded, and woken for by a word without authority."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from audit import clock
from audit.database import libpq
from entitlements import tasks
from entitlements.keys import session_keys, signing
from entitlements.node.node import Node
from entitlements.node.refusals import Closed
from entitlements.node_feed import feed
from entitlements.node_messages import messages
from entitlements.node_messages.messages import NOTICE, BoxFull
from entitlements.node_messages.models import NodeMessage
from tests import waits
from tests.entitlements.node.unfed import on_a_node, on_nodes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("keys")]
BOX = uuid4()


@pytest.fixture
def keys() -> Iterator[None]:
    signing.ensure(session_keys.ISSUER)
    yield
    NodeMessage.objects.all().delete()


def test_a_message_is_read_at_any_node_in_the_order_it_was_put() -> None:
    async def ask(one: Node, two: Node) -> list[tuple[int, bytes]]:
        assert [await one.messages.put(BOX, b"first", 60), await two.messages.put(BOX, b"second", 60)] == [1, 2]
        assert await one.messages.read(BOX, after=1) == [(2, b"second")]
        assert await one.messages.read(uuid4()) == []
        return await two.messages.read(BOX)

    assert on_nodes(2, ask) == [(1, b"first"), (2, b"second")]


def test_many_writers_leave_no_number_out() -> None:
    async def ask(one: Node, two: Node) -> list[int]:
        puts = [node.messages.put(BOX, b"x", 60) for node in (one, two) for _ in range(3)]
        return sorted(await asyncio.gather(*puts))

    assert on_nodes(2, ask) == [1, 2, 3, 4, 5, 6]


def test_a_reader_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LOOK_AGAIN_SECONDS", 30.0)

    async def ask(node: Node) -> tuple[int, bytes]:
        async def first() -> tuple[int, bytes]:
            async for found in node.messages.follow(BOX):
                return found
            raise AssertionError

        reader = asyncio.create_task(first())
        await asyncio.sleep(0.05)
        await node.messages.put(BOX, b"now", 60)
        return await asyncio.wait_for(reader, waits.SECONDS)

    assert on_a_node(ask) == (1, b"now")


def test_a_wake_up_that_is_lost_delays_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LOOK_AGAIN_SECONDS", 0.05)

    async def ask(one: Node, two: Node) -> tuple[int, bytes]:
        async def first() -> tuple[int, bytes]:
            async for found in one.messages.follow(BOX):
                return found
            raise AssertionError

        reader = asyncio.create_task(first())
        await asyncio.sleep(0)
        await two.messages.put(BOX, b"later", 60)  # this node hears no channel
        return await asyncio.wait_for(reader, waits.SECONDS)

    assert on_nodes(2, ask) == (1, b"later")


def test_a_forged_wake_up_brings_no_message() -> None:
    async def ask(node: Node) -> list[tuple[int, bytes]]:
        assert node.messages.hear(f"{NOTICE}{BOX}")
        assert node.messages.hear(f"{NOTICE}nothing of ours")
        assert not node.messages.hear(f"{BOX} digest")
        return await node.messages.read(BOX)

    assert on_a_node(ask) == []


def test_what_another_wrote_or_moved_is_not_read() -> None:
    async def ask(node: Node) -> list[tuple[int, bytes]]:
        other = uuid4()
        await node.messages.put(other, b"of another box", 60)
        await node.messages.put(BOX, b"of this box", 60)
        await node.writes.run("UPDATE entitlements_nodemessage SET box = %s, number = 2 WHERE box = %s", [BOX, other])
        await node.writes.run(
            "INSERT INTO entitlements_nodemessage (id, box, number, sealed, size, expires_at)"
            " VALUES (gen_random_uuid(), %s, 3, 'plain', 5, now() + interval '1 minute')",
            [BOX],
        )
        return await node.messages.read(BOX)

    assert on_a_node(ask) == [(1, b"of this box")]
    assert not NodeMessage.objects.filter(sealed__contains="of this box").exists()


def test_a_box_holds_no_more_than_it_may() -> None:
    async def ask(node: Node) -> None:
        with pytest.raises(BoxFull):
            await node.messages.put(BOX, b"x" * messages.MOST_BYTES, 60)
        await node.messages.put(BOX, b"x", 60)
        sql = "UPDATE entitlements_nodemessage SET size = %s WHERE box = %s"
        await node.writes.run(sql, [messages.MOST_BYTES - 1, BOX])
        with pytest.raises(BoxFull):
            await node.messages.put(BOX, b"x", 60)

    on_a_node(ask)


def test_a_message_goes_with_its_time() -> None:
    async def ask(node: Node) -> list[tuple[int, bytes]]:
        await node.messages.put(BOX, b"old", 0)
        await asyncio.sleep(0.01)
        return await node.messages.read(BOX)

    assert on_a_node(ask) == []
    kept = NodeMessage.objects.create(
        id=uuid4(), box=uuid4(), number=1, sealed="x", size=1, expires_at=clock.now() + timedelta(minutes=1)
    )
    tasks.forget_node_messages()
    assert [each.pk for each in NodeMessage.objects.all()] == [kept.pk]


def test_a_write_that_is_run_twice_puts_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(node: Node) -> int:
        async def twice(statement: str, values: object) -> object:
            await node.writes.run(statement, values)  # type: ignore[arg-type]
            return await node.writes.run(statement, values)  # type: ignore[arg-type]

        monkeypatch.setattr(node.messages, "_write", twice)
        return await node.messages.put(BOX, b"once", 60)

    assert on_a_node(ask) == 1
    assert NodeMessage.objects.count() == 1


def test_without_a_database_nothing_is_kept() -> None:
    async def ask(node: Node) -> None:
        await node.pool.close()
        with pytest.raises(Closed):
            await node.messages.put(BOX, b"x", 60)

    on_a_node(ask)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM entitlements_nodemessage")
        assert cursor.fetchone() == (0,)


def test_a_wake_up_goes_where_each_node_listens_and_names_the_box_alone() -> None:
    with psycopg.connect(libpq.address(settings.DATABASES["default"]), autocommit=True) as listener:
        listener.execute(f"LISTEN {feed.CANCELLATIONS}")

        async def ask(node: Node) -> None:
            await node.messages.put(BOX, b"hidden", 60)

        on_a_node(ask)
        (notice,) = listener.notifies(timeout=waits.SECONDS, stop_after=1)
    assert notice.payload == f"{NOTICE}{BOX}"
