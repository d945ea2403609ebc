# ruff: noqa: T201 - the numbers are printed for their reader
"""Few entries for each role, each of use to it; an entry is a door to a few pages, which are its tabs."""

from __future__ import annotations

import re
from typing import Final

import pytest
from django.urls import resolve

from entitlements.access import caller as callers
from entitlements.api import permissions
from entitlements.people.models import Person, Role
from governance.console import matrix, navigation
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
made_world, company = shared.world(companies.found)
MOST: Final = 22
MOST_WITHOUT_A_ROLE: Final = 5
MOST_TABS: Final = 5


def entries(person: Person) -> list[str]:
    groups = navigation.shown(callers.of(person), "home")
    return [str(entry.label) for group in groups for entry in group.entries]


def links(text: str) -> list[str]:
    """Return where the entries of a page lead."""
    (menu,) = re.findall(r'<nav aria-label="Main">.*?</nav>', text)
    return re.findall(r'<a href="([^"]+)"', menu)


def test_no_role_has_many_entries_and_each_opens_for_it() -> None:
    people: dict[str, Person] = {role: make.person(role, roles=[role]) for role in Role}
    people |= {"all": make.person("everything", roles=list(Role))}
    counts = {role: len(entries(person)) for role, person in people.items()}
    print("menu entries by role:", counts)
    assert max(counts.values()) <= MOST
    assert max(len(entry.pages) for group in navigation.GROUPS for entry in group.entries) <= MOST_TABS
    for person in people.values():
        found = links(visits.text(visits.as_(person).get("/requests/", secure=True)))
        assert len(found) == len(entries(person))
        rows = (matrix.find(resolve(address).url_name or "", "GET").row for address in found)
        assert all(permissions.lets_in(row, callers.of(person)) for row in rows), person.login


def test_a_person_without_a_role_an_agent_or_a_review_has_five(company: Company) -> None:
    newcomer = make.person("newcomer")
    assert entries(newcomer) == ["Home", "Requests", "My agents", "Connect a client", "Settings"]
    assert len(entries(newcomer)) <= MOST_WITHOUT_A_ROLE
    for concerned in (company.sofia, company.otto):
        assert {"Agents", "Access reviews", "Access"} <= set(entries(concerned)), concerned.login


def test_a_page_shows_the_pages_beside_it_that_let_the_person_in(company: Company) -> None:
    def shown(person: Person, address: str) -> list[str]:
        found = visits.text(visits.as_(person).get(address, secure=True))
        bars = re.findall(r'<nav aria-label="People"><ul class="tabs">.*?</nav>', found)
        return [re.sub(r"<[^>]+>", "", tab).strip() for bar in bars for tab in re.findall(r"<li>.*?</li>", bar)]

    assert shown(company.ana, "/groups/")[:2] == ["People", "Groups"]
    assert shown(company.otto, "/groups/") == []
    assert shown(company.ana, f"/people/{company.bob.login}/") == [], "only beside the pages themselves"


def test_the_entry_is_current_below_its_tabs(company: Company) -> None:
    groups = navigation.shown(callers.of(company.ana), navigation.current("/groups/finance/"))
    (entry,) = [entry for group in groups for entry in group.entries if entry.current]
    assert (str(entry.label), [page.name for page in entry.pages if page.current]) == ("People", ["group-list"])


def test_a_page_stands_behind_one_entry() -> None:
    names = [page.name for page in navigation.PAGES]
    assert len(names) == len(set(names))
