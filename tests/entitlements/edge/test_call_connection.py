"""The connection of the issuers' write says what psycopg's cursors say, and knows when its life is over."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from entitlements.edge.database.call_connection import Connection
from scripts.devservers import until
from tests import waits

pytestmark = pytest.mark.django_db
ADDRESS = os.environ["DATABASE_URL"]
VALUES: list[tuple[str, object]] = [
    ("text", "plain"),
    ("text", 'ä "quoted" \\ {,} %s $1'),
    ("text", ""),
    ("text", None),
    ("text", "x" * 3_000_000),  # more than a socket takes at once
    ("bigint", -(2**63)),
    ("uuid", UUID(int=5)),
    ("timestamptz", datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)),
    ("timestamptz", datetime(2026, 11, 28, 19, 0, 0, 1, UTC)),
]
LISTS: list[tuple[str, list[Any]]] = [
    ("text[]", ["plain", 'a"b', "c\\d", "{e,f}", "", "NULL", "ü ", "two words"]),
    ("text[]", []),
    ("text[]", [None, "a"]),
    ("bigint[]", [1, -2]),
    ("uuid[]", [UUID(int=1), UUID(int=2)]),
]


def run(story: Callable[[Connection], Awaitable[None]]) -> None:
    """Let a story happen to a connection."""

    async def tell() -> None:
        connection = await Connection.connect(ADDRESS, "test")
        try:
            await story(connection)
        finally:
            await connection.close()

    asyncio.run(asyncio.wait_for(tell(), waits.SECONDS))


def end(pid: int) -> None:
    with psycopg.connect(ADDRESS, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])


async def pid_of(connection: Connection) -> int:
    (pid,) = await connection.call("SELECT pg_backend_pid()::bigint", (), 5)
    return int(pid)


def test_values_arrive_and_come_back_as_they_are() -> None:
    async def story(connection: Connection) -> None:
        statement, sent = f"SELECT {', '.join(f'%s::{kind}' for kind, _ in VALUES)}", [value for _, value in VALUES]
        for _ in range(2):  # the second time it is prepared
            assert [*await connection.call(statement, sent, 5)] == sent
        for kind, value in LISTS:
            with psycopg.connect(ADDRESS) as other:
                (text,) = other.execute(f"SELECT %s::{kind}::text", [value]).fetchone() or ()
            assert await connection.call(f"SELECT %s::{kind}::text", [value], 5) == (text,)

    run(story)


def test_a_text_with_nul_is_refused_and_not_cut_off() -> None:
    async def story(connection: Connection) -> None:
        for kind, value in (("text", "a\0b"), ("text[]", ["a\0b"])):
            with pytest.raises(psycopg.DataError):
                await connection.call(f"SELECT %s::{kind}::text", [value], 5)
        assert await connection.call("SELECT %s::text", ["c"], 5) == ("c",)

    run(story)


def test_an_answer_of_the_server_is_no_farewell() -> None:
    async def story(connection: Connection) -> None:
        for statement in ("SELECT 1 / %s::bigint", "SELECT no_such_thing(%s::bigint)"):
            with pytest.raises(psycopg.Error) as raised:
                await connection.call(statement, [0], 5)
            assert raised.value.sqlstate in {"22012", "42883"}
            assert not connection.is_farewell(raised.value)
        assert not connection.is_cut
        assert await connection.call("SELECT %s::text", ["still there"], 5) == ("still there",)

    run(story)


def test_the_end_of_an_idle_connection_is_known_without_a_call() -> None:
    async def story(connection: Connection) -> None:
        pid = await pid_of(connection)
        await asyncio.to_thread(end, pid)
        await waits.until_so(lambda: connection.is_cut)

    run(story)


def test_the_end_of_a_connection_during_a_call_is_a_farewell() -> None:
    async def story(connection: Connection) -> None:
        pid = await pid_of(connection)
        calling = asyncio.create_task(connection.call("SELECT pg_sleep(20)::text", (), 30))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(end, pid)
        with pytest.raises(psycopg.Error) as raised:
            await calling
        assert connection.is_farewell(raised.value)

    run(story)


def test_what_is_given_up_is_cancelled_at_the_server() -> None:
    mark = str(uuid4())

    def is_over() -> bool:
        with psycopg.connect(ADDRESS, autocommit=True) as other:
            found = other.execute(
                "SELECT FROM pg_stat_activity WHERE query LIKE %s AND pid <> pg_backend_pid()", [f"%{mark}%"]
            ).fetchall()
        return not found

    async def story(connection: Connection) -> None:
        with pytest.raises(TimeoutError):
            await connection.call(f"SELECT pg_sleep(20)::text, '{mark}'", (), 0.2)
        assert not await asyncio.to_thread(is_over)
        await connection.close()
        assert await asyncio.to_thread(until, is_over, 5)

    run(story)
