"""Nobody gives a role that they lack, nor to themselves; who runs the product decides nothing."""

from __future__ import annotations

import pytest

from entitlements.people import roles
from entitlements.people.models import Person, Role
from tests import make

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", Role.values)
def test_nobody_gives_or_takes_a_role_that_they_lack(role: str) -> None:
    others = [each for each in Role.values if each not in (role, Role.ADMIN, Role.AUDITOR)]
    giver, taker = make.person("giver", roles=others), make.person("taker")
    for verb in (roles.give, roles.take):
        with pytest.raises(roles.RoleNotHeld):
            verb(taker, role, by=giver, reason="a favour")
    assert not taker.roles.exists()


@pytest.mark.parametrize("role", Role.values)
def test_nobody_gives_themselves_a_role(role: str) -> None:
    admin = make.person("admin", roles=[Role.ADMIN])
    with pytest.raises(roles.SelfRoleChange):
        roles.give(admin, role, by=admin, reason="mine")
    Person.objects.filter(pk=admin.pk).update(email="admin@example.com")
    second = make.person("second")
    Person.objects.filter(pk=second.pk).update(email="Admin@example.com")
    with pytest.raises(roles.SelfRoleChange):
        roles.give(Person.objects.get(pk=second.pk), role, by=Person.objects.get(pk=admin.pk), reason="mine too")


@pytest.mark.parametrize("alone", [Role.ADMIN, Role.AUDITOR])
@pytest.mark.parametrize("role", [Role.ANALYST, Role.SECURITY, Role.RESPONDER])
def test_who_runs_the_product_or_looks_at_it_holds_no_other_role(alone: str, role: str) -> None:
    admin = make.person("admin", roles=[Role.ADMIN])
    first, second = make.person(roles=[alone]), make.person(roles=[role])
    with pytest.raises(roles.RoleExcluded):
        roles.give(first, role, by=admin, reason="why")
    with pytest.raises(roles.RoleExcluded):
        roles.give(second, alone, by=admin, reason="why")
