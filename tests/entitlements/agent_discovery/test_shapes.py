"""What a row of each vendor says, by its documented form, and that another form says nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from entitlements.agent_discovery import shapes
from entitlements.agent_discovery.pull import next_link, origin, pause
from entitlements.agent_discovery.shapes import FoundRow
from entitlements.upstream.egress import Answer

from . import recorded


def test_an_agent_of_okta_is_known_by_its_id() -> None:
    assert shapes.okta_agent(recorded.okta_agent()) == FoundRow("wlp1", "Support agent", "wlp1")


def test_an_application_of_okta_that_acts_on_its_own_is_an_agent_and_one_that_signs_people_in_is_none() -> None:
    assert shapes.okta_application(recorded.okta_app()) == FoundRow("0oa1", "Invoice bot", "0oa1")
    acts = recorded.okta_app(application_type="web", grant_types=["authorization_code", "client_credentials"])
    assert shapes.okta_application(acts) is not None
    assert shapes.okta_application(recorded.okta_app(application_type="web", grant_types=["implicit"])) is None
    assert shapes.okta_application(recorded.okta_app() | {"status": "INACTIVE"}) is None


def test_an_agent_identity_of_entra_has_the_sponsor_that_it_alone_names() -> None:
    found = shapes.entra_agent(recorded.entra_agent(1, "HR agent", "sofia@example.org"))
    assert found is not None
    assert [found.client_id, found.owner] == [found.external_id, "sofia@example.org"]
    several = shapes.entra_agent(recorded.entra_agent(1, "HR agent", "a@example.org", "b@example.org"))
    assert several is not None
    assert several.owner == ""
    assert shapes.entra_agent(recorded.entra_agent() | {"accountEnabled": False}) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"servicePrincipalType": "ManagedIdentity"},
        {"accountEnabled": False},
        {"appOwnerOrganizationId": shapes.MICROSOFT},
        {"preferredSingleSignOnMode": "saml"},
    ],
)
def test_a_service_principal_that_is_off_or_microsofts_or_for_saml_is_no_agent(fields: dict[str, Any]) -> None:
    assert shapes.entra_application(recorded.entra_app()) is not None
    assert shapes.entra_application(recorded.entra_app(**fields)) is None


def test_a_client_on_a_device_names_the_server_that_it_reaches() -> None:
    row = recorded.fleet_row(
        7, server="clock", url="https://clock.example/mcp", email="ana@example.org", env="SECRET=1"
    )
    assert shapes.device_client(row) == FoundRow(
        "7:Claude Desktop",
        "Claude Desktop on mac-7",
        "",
        "ana@example.org",
        (("clock", "https://clock.example/mcp"),),
    )


@pytest.mark.parametrize(
    "parse",
    [
        shapes.okta_agent,
        shapes.okta_application,
        shapes.entra_agent,
        shapes.entra_application,
        shapes.device_client,
    ],
)
@pytest.mark.parametrize(
    "row", [None, 1, "x", [], {}, {"id": 5}, {"id": "x"}, {"profile": []}, {"columns": {"client": 1}}]
)
def test_a_row_of_another_form_is_none(parse: Callable[[object], FoundRow | None], row: object) -> None:
    assert parse(row) is None


def test_an_identifier_beyond_its_column_is_none() -> None:
    assert shapes.okta_agent(recorded.okta_agent() | {"id": "w" * 256}) is None


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ('<https://a.example/x?after=1>; rel="next"', "https://a.example/x?after=1"),
        ('<https://a.example/x>; rel="self", <https://a.example/x?after=1>; rel="next"', "https://a.example/x?after=1"),
        ("<https://a.example/x?a=1,2>; rel=next", "https://a.example/x?a=1,2"),
        ('<https://a.example/x>; rel="self"', ""),
        ('<https://a.example/x>; rel="nextish"', ""),
        ("next", ""),
        ("", ""),
    ],
)
def test_the_next_page_is_the_link_with_that_relation(link: str, url: str) -> None:
    assert next_link(Answer(200, b"", link=link), None) == url


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Answer(429, b"", retry_after="7"), 7.0),
        (Answer(429, b"", rate_limit_reset="1030"), 30.0),
        (Answer(429, b"", rate_limit_reset="900"), 1.0),
        (Answer(429, b"", retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), 10.0),
        (Answer(429, b""), 10.0),
    ],
)
def test_how_long_a_source_asks_to_wait(answer: Answer, seconds: float) -> None:
    assert pause(answer, 1000.0) == seconds


def test_an_origin_has_a_port_and_no_user() -> None:
    assert origin("https://a.example/x") == origin("https://a.example:443/y")
    assert origin("https://a.example") != origin("https://a.example:8443")
    assert origin("https://a.example") != origin("https://a.example@evil.example")
    assert origin("https://user@a.example") != origin("https://a.example")
