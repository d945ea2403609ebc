"""Telling people: once each, with what happened or not at all, and only where it leads to a page of ours."""

import pytest
from django.db import IntegrityError, transaction

from audit.context import SYSTEM
from audit.models import Event
from entitlements.people import people
from entitlements.people.models import Person
from governance.notices import listener, queue
from governance.notices.models import Kind, Notice
from tests import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> Person:
    return make.analyst("ana")


def tell(*whom: Person, sentence: str = "Something waits.", url: str = "/requests/", dedupe: str = "once") -> int:
    with transaction.atomic():
        return queue.queue(Kind.REQUEST_WAITING, whom, about="request:1", sentence=sentence, url=url, dedupe=dedupe)


def test_each_person_who_is_here_is_told_the_same_once(ana: Person) -> None:
    bob, gone = make.person("bob"), make.person("gone")
    people.disable(gone, by=SYSTEM, reason="left")
    gone.refresh_from_db()

    assert tell(ana, ana, gone) == 1
    assert tell(ana, bob) == 1
    assert tell(ana, dedupe="another") == 1
    assert sorted(Notice.objects.values_list("person__login", flat=True)) == ["ana", "ana", "bob"]


def test_an_event_that_only_another_release_knows_causes_no_notice_and_blocks_none() -> None:
    listener.notify(Event(action="an_action.of_another_release", body='{"outcome": "success"}'))
    assert not Notice.objects.exists()


def test_what_did_not_happen_is_not_told(ana: Person) -> None:
    with transaction.atomic():
        queue.queue(Kind.AGENT_STOPPED, [ana], about="agent:x", sentence="Stopped.", url="/agents/x/", dedupe="x")
        transaction.set_rollback(True)
    assert not Notice.objects.exists()


def test_a_foreign_name_in_a_sentence_stays_on_its_line(ana: Person) -> None:
    tell(ana, sentence="Ask of \u202eevil\u202c\r\nBcc: all@example.org\x00\u200b <b>x</b>" + "y" * 600)

    told = Notice.objects.get().sentence
    assert told.startswith("Ask of evil Bcc: all@example.org <b>x</b>yyy")
    assert len(told) == 500


@pytest.mark.parametrize("url", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_a_notice_leads_nowhere_else(ana: Person, url: str) -> None:
    with pytest.raises(IntegrityError, match="a_notice_leads_to_a_page_of_ours"):
        tell(ana, url=url)
