"""A database that says nothing is away; a process that got no processor itself does not say so."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from governance.web_server import database_watch
from governance.web_server.database_watch import DatabaseWatch


class Slow(DatabaseWatch):
    """A watch whose database answers when `told` is set."""

    def __init__(self) -> None:
        super().__init__("")
        self.told = asyncio.Event()

    async def _ask(self) -> bool:
        return await self.told.wait()


def test_a_database_that_says_nothing_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_watch, "PROBE_SECONDS", 0.1)

    async def look() -> None:
        watch = Slow()
        assert not await watch.answers()
        assert watch.is_away
        watch.told.set()
        while watch.is_away:  # noqa: ASYNC110 - as in the product
            await asyncio.sleep(0)
        assert await watch.answers()

    asyncio.run(look())


def test_a_process_that_was_starved_itself_judges_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_watch, "PROBE_SECONDS", 0.1)

    async def look() -> None:
        loop, looks = asyncio.get_running_loop(), itertools.count()
        time = loop.time
        monkeypatch.setattr(loop, "time", lambda: time() + next(looks))  # each look at the clock is a second later
        watch = Slow()
        answer = asyncio.create_task(watch.answers())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not answer.done()
        watch.told.set()
        assert await answer

    asyncio.run(look())
