"""The matrix of who may: no address without a row, no row without an address, and strangers stay out of all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.views import View

from entitlements.api.endpoints import Endpoint
from entitlements.people.models import Role
from entitlements.permissions.matrix import MATRIX as CATALOGUE
from entitlements.permissions.matrix import Row
from governance.api.matrix import MATRIX as PROCESSES
from tests import make
from tests.entitlements.api import client

MATRIX = {**CATALOGUE, **PROCESSES}
METHODS = ("get", "post", "put", "patch", "delete")
SAMPLES = {
    "slug": "some",
    "str": "time:read",
    "tool": "get_time",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "int": "0",
    "path": "a/b",
}


def _patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern, prefix + str(pattern.pattern))
        else:
            yield prefix + str(pattern.pattern), pattern


def _endpoints() -> list[tuple[str, str, str, type[View]]]:
    """Return (address, name, method, view) of everything under /api/v1."""
    return [
        (address, pattern.name or "", method.upper(), view)
        for address, pattern in _patterns(get_resolver())
        if address.startswith("api/v1/") and (view := getattr(pattern.callback, "cls", None))
        for method in METHODS
        if hasattr(view, method) and method in view.http_method_names
    ]


def _filled(address: str) -> str:
    return re.sub(r"<(\w+):\w+>", lambda part: SAMPLES[part.group(1)], address)


def test_every_address_and_method_has_a_row() -> None:
    without = [(name, method) for _, name, method, view in _endpoints() if (name, method) not in view.matrix]  # type: ignore[attr-defined]
    assert _endpoints()
    assert without == []


def test_every_row_has_an_address() -> None:
    assert set(MATRIX) - {(name, method) for _, name, method, _ in _endpoints()} == set()


def test_only_the_documentation_and_an_enrolment_are_public() -> None:
    public = {name for (name, _), row in MATRIX.items() if row.public}
    assert public == {"api-schema", "api-docs", "connector-enrol"}


def test_changes_are_never_open_to_just_anybody_but_where_the_target_is_asked() -> None:
    open_to_all = {name for (name, method), row in CATALOGUE.items() if row.anybody and method != "GET"}
    assert open_to_all == {"drills", "revocations"}


def test_an_auditor_changes_nothing_and_an_admin_decides_nothing_about_rights() -> None:
    for (name, method), row in MATRIX.items():
        if method != "GET":
            assert Role.AUDITOR not in row.roles, name
        if name.startswith("session-polic"):  # a rule of the company, as the credential policy is
            continue
        if name.startswith(("grant", "agent", "session", "token", "tool", "entitlement")) and method != "GET":
            assert Role.ADMIN not in row.roles, name


@pytest.mark.django_db
def test_strangers_stay_out_of_every_address() -> None:
    stranger = client.of()
    for address, name, method, view in _endpoints():
        if view.matrix.get((name, method), Row()).public:  # type: ignore[attr-defined]
            continue
        answer = stranger.generic(method, f"/{_filled(address)}", "{}", content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (401, "authentication_required"), (method, address)
        assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.django_db
def test_an_address_without_a_row_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    ana = client.of(make.analyst())
    assert ana.get("/api/v1/grants").status_code == 200

    monkeypatch.setattr(Endpoint, "matrix", {})

    assert ana.get("/api/v1/grants").status_code == 403


@pytest.mark.django_db
def test_a_change_that_forgot_to_ask_about_its_object_is_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    grant, sponsor = make.grant(), make.person()
    agent = grant.agent
    agent.sponsor = sponsor
    agent.save()
    monkeypatch.setattr(Endpoint, "permit", lambda *_: None)

    answer = client.of(sponsor).post(f"/api/v1/grants/{grant.pk}/revoke", {"reason": "mine"})

    assert answer.status_code == 500
    grant.refresh_from_db()
    assert grant.state == "active"
