"""Erasing a person's data: only of who is not active, by two people, and what stays."""

from __future__ import annotations

import pytest

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event, SubjectKey
from entitlements.people import erasure, people
from entitlements.people.models import Person
from entitlements.people_sources.models import PeopleSource, SourcedPerson
from entitlements.proposals import proposals
from entitlements.proposals.models import Proposal
from governance.chat.models import ChatAccount, ChatConnection
from governance.notices.models import NoticeSettings
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db


def left() -> Person:
    person = people.register("lena", name="Lena Falk", email="lena@example.org", by=SYSTEM)
    now = clock.now()
    source = PeopleSource.objects.create(slug="hr", name="HR", created_at=now)
    SourcedPerson.objects.create(
        source=source,
        person=person,
        user_name="lena@example.org",
        said={"name": {"familyName": "Falk"}},
        manager_said="Otto",
        created_at=now,
        changed_at=now,
    )
    slack = ChatConnection.objects.create(service="slack", sealed_token=b"x", made_at=now)
    ChatAccount.objects.create(
        connection=slack, person=person, email="lena@example.org", account="U1", looked_up_at=now
    )
    NoticeSettings.objects.create(person=person, bad_address="lena@example.org")
    return people.disable(person, by=SYSTEM, reason="left")


def erase() -> Person:
    waiting = erasure.propose(left(), by=make.analyst().principal, reason="She asked for it.")
    proposals.confirm(waiting.pk, by=make.security())
    return Person.objects.get(login="lena")


def test_after_two_people_agreed_only_the_login_and_what_keeps_her_out_are_left() -> None:
    lena = erase()
    assert (lena.name, lena.email) == ("lena", "")
    assert (lena.sourced.said, lena.sourced.manager_said, lena.sourced.user_name) == ({}, "", "lena@example.org")
    assert not ChatAccount.objects.exists()
    assert NoticeSettings.objects.get().bad_address == ""
    assert SubjectKey.objects.get(subject="person:lena").wrapped is None


def test_until_the_second_person_nothing_is_erased_and_the_first_is_no_second() -> None:
    ana = make.person("ana", roles=["analyst", "security"])
    waiting = erasure.propose(left(), by=ana.principal, reason="She asked for it.")
    with pytest.raises(proposals.ProposedByOwnAccount):
        proposals.confirm(waiting.pk, by=ana)
    assert Person.objects.get(login="lena").name == "Lena Falk"


def test_who_has_no_part_in_it_cannot_propose() -> None:
    left()
    answer = client.proven(make.security()).post("/api/v1/people/lena/erase", {"reason": "x"})
    assert (answer.status_code, Proposal.objects.count()) == (403, 0)


def test_the_data_of_an_active_person_stay_also_when_they_were_enabled_in_between() -> None:
    lena, ana = left(), make.analyst()
    waiting = erasure.propose(lena, by=ana.principal, reason="x")
    SourcedPerson.objects.update(active=True)
    people.enable(lena, by=ana.principal, reason="came back")
    with pytest.raises(erasure.PersonStillActive):
        proposals.confirm(waiting.pk, by=make.security())
    with pytest.raises(erasure.PersonStillActive):
        erasure.propose(Person.objects.get(login="lena"), by=ana.principal, reason="x")


def test_the_api_answers_with_the_proposal_and_the_event_names_who_and_why() -> None:
    left()
    ana = client.proven(make.analyst())
    assert ana.post("/api/v1/people/lena/erase", {"reason": " "}).status_code == 400
    answer = ana.post("/api/v1/people/lena/erase", {"reason": "She asked for it."}).json()
    assert (answer["kind"], answer["subject"], answer["state"]) == ("erasure", "person:lena", "proposed")
    confirmed = client.proven(make.security()).post(f"/api/v1/change-proposals/{answer['id']}/confirm")
    assert confirmed.json()["state"] == "confirmed"
    assert Event.objects.get(action=Action.SUBJECT_ERASED).reason == "She asked for it."
