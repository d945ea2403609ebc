from __future__ import annotations

import re

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from tests.architecture import tree

pytestmark = pytest.mark.django_db
DOCUMENT = tree.ROOT / "docs/reference/openapi.yaml"


def test_the_document_is_valid_has_no_warnings_and_is_the_one_in_the_docs(tmp_path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    written = tmp_path / "openapi.yaml"

    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(written))

    assert written.read_text() == DOCUMENT.read_text(), "run: manage.py spectacular --file docs/reference/openapi.yaml"


def test_the_document_is_open_to_strangers() -> None:
    answer = Client().get("/api/v1/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["openapi"].startswith("3.1")
    for path, item in body["paths"].items():
        assert not path.endswith("/")
        for operation in item.values():
            assert "default" in operation["responses"]


def test_strangers_who_ask_again_have_it_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Client().get("/api/v1/schema")
    monkeypatch.setattr(SchemaGenerator, "parse", lambda *_: pytest.fail("it is made again"))
    assert Client().get("/api/v1/schema").content == first.content


def test_an_address_says_whether_it_needs_a_token() -> None:
    paths = Client().get("/api/v1/schema", headers={"Accept": "application/vnd.oai.openapi+json"}).json()["paths"]
    assert paths["/api/v1/connectors/enrol"]["post"]["security"] == [{}], "its one-time code is all that it asks for"
    assert {} not in paths["/api/v1/connectors/{key}/revoke"]["post"]["security"]


def test_the_page_needs_nothing_inline_and_nothing_from_elsewhere() -> None:
    page = Client().get("/api/v1/docs")
    script = Client().get("/api/v1/docs?script=")

    html = page.content.decode()
    assert page.status_code == 200
    assert script["Content-Type"].startswith("application/javascript")
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert re.findall(r"<style|\bstyle=|\bon\w+=", html) == []
    assert all(address.startswith("/") for address in re.findall(r'(?:src|href)="([^"]+)"', html))
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert "unsafe" not in page["Content-Security-Policy"]
