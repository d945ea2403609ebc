"""Imports by API: looked at, confirmed once, done at once or followed; and systems that are tried."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from entitlements import tasks
from entitlements.catalog.models import System, Tool
from entitlements.catalog_files import offers
from entitlements.catalog_files.models import CatalogImport
from entitlements.people.models import Person
from entitlements.upstream import upstream
from entitlements.upstream.egress import Unreachable
from tests import make
from tests.entitlements import catalogues
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db

TIME = [{"name": "time", "tools": [{"name": "get_time", "description": "Gets it."}]}]


@pytest.fixture
def ana() -> Person:
    make.person("olga")
    return make.analyst("ana")


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    messages: list[str] = []
    monkeypatch.setattr(tasks.run_import, "delay", messages.append)
    return messages  # type: ignore[return-value]


def _post(by: Person, **body: Any) -> Any:  # noqa: ANN401
    headers = body.pop("headers", {})
    return client.of(by).post("/api/v1/imports", {"owner": "olga", **body}, headers=headers)


def _upload(by: Person, content: bytes, **fields: str) -> Any:  # noqa: ANN401
    django, headers = client.raw(by)
    form = {"owner": "olga", **fields, "file": SimpleUploadedFile("all.json", content)}
    return django.post("/api/v1/imports", form, **headers)


def test_json_is_looked_at_first_and_taken_in_after_the_yes(ana: Person) -> None:
    looked = _post(ana, catalogue=TIME)

    assert looked.status_code == 201
    said = looked.json()
    assert (said["state"], said["counts"]["systems_new"], said["counts"]["tools_new"]) == ("preview", 1, 1)
    assert client.of(ana).get(f"/api/v1/imports/{said['id']}").json() == said
    assert not System.objects.filter(slug="time")

    done = client.of(ana).post(f"/api/v1/imports/{said['id']}/confirm")
    assert (done.status_code, done.json()["state"], done.json()["position"]) == (200, "done", 1)
    assert Tool.objects.get().state == "pending"
    again = client.of(ana).post(f"/api/v1/imports/{said['id']}/confirm")
    assert (again.status_code, again.json()["code"]) == (409, "import_not_waiting")


def test_a_file_is_taken_in_at_once_where_that_is_said(ana: Person) -> None:
    done = _upload(ana, catalogues.content(TIME), confirm="true")

    assert (done.status_code, done.json()["state"], done.json()["file_name"]) == (201, "done", "all.json")


def test_a_large_one_is_left_to_a_worker_and_can_be_followed(
    ana: Person,
    sent: list[str],
    django_capture_on_commit_callbacks: Any,  # noqa: ANN401
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        begun = _upload(ana, catalogues.content(catalogues.systems(60, 300)), confirm="true").json()
    assert (begun["state"], begun["position"], sent) == ("running", 0, [begun["id"]])

    tasks.run_import(sent[0])

    found = client.of(ana).get(f"/api/v1/imports/{begun['id']}").json()
    assert (found["state"], found["position"], found["counts"]["tools_new"]) == ("done", 60, 300)


def test_the_same_key_imports_once(ana: Person) -> None:
    first, again = (_post(ana, catalogue=TIME, confirm=True, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert first.json() == again.json()
    assert CatalogImport.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "import_without_file"),
        ({"catalogue": TIME, "text": "[]"}, 400, "import_without_file"),
        ({"catalogue": {}}, 422, "import_not_a_catalog"),
        ({"catalogue": ["odd"]}, 422, "import_empty"),
        ({"text": "{"}, 400, "malformed_call"),
        ({"catalogue": TIME, "owner": "nobody"}, 422, "unknown_person"),
        ({"catalogue": TIME, "approved": True}, 400, "unknown_field"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_a_code(
    ana: Person, body: dict[str, Any], status: int, code: str
) -> None:
    refused = _post(ana, **body)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert not CatalogImport.objects.exists()


def test_what_is_too_large_or_not_text_is_refused(ana: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _upload(ana, b"\xff\xfe").json()["code"] == "malformed_call"
    monkeypatch.setattr(offers, "LARGEST", 100)
    monkeypatch.setattr("entitlements.catalog_files.api.imports._FORM", 1000)
    assert _upload(ana, b"[" + b" " * 2000 + b"]").json()["code"] == "import_too_large"


def test_nobody_else_imports_or_sees_an_import(ana: Person) -> None:
    said = _post(ana, catalogue=TIME).json()

    assert _post(make.person("mallory"), catalogue=TIME).status_code == 403
    assert client.of(make.person()).get(f"/api/v1/imports/{said['id']}").status_code == 404
    assert client.of(make.person("otto")).post(f"/api/v1/imports/{said['id']}/confirm").status_code == 403
    assert client.of(make.person("audrey", roles=["auditor"])).get(f"/api/v1/imports/{said['id']}").status_code == 200
    assert Client().get(f"/api/v1/imports/{said['id']}").status_code == 401


def test_a_try_says_how_far_it_came_and_changes_nothing(ana: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    system = make.system("time")

    async def listed(_target: object) -> list[dict[str, Any]]:
        return [{"name": "get_time", "inputSchema": {}}]

    async def unreachable(_target: object) -> list[dict[str, Any]]:
        raise Unreachable from TimeoutError()

    monkeypatch.setattr(upstream, "tools", listed)
    reached = client.of(system.owner).post("/api/v1/systems/time/test").json()
    monkeypatch.setattr(upstream, "tools", unreachable)
    failed = client.of(ana).post("/api/v1/systems/time/test").json()

    assert (reached["reached"], reached["tools"], reached["stage"]) == (True, 1, None)
    assert (failed["reached"], failed["stage"], failed["code"]) == (False, "timeout", "upstream_unavailable")
    assert not Tool.objects.exists()
    assert client.of(make.agent().sponsor).post("/api/v1/systems/time/test").status_code == 403
