"""REST APIs over the API: registered with a document, looked at before, read again, and declared by hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from pytest_django.fixtures import Settings

from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements import tasks
from entitlements.catalog import discovery, tools
from entitlements.catalog.models import System, Tool
from entitlements.definition_watch import discovery_schedule
from entitlements.people.models import Person
from entitlements.rest.operation import of
from entitlements.rest_apis import rest_apis, sources
from entitlements.rest_apis.models import RestApi
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db
TEXT = {"type": "string"}
NUMBER = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}
NEW = {"slug": "orders", "name": "Orders", "kind": "http"}


def document(**paths: Any) -> dict[str, Any]:  # noqa: ANN401 - path items
    """Return a document of orders: one operation that reads, one that is refused, and what a test adds."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Orders", "version": "7"},
        "servers": [{"url": "https://orders.example.com/api"}],
        "paths": {
            "/orders/{number}": {
                "get": {"operationId": "get_order", "summary": "Get an order", "parameters": [NUMBER]}
            },
            "/mine": {"get": {"operationId": "mine", "parameters": [{"name": "s", "in": "cookie", "schema": TEXT}]}},
            **{f"/{name}": item for name, item in paths.items()},
        },
    }


@pytest.fixture
def ana() -> Person:
    return make.analyst("ana")


def registered(ana: Person, **more: Any) -> Any:  # noqa: ANN401 - an answer
    return client.of(ana).post("/api/v1/systems", {**NEW, "openapi": document(), **more}, format="json")


def approve(tool: Tool) -> None:
    assert tool.seen is not None
    tools.approve_tool(
        tools.Approval(tool, tool.seen.sha256, "Gets an order.", "read", "low"), by=make.analyst().principal
    )


def test_a_rest_api_is_registered_with_its_document(ana: Person) -> None:
    answer = registered(ana)

    assert answer.status_code == 201, answer.json()
    assert answer.json()["upstream_url"] == "https://orders.example.com/api"
    (tool,) = Tool.objects.filter(system__slug="orders")
    assert (tool.name, tool.state, tool.action) == ("get_order", "pending", "read")
    assert tool.seen is not None
    assert of(tool.seen.definition).path == "/orders/{number}"
    shown = client.of(ana).get("/api/v1/systems/orders/openapi").json()
    assert (shown["title"], shown["api_version"], shown["operations"]) == ("Orders", "7", 1)
    assert [(each["path"], each["why"], each["about"]) for each in shown["refused"]] == [
        ("/mine", "cookie_parameter", "s")
    ]
    events = {event.action: event for event in timeline.of("system", "orders")}
    detail = events[Action.SYSTEM_OPENAPI_READ].detail
    assert (detail["operations"], detail["refused"], detail["refused_by_reason"]) == (1, 1, ["cookie_parameter: 1"])


def test_a_preview_stores_and_records_nothing(ana: Person) -> None:
    answer = client.of(ana).post("/api/v1/openapi-preview", {"openapi": document()}, format="json")
    body = answer.json()
    assert (body["tools"], body["address"]) == (["get_order"], "https://orders.example.com/api")
    assert [each["why"] for each in body["refused"]] == ["cookie_parameter"]
    assert not System.objects.filter(kind="http").exists()
    assert client.of(make.person("peter")).post("/api/v1/openapi-preview", {}, format="json").status_code == 403


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"openapi": {"swagger": "2.0"}}, "openapi_malformed"),
        ({"openapi": "http://127.0.0.1/openapi.json"}, "forbidden_address"),
        ({"openapi": "https://10.0.0.1/openapi.json"}, "forbidden_address"),
        ({"openapi": "file:///etc/passwd"}, "forbidden_address"),
        ({"openapi": 7}, "invalid"),
        ({"openapi": {**document(), "servers": []}}, "openapi_without_server"),
        ({"kind": "mcp_gateway", "upstream_url": "https://a.example/mcp"}, "invalid"),
    ],
)
def test_what_cannot_be_registered_is_refused_and_leaves_nothing(ana: Person, sent: dict[str, Any], code: str) -> None:
    answer = registered(ana, **sent)
    assert (answer.json()["code"], System.objects.filter(slug="orders").exists()) == (code, False)


def test_a_rest_api_without_a_document_has_operations_by_hand(ana: Person) -> None:
    sent = {**NEW, "upstream_url": "https://orders.example.com"}
    assert client.of(ana).post("/api/v1/systems", sent, format="json").status_code == 201
    operation = {
        "name": "make_order",
        "method": "POST",
        "path": "/orders",
        "summary": "Make an order",
        "request_body": {"content": {"application/json": {"schema": {"type": "object"}}}},
    }
    answer = client.of(ana).post("/api/v1/systems/orders/operations", operation, format="json")

    assert (answer.status_code, answer.json()["added"]) == (200, ["make_order"])
    assert Action.SYSTEM_OPERATION_DECLARED in [event.action for event in timeline.of("system", "orders")]
    changed = {**operation, "method": "PUT"}
    assert client.of(ana).post("/api/v1/systems/orders/operations", changed, format="json").json()["changed"] == [
        "make_order"
    ]


