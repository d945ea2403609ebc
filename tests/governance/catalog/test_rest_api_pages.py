"""The pages of REST APIs: a document is looked at, registered after the yes, read again; hostile texts are text."""

from __future__ import annotations

import json
import lzma
from base64 import b64encode
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from entitlements.catalog.models import System, Tool
from entitlements.people.models import Person
from entitlements.rest_apis.models import RestApi
from governance.rest_apis import queries as read
from tests import make
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
ADD = "/systems/add/rest-api/"
HOSTILE = '<script>alert(1)</script>"\u202e=1+1'


@pytest.fixture
def ana() -> Person:
    make.person("olga")
    return make.analyst("ana")


def document(**paths: Any) -> bytes:  # noqa: ANN401 - path items
    """Return a document with one operation, one that is refused, and one with a hostile name."""
    cookie = {"name": "s", "in": "cookie", "schema": {"type": "string"}}
    root = {
        "openapi": "3.1.0",
        "info": {"title": "Orders", "version": "7"},
        "servers": [{"url": "https://orders.example.com/api"}],
        "paths": {
            "/orders": {"get": {"operationId": "list_orders", "summary": "List orders"}},
            "/mine": {"get": {"operationId": "mine", "parameters": [cookie]}},
            "/odd": {"get": {"operationId": HOSTILE}},
            **{f"/{name}": item for name, item in paths.items()},
        },
    }
    return json.dumps(root).encode()


def look(ana: Person, text: bytes) -> Any:  # noqa: ANN401 - Django's test response
    return visits.as_(ana).post(ADD, {"file": SimpleUploadedFile("orders.json", text)})


def carried(response: Any, **more: str) -> dict[str, str]:  # noqa: ANN401 - as above
    """Return what the form of a preview sends."""
    form = response.context["form"]
    names = ("held", "source_url", "source_name", "sha256", "upstream_url", "name", "owner")
    return {**{name: str(form[name].value() or "") for name in names}, "slug": "", **more}


def test_a_document_is_looked_at_and_registered_after_the_yes(ana: Person) -> None:
    response = look(ana, document())
    page = visits.text(response)
    assert "2 operations become tools" in page
    assert "cookie_parameter" in page
    assert "<script>alert(1)" not in page
    assert not System.objects.filter(kind="http").exists()

    done = visits.as_(ana).post(ADD, carried(response, step="register", owner="olga"), follow=True)

    system = System.objects.get(kind="http")
    assert (system.slug, system.owner.login, system.upstream_url) == (  # type: ignore[union-attr]
        "orders",
        "olga",
        "https://orders.example.com/api",
    )
    assert set(system.tools.values_list("name", "state")) == {
        ("list_orders", "pending"),
        ("script_alert_1_script_1_1", "pending"),
    }
    shown = visits.text(done)
    assert "2 operations are tools." in shown
    assert "1 is refused." in shown


def test_a_preview_is_filtered_and_paged_and_keeps_what_was_typed(ana: Person) -> None:
    many = {f"p{number:03}": {"get": {"operationId": f"p{number}"}} for number in range(250)}
    response = look(ana, document(**many))
    assert response.context["page"].total == 253
    second = visits.as_(ana).post(ADD, carried(response, step="show", page="3", name="Typed"))
    assert len(second.context["page"].rows) == 53
    assert 'value="Typed"' in visits.text(second)
    refused = visits.as_(ana).post(ADD, carried(second, step="show", state="refused"))
    assert [row.path for row in refused.context["page"].rows] == ["/mine"]
    named = visits.as_(ana).post(ADD, carried(second, step="show", q="P24"))
    assert named.context["page"].total == 11


@pytest.mark.parametrize("change", [{"held": ""}, {"held": "AAAA"}, {"sha256": "0" * 64}, {"held": "%%%"}])
def test_another_document_than_the_previewed_one_is_not_registered(ana: Person, change: dict[str, str]) -> None:
    sent = carried(look(ana, document()), step="register")
    response = visits.as_(ana).post(ADD, {**sent, **change})
    assert response.status_code == 409
    assert "openapi_changed" in visits.text(response)
    assert not System.objects.filter(kind="http").exists()


def test_what_is_wrong_is_said_beside_its_field(ana: Person) -> None:
    broken = look(ana, b'{"swagger": "2.0"}')
    assert (broken.status_code, "openapi_malformed" in visits.text(broken)) == (422, True)
    nothing = visits.as_(ana).post(ADD, {})
    assert (nothing.status_code, "Choose a file or give an address." in visits.text(nothing)) == (422, True)
    private = visits.as_(ana).post(ADD, {"document_url": "https://127.0.0.1/openapi.json"})
    assert (private.status_code, "forbidden_address" in visits.text(private)) == (422, True)
    nameless = visits.as_(ana).post(ADD, carried(look(ana, document()), step="register", name=""))
    assert nameless.status_code == 422
    assert visits.as_(make.person("peter")).get(ADD).status_code == 403


def test_a_system_shows_its_document_and_takes_another_one_and_operations_by_hand(ana: Person) -> None:
    browser = visits.as_(ana)
    browser.post(ADD, carried(look(ana, document()), step="register"))
    at = "/systems/orders/openapi/"
    page = visits.text(browser.get(at))
    assert "cookie_parameter" in page
    assert "orders.json" in page
    assert "cookie_parameter" not in visits.text(browser.get(f"{at}?q=nothing"))

    file = SimpleUploadedFile("new.json", document(new={"post": {"operationId": "make_order"}}))
    moved = browser.post(f"{at}read/", {"file": file}, follow=True)
    assert "1 new, 0 changed, 0 no longer offered." in visits.text(moved)
    assert RestApi.objects.get().file_name == "new.json"

    by_hand = {"name": "ping", "method": "GET", "path": "/ping", "parameters": "[]", "body": ""}
    assert browser.post(f"{at}operations/", by_hand)["Location"] == "/systems/orders/"
    assert Tool.objects.get(name="ping").state == "pending"
    again = browser.post(f"{at}operations/", {**by_hand, "name": "list_orders"})
    assert (again.status_code, "operation_name_taken" in visits.text(again)) == (409, True)
    odd = browser.post(f"{at}operations/", {**by_hand, "name": "x", "path": "/{n}"})
    assert (odd.status_code, "operation_refused" in visits.text(odd)) == (422, True)


def test_only_a_rest_api_has_the_page(ana: Person) -> None:
    make.system("clock", owner=ana)
    assert visits.as_(ana).get("/systems/clock/openapi/").status_code == 404
    assert visits.as_(ana).get("/systems/clock/").status_code == 200


def test_a_document_held_in_a_form_is_the_same_and_a_bomb_is_none() -> None:
    assert read.take(read.hold(b"abc")) == b"abc"
    assert read.take(b64encode(lzma.compress(b"0" * (17 * 1024 * 1024))).decode()) is None
