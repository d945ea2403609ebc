"""Every page that is a list answers whatever there is: nothing, names of 200 characters, and ten thousand rows."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import pytest
from django.db import connection, transaction

from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System
from entitlements.people.models import Group, Person, Role
from tests import crowd, make
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

LISTS: Final = (
    *("/agents/", "/grants/", "/requests/", "/requests/?waiting=me", "/sessions/", "/systems/", "/people/", "/groups/"),
    *("/reviews/", "/event-triggered-reviews/", "/onboarding/", "/token-health/tokens/", "/entitlements/"),
    *("/right-sizing/", "/spot-checks/", "/break-glass/", "/inbox/", "/coverage/", "/tool-changes/", "/sod-policies/"),
    *("/blast-radius/", "/audit/", "/"),
)
MANY: Final = 10_000
LONG: Final = "Supercalifragilistic" * 10
"""A name of 200 characters without a space, where nothing can be broken off."""
_COPIES: Final = (
    "INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object("
    "'id', nextval(pg_get_serial_sequence('{table}', 'id')), '{key}', 'crowd-' || n{more}))).*"
    " FROM generate_series(1, %s) n, {table} t WHERE t.{key} = %s"
)


def _copy(table: str, key: str, name: str, more: str = "") -> None:
    """Make ten thousand rows like the one of a name."""
    with connection.cursor() as cursor:
        cursor.execute(_COPIES.format(table=table, key=key, more=more), [MANY, name])


def _log(count: int) -> None:
    """Make events like the newest of the log, one a millisecond."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events (at, uuid, action, links, trace, producer, sequence, body)"
            " SELECT at - n * interval '1 ms', gen_random_uuid(), action, links, trace, producer, 1000000 + n, body"
            " FROM generate_series(1, %s) n, (SELECT * FROM events ORDER BY at DESC LIMIT 1) newest",
            [count],
        )


def _answers(person: Person) -> dict[str, int]:
    """Return the lists that do not answer, each with its status."""
    browser = visits.as_(person)
    statuses = {path: browser.get(path).status_code for path in LISTS}
    return {path: status for path, status in statuses.items() if status != HTTPStatus.OK}


def test_an_empty_installation_has_every_list() -> None:
    admin = make.person("first", roles=[Role.ADMIN, Role.ANALYST, Role.SECURITY, Role.AUDITOR])
    assert _answers(admin) == {}


def test_names_of_two_hundred_characters_are_listed() -> None:
    company = companies.found()
    make.grant(company.bot, company.use, people=[company.alice], groups=[make.group(company.bob, slug="team")])
    company.ask("now")
    for model in (Agent, System, Entitlement, Group):
        model.objects.update(name=LONG)
    Person.objects.exclude(pk=company.ana.pk).update(name=LONG)
    assert _answers(company.ana) == {}
    browser = visits.as_(company.ana)
    for path in (
        "/agents/",
        "/grants/",
        "/systems/",
        "/people/",
        "/groups/",
        "/requests/",
        "/entitlements/",
        "/audit/",
    ):
        assert LONG in visits.text(browser.get(path)), path


def test_ten_thousand_rows_of_each_thing_are_listed() -> None:
    company = companies.found()
    make.group(slug="team")
    with transaction.atomic():
        crowd.gather(company.use, MANY)
        mail = ", 'email', 'crowd-' || n || '@example.org'"
        _copy("entitlements_person", "login", "mallory", mail)
        _copy("entitlements_group", "slug", "team")
        _copy("entitlements_system", "slug", "clock")
    company.ask("now")
    _log(MANY)
    for model in (Agent, Person, Group, System):
        assert model.objects.count() > MANY
    assert _answers(company.ana) == {}
    browser = visits.as_(company.ana)
    for path in ("/agents/", "/grants/", "/people/", "/groups/", "/systems/"):
        page = visits.text(browser.get(path))
        assert 'rel="next"' in page, path
        assert re.search(r"\b[1-9]\d,\d{3}\b", page), "it says about how many there are"
    log = visits.text(browser.get("/audit/"))
    assert re.search(r"about [1-9]\d*,\d{3} rows", log), "the application may not gather statistics of events"
    assert 'rel="next"' in log
