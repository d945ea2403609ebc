"""Whether the database answers: asked beside the threads, while one of them has no answer yet.

A server that was stopped, or a network that drops what is sent, ends no query: the thread waits, and nothing that it
could be told by reaches it. So its request is answered from outside the thread.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Final

import psycopg

from entitlements.errors import DomainError

SLOW_SECONDS: Final = 0.5
"""After so long without an answer the database is asked,"""
PROBE_SECONDS: Final = 1.4
"""and has so long to say anything: together less than two seconds."""
_STEP: Final = 0.1
AGAIN_SECONDS: Final = 0.5
_REFUSAL: Final = "FATAL"
"""What a server says that is there and does not take the connection, as when it has too many."""

logger = logging.getLogger(__name__)


class DatabaseAway(DomainError):
    """The database does not answer. Try again in a few seconds, and look first: what you sent may have been done."""

    code, status = "database_away", HTTPStatus.SERVICE_UNAVAILABLE


class DatabaseWatch:
    """Asks a database, given by its address, and remembers that it is away until it answers again."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._question: asyncio.Task[bool] | None = None
        self._follow: asyncio.Task[None] | None = None

    @property
    def is_away(self) -> bool:
        """Whether it did not answer, and has not since."""
        return self._follow is not None and not self._follow.done()

    async def answers(self) -> bool:
        """Ask, in one question for all that wait; one without an answer stays open until it has it."""
        question, loop, left = self._asked(), asyncio.get_running_loop(), PROBE_SECONDS
        while not question.done() and left > 0:
            began = loop.time()
            await asyncio.wait({question}, timeout=_STEP)
            if loop.time() - began < 2 * _STEP:  # starved itself, it cannot judge
                left -= _STEP
        if question.done() and question.result():
            return not self.is_away
        if not self.is_away:
            logger.error("database_away")
            self._follow = asyncio.create_task(self._until_back())
        return False

    def _asked(self) -> asyncio.Task[bool]:
        if self._question is None or self._question.done():
            self._question = asyncio.create_task(self._ask())
        return self._question

    async def _ask(self) -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(self._address, autocommit=True) as connection:
                await connection.execute("SELECT 1")
        except psycopg.Error as why:
            return _REFUSAL in str(why)
        return True

    async def _until_back(self) -> None:
        while not await self._asked():  # noqa: ASYNC110 - a server that is away sets no event
            await asyncio.sleep(AGAIN_SECONDS)
        logger.warning("database_back")
