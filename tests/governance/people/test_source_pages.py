"""People sources at the screen: connected by a platform admin who proves who it is, seen by whoever sees people."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from audit.actions import Action
from audit.export import timeline
from entitlements.people.models import Person, Role
from entitlements.people_sources.models import PeopleSource
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.entitlements.api import client
from tests.governance.console import visits
from tests.governance.scim.directory import Directory

pytestmark = pytest.mark.django_db
ADDRESS = "/settings/people-sources/"


@pytest.fixture
def admin() -> Person:
    return make.person("adele", roles=[Role.ADMIN])


def test_an_admin_connects_a_directory_and_its_token_is_shown_once_and_works(admin: Person) -> None:
    form = {"name": "Okta", "slug": "okta"}
    page = visits.as_(admin).post(ADDRESS, form)
    found = re.search(r"mds_[\w-]+", visits.text(page))
    assert found is not None
    assert page["Cache-Control"] == "no-store"
    assert "mds_" not in visits.text(visits.as_(admin).get(f"{ADDRESS}okta/"))
    answer = Client().get("/scim/v2/Users", headers={"Authorization": f"Bearer {found[0]}"})
    assert answer.status_code == 200
    assert timeline.about("source:okta").filter(action=Action.PEOPLE_SOURCE_MADE).get().actor == "person:adele"


@pytest.mark.parametrize(("purpose", "is_offered"), [("identity", True), ("id_jag", True), ("workload", False)])
@pytest.mark.parametrize("door", ["page", "api"])
def test_external_ids_are_subjects_at_an_issuer_of_people(
    admin: Person, door: str, purpose: str, *, is_offered: bool
) -> None:
    issuer = TrustedIssuer.objects.create(issuer="https://other.example", purpose=purpose, jwks={"keys": []})
    form = {"name": "Okta", "slug": "okta"}
    if door == "page":
        visits.as_(admin).post(ADDRESS, {**form, "subjects_of": str(issuer.pk)})
    else:
        client.proven(admin).post("/api/v1/people-sources", {**form, "subjects_of": issuer.issuer})
    assert PeopleSource.objects.filter(subjects_of=issuer).exists() is is_offered


def test_without_a_fresh_proof_nothing_is_connected(admin: Person) -> None:
    answer = visits.as_(admin, fresh=False).post(ADDRESS, {"name": "Okta", "slug": "okta"})
    assert answer.status_code in (302, 403)
    assert not timeline.about("source:okta").exists()


@pytest.mark.parametrize(("verb", "left"), [("let", 2), ("refuse", 3)])
def test_an_admin_answers_what_a_directory_wants_to_remove(admin: Person, verb: str, left: int) -> None:
    okta = Directory()
    ids = [okta.add(f"p{number}")["id"] for number in range(5)]
    for pk in ids[:3]:
        okta.off(pk)
    page = visits.text(visits.as_(admin).get(f"{ADDRESS}okta/"))
    assert "asks to disable 1 of 3 people" in page
    visits.as_(admin).post(f"{ADDRESS}okta/", {"verb": verb, "reason": "Asked them."})
    assert Person.objects.filter(sourced__source=okta.source, is_active=True).count() == left
    assert "asks to disable" not in visits.text(visits.as_(admin).get(f"{ADDRESS}okta/"))


def test_an_analyst_sees_a_directory_and_changes_nothing_of_it() -> None:
    okta, ana = Directory(), make.analyst("ana")
    page = visits.text(visits.as_(ana).get(f"{ADDRESS}okta/"))
    assert "Create a new token" not in page
    assert visits.as_(ana).post(f"{ADDRESS}okta/", {"verb": "rotate"}).status_code == 403
    assert okta.ask("GET", "Users").status_code == 200


def test_the_list_of_people_says_when_a_directory_was_last_heard() -> None:
    okta, ana = Directory(), make.analyst("ana")
    assert "has not sent its people yet" in visits.text(visits.as_(ana).get("/people/"))
    okta.add("alice")
    assert "Okta last sent its people" in visits.text(visits.as_(ana).get("/people/"))


def test_an_admin_looks_at_a_file_of_people_and_takes_it_in(admin: Person) -> None:
    browser = visits.as_(admin)
    browser.post(ADDRESS, {"name": "HR", "slug": "hr"})
    said = "login,name\r\ncarol,Carol\r\neve,=HYPERLINK(1)\r\n"
    file = SimpleUploadedFile("people.csv", said.encode(), "text/csv")
    page = visits.text(browser.post(f"{ADDRESS}hr/", {"verb": "look", "file": file}))
    assert ["Added" in page, "cell_is_a_formula" in page] == [True, True]
    assert not Person.objects.filter(login="carol").exists()
    seen = re.search(r'name="seen" value="(\w+)"', page)
    assert seen is not None
    browser.post(f"{ADDRESS}hr/", {"verb": "take", "seen": "another", "text": said})
    assert not Person.objects.filter(login="carol").exists()
    browser.post(f"{ADDRESS}hr/", {"verb": "take", "seen": seen[1], "text": said})
    assert Person.objects.filter(login="carol").exists()
    assert "The connection works." in visits.text(browser.post(f"{ADDRESS}hr/", {"verb": "test"}))
