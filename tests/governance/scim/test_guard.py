"""A directory that removes too many at once is paused, and a person answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.errors import ReasonRequired
from entitlements.people.models import Person
from entitlements.people_sources import sources
from tests.governance.scim.directory import Directory

pytestmark = pytest.mark.django_db


@pytest.fixture
def okta() -> Directory:
    return Directory()


def _active() -> int:
    return Person.objects.filter(is_active=True).count()


def _many(okta: Directory, count: int) -> list[str]:
    return [okta.add(f"p{number}")["id"] for number in range(count)]


def test_a_single_deactivation_works_at_once_however_few_people_there_are(okta: Directory) -> None:
    assert okta.off(_many(okta, 2)[0]).status_code == 200
    assert _active() == 1


def test_the_third_of_few_is_held_and_the_directory_is_told_to_come_back(okta: Directory) -> None:
    ids = _many(okta, 5)
    assert [okta.off(pk).status_code for pk in ids[:2]] == [200, 200]
    answer = okta.off(ids[2])
    assert (answer.status_code, answer["Retry-After"]) == (503, "3600")
    assert okta.ask("DELETE", f"Users/{ids[3]}").status_code == 503
    assert _active() == 3
    okta.source.refresh_from_db()
    assert okta.source.paused_at is not None
    assert [entry.user_name for entry in sources.held_removals(okta.source)] == ["p2", "p3"]
    assert okta.add("newcomer")["active"] is True  # whoever comes, comes
    actions = list(Event.objects.filter(links__contains=["source:okta"]).values_list("action", flat=True))
    assert actions.count("people_source.paused") == 1
    assert actions.count("person.removal_held") == 2


def test_one_in_twenty_of_many_passes_and_one_more_does_not(okta: Directory) -> None:
    ids = _many(okta, 80)
    assert [okta.off(pk).status_code for pk in ids[:5]] == [200, 200, 200, 200, 503]


def test_the_window_moves_on(okta: Directory, at: Callable[[datetime | timedelta], datetime]) -> None:
    ids = _many(okta, 5)
    for pk in ids[:2]:
        okta.off(pk)
    at(timedelta(minutes=61))
    assert okta.off(ids[2]).status_code == 200


def test_letting_through_removes_whoever_was_held_and_asking_again_is_then_done(okta: Directory) -> None:
    ids = _many(okta, 6)
    for pk in ids[:4]:
        okta.off(pk)
    with pytest.raises(ReasonRequired):
        sources.allow_removals(okta.source, by=SYSTEM, reason=" ")
    assert sources.allow_removals(okta.source, by=SYSTEM, reason="The Rome office closed.") == 2
    assert _active() == 2
    assert okta.off(ids[3]).status_code == 200
    with pytest.raises(sources.NothingHeld):
        sources.allow_removals(okta.source, by=SYSTEM, reason="Again.")


def test_refusing_keeps_everybody_and_holds_the_next_flood_again(okta: Directory) -> None:
    ids = _many(okta, 8)
    for pk in ids[:4]:
        okta.off(pk)
    assert sources.refuse_removals(okta.source, by=SYSTEM, reason="A wrong filter over there.") == 2
    assert _active() == 6
    answers = [okta.off(pk).status_code for pk in ids[2:6]]
    assert answers == [200, 200, 503, 503]
