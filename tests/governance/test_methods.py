"""At every address of the web process: a method that it does not know is answered with those that it does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from audit.context import SYSTEM
from entitlements.api.endpoints import Endpoint
from entitlements.people_sources import sources
from tests import make
from tests.edge import Browser
from tests.entitlements.api import client as api

KNOWN = ("GET", "POST", "PUT", "PATCH", "DELETE")
SAMPLES = {
    "slug": "some",
    "str": "some",
    "tool": "some",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "int": "0",
    "path": "some",
}


def addresses(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in (resolver or get_resolver()).url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern, route)
        elif "(" not in route:
            yield "/" + re.sub(r"<(?:(\w+):)?\w+>", lambda part: SAMPLES[part.group(1) or "str"], route), pattern


def check(method: str, address: str, answer: Any) -> bool:  # noqa: ANN401 - Django's test response
    """Whether the method was refused; then it must not be among those that are named."""
    if answer.status_code != 405:
        return False
    allowed = answer.get("Allow", "").split(", ")
    assert set(allowed) - {""}, f"{method} {address} is refused without saying what is allowed"
    assert method not in allowed, (method, address, allowed)
    return True


@pytest.mark.django_db
def test_a_method_that_the_api_does_not_know_is_answered_with_those_it_does() -> None:
    ana = api.of(make.analyst())
    for address, pattern in addresses():
        view = getattr(pattern.callback, "cls", None)
        if view is None or not address.startswith("/api/v1/"):
            continue
        known = {each for each in KNOWN if hasattr(view, each.lower()) and each.lower() in view.http_method_names}
        wrong = next(each for each in ("PROPFIND", *KNOWN) if each not in known)
        answer = ana.generic(wrong, address)
        assert check(wrong, address, answer), (wrong, address, answer.status_code)
        assert {each.strip() for each in answer["Allow"].split(",")} - {"HEAD", "OPTIONS"} == known
        assert not issubclass(view, Endpoint) or answer.json()["code"] == "method_not_allowed"


@pytest.mark.django_db
def test_a_boolean_that_is_none_is_refused_by_every_list() -> None:
    ana, seen = api.of(make.person(roles=["analyst", "auditor", "security", "admin"])), 0
    for address, pattern in addresses():
        filters = getattr(getattr(getattr(pattern.callback, "cls", None), "filterset_class", None), "base_filters", {})
        for name in (name for name, each in filters.items() if type(each).__name__ == "BooleanFilter"):
            for value in ("yes", "1", "True", ""):
                answer = ana.get(address, {name: value})
                assert (answer.status_code, answer.json()["code"]) == (400, "parameter_not_boolean"), (address, name)
                assert answer.json()["facts"] == {"parameter": name}
            assert ana.get(address, {name: "true"}).json().get("code") in (None, "not_found"), address
            seen += 1
    assert seen > 10


@pytest.mark.django_db
def test_every_other_door_says_what_it_allows_where_it_refuses_a_method() -> None:
    _, token = sources.make("okta", name="Okta", subjects_of=None, by=SYSTEM)
    directory = Client(headers={"Authorization": f"Bearer {token}"})
    analyst = Browser()  # what the issuers' machine endpoints refuse, the edge refuses
    analyst.force_login(make.analyst())
    refused: dict[str, int] = {}
    for address, _pattern in addresses():
        door = address.split("/")[1]
        if door in ("api", "admin"):
            continue
        browser = directory if door == "scim" else analyst
        for method in ("PROPFIND", "PUT"):
            answer = browser.generic(method, address, HTTP_HOST="localhost")
            refused[door] = refused.get(door, 0) + check(method, address, answer)
            if door == "as" or (door == "scim" and answer.status_code not in (404, 501)):
                assert answer.status_code in (404, 405) or method == "PUT", (method, address, answer.status_code)
    assert min(refused[door] for door in ("idp", "as", "scim")) > 2, refused
    assert sum(refused.values()) > 200, refused
