"""Serve an edge node: uvicorn, and a deadline for each request.

    python -m governance.edge --host 0.0.0.0 --port 8001

uvicorn closes a connection that is idle between two requests, and waits for the rest of a request for ever. Here a
connection ends whose headers, or whose body, do not come in time.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEADER_SECONDS: Final = 10.0
"""Seconds for the headers of a request, from the opening of the connection or their first byte."""
BODY_SECONDS: Final = 30.0
"""Seconds for a body after its headers. The gateway itself answers 408 sooner (`gateway/http.py`), where it waits."""


class Deadlines(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, where a request that stays incomplete ends the connection."""

    header_seconds = HEADER_SECONDS
    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn says it
        """Wait for the first request."""
        super().connection_made(transport)
        self._within(self.header_seconds)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those between two requests, which are no request, do not keep the connection either."""
        super().data_received(data)
        is_idle = self._cycle is None or self._cycle.response_complete
        if is_idle and self._due is None and self.timeout_keep_alive_task is None:
            self._within(self.header_seconds)

    def on_message_begin(self) -> None:
        """Wait for the headers."""
        super().on_message_begin()
        self._within(self.header_seconds)

    def on_headers_complete(self) -> None:
        """Wait for the body."""
        super().on_headers_complete()
        self._within(BODY_SECONDS)

    def on_message_complete(self) -> None:
        """Wait no longer: the request is whole."""
        self._cancel()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer: the client is gone."""
        self._cancel()
        super().connection_lost(exc)

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        return self.cycle

    def _within(self, seconds: float) -> None:
        self._cancel()
        self._due = self.loop.call_later(seconds, self._end)

    def _cancel(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _end(self) -> None:
        self._due = None
        if not self.transport.is_closing():
            self.transport.abort()


def main() -> None:
    """Read the command line and serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m governance.edge", description="Serve an edge node.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--stop-seconds", type=int, default=10, help="how long open calls may take after SIGTERM")
    parser.add_argument("--header-seconds", type=float, default=HEADER_SECONDS)
    parser.add_argument("--log-level", default="info")
    options = parser.parse_args()
    Deadlines.header_seconds = options.header_seconds
    uvicorn.run(
        "governance.asgi:application",
        host=options.host,
        port=options.port,
        http=Deadlines,
        loop="uvloop",
        log_level=options.log_level,
        log_config=str(Path(__file__).with_name("logs.json")),
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=options.stop_seconds,
    )


if __name__ == "__main__":
    main()