def test_an_operation_by_hand_takes_neither_name_nor_place_of_another_and_is_refused_for_what_cannot_be_mapped(
    ana: Person,
) -> None:
    registered(ana)
    post = client.of(ana).post
    at = "/api/v1/systems/orders/operations"
    taken = post(at, {"name": "get_order", "method": "GET", "path": "/a"}, format="json")
    placed = post(
        at,
        {"name": "x", "method": "GET", "path": "/orders/{n}", "parameters": [{**NUMBER, "name": "n"}]},
        format="json",
    )
    odd = post(at, {"name": "x", "method": "GET", "path": "/a/{n}"}, format="json")
    assert [(answer.status_code, answer.json()["code"]) for answer in (taken, placed, odd)] == [
        (409, "operation_name_taken"),
        (422, "operation_refused"),
        (422, "operation_refused"),
    ]
    assert Tool.objects.filter(system__slug="orders").count() == 1


def test_another_document_is_compared_as_another_list_of_tools_is(ana: Person) -> None:
    registered(ana)
    system = System.objects.get(slug="orders")
    post = client.of(ana).post(
        "/api/v1/systems/orders/operations", {"name": "ping", "method": "GET", "path": "/ping"}, format="json"
    )
    assert post.status_code == 200
    for tool in system.tools.all():
        approve(tool)
    moved = document(new={"post": {"operationId": "make_order"}}, ping={"get": {"operationId": "ping"}})
    moved["paths"]["/v2/orders/{number}"] = moved["paths"].pop("/orders/{number}")

    answer = client.of(ana).put("/api/v1/systems/orders/openapi", {"openapi": moved}, format="json")

    assert answer.status_code == 200, answer.json()
    states = dict(system.tools.values_list("name", "state"))
    assert states == {"get_order": "quarantined", "ping": "approved", "make_order": "pending"}
    assert ("/ping", "path_twice") in [(each["path"], each["why"]) for each in answer.json()["refused"]]
    rest_apis.read_document(system, source=sources.of(document()), by=SYSTEM)
    assert dict(system.tools.values_list("name", "state"))["make_order"] == "removed"
    assert dict(system.tools.values_list("name", "state"))["ping"] == "approved"


def test_a_file_in_yaml_is_read_and_the_same_again_records_nothing(ana: Person) -> None:
    registered(ana)
    text = b"openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths:\n  /a:\n    get: {operationId: a}\n"
    http, sent = client.raw(ana)

    def put() -> Any:  # noqa: ANN401 - an answer
        file = SimpleUploadedFile("a.yaml", text)
        form = encode_multipart(BOUNDARY, {"file": file})
        return http.generic("PUT", "/api/v1/systems/orders/openapi", form, MULTIPART_CONTENT, **sent)

    first = put()
    assert first.status_code == 200, first.content
    assert first.json()["file_name"] == "a.yaml"
    counted = len(timeline.of("system", "orders"))
    assert put().status_code == 200
    assert len(timeline.of("system", "orders")) == counted


def test_only_a_rest_api_has_a_document(ana: Person) -> None:
    make.system("clock", owner=ana)
    answer = client.of(ana).put("/api/v1/systems/clock/openapi", {"openapi": document()}, format="json")
    assert answer.json()["code"] == "not_a_rest_api"
    assert client.of(ana).get("/api/v1/systems/clock/openapi").status_code == 404


def test_a_tool_without_an_operation_is_not_taken_into_a_rest_api(ana: Person) -> None:
    registered(ana)
    raw = {"name": "plain", "inputSchema": {"type": "object"}}
    found = discovery.record_discovery(System.objects.get(slug="orders"), [raw], by=SYSTEM, complete=False)
    assert (found.added, list(found.malformed)) == ([], ["plain"])


def test_a_document_from_a_file_is_not_fetched_again(ana: Person) -> None:
    registered(ana)
    answer = client.of(ana).post("/api/v1/systems/orders/discover", {}, format="json")
    assert answer.json()["code"] == "openapi_without_address"
    system = System.objects.get(slug="orders")
    assert discovery_schedule.find_discoverable(system.pk) is None


class _Site(BaseHTTPRequestHandler):
    document: ClassVar[bytes] = b""

    def do_GET(self) -> None:
        self.send_response(200 if self.document else 503)
        self.end_headers()
        self.wfile.write(self.document)

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the library's signature
        """Keep quiet."""


@pytest.fixture
def site(settings: Settings) -> Iterator[str]:
    settings.DEMO = True  # servers on loopback
    server = HTTPServer(("127.0.0.1", 0), _Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/openapi.json"
    server.shutdown()
    server.server_close()


@pytest.mark.loopback
def test_a_document_at_an_address_is_fetched_again_on_schedule_and_its_changes_are_held(ana: Person, site: str) -> None:
    relative = {**document(), "servers": [{"url": "/api"}]}
    _Site.document = json.dumps(relative).encode()
    answer = registered(ana, openapi=site)
    assert answer.json()["upstream_url"] == site.removesuffix("/v1/openapi.json") + "/api"
    system = System.objects.get(slug="orders")
    approve(system.tools.get())

    relative["paths"]["/orders/{number}"]["get"]["parameters"].append({"name": "all", "in": "query", "schema": TEXT})
    _Site.document = json.dumps(relative).encode()
    discovery_schedule.schedule_now(system)
    assert discovery_schedule.claim_due() == [system.pk]
    tasks.discover_tools(system.pk)
    assert system.tools.get().state == "quarantined"

    _Site.document = b""
    tasks.discover_tools(system.pk)
    system.refresh_from_db()
    assert (system.failures, system.tools.get().state) == (1, "quarantined")
    _Site.document = b"<html>"
    tasks.discover_tools(system.pk)
    system.refresh_from_db()
    assert (system.problem, RestApi.objects.get(system=system).operations) == ("not_openapi", 1)
    tested = client.of(ana).post("/api/v1/systems/orders/test", {}, format="json").json()
    assert (tested["reached"], tested["stage"]) == (False, "not_openapi")
