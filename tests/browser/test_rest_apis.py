"""An analyst looks at the operations of a REST API, filters them by keys, and registers it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from entitlements.people.models import Person, Role
from tests import make
from tests.browser.conftest import PASSWORD, Visitor
from tests.browser.test_gallery import look_at

pytestmark = pytest.mark.timeout(300)
COOKIE = {"name": "session", "in": "cookie", "schema": {"type": "string"}}


@pytest.fixture
def ana(transactional_db: None) -> Person:  # noqa: ARG001 - the server reads what is committed
    return make.person("ana", roles=[Role.ANALYST], password=PASSWORD)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a document of 130 operations, of which one is refused and one renamed."""
    paths = {f"/orders/{number:03}": {"get": {"operationId": f"get_order_{number}"}} for number in range(128)}
    odd = {"/mine": {"get": {"operationId": "mine", "parameters": [COOKIE]}}, "/all": {"get": {"operationId": "a/b"}}}
    root = {
        "openapi": "3.1.0",
        "info": {"title": "Orders", "version": "7"},
        "servers": [{"url": "https://orders.example.com/api"}],
        "paths": {**odd, **paths},
    }
    path = tmp_path / "orders.json"
    path.write_text(json.dumps(root))
    return path


def test_a_rest_api_is_previewed_and_registered_at_the_screen(visitor: Visitor, ana: Person, file: Path) -> None:
    page = visitor.page
    visitor.sign_in(ana.login)
    wrong = look_at(visitor, "rest-api-add", "/systems/add/rest-api/")
    visitor.go("/systems/add/rest-api/")
    page.get_by_label("OpenAPI file").set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("129 operations become tools").wait_for()
    wrong += look_at(visitor, "rest-api-preview", "/systems/add/rest-api/", opened=True)
    page.get_by_role("button", name="Next page").click()
    page.get_by_text("GET /orders/127").wait_for()
    page.get_by_label("Path, name or reason").fill("cookie")
    page.get_by_label("Path, name or reason").press("Enter")
    page.get_by_text("It takes a cookie: session").wait_for()
    page.get_by_role("button", name="Add system").click()
    page.get_by_role("link", name="Document and refused operations").wait_for()
    wrong += look_at(visitor, "rest-api-system", "/systems/orders/", opened=True)
    wrong += look_at(visitor, "rest-api-document", "/systems/orders/openapi/")
    assert not wrong, "\n".join(wrong)
