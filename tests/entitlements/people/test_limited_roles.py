"""A role within systems and departments: how it is given, taken and replaced; no person gives more than they hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses
from entitlements.access import caller as callers
from entitlements.people import people, role_maps, roles
from entitlements.people.models import Person, Role, RoleAssignment
from entitlements.people.role_limits import EVERYTHING, NOTHING, RoleLimit
from entitlements.people_sources.models import SourcedPerson
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.entitlements.api import client as api
from tests.governance.console import visits
from tests.governance.scim.directory import ENTERPRISE, USER, Directory

pytestmark = pytest.mark.django_db


def at(*systems: Any, departments: tuple[str, ...] = ()) -> RoleLimit:  # noqa: ANN401 - systems
    return RoleLimit(systems=frozenset(system.pk for system in systems), departments=frozenset(departments))


def holding(role: str, limit: RoleLimit = EVERYTHING, *, also: str = "") -> Person:
    person = make.person(roles=[also] if also else [])
    people.assign_role(person, role, limit=limit, by=SYSTEM, reason="for a test")
    return person


def of_department(name: str) -> Person:
    """Add a person through SCIM, whose source names the department (RFC 7643 section 4.3)."""
    said = {ENTERPRISE: {"department": name}, "schemas": [USER, ENTERPRISE], "displayName": "Fay"}
    key = Directory("hr").add("fay@example.org", **said)["id"]
    return SourcedPerson.objects.get(pk=key).person


def test_the_department_is_the_one_that_the_source_names() -> None:
    person = of_department("Finance")
    assert SourcedPerson.objects.get(person=person).department == "Finance"
    assert SourcedPerson.objects.get(person=Directory("other").keeps(make.person()).person).department is None


def test_a_role_is_given_within_systems_and_departments() -> None:
    of_department("Finance")
    system, taker = make.system("payroll"), make.person("taker")
    sent = {"role": "analyst", "reason": "Her department.", "systems": ["payroll"], "departments": ["Finance"]}
    giver = api.proven(make.person("admin", roles=[Role.ADMIN]))
    limits = {"analyst": {"systems": ["payroll"], "departments": ["Finance"]}}

    answer = giver.post("/api/v1/people/taker/give-role", sent)

    assert answer.status_code == 200, answer.content
    assert (answer.json()["roles"], answer.json()["role_limits"]) == (["analyst"], limits)
    assert taker.reach(Role.ANALYST) == at(system, departments=("Finance",))
    event = Event.objects.filter(action=Action.PERSON_ROLE_ASSIGNED, links__contains=["person:taker"]).get()
    assert event.detail["limit"] == limits["analyst"]
    me = api.of(taker).get("/api/v1/me").json()
    assert (me["roles"], me["role_limits"]) == (["analyst"], limits)


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({"systems": []}, "role_limit_empty"),
        ({"systems": [], "departments": []}, "role_limit_empty"),
        ({"systems": ["nowhere"]}, "role_limit_unknown"),
        ({"systems": [addresses.ALL]}, "role_limit_unknown"),
        ({"departments": ["Nowhere"]}, "role_limit_unknown"),
    ],
)
def test_a_limit_names_what_is_there(named: dict[str, list[str]], code: str) -> None:
    make.person("taker")
    giver = api.proven(make.person("admin", roles=[Role.ADMIN]))
    answer = giver.post("/api/v1/people/taker/give-role", {"role": "analyst", "reason": "x", **named})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not RoleAssignment.objects.filter(person__login="taker").exists()


def test_a_role_within_a_limit_is_not_the_role() -> None:
    limited = holding(Role.ADMIN, at(make.system()))
    assert not limited.has_role(Role.ADMIN)
    assert limited not in Person.objects.holding(Role.ADMIN)
    assert limited in Person.objects.holding(Role.ADMIN, or_limited=True)
    caller = callers.of(limited)
    assert not caller.roles
    assert not caller.sees_everything
    assert not limited.is_staff


@pytest.mark.parametrize("role", Role.values)
def test_whoever_is_limited_gives_and_takes_no_role(role: str) -> None:
    """Giving roles is company-wide, also for a platform admin and an analyst within a limit."""
    system = make.system("payroll")
    for own in (Role.ADMIN, Role.ANALYST):
        limited, taker = api.proven(holding(own, at(system))), make.person(roles=[role])
        for verb, named in {"give": {"systems": ["payroll"]}, "take": {}}.items():
            sent = {"role": role, "reason": "x", **named}
            assert limited.post(f"/api/v1/people/{taker.login}/{verb}-role", sent).status_code == 403
        assert [each.limit for each in taker.roles.all()] == [EVERYTHING]


def test_nobody_gives_or_takes_more_than_they_hold_themselves() -> None:
    payroll, vault = make.system(), make.system()
    giver, taker = holding(Role.SECURITY, at(payroll), also=Role.ANALYST), make.person()
    for wider in (EVERYTHING, at(payroll, vault), at(vault), at(payroll, departments=("Finance",))):
        with pytest.raises(roles.RoleLimitExceeded):
            roles.give(taker, Role.SECURITY, limit=wider, by=giver, reason="x")
        held = holding(Role.SECURITY, wider)
        with pytest.raises(roles.RoleLimitExceeded):
            roles.take(held, Role.SECURITY, by=giver, reason="x")
        with pytest.raises(roles.RoleLimitExceeded):
            roles.give(held, Role.SECURITY, limit=at(payroll), by=giver, reason="narrower")
        assert held.reach(Role.SECURITY) == wider
    roles.give(taker, Role.SECURITY, limit=at(payroll), by=giver, reason="x")
    roles.take(taker, Role.SECURITY, by=giver, reason="x")
    assert taker.reach(Role.SECURITY) == NOTHING


def test_a_limited_role_opens_no_mapping_that_gives_it() -> None:
    issuer = TrustedIssuer.objects.create(issuer="https://login.example.org", purpose="identity", jwks={"keys": []})
    with pytest.raises(roles.RoleNotHeld):
        role_maps.propose(
            issuer, "groups", "x", Role.SECURITY, by=holding(Role.SECURITY, at(make.system())), reason="x"
        )


def test_given_again_another_limit_counts_and_the_end_stays() -> None:
    payroll, vault, ends = make.system(), make.system(), clock.now() + timedelta(days=3)
    admin, taker = make.person(roles=[Role.ADMIN]), make.person()
    roles.give(taker, Role.ANALYST, limit=at(payroll), expires_at=ends, by=admin, reason="x")
    roles.give(taker, Role.ANALYST, limit=at(vault), by=admin, reason="x")
    held = taker.roles.get()
    assert (held.limit, held.expires_at) == (at(vault), ends)
    before = Event.objects.count()
    roles.give(taker, Role.ANALYST, limit=at(vault), by=admin, reason="again")
    assert Event.objects.count() == before
    roles.give(taker, Role.ANALYST, by=admin, reason="everything")
    assert taker.has_role(Role.ANALYST)


def test_a_role_that_is_over_reaches_nothing(at: Any) -> None:  # noqa: ANN401 - the fixture that moves the clock
    limit = RoleLimit(systems=frozenset({make.system().pk}))
    person = make.person()
    people.assign_role(
        person, Role.ANALYST, limit=limit, expires_at=clock.now() + timedelta(hours=1), by=SYSTEM, reason="x"
    )
    assert person.reach(Role.ANALYST) == limit
    at(timedelta(hours=2))
    assert person.reach(Role.ANALYST) == NOTHING
    assert not callers.of(person).limited


def test_whoever_is_disabled_reaches_nothing() -> None:
    person = holding(Role.ANALYST)
    people.disable(person, by=SYSTEM, reason="x")
    assert Person.objects.get(pk=person.pk).reach(Role.ANALYST) == NOTHING


def test_a_role_without_a_limit_names_none() -> None:
    person = holding(Role.ANALYST)
    with pytest.raises(IntegrityError, match="a_role_without_a_limit_names_none"), transaction.atomic():
        person.roles.update(limit_systems=[1])


def test_the_page_of_a_person_gives_a_role_within_a_limit_and_says_so() -> None:
    of_department("Finance")
    make.system("payroll")
    taker = make.person("taker")
    browser = visits.as_(make.person("admin", roles=[Role.ADMIN]))
    form = {"verb": "give", "role": "analyst", "reason": "Her department.", "reach": "limited"}

    assert "role_limit_empty" in visits.text(browser.post("/people/taker/role/", form))
    browser.post("/people/taker/role/", {**form, "system": ["payroll"], "department": ["Finance"]})

    said = "only payroll, department Finance"
    assert taker.reach(Role.ANALYST).departments == {"Finance"}
    assert said in visits.text(browser.get("/people/taker/"))
    assert said in visits.text(visits.as_(taker).get("/settings/"))
