"""Roles by groups: put in force by two, asked at each sign-in, taken away with the group; roles by hand stay."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from audit.context import SYSTEM
from audit.export import timeline
from entitlements.people import people, role_maps, roles
from entitlements.people.models import GroupMapping, Person, Role
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make

pytestmark = pytest.mark.django_db
ISSUER = "https://login.example.org"


@pytest.fixture
def issuer() -> TrustedIssuer:
    return trust.begin(
        ISSUER, purpose=TrustedIssuer.Purpose.IDENTITY, jwks_uri=f"{ISSUER}/jwks", by=make.analyst().principal
    )


@pytest.fixture
def row(issuer: TrustedIssuer) -> GroupMapping:
    ada, ann = (make.person(login, roles=[Role.ADMIN]) for login in ("ada", "ann"))
    made = role_maps.propose(issuer, "groups", "SecOps", Role.SECURITY, by=ada, reason="They approve.")
    return role_maps.KIND.confirm(made.pk, by=ann, reason="Seen.")


def held(person: Person) -> list[str]:
    return [each.role for each in Person.objects.get(pk=person.pk).current_roles]


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"groups": ["SecOps", "All"]}, ["security"]),
        ({"groups": "SecOps"}, ["security"]),
        ({"groups": ["secops"]}, []),
        ({"groups": [["SecOps"]]}, []),
        ({"groups": {"SecOps": 1}}, []),
        ({"roles": ["SecOps"]}, []),
        ({}, []),
    ],
)
def test_a_group_that_is_named_gives_the_role(
    row: GroupMapping, claims: dict[str, object], expected: list[str]
) -> None:
    carol = make.person("carol")
    role_maps.apply(carol, row.issuer, claims)
    assert held(carol) == expected


def test_the_role_goes_with_the_group_and_roles_by_hand_stay(row: GroupMapping) -> None:
    carol, rob = make.person("carol", roles=[Role.APPROVER]), make.security("rob")
    for person in (carol, rob):
        role_maps.apply(person, row.issuer, {"groups": ["SecOps"]})
        role_maps.apply(person, row.issuer, {"groups": ["SecOps"]})
    assert [held(carol), held(rob)] == [["approver", "security"], ["security"]]
    for person in (carol, rob):
        role_maps.apply(person, row.issuer, {})
    assert [held(carol), held(rob)] == [["approver"], ["security"]]
    told = timeline.about("person:carol").order_by("at").values_list("action", flat=True)
    assert list(told)[-2:] == ["person.role_assigned", "person.role_removed"]


def test_what_is_given_by_hand_afterwards_stays_as_well(row: GroupMapping) -> None:
    carol = make.person("carol")
    role_maps.apply(carol, row.issuer, {"groups": ["SecOps"]})
    people.assign_role(carol, Role.SECURITY, by=SYSTEM, reason="by hand")
    role_maps.apply(carol, row.issuer, {})
    assert held(carol) == ["security"]


def test_without_another_sign_in_the_role_is_over_after_a_week(
    row: GroupMapping, at: Callable[[datetime | timedelta], datetime]
) -> None:
    at(timedelta())
    carol = make.person("carol")
    role_maps.apply(carol, row.issuer, {"groups": ["SecOps"]})
    at(timedelta(days=5))
    role_maps.apply(carol, row.issuer, {"groups": ["SecOps"]})
    at(timedelta(days=6))
    assert held(carol) == ["security"]
    at(timedelta(days=2))
    assert held(carol) == []


@pytest.mark.parametrize("alone", [Role.ADMIN, Role.AUDITOR])
def test_the_roles_that_stand_alone_are_neither_given_nor_joined(row: GroupMapping, alone: Role) -> None:
    with pytest.raises(role_maps.RoleNotMappable):
        role_maps.propose(row.issuer, "groups", "x", alone, by=Person.objects.get(login="ada"), reason="x")
    with pytest.raises(IntegrityError), transaction.atomic():
        GroupMapping.objects.update(role=alone)
    eve = make.person("eve", roles=[alone])
    role_maps.apply(eve, row.issuer, {"groups": ["SecOps"]})
    assert held(eve) == [alone]


def test_a_second_person_puts_it_in_force_and_nobody_gives_what_they_lack(issuer: TrustedIssuer) -> None:
    ada, sue, carol = make.person("ada", roles=[Role.ADMIN]), make.security("sue"), make.person("carol")
    with pytest.raises(roles.RoleNotHeld):
        role_maps.propose(issuer, "groups", "x", Role.SECURITY, by=make.analyst("ana"), reason="x")
    made = role_maps.propose(issuer, "groups", "SecOps", Role.SECURITY, by=ada, reason="They approve.")
    with pytest.raises(role_maps.KIND.proposed_already):
        role_maps.propose(issuer, "groups", "SecOps", Role.SECURITY, by=sue, reason="again")
    with pytest.raises(role_maps.KIND.proposed_by_own_account):
        role_maps.KIND.confirm(made.pk, by=ada, reason="me again")
    with pytest.raises(IntegrityError), transaction.atomic():
        GroupMapping.objects.update(confirmed_by=ada, confirmed_at=made.proposed_at, state="in_force")
    role_maps.apply(carol, issuer, {"groups": ["SecOps"]})
    assert held(carol) == []
    role_maps.KIND.confirm(made.pk, by=sue, reason="Seen.")
    role_maps.apply(carol, issuer, {"groups": ["SecOps"]})
    assert held(carol) == ["security"]

    role_maps.end(made.pk, by=sue, reason="No longer.")
    assert held(carol) == []
    with pytest.raises(role_maps.KIND.over):
        role_maps.end(made.pk, by=ada, reason="again")


def test_another_issuer_gives_nothing(row: GroupMapping) -> None:
    other = trust.begin("https://other.example.org", purpose=TrustedIssuer.Purpose.IDENTITY, jwks_uri=f"{ISSUER}/jwks",
                        by=make.analyst().principal)  # fmt: skip
    carol = make.person("carol")
    role_maps.apply(carol, other, {"groups": [row.value]})
    assert held(carol) == []
