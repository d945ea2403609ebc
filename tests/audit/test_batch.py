"""The gateway's writer: durable when it returns, in doubt when it says so, and never twice."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from types import NoneType
from typing import Any
from uuid import UUID, uuid4, uuid5

import psycopg
import pytest
from django.db import connection

from audit import batch, clock, context, redaction
from audit.actions import Action
from audit.draft import Draft, draft
from audit.models import Event, Leaf, Pending
from tests import waits
from tests.audit import make

pytestmark = pytest.mark.django_db(transaction=True)
BOT = context.Principal("agent", "bot")


def said(n: int = 0) -> Draft:
    """An event that is yet to be written."""
    return draft(Action.REFUSED, by=BOT, about=["grant:1"], detail={"n": n})


def run(story: Callable[[batch.Writer], Awaitable[None]], **options: Any) -> None:  # noqa: ANN401
    """Let a story happen to a writer."""

    async def tell() -> None:
        async with batch.Writer(os.environ["DATABASE_URL"], **options) as writer:
            await story(writer)

    asyncio.run(asyncio.wait_for(tell(), waits.SECONDS))


async def query(statement: str, *values: object) -> list[tuple[object, ...]]:
    """Ask the database from beside the writer."""
    async with await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
        found = await other.execute(statement, values)
        return await found.fetchall()


def test_an_event_is_committed_when_write_returns() -> None:
    async def story(writer: batch.Writer) -> None:
        event = said(7)
        await writer.write(event)
        rows = await query("SELECT uuid, at FROM events JOIN pending USING (at, uuid)")
        assert rows == [(event.uuid, event.at)]

    run(story)
    event = Event.objects.get()
    assert (event.actor, event.about, event.detail) == ("agent:bot", ["grant:1"], {"n": 7})


def test_an_event_over_the_size_limit_fails_alone_and_its_neighbours_are_written() -> None:
    large = draft(Action.REFUSED, by=BOT, detail={"filler": ["\u0001" * 900] * 40})  # each of these takes six bytes
    short_of_it = draft(Action.REFUSED, by=BOT, detail={"filler": ["x" * 900] * 40, "n": 2})

    async def story(writer: batch.Writer) -> None:
        outcomes = await asyncio.gather(
            *(writer.write(event) for event in (said(0), large, said(1), short_of_it)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [NoneType, batch.NotWritten, NoneType, NoneType]

    run(story)
    assert sorted(event.detail["n"] for event in Event.objects.all()) == [0, 1, 2]


def test_calls_at_once_share_batches_and_each_event_is_there_once(archive: make.Archive) -> None:
    async def story(writer: batch.Writer) -> None:
        await asyncio.gather(*(writer.write(said(n)) for n in range(2000)))

    run(story)
    assert sorted(event.detail["n"] for event in Event.objects.all()) == list(range(2000))
    assert list(Pending.objects.order_by("id").values_list("sequence", flat=True)) == list(range(1, 2001))
    archive.seal()
    assert archive.verify()[0] == 0


def test_a_backend_killed_in_the_middle_of_a_batch_fails_its_calls_closed_and_writes_nothing_twice(
    archive: make.Archive,
) -> None:
    async def story(writer: batch.Writer) -> None:
        await writer.write(said(0))
        async with await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"]) as blocker:
            await blocker.execute("LOCK TABLE events IN ROW EXCLUSIVE MODE")
            async with await psycopg.AsyncConnection.connect(os.environ["MIGRATE_DATABASE_URL"]) as owner:
                await owner.execute("LOCK TABLE pending IN SHARE MODE")  # the batch has begun and cannot end
                calls = [asyncio.create_task(writer.write(said(n))) for n in range(1, 6)]
                pid = await _waiting_backend()
                await query("SELECT pg_terminate_backend(%s, 5000)", pid)
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [batch.FateUnknown] * 5
        await writer.write(said(6))

    run(story)
    events = list(Event.objects.order_by("at"))
    marker = next(event for event in events if event.action == Action.PRODUCER_ENDED)
    assert [event.detail["n"] for event in events if event is not marker] == [0, 6]
    assert marker.detail == {"producer": str(events[0].producer), "committed": 1, "attempted": 6}
    assert {event.producer for event in events[1:]} == {marker.producer} != {events[0].producer}
    archive.seal()
    assert archive.verify()[0] == 0
    assert Leaf.objects.count() == 3


async def _waiting_backend() -> int:
    while True:
        rows = await query(
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'mandate-record' AND wait_event_type = 'Lock'"
        )
        if rows:
            pid = rows[0][0]
            assert isinstance(pid, int)
            return pid
        await asyncio.sleep(0.01)


def test_a_commit_that_takes_too_long_is_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "COMMIT_WITHIN", 0.3)

    async def story(writer: batch.Writer) -> None:
        await writer.write(said())
        async with await psycopg.AsyncConnection.connect(os.environ["MIGRATE_DATABASE_URL"]) as owner:
            await owner.execute("LOCK TABLE pending IN SHARE MODE")
            with pytest.raises(batch.FateUnknown):
                await writer.write(said(1))
        await writer.write(said(2))

    run(story)
    assert Event.objects.filter(action=Action.PRODUCER_ENDED).count() == 1


def test_a_connection_lost_while_idle_costs_no_call() -> None:
    async def story(writer: batch.Writer) -> None:
        await writer.write(said(0))
        await query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'mandate-record'"
        )
        await writer.write(said(1))
        await writer.write(said(2))

    run(story)
    assert [event.detail["n"] for event in Event.objects.order_by("at")] == [0, 1, 2]
    assert Event.objects.values("producer").distinct().count() == 2


def test_a_statement_that_the_server_refuses_is_certainly_not_written_and_uses_up_no_number() -> None:
    async def story(writer: batch.Writer) -> None:
        await writer.write(said(0))
        twice = said(1)
        await writer.write(twice)
        with pytest.raises(batch.NotWritten):
            await writer.write(twice)  # the same row again
        await writer.write(said(2))

    run(story)
    assert list(Event.objects.order_by("at").values_list("sequence", flat=True)) == [1, 2, 3]


def end(call: UUID, at: datetime) -> Draft:
    """An end of one call, at a moment."""
    made = draft(Action.CALL_WITHDRAWN, by=BOT, about=["grant:1"], uuid=uuid5(call, "end"))
    return replace(made, at=at, fields={**made.fields, "at": redaction.moment(at)})


def test_a_second_end_of_a_call_is_refused_alone_and_its_neighbours_are_written(archive: make.Archive) -> None:
    call, now = uuid4(), clock.now()

    async def story(writer: batch.Writer) -> None:
        await writer.write(end(call, now))
        again = [said(0), said(1), end(call, now + timedelta(milliseconds=3)), said(2), end(uuid4(), now)]
        outcomes = await asyncio.gather(*map(writer.write, again), return_exceptions=True)
        assert [each is None for each in outcomes] == [True, True, False, True, True]
        assert isinstance(outcomes[2], batch.NotWritten)

    run(story)
    assert [event.action for event in Event.objects.filter(action=Action.CALL_WITHDRAWN)] == ["call.withdrawn"] * 2
    assert sorted(Event.objects.values_list("sequence", flat=True)) == [1, 2, 3, 4, 5]
    archive.seal()
    assert archive.verify()[0] == 0


def test_every_month_refuses_a_second_end_of_a_call_even_one_that_is_made_later() -> None:
    months = (
        "SELECT c.relname, pg_get_indexdef(i.indexrelid) LIKE '%%(uuid) WHERE%%' FROM pg_inherits p"
        " JOIN pg_class c ON c.oid = p.inhrelid LEFT JOIN pg_index i ON i.indisvalid AND i.indisunique"
        "  AND i.indexrelid = to_regclass('one_end_per_call_' || c.relname) WHERE p.inhparent = 'events'::regclass"
    )
    with make.connect(os.environ["MIGRATE_DATABASE_URL"]) as owner, owner.transaction(force_rollback=True):
        owner.execute("SELECT ensure_event_months(16)")  # more than any other test makes for good
        rows = owner.execute(months).fetchall()

    assert len(rows) == 18, "this month, the sixteen that follow, and all others"
    assert [name for name, is_unique in rows if not is_unique] == []


def test_a_full_queue_refuses_instead_of_growing() -> None:
    async def story(writer: batch.Writer) -> None:
        calls = [asyncio.create_task(writer.write(said(n))) for n in range(8)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [isinstance(outcome, batch.Busy) for outcome in outcomes] == [False] * 4 + [True] * 4

    run(story, max_waiting=4)
    assert Event.objects.count() == 4


def test_closing_writes_what_was_waiting_and_refuses_what_comes_after() -> None:
    async def tell() -> None:
        writer = batch.Writer(os.environ["DATABASE_URL"])
        async with writer:
            call = asyncio.create_task(writer.write(said()))
            await asyncio.sleep(0)
        await call
        with pytest.raises(batch.NotWritten):
            await writer.write(said())

    asyncio.run(tell())
    assert Event.objects.count() == 1


def test_an_event_that_nobody_waits_for_goes_with_the_next_batch_or_soon_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(writer: batch.Writer) -> None:
        await writer.follow(said(1))
        monkeypatch.setattr(batch, "FOLLOWS_WITHIN", 60)
        following = writer.follow(said(2))
        await asyncio.sleep(0.05)
        assert not following.done(), "it left the writer to others"
        await writer.write(said(3))
        assert following.done()
        writer.follow(said(4))  # closing writes it

    run(story)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(body::jsonb->'detail'->>'n', ' ' ORDER BY sequence) FROM events GROUP BY xmin::text"
        )
        assert sorted(cursor.fetchall()) == [("1",), ("2 3",), ("4",)]


def test_without_a_database_a_call_is_refused_and_the_writer_recovers() -> None:
    async def tell() -> None:
        async with batch.Writer("postgresql://nobody@127.0.0.1:1/none") as writer:
            with pytest.raises(batch.NotWritten):
                await writer.write(said())
            writer._address = os.environ["DATABASE_URL"]
            await writer.write(said())

    asyncio.run(tell())
    assert Event.objects.count() == 1


CLAIM = """
INSERT INTO entitlements_usedassertion (issuer, jti, expires_at)
SELECT name.of, name.name, name.until FROM json_to_recordset(%(names)s) AS name (of text, name text, until timestamptz)
ON CONFLICT DO NOTHING RETURNING issuer AS of, jti AS name
"""


def test_a_name_is_used_up_with_its_event_once_and_neighbours_are_written() -> None:
    until = (clock.now() + timedelta(minutes=5)).isoformat()

    async def story(writer: batch.Writer) -> None:
        await writer.write(said(0), ("key", "one", until))
        outcomes = await asyncio.gather(
            writer.write(said(1)),
            writer.write(said(2), ("key", "one", until)),
            writer.write(said(3), ("key", "two", until)),
            writer.write(said(4), ("key", "two", until)),
            writer.write(said(5), ("other", "one", until)),
            return_exceptions=True,
        )
        used = batch.NameUsed
        assert [type(outcome) for outcome in outcomes] == [NoneType, used, NoneType, used, NoneType]
        await writer.write(said(6))
        with pytest.raises(batch.NameUsed):
            await writer.write(said(7), ("other", "one", until))

    run(story, claim=CLAIM)
    written = Event.objects.order_by("sequence")
    assert [(event.detail["n"], event.sequence) for event in written] == [(0, 1), (1, 2), (3, 3), (5, 4), (6, 5)]
    assert {event.producer for event in written} == {written[0].producer}


def test_an_event_that_is_refused_uses_up_no_name() -> None:
    until = (clock.now() + timedelta(minutes=5)).isoformat()
    twice = replace(said(1), fields={**said(1).fields})

    async def story(writer: batch.Writer) -> None:
        await writer.write(twice)
        with pytest.raises(batch.NotWritten):
            await writer.write(twice, ("key", "one", until))
        await writer.write(said(2), ("key", "one", until))

    run(story, claim=CLAIM)
    assert Event.objects.count() == 2
