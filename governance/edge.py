"""Serve an edge node: uvicorn, and a deadline for each request.

    python -m governance.edge --host 0.0.0.0 --port 8001 --workers 2

uvicorn closes a connection that is idle between two requests, and waits for the rest of a request for ever. Here a
connection ends whose headers, or whose body, do not come in time.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

APPLICATION: Final = "governance.asgi:application"
NOT_STARTED: Final = 3
"""The status of a process that could not start, as uvicorn has it."""
HEADER_SECONDS: Final = 10.0
"""Seconds for the headers of a request, from the opening of the connection or their first byte."""
CONNECTORS: Final = {
    "ws": "websockets-sansio",
    "ws_max_size": 64 * 1024,
    "ws_per_message_deflate": False,
    "ws_ping_interval": 10.0,
    "ws_ping_timeout": 10.0,
}
"""How connectors are spoken to (`edge/connectors/door.py`); that one is gone is noticed within 20 seconds."""
BODY_SECONDS: Final = 30.0
"""Seconds for a body after its headers. The gateway itself answers 408 sooner (`gateway/http.py`), where it waits."""


class Deadlines(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, where a request that stays incomplete ends the connection."""

    header_seconds = HEADER_SECONDS
    _due: asyncio.TimerHandle | None = None
    _is_handed_over = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn says it
        """Wait for the first request."""
        super().connection_made(transport)
        self._within(self.header_seconds)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those between two requests, which are no request, do not keep the connection either."""
        super().data_received(data)
        is_idle = self._cycle is None or self._cycle.response_complete
        is_waiting = self._due is not None or self.timeout_keep_alive_task is not None
        if is_idle and not is_waiting and not self._is_handed_over:
            self._within(self.header_seconds)

    def on_message_begin(self) -> None:
        """Wait for the headers."""
        super().on_message_begin()
        self._within(self.header_seconds)

    def on_url(self, url: bytes) -> None:
        """Refuse a fragment, which is in no request (RFC 9112, section 3.2): dropped here, it is read elsewhere."""
        if b"#" in url:
            raise ValueError("The address of a request has no fragment.")
        super().on_url(url)

    def on_headers_complete(self) -> None:
        """Wait for the body."""
        super().on_headers_complete()
        self._within(BODY_SECONDS)

    def handle_websocket_upgrade(self) -> None:
        """Hand a connector over to its own protocol, whose door has its own deadline and is pinged."""
        self._is_handed_over = True
        self._cancel()
        super().handle_websocket_upgrade()

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
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port and one change feed")
    parser.add_argument("--stop-seconds", type=int, default=10, help="how long open calls may take after SIGTERM")
    parser.add_argument("--header-seconds", type=float, default=HEADER_SECONDS)
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--worker", help=argparse.SUPPRESS)  # as edge_host.py starts one: its name, and its link
    parser.add_argument("--link", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    Deadlines.header_seconds = options.header_seconds
    how: dict[str, Any] = {
        "host": options.host,
        "port": options.port,
        "http": Deadlines,
        **CONNECTORS,
        "loop": "uvloop",
        "lifespan": "on",
        "log_level": options.log_level,
        "log_config": str(Path(__file__).with_name("logs.json")),
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        "timeout_graceful_shutdown": options.stop_seconds,
    }
    if options.worker:
        _work(how, options.worker, options.link)
    elif options.workers > 1:
        _watch(how, options)
    else:
        uvicorn.run(APPLICATION, **how)


def _work(how: Mapping[str, Any], name: str, link: int) -> None:
    """Be the worker of this name; `link` is the file descriptor that leads to the listener of the change feed."""
    config = uvicorn.Config(APPLICATION, **how)
    import_module("governance.asgi").application.be_worker(name, socket.socket(fileno=link))
    server = uvicorn.Server(config)
    server.run([_shared_port(config)])
    if not server.started:
        sys.exit(NOT_STARTED)


def _watch(how: Mapping[str, Any], options: argparse.Namespace) -> None:
    """Be the process that starts the workers and watches over them. It holds the port, and never listens at it."""
    config = uvicorn.Config(APPLICATION, **how)
    config.bind_socket().close()  # it ends this process with a sentence where another has the port
    passed = ("host", "port", "stop_seconds", "header_seconds", "log_level")
    arguments = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in passed]
    host = import_module("governance.edge_host")  # it reads the settings, which a single process does elsewhere
    with _shared_port(config):
        sys.exit(host.run(options.workers, arguments, options.stop_seconds))


def _shared_port(config: uvicorn.Config) -> socket.socket:
    """Return a socket that the kernel gives its share of the connections, from when it listens until it is closed."""
    port = socket.socket(socket.AF_INET6 if ":" in config.host else socket.AF_INET)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        port.setsockopt(socket.SOL_SOCKET, option, 1)
    port.bind((config.host, config.port))
    return port


if __name__ == "__main__":
    main()
