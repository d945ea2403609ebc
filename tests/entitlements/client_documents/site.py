"""A web server on loopback that serves what a test puts there: the site of a client's maker."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.entitlements.edge.sign_ins import REGISTERED

JSON = {"Content-Type": "application/json"}


@dataclass
class Page:
    """One answer: `pause` is how many seconds each quarter of its body waits."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    status: int = 200
    pause: float = 0.0


@dataclass
class Site:
    """What is served, and how often it was asked for."""

    address: str
    pages: dict[str, Page] = field(default_factory=dict)
    visits: list[str] = field(default_factory=list)

    def url(self, path: str = "/client.json") -> str:
        return self.address + path

    def document(self, path: str = "/client.json", *, headers: Mapping[str, str] | None = None, **changed: Any) -> str:  # noqa: ANN401 - JSON
        """Publish a client's document, and return the client's identifier; None leaves a name out."""
        usual = {"client_id": self.url(path), "client_name": "Desk client", "redirect_uris": [REGISTERED]}
        told = {name: value for name, value in {**usual, **changed}.items() if value is not None}
        self.pages[path] = Page(json.dumps(told).encode(), {**JSON, **(headers or {})})
        return self.url(path)


@contextmanager
def served() -> Iterator[Site]:
    """Serve on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.visits.append(self.path)
            page = site.pages.get(self.path.partition("?")[0], Page(b"", {}, 404))
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.end_headers()
            quarter = len(page.body) // 4 + 1
            try:
                for start in range(0, len(page.body), quarter):
                    time.sleep(page.pause)
                    self.wfile.write(page.body[start : start + quarter])
                    self.wfile.flush()
            except OSError:
                pass  # the other side would not wait

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site = Site(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
