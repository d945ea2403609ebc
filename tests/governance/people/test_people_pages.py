"""People, roles and groups at the screen: nobody gives what they lack, nobody changes their own, all is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.people import people
from entitlements.people.models import Person, Role
from entitlements.proposals.models import Proposal
from tests import make, shared
from tests.governance import companies
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


@pytest.fixture
def admin() -> Person:
    return make.person("adele", roles=[Role.ADMIN])


def _role(by: Person, whose: str, role: str, verb: str = "give", reason: str = "New job.", **given: Any) -> Any:  # noqa: ANN401
    form = {"role": role, "verb": verb, "reason": reason}
    return visits.as_(by, **given).post(f"/people/{whose}/role/", form)


def test_an_analyst_corrects_a_person_and_the_record_keeps_it_apart(company: companies.Company) -> None:
    form = {"name": "Bobby", "email": "bobby@example.org", "manager": "mona"}
    assert visits.as_(company.ana).post("/people/bob/edit/", form).status_code == 302
    company.bob.refresh_from_db()
    assert (company.bob.name, company.bob.email, company.bob.manager) == ("Bobby", "bobby@example.org", company.mona)
    event = timeline.about("person:bob").filter(action=Action.PERSON_EDITED).get()
    assert "bobby" not in str(event.detail)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"manager": "nobody"}, "unknown_person"),
        ({"manager": "mona"}, "manager_loop"),
        ({"manager": "alice"}, "manager_loop"),
        ({"manager": "ana"}, "self_appointment"),
        ({"email": "no mail"}, "invalid"),
        ({"name": ""}, "required"),
    ],
)
def test_what_is_wrong_with_a_person_is_said_beside_the_field(
    company: companies.Company, given: dict[str, str], code: str
) -> None:
    form = {"name": "Mona", "email": "", "manager": "", **given}
    response = visits.as_(company.ana).post("/people/mona/edit/", form)
    assert response.status_code in (403, 422)
    assert f"<code>{code}</code>" in visits.text(response)
    company.mona.refresh_from_db()
    assert company.mona.manager is None


def test_an_admin_gives_and_takes_any_role(company: companies.Company, admin: Person) -> None:
    for role in (Role.SECURITY, Role.ANALYST):
        assert _role(admin, "bob", role).status_code == 302
    assert _role(admin, "bob", Role.SECURITY, "take").status_code == 302
    assert [each.role for each in company.bob.roles.all()] == [Role.ANALYST]
    assert timeline.about("person:bob").filter(action=Action.PERSON_ROLE_REMOVED).count() == 1


@pytest.mark.parametrize("verb", ["give", "take"])
@pytest.mark.parametrize("role", [Role.ANALYST, Role.SECURITY, Role.ADMIN])
def test_nobody_changes_their_own_roles(company: companies.Company, admin: Person, role: str, verb: str) -> None:
    for person in (admin, company.ana):
        before = set(person.roles.values_list("role", flat=True))
        response = _role(person, person.login, role, verb)
        assert response.status_code == 403
        assert "self_role_change" in visits.text(response)
        assert set(person.roles.values_list("role", flat=True)) == before


def test_an_analyst_gives_only_what_she_has_herself(company: companies.Company) -> None:
    assert _role(company.ana, "bob", Role.ANALYST).status_code == 302
    for role in (Role.ADMIN, Role.SECURITY, Role.AUDITOR):
        response = _role(company.ana, "mona", role)
        assert (response.status_code, "role_not_held" in visits.text(response)) == (403, True)
    assert _role(company.ana, "resa", Role.SECURITY, "take").status_code == 403
    assert company.resa.roles.count() == 1


@pytest.mark.usefixtures("company")
def test_an_admin_decides_nothing_and_an_auditor_changes_nothing(admin: Person) -> None:
    for whose, role in (("ana", Role.ADMIN), ("resa", Role.AUDITOR)):
        response = _role(admin, whose, role)
        assert (response.status_code, "role_excluded" in visits.text(response)) == (409, True)
    other = make.person("adam", roles=[Role.ADMIN])
    assert _role(admin, "adam", Role.SECURITY).status_code == 409
    assert other.roles.count() == 1


def test_a_role_is_given_for_a_reason_and_with_a_fresh_proof(company: companies.Company, admin: Person) -> None:
    admin.set_password("correct horse battery staple")
    admin.save()
    assert _role(admin, "bob", Role.ANALYST, reason=" ").status_code == 422
    assert _role(admin, "bob", Role.ANALYST, fresh=False)["Location"].startswith("/login/again/")
    assert not company.bob.roles.exists()


@pytest.mark.parametrize("login", ["otto", "resa", "mallory"])
def test_who_has_no_part_in_it_gives_no_role(company: companies.Company, login: str) -> None:
    assert _role(company.named(login), "bob", Role.SECURITY).status_code in (403, 404)
    assert not company.bob.roles.exists()


def test_a_group_is_made_and_people_come_and_go(company: companies.Company) -> None:
    browser = visits.as_(company.ana)
    assert browser.post("/groups/add/", {"name": "Travel team"})["Location"] == "/groups/travel-team/"
    for login in ("alice", "bob"):
        browser.post("/groups/travel-team/join/", {"person": login, "reason": "Joins the team."})
    browser.post("/groups/travel-team/leave/", {"person": "bob", "reason": "Leaves it."})
    page = visits.text(browser.get("/groups/travel-team/"))
    assert "/people/alice/" in page
    assert "/people/bob/" not in page
    assert timeline.about("group:travel-team").filter(action=Action.GROUP_JOINED).count() == 2


@pytest.mark.parametrize(
    ("given", "code"), [({"person": "nobody"}, "unknown_person"), ({"reason": ""}, "reason_required")]
)
def test_a_join_that_cannot_be_says_why_and_keeps_what_was_written(
    company: companies.Company, given: dict[str, str], code: str
) -> None:
    group = make.group(company.alice, slug="team")
    form = {"person": "bob", "reason": "Joins.", **given}
    page = visits.text(visits.as_(company.ana).post("/groups/team/join/", form))
    assert code in page
    assert f'value="{form["person"]}"' in page
    assert list(group.people.all()) == [company.alice]


def test_home_counts_the_items_of_reviews_that_wait(company: companies.Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    campaign = worlds.campaign(company)
    page = visits.text(visits.as_(company.sofia).get("/"))
    assert f'href="/reviews/{campaign.slug}/work/"' in page
    assert "1 item to review" in page
    assert "items to review" in page
    assert "Nothing waits for you" in visits.text(visits.as_(company.mallory).get("/"))


def test_a_person_is_added_without_any_role(company: companies.Company) -> None:
    browser = visits.as_(company.ana)
    form = {"login": "carol", "name": "Carol", "email": "carol@example.org", "manager": "mona"}
    assert browser.post("/people/add/", form)["Location"] == "/people/carol/"
    made = Person.objects.get(login="carol")
    assert (made.manager, made.roles.count()) == (company.mona, 0)
    for given, code in (
        ({"login": "carol"}, "login_taken"),
        ({"login": "Carol B"}, "invalid"),
        ({"name": ""}, "required"),
    ):
        response = browser.post("/people/add/", {**form, "login": "dora", **given})
        assert (response.status_code, f"<code>{code}</code>" in visits.text(response)) in ((409, True), (422, True))
    assert not Person.objects.filter(login="dora").exists()


def test_an_erasure_is_proposed_on_the_page_of_a_person_and_confirmed_by_name(company: companies.Company) -> None:
    ana, page = visits.as_(company.ana), f"/people/{company.bob.login}/"
    assert "Propose erasure" not in visits.text(ana.get(page)), "of an active person nothing is erased"
    people.disable(company.bob, by=SYSTEM, reason="left")
    assert "Propose erasure" in visits.text(ana.get(page))
    ana.post(f"{page}erase/", {"reason": "He asked for it."})
    waits = visits.text(ana.get(page))
    assert "Propose erasure" not in waits
    assert "You proposed it, so you cannot confirm it." in waits
    row, resa = Proposal.objects.get(), visits.as_(company.resa)
    assert f">{company.bob.name}<" in visits.text(resa.get("/change-proposals/"))
    resa.post(f"/change-proposals/{row.pk}/", {"verb": "confirm"})
    assert Person.objects.get(pk=company.bob.pk).name == company.bob.login
