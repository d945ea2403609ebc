"""A role that is over gives nothing from that moment on, wherever roles are read; an auditor's always ends."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.context import SYSTEM
from audit.export import timeline
from entitlements import tasks
from entitlements.access import caller
from entitlements.people import people, roles
from entitlements.people.models import Person, Role, RoleAssignment
from governance.out_of_office import delegations
from tests import make
from tests.entitlements.api import client as api

pytestmark = pytest.mark.django_db
type At = Callable[[datetime | timedelta], datetime]
ROOT = Path(__file__).parents[3]


def _held(person: Person) -> set[str]:
    return {row.role for row in person.current_roles}


def test_a_role_that_is_over_gives_nothing_before_anybody_tidied_up(at: At) -> None:
    admin, person = make.person("admin", roles=[Role.ADMIN]), make.person("resa")
    start = clock.now()
    roles.give(person, Role.SECURITY, expires_at=start + timedelta(days=2), by=admin, reason="a holiday")
    assert person.has_role(Role.SECURITY)
    assert caller.of(person).roles == {Role.SECURITY}
    assert person in Person.objects.holding(Role.SECURITY)
    at(start + timedelta(days=2, seconds=1))
    assert RoleAssignment.objects.filter(person=person).exists()
    assert not person.has_role(Role.SECURITY)
    assert not caller.of(person).roles
    assert person not in Person.objects.holding(Role.SECURITY)
    assert not _held(Person.objects.get(pk=person.pk))
    with pytest.raises(roles.RoleNotHeld):
        roles.give(make.person(), Role.SECURITY, by=person, reason="mine is over")
    tasks.end_roles()
    tasks.end_roles()
    assert not RoleAssignment.objects.filter(person=person).exists()
    told = [event.action for event in timeline.of("person", "resa")]
    assert told == ["person.registered", "person.role_assigned", "person.role_ended"]


def test_an_auditor_is_one_for_30_days_and_for_400_at_most(at: At) -> None:
    admin, person = make.person("admin", roles=[Role.ADMIN]), make.person("aude")
    start = at(clock.now())
    for days in (-1, 0, 401):
        with pytest.raises(people.RoleEndRefused):
            roles.give(person, Role.AUDITOR, expires_at=start + timedelta(days=days), by=admin, reason="an audit")
    roles.give(person, Role.AUDITOR, by=admin, reason="an audit")
    row = RoleAssignment.objects.get(person=person)
    assert row.expires_at == start + timedelta(days=30)
    for ends in ({"expires_at": None}, {"expires_at": start + timedelta(days=401)}):
        with pytest.raises(IntegrityError, match="an_auditor_is_one_for_a_while"), transaction.atomic():
            RoleAssignment.objects.filter(pk=row.pk).update(**ends)


def test_a_role_given_anew_has_another_end_and_one_that_is_over_begins_again(at: At) -> None:
    admin, person = make.person("admin", roles=[Role.ADMIN]), make.person("aude")
    start = at(clock.now())
    roles.give(person, Role.AUDITOR, by=admin, reason="an audit")
    roles.give(person, Role.AUDITOR, by=admin, reason="again")
    at(start + timedelta(days=20))
    roles.give(person, Role.AUDITOR, expires_at=start + timedelta(days=410), by=admin, reason="it takes longer")
    at(start + timedelta(days=411))
    roles.give(person, Role.AUDITOR, by=admin, reason="another audit")
    assert RoleAssignment.objects.get(person=person).expires_at == start + timedelta(days=441)
    told = [event.action.removeprefix("person.") for event in timeline.of("person", "aude")][1:]
    assert told == ["role_assigned", "role_assigned", "role_ended", "role_assigned"]


def test_an_auditor_whose_time_is_over_may_be_left_to_answer_again(at: At) -> None:
    person, other = make.person(roles=[Role.AUDITOR]), make.person()
    start = clock.now()
    span = {"starts_at": start + timedelta(days=31), "ends_at": start + timedelta(days=33)}
    with pytest.raises(delegations.DelegateUnfit):
        delegations.make(person, **span, by=other, reason="away")
    at(start + timedelta(days=32))
    delegations.make(person, **span, by=other, reason="away")
    assert delegations.in_force().count() == 1
    people.assign_role(person, Role.AUDITOR, by=SYSTEM, reason="an audit")
    assert not delegations.in_force().exists()


def test_the_api_gives_a_role_with_an_end_and_shows_it() -> None:
    admin, person = make.person("admin", roles=[Role.ADMIN]), make.person("resa")
    ends = (clock.now() + timedelta(days=5)).isoformat()
    said = {"role": "responder", "expires_at": ends, "reason": "on call"}
    given = api.proven(admin).post("/api/v1/people/resa/give-role", said)
    assert given.status_code == 200, given.content
    assert given.json()["roles"] == ["responder"]
    assert list(given.json()["role_ends"]) == ["responder"]
    assert person.has_role(Role.RESPONDER)


def test_nothing_reads_roles_past_their_end() -> None:
    """Roles are read through `holding`, `current` and `current_roles`; nothing else names the relation."""
    past = re.compile(r"roles__role|\.roles\.(all|filter|values|values_list|exists|count)\b|person\.roles\.all")
    places = [*ROOT.glob("entitlements/**/*.py"), *ROOT.glob("governance/**/*.py"), *ROOT.glob("templates/**/*.html")]
    found = {str(path.relative_to(ROOT)): past.findall(path.read_text()) for path in places}
    assert {name for name, hits in found.items() if hits} == {"entitlements/people/models.py"}
