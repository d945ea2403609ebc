"""A document of a REST API that changes is noticed within seconds, and one that does not costs a status of 304."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from entitlements import tasks
from entitlements.catalog.models import System
from entitlements.definition_watch.models import DefinitionWatch
from entitlements.rest_apis import document_watch, rest_apis, sources
from tests import make

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]
type Move = Callable[[datetime | timedelta], datetime]
OPERATION: dict[str, Any] = {"operationId": "list_orders", "summary": "List the orders"}


class _Site(BaseHTTPRequestHandler):
    tag: ClassVar[str] = '"1"'
    operation: ClassVar[dict[str, Any]] = OPERATION
    answered: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        is_same = self.tag and self.headers["If-None-Match"] == self.tag
        self.answered.append(304 if is_same else 200)
        self.send_response(self.answered[-1])
        if self.tag:
            self.send_header("ETag", self.tag)
        self.end_headers()
        if not is_same:
            info = {"openapi": "3.1.0", "info": {"title": "Orders", "version": "7"}, "servers": [{"url": "/api"}]}
            document = {**info, "paths": {"/orders": {"get": self.operation}}}
            self.wfile.write(json.dumps(document).encode() if self.operation else b"<html>")

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the library's signature
        """Keep quiet."""


@pytest.fixture
def system(settings: Settings) -> Iterator[System]:
    settings.DEMO = True  # servers on loopback
    _Site.tag, _Site.operation = '"1"', OPERATION
    server = HTTPServer(("127.0.0.1", 0), _Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    source = sources.fetch(f"http://127.0.0.1:{server.server_port}/openapi.json")
    yield rest_apis.register("orders", name="Orders", owner=make.person(), source=source, by=SYSTEM)
    server.shutdown()
    server.server_close()


def look(system: System) -> list[int]:
    """Look at the document; return what the site answered."""
    _Site.answered.clear()
    tasks.watch_document(system.pk)
    return [*_Site.answered]


def test_a_change_is_read_at_once_and_no_change_costs_a_304(system: System) -> None:
    assert look(system) == [200]
    assert look(system) == look(system) == [304]
    _Site.tag, _Site.operation = '"2"', {**OPERATION, "summary": "List the orders, and send them elsewhere"}
    before = system.tools.get().seen_id
    assert look(system) == [200, 200]
    assert system.tools.get().seen_id != before
    assert look(system) == [304]


def test_what_cannot_be_read_is_tried_once_and_then_with_the_discovery(system: System) -> None:
    _Site.tag, _Site.operation = '"3"', {}
    assert look(system) == [200, 200]
    system.refresh_from_db()
    assert system.failures == 1
    assert look(system) == [304]
    system.refresh_from_db()
    assert system.failures == 1


def test_a_document_without_a_validator_is_looked_at_as_often_as_its_system_is_asked(
    system: System, settings: Settings, at: Move
) -> None:
    at(clock.now())
    other = make.system(kind="http", upstream_url="https://orders.example.com/api")
    assert document_watch.claim_due() == [system.pk]
    assert not DefinitionWatch.objects.filter(system=other).exists()
    assert document_watch.claim_due() == []
    look(system)
    at(document_watch.EVERY)
    assert document_watch.claim_due() == [system.pk]
    _Site.tag = ""
    assert look(system) == [200]
    at(document_watch.EVERY)
    assert document_watch.claim_due() == []
    at(settings.DISCOVERY_EVERY)
    assert document_watch.claim_due() == [system.pk]
    System.objects.filter(pk=system.pk).update(status="disabled")
    at(settings.DISCOVERY_EVERY)
    assert document_watch.claim_due() == []
