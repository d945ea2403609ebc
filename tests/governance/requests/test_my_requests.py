"""What became of one's own asks: whom each waits for, until when, and that none disappears."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import DjangoAssertNumQueries

from governance.approvals import approvals
from tests import shared
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def _listed(page: str) -> list[str]:
    return re.findall(r'class="main" href="/requests/([0-9a-f-]+)/"', page)


def test_one_finds_ones_own_with_whom_each_waits_for_and_none_disappears(company: companies.Company) -> None:
    mine, denied = company.ask("now"), company.ask("convert")
    company.ask("now", by=company.ana)
    approvals.deny(denied.pk, by=company.sofia, reason="Not now.")
    page = visits.text(visits.as_(company.otto).get("/requests/?asked=me"))
    assert _listed(page) == [str(denied.pk), str(mine.pk)]
    assert re.findall(r'data-label="Waits for"> ?(\w*)', page) == ["", "Sofia"]
    assert _listed(visits.text(visits.as_(company.sofia).get("/requests/?asked=me"))) == []


def test_a_long_list_costs_no_more_queries_than_a_short_one(
    company: companies.Company, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    browser = visits.as_(company.otto)
    company.ask("now")
    with CaptureQueriesContext(connection) as short:
        browser.get("/requests/?asked=me")
    for _ in range(6):
        company.ask("now")
    with django_assert_max_num_queries(min(len(short), 20)):
        browser.get("/requests/?asked=me")
