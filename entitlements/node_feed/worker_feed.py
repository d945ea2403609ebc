"""A worker's place in the change feed: what the listener of its host reads it applies, and says so.

The lease is that of `feed.py`: it counts from the beginning of the poll that read what this worker has applied last,
and only once the listener's acknowledgement for this worker is committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from audit import clock

from . import host_messages
from .change import Change
from .feed import ELSEWHERE
from .host_messages import Applied, Batch, Cancelled, Numbers, Renewed, Stopped
from .lease import NEVER, Lease

START_WITHIN: Final = 2.0
"""Seconds that a worker waits for its first lease before it accepts connections, which it then refuses."""

logger = logging.getLogger(__name__)


class Worker(NamedTuple):
    """Which node this process is, and its end of the socket that leads to the listener of its host."""

    name: str
    link: socket.socket


class WorkerFeed(Lease):
    """Takes changes from a listener. `apply`, `confirms` and `cancelled` as for `Feed`; `numbers` is for all workers.

    `confirms` is asked again for each connection of the listener, since that may lead elsewhere after a failover.
    """

    def __init__(
        self,
        link: socket.socket,
        node: str,
        apply: Callable[[Sequence[Change] | None], None],
        confirms: Callable[[datetime], Awaitable[bool]] | None,
        cancelled: Callable[[str], None],
        numbers: Callable[[], Numbers],
    ) -> None:
        super().__init__(node)
        self.of_host: list[Numbers] = []
        """What every worker of the host counted when this one's lease was renewed last."""
        self._link = link
        self._apply, self._confirms, self._cancelled, self._numbers = apply, confirms, cancelled, numbers
        self._confirmed = 0
        self._has_lease = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Say that this worker has started, and follow the listener from now on."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._link)
        self._send(Applied(self._numbers()))
        self._task = asyncio.create_task(self._follow(reader), name="change-feed")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_WITHIN):
                await self._has_lease.wait()

    async def stop(self) -> None:
        """Stop serving at once, and tell the listener."""
        self._polled = NEVER
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._send(Stopped())
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _follow(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                message = await host_messages.read_as_worker(reader)
                if isinstance(message, Batch):
                    self._take(message)
                elif isinstance(message, Cancelled):
                    self._cancelled(message.notice)
                else:
                    await self._renew(message)
        except (asyncio.IncompleteReadError, OSError):
            logger.error("listener_lost", extra={"node": self.node})  # noqa: TRY400 - there is no more to say
            self._end()
        except Exception:
            logger.exception("feed_lost", extra={"node": self.node})
            self._end()

    def _end(self) -> None:
        """Serve no more, and ask the server to end: the host starts another worker in place of this one."""
        self._polled = NEVER
        signal.raise_signal(signal.SIGTERM)

    def _take(self, batch: Batch) -> None:
        clock.adopt_offset(batch.offset)
        if batch.rows is None or batch.rows:
            self._apply(batch.changes)
        self.position = batch.position
        self._send(Applied(self._numbers()))

    async def _renew(self, renewed: Renewed) -> None:
        self.is_listening, self.of_host = renewed.is_listening, renewed.numbers
        if self._confirmed != renewed.connection:
            if self._confirms is not None and not await self._confirms(renewed.noted):
                self._polled = NEVER
                logger.warning("feed_lost", extra={"node": self.node, "error": ELSEWHERE})
                return
            self._confirmed = renewed.connection
        self._polled = renewed.began
        self._has_lease.set()

    def _send(self, message: Applied | Stopped) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(host_messages.encode(message))
