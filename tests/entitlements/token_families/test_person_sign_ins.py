"""What is connected as a person ends as a whole, at one client or one by one, and its address is forgotten with it."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import transaction

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.clients.models import Client
from entitlements.errors import NotFound
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.feed.models import Change
from entitlements.people import erasure
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.tasks import forget_ended_sessions
from entitlements.token_families import families, person_sign_ins
from entitlements.token_families.models import TokenFamily
from entitlements.token_families.person_sign_ins import PersonClient
from tests import begun, make

pytestmark = pytest.mark.django_db
HERE = "192.0.2.7"


def session(client: Client, person: Person) -> Session:
    with transaction.atomic():
        made, _ = begun.begin(client, person, uuid.uuid4().hex * 2, auth_time=None, now=clock.now())
    return made


def family(client: Client, person: Person) -> TokenFamily:
    made = make.token_family(session(client, person), make.system())
    TokenFamily.objects.filter(pk=made.pk).update(last_used_from=HERE)
    return made


def addresses() -> dict[uuid.UUID, str]:
    return dict(TokenFamily.objects.values_list("pk", "last_used_from"))


@pytest.mark.parametrize("at_one_client", [True, False])
def test_all_of_a_person_ends_or_what_of_it_is_at_one_client_and_nothing_of_another_person(at_one_client: bool) -> None:  # noqa: FBT001
    alice, bob = make.person("alice"), make.person("bob")
    first, second = (make.client(make.agent())[0] for _ in range(2))
    alices, elsewhere, bobs = family(first, alice), family(second, alice), family(first, bob)
    alone = session(first, alice)
    whose = PersonClient("alice", first.client_id if at_one_client else "")

    ended = person_sign_ins.end(whose, by=SYSTEM, reason="lost")

    assert ended == (3 if at_one_client else 5)  # each family's session ends with it
    assert TokenFamily.objects.get(pk=alices.pk).end_reason == "lost"
    assert Session.objects.get(pk=alone.pk).end_reason == "lost"
    assert (TokenFamily.objects.get(pk=elsewhere.pk).ended_at is None) is at_one_client
    left = TokenFamily.objects.get(pk=bobs.pk)
    assert left.session is not None
    assert (left.ended_at, left.session.ended_at) == (None, None)
    recorded = Event.objects.filter(action__in=["token_family.revoked", "session.ended"])
    assert recorded.count() == ended
    assert not [event for event in recorded if "person:alice" not in event.links]
    noted = Change.objects.filter(token_family_id=alices.pk)
    assert [(change.agent_id, change.concerns_all) for change in noted] == [(first.agent_id, False)]
    with pytest.raises(person_sign_ins.NothingConnected):
        person_sign_ins.end(whose, by=SYSTEM, reason="again")


def test_what_has_lapsed_is_neither_connected_nor_ended_again() -> None:
    client, _ = make.client(make.agent())
    lapsed = family(client, make.person("alice"))
    rows, now = TokenFamily.objects.all(), clock.now()
    Session.objects.update(expires_at=now)
    for column, value in (("expires_at", now), ("last_used_at", now - timedelta(days=14))):
        rows.update(expires_at=lapsed.expires_at, last_used_at=lapsed.last_used_at)
        assert person_sign_ins.open_families(rows, now).exists()
        rows.update(**{column: value, "started_at": now - timedelta(days=15)})
        assert not person_sign_ins.open_families(rows, now).exists()
        with pytest.raises(person_sign_ins.NothingConnected):
            person_sign_ins.end(PersonClient("alice"), by=SYSTEM, reason="x")


def test_a_session_of_a_sign_in_at_a_client_is_no_connection_of_its_own() -> None:
    client, _ = make.client(make.agent())
    alice = make.person("alice")
    signed_in, alone = family(client, alice), session(client, alice)
    successor = session(client, alice)
    TokenFamily.objects.filter(pk=signed_in.pk).update(session=successor)
    shown = person_sign_ins.open_sessions(Session.objects.all(), clock.now())
    assert [row.pk for row in shown] == [alone.pk]
    Session.objects.filter(pk=alone.pk).update(last_used_at=clock.now() - timedelta(hours=2))
    assert not person_sign_ins.open_sessions(Session.objects.all(), clock.now()).exists()


def test_who_issues_to_the_person_waits_for_the_end_and_each_change_is_noted_under_its_lock() -> None:
    client, _ = make.client(make.agent())
    alice = make.person("alice")
    signed_in = family(client, alice)
    held = [(Lock.PERSON, alice.pk), (Lock.TOKEN_FAMILY, signed_in.pk), (Lock.SESSION, signed_in.session_id)]
    with transaction.atomic():
        assert set(locks.not_held(held)) == set(held)
        person_sign_ins.end(PersonClient("alice"), by=SYSTEM, reason="lost")
        assert locks.not_held(held) == []


def test_nothing_of_an_unknown_person_ends() -> None:
    with pytest.raises(NotFound):
        person_sign_ins.end(PersonClient("not-a-login"), by=SYSTEM, reason="x")


def test_the_address_goes_with_the_end_of_a_sign_in_with_time_and_with_the_persons_data() -> None:
    client, _ = make.client(make.agent())
    alice, bob = make.person("alice"), make.person("bob")
    ended, lapsed, erased, left = family(client, bob), family(client, bob), family(client, alice), family(client, bob)
    assert set(addresses().values()) == {HERE}

    families.revoke(ended.pk, by=SYSTEM, reason="x")
    TokenFamily.objects.filter(pk=lapsed.pk).update(last_used_at=clock.now() - timedelta(days=14))
    forget_ended_sessions()
    assert addresses() == {ended.pk: "", lapsed.pk: "", erased.pk: HERE, left.pk: HERE}

    assert erasure.erase("alice", by=SYSTEM, reason="asked to")
    assert addresses() == {ended.pk: "", lapsed.pk: "", erased.pk: "", left.pk: HERE}
    assert not erasure.erase("alice", by=SYSTEM, reason="again")
    TokenFamily.objects.filter(pk=erased.pk).update(last_used_from=HERE)  # a refresh after the erasure
    assert erasure.erase("alice", by=SYSTEM, reason="once more")
    assert addresses()[erased.pk] == ""
    erasures = Event.objects.filter(action="subject.erased", links__contains=["person:alice"])
    assert [event.reason for event in erasures.order_by("at")] == ["asked to", "once more"]
