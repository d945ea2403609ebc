"""A cable between a node and its database, which a test pulls."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from scripts.devservers import free_port
from tests import databases, waits


class Cable:
    """A TCP relay between a node and its database, which can be pulled."""

    def __init__(self, host: str, port: int) -> None:
        self.port = free_port()
        self._to = (host, port)
        self._loop = asyncio.new_event_loop()
        self._plugged = asyncio.Event()
        self._plugged.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def pull(self) -> None:
        """Let nothing through any more, without closing anything: the worst kind of cut."""
        self._loop.call_soon_threadsafe(self._plugged.clear)

    def plug(self) -> None:
        """Let new connections through; the old ones are dead."""
        self._loop.call_soon_threadsafe(self._plugged.set)
        self._loop.call_soon_threadsafe(self._drop)

    def _drop(self) -> None:
        for writer in list(self._writers):
            writer.close()

    def leads_to(self, address: str) -> str:
        """Return an address of the database, by way of this relay."""
        parts = urlsplit(address)
        user = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    def close(self) -> None:
        """End the relay."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(waits.SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", self.port))
        self._loop.run_forever()
        server.close()
        for writer in self._writers:
            writer.close()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._to)
        self._writers |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer), return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._plugged.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@contextlib.contextmanager
def cable() -> Iterator[Cable]:
    """Lay a cable to the tests' database."""
    parts = urlsplit(databases.addresses().app)
    relay = Cable(parts.hostname or "127.0.0.1", parts.port or 5432)
    try:
        yield relay
    finally:
        relay.close()
