"""The MCP registry: who may read it, what it lists, in pages, and nothing more."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog import systems
from entitlements.catalog.models import System
from governance.connect import registry
from tests import make
from tests.governance.connect import registry_schema

pytestmark = pytest.mark.django_db
URL = "/v0.1/servers"


@pytest.fixture
def company_network(settings: Settings) -> None:
    settings.REGISTRY_READERS = (ip_network("127.0.0.0/8"),)
    settings.CONSOLE_URL = "https://mandate.example.com"


@pytest.fixture
def catalog(company_network: None) -> list[System]:  # noqa: ARG001 - may be read
    return [make.system(slug) for slug in ("alpha", "beta", "gamma")]


def _read(path: str = "", **query: str) -> Any:  # noqa: ANN401 - a document
    answer = Client().get(f"{URL}{path}", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def _names(document: Any) -> list[str]:  # noqa: ANN401 - a document
    return [each["server"]["name"] for each in document["servers"]]


def test_it_does_not_exist_for_addresses_that_are_not_named_and_reads_nothing_for_them(
    settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make.system("alpha")
    for readers in ((), (ip_network("10.0.0.0/8"),), (ip_network("::/0"),)):
        settings.REGISTRY_READERS = readers
        for path in ("", "/localhost%2Falpha/versions", "/localhost%2Falpha/versions/latest"):
            with django_assert_num_queries(0):
                answer = Client().get(URL + path)
            assert (answer.status_code, answer.json()) == (404, {"error": "Server not found"})
    assert Client().options(URL).status_code == 404


def test_it_lists_the_served_systems_by_the_name_of_the_console_as_its_schema_says(catalog: list[System]) -> None:
    document = _read()
    jsonschema_rs.validate(registry_schema.LIST, document, validate_formats=True)
    assert _names(document) == [f"com.example.mandate/{system.slug}" for system in catalog]
    assert document["metadata"] == {"count": 3}
    remotes = document["servers"][0]["server"]["remotes"]
    assert [remote["url"].endswith("/gw/alpha/mcp") for remote in remotes] == [True]


def test_it_lists_all_systems_at_one_address_where_the_gateway_serves_them_so(catalog: list[System]) -> None:
    systems.ensure_all_systems()
    document = _read()
    jsonschema_rs.validate(registry_schema.LIST, document, validate_formats=True)
    assert _names(document) == sorted(
        f"com.example.mandate/{slug}" for slug in ("all", *(each.slug for each in catalog))
    )
    urls = {each["server"]["name"]: each["server"]["remotes"][0]["url"] for each in document["servers"]}
    assert urls["com.example.mandate/all"].endswith("/gw/mcp")


@pytest.mark.parametrize("spoiled", [{"status": "disabled"}, {"kind": "mcp"}, {"kind": "known"}, {"kind": "builtin"}])
def test_a_system_that_is_disabled_or_not_served_is_nowhere_in_it(catalog: list[System], spoiled: Any) -> None:  # noqa: ANN401
    System.objects.filter(pk=catalog[1].pk).update(**spoiled)
    name = quote("com.example.mandate/beta", safe="")
    assert _names(_read()) == ["com.example.mandate/alpha", "com.example.mandate/gamma"]
    assert _names(_read(include_deleted="true", updated_since="2020-01-01T00:00:00Z")) == _names(_read())
    for path in ("versions", "versions/latest"):
        assert Client().get(f"{URL}/{name}/{path}").status_code == 404


def test_a_rest_api_is_listed_with_its_mcp_address(catalog: list[System]) -> None:
    System.objects.filter(pk=catalog[1].pk).update(kind="http")
    urls = {each["server"]["name"]: each["server"]["remotes"][0]["url"] for each in _read()["servers"]}
    assert urls["com.example.mandate/beta"].endswith("/gw/beta/mcp")


def test_it_is_read_in_pages_to_the_end(catalog: list[System]) -> None:
    seen, cursor = [], ""
    for _page in catalog:
        document = _read(limit="1", cursor=cursor)
        seen += _names(document)
        cursor = document["metadata"].get("nextCursor", "")
    assert seen == [f"com.example.mandate/{system.slug}" for system in catalog]
    assert cursor == ""
    assert _names(_read(limit="9999")) == seen


def test_it_is_searched_by_name_version_and_time(catalog: list[System]) -> None:
    assert _names(_read(search="BET")) == ["com.example.mandate/beta"]
    assert _names(_read(search="nothing")) == []
    assert len(_names(_read(version="latest"))) == 3
    between = clock.now()
    systems.edit_system(catalog[2], by=SYSTEM, name="Another")
    assert _names(_read(updated_since=between.isoformat())) == ["com.example.mandate/gamma"]
    assert _names(_read(updated_since=(clock.now() + timedelta(hours=1)).isoformat())) == []


def test_one_server_has_one_version_which_is_the_latest(catalog: list[System]) -> None:
    System.objects.filter(pk=catalog[0].pk).update(version=4)
    name = quote("com.example.mandate/alpha", safe="")
    latest = _read(f"/{name}/versions/latest")
    jsonschema_rs.validate(registry_schema.RESPONSE, latest, validate_formats=True)
    assert latest == _read(f"/{name}/versions/1.0.4") == _read(f"/{name}/versions")["servers"][0]
    for path in (f"/{name}/versions/1.0.3", "/com.example%2Fnothing/versions/latest", "/x/versions"):
        answer = Client().get(URL + path)
        assert (answer.status_code, answer.json()) == (404, {"error": "Server not found"})


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "-1"}, {"limit": "x"}, {"updated_since": "2026-01-01"}])
def test_a_malformed_query_is_refused_with_a_sentence_and_without_an_event(query: dict[str, str]) -> None:
    before = Event.objects.count()
    answer = Client().get(URL, query)
    assert (answer.status_code, answer.json()) == (400, {"error": registry.BadRegistryQuery().message})
    assert Event.objects.count() == before


def test_an_unchanged_list_is_not_sent_again(catalog: list[System]) -> None:
    answer = Client().get(URL)
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in answer.headers
    again = Client().get(URL, headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert Client().head(URL)["ETag"] == answer["ETag"]
    System.objects.filter(pk=catalog[0].pk).update(name="Another", version=2)
    assert Client().get(URL, headers={"If-None-Match": answer["ETag"]}).status_code == 200


@pytest.mark.usefixtures("catalog")
def test_browsers_of_other_origins_may_read_it_and_nothing_may_write() -> None:
    assert Client().options(URL)["Access-Control-Allow-Methods"] == "GET, OPTIONS"
    for method in ("post", "put", "delete", "patch"):
        assert getattr(Client(), method)(URL).status_code in {403, 404, 405}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("mandate.example.com", "com.example.mandate"),
        ("localhost", "localhost"),
        ("10.1.2.3", "10.1.2.3"),
        ("fd00::1", "fd00--1"),
    ],
)
def test_a_host_becomes_a_namespace(host: str, expected: str) -> None:
    assert registry.namespace(host) == expected
