"""A family is ended once, and no other with it."""

from __future__ import annotations

import pytest
from django.db import transaction

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.feed import locks, subjects
from entitlements.token_families import families
from entitlements.token_families.models import TokenFamily
from tests import begun, make

pytestmark = pytest.mark.django_db


def family() -> TokenFamily:
    now, (client, _) = clock.now(), make.client(make.agent())
    with transaction.atomic():
        session, _ = begun.begin(client, make.person(), "0" * 64, auth_time=now, now=now)
    return make.token_family(session, make.system())


def test_a_family_that_has_ended_is_not_ended_again() -> None:
    ended = families.revoke(family().pk, by=SYSTEM, reason="first")
    with pytest.raises(families.TokenFamilyEnded):
        families.revoke(ended.pk, by=SYSTEM, reason="second")
    assert TokenFamily.objects.get().end_reason == "first"


@pytest.mark.parametrize("who", ["client", "person"])
def test_the_open_families_of_who_was_stopped_end_and_no_others(who: str) -> None:
    mine, other = family(), family()
    whom = subjects.client(mine.client_id) if who == "client" else subjects.person(mine.person_id)
    assert whom.lock is not None
    with transaction.atomic():
        locks.exclusive(whom.lock)
        assert [families.end_all_of(whom, by=SYSTEM, reason=reason) for reason in ("stop", "again")] == [1, 0]
    ends = dict(TokenFamily.objects.values_list("pk", "end_reason"))
    assert ends == {mine.pk: "stop", other.pk: ""}
    assert Event.objects.filter(action="token_family.revoked").count() == 1
