"""One listener for all worker processes of a host: one connection that listens, one poll, and each row is read once.

Each worker is a node of its own: it applies what it is handed, this listener acknowledges for it what it said that it
applied, and only then its lease is renewed. So a receipt says of each worker what it says of any node, and a worker
that hangs holds up no other (docs/decisions/0068-one-listener-a-host.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import psycopg

from audit import clock

from . import host_messages
from .change import Change
from .feed import MOST_ROWS, Feed
from .host_messages import Applied, Batch, Cancelled, Numbers, Renewed
from .lease import Acknowledged

ANSWER_WITHIN: Final = 0.1
"""Seconds that a poll waits for its workers. A later answer wakes the listener, and no worker waits for it."""
SILENT_SECONDS: Final = 10.0
"""After so many seconds without an answer a worker counts as hung. It has served nothing for eight of them."""

logger = logging.getLogger(__name__)


class Worker:
    """One worker as the listener knows it. At most one batch is on its way to it; what comes meanwhile is kept."""

    def __init__(self, name: str, writer: asyncio.StreamWriter) -> None:
        self.name = name
        self.has_started = False
        self.has_stopped = False
        self.numbers: Numbers | None = None
        self.started: datetime | None = None
        self.applied: tuple[int, float] | None = None
        """Position and beginning of the poll that is applied and not yet acknowledged."""
        self._acknowledged = Acknowledged()
        self._handed: tuple[int, float, float] | None = None
        self._pending: list[Change] | None = None
        self._writer = writer

    @property
    def must_answer(self) -> bool:
        """Whether it has not answered the last batch."""
        return self._handed is not None and not self.has_stopped

    @property
    def is_due(self) -> bool:
        """Whether the listener has something to do for it now."""
        return not self.has_stopped and (self.applied is not None or (self.started is None and self.has_started))

    @property
    def silent_for(self) -> float:
        """Seconds since it was handed what it has not answered; 0 when it has."""
        return time.monotonic() - self._handed[2] if self._handed is not None else 0.0

    def keep(self, changes: Sequence[Change] | None) -> None:
        """Keep changes for the next batch; None, or too many: it has to forget everything."""
        if changes is None or self._pending is None or len(self._pending) + len(changes) > MOST_ROWS:
            self._pending = None
        else:
            self._pending += changes

    def hand(self, position: int, offset: float, began: float, now: datetime) -> None:
        """Hand it everything up to a position that the poll read which began then."""
        self.started = self.started or now
        self._handed, pending, self._pending = (position, began, time.monotonic()), self._pending, []
        self._writer.write(host_messages.encode(Batch.of(position, offset, pending)))

    def answered(self, applied: Applied) -> None:
        """Take in an answer."""
        self.numbers, self.has_started = applied.numbers, True
        if self._handed is not None:
            self.applied, self._handed = self._handed[:2], None

    def renew(self, sent: float, noted: datetime, listener: HostFeed) -> bool:
        """Renew its lease, unless no revocation would have waited for it; its acknowledgement was sent then."""
        assert self.applied is not None  # noqa: S101 - for the type checker: what is acknowledged was applied
        (_, began), self.applied = self.applied, None
        if is_unbroken := self._acknowledged.note(sent):
            numbers = listener.numbers()
            message = Renewed(began, noted, listener.connections, listener.is_listening, numbers)
            self._writer.write(host_messages.encode(message))
        return is_unbroken

    def pass_on(self, notice: str) -> None:
        """Hand over what another node cancels, unless this one hangs and cannot cancel it."""
        if not (self.must_answer or self.has_stopped):
            self._writer.write(host_messages.encode(Cancelled(notice)))

    def stop(self) -> None:
        """Expect nothing more of it."""
        self.has_stopped, self.applied, self._handed = True, None, None


class HostFeed(Feed):
    """Follows the feed for the workers of one host."""

    def __init__(self, address: str, host: str) -> None:
        super().__init__(address, host, self._keep, cancelled=self._pass_on)
        self.connections = 0
        self._workers: dict[str, Worker] = {}
        self._gone: set[str] = set()
        self._heard = asyncio.Event()

    def numbers(self) -> list[Numbers]:
        """Return what each worker counted last."""
        return [worker.numbers for worker in self._workers.values() if worker.numbers is not None]

    def silent(self) -> list[str]:
        """Name the workers that hang."""
        return [name for name, worker in self._workers.items() if worker.silent_for > SILENT_SECONDS]

    async def listen_to(self, name: str, link: socket.socket) -> bool:
        """Serve one worker until its end of the link is closed; say whether it had started."""
        reader, writer = await asyncio.open_unix_connection(sock=link)
        worker = self._workers[name] = Worker(name, writer)
        try:
            while True:
                message = await host_messages.read_as_listener(reader)
                if isinstance(message, Applied):
                    worker.answered(message)
                else:
                    worker.stop()
                    self._gone.add(name)
                self._heard.set()
        except (asyncio.IncompleteReadError, OSError):
            worker.stop()
            return worker.has_started
        finally:
            writer.close()

    def leave(self, name: str) -> None:
        """Note that a worker's process has ended: it serves nothing, and revocations need not wait for its lease."""
        if self._workers.pop(name, None) is not None:
            self._gone.add(name)
            self._heard.set()

    def _nodes(self) -> list[str]:
        return sorted(self._gone | self._workers.keys())

    async def _connect(self) -> None:
        await super()._connect()
        self.connections += 1

    def _keep(self, changes: Sequence[Change] | None) -> None:
        for worker in self._workers.values():
            worker.keep(changes)

    def _pass_on(self, notice: str) -> None:
        for worker in self._workers.values():
            worker.pass_on(notice)

    async def _renew(self, connection: psycopg.AsyncConnection[Any], began: float, started: datetime) -> bool:
        """Hand out what was read, acknowledge for each worker what it applied, and renew its lease."""
        await self._hand_out(began)
        if gone := sorted(self._gone):
            await self._note_stopped(connection, gone)
            self._gone.difference_update(gone)
        ready = [worker for worker in self._workers.values() if worker.applied is not None]
        sent = time.monotonic()
        positions = [worker.applied[0] for worker in ready if worker.applied is not None]
        starts = [worker.started or started for worker in ready]
        noted = await self._acknowledge(connection, [worker.name for worker in ready], starts, positions)
        renewed = [w.renew(sent, moment, self) for w, (moment,) in zip(ready, noted, strict=True) if w.applied]
        return all(renewed)

    async def _hand_out(self, began: float) -> None:
        offset, now = clock.offset(), clock.now()
        asked = [
            each for each in self._workers.values() if each.has_started and not (each.must_answer or each.has_stopped)
        ]
        for worker in asked:
            worker.hand(self.position, offset, began, now)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WITHIN):
                while any(worker.must_answer for worker in asked):
                    self._heard.clear()
                    await self._heard.wait()

    async def _wait(self) -> None:
        """Wait for a notification, for the next poll, or for a worker that has something to be done."""
        waits = [asyncio.create_task(super()._wait()), asyncio.create_task(self._has_work())]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        for each in done:
            each.result()

    async def _has_work(self) -> None:
        while not (self._gone or any(worker.is_due for worker in self._workers.values())):
            self._heard.clear()
            await self._heard.wait()
