"""The https site of a client's maker: it publishes the client's metadata document (CIMD), on a host that is allowed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from aiohttp import connector
from pytest_django.fixtures import Settings

from tests.conformance import desk
from tests.deployments import outside

if TYPE_CHECKING:
    from tests.nodes.gateway.world import World

PATH = "/client.json"


@pytest.fixture
def described(uncalled: World, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Publish a public client's document, and return the client's identifier, which is the document's address."""
    from tests import make  # noqa: PLC0415 - the settings are known only now
    from tests.entitlements.client_documents import company  # noqa: PLC0415

    certificates = outside.certify(tmp_path_factory.mktemp("site"))
    trusted = connector._SSL_CONTEXT_VERIFIED  # which aiohttp made when it was imported
    assert trusted is not None
    trusted.load_verify_locations(certificates.authority)
    settings.DEMO = True  # the site is on this machine
    document: dict[str, object] = {"client_name": "A client that describes itself", "redirect_uris": [desk.REDIRECT]}

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == PATH else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.socket = certificates.context().wrap_socket(server.socket, server_side=True)
    client_id = document["client_id"] = f"https://localhost:{server.server_port}{PATH}"
    company.allow(client_id, uncalled.agent, make.analyst())
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield client_id
    server.shutdown()
    server.server_close()
