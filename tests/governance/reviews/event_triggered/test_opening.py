"""Which causes are asked about, in which order, and what keeps none of them from being asked about for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError, transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from entitlements.grants import grants
from governance import tasks
from governance.reviews.event_triggered import causes, start, sweeps
from governance.reviews.event_triggered.models import ReviewTrigger
from tests import make
from tests.governance import companies
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

type Move = Callable[[datetime | timedelta], datetime]
MONTHS = timedelta(days=89)


def test_sweeps_go_on_with_what_they_have_not_noted_yet(at: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    company, _ = worlds.found()
    for person in (company.bob, company.mona):
        make.grant(company.bot, company.use, people=[person], lasts=timedelta(days=90))
    at(timedelta(days=78))
    monkeypatch.setattr(sweeps, "AT_ONCE", 1)
    assert [sweeps.ending() for _ in range(3)] == [1, 1, 0]


def test_causes_that_wait_for_a_review_of_the_like_to_end_keep_no_other_from_beginning(at: Move) -> None:
    company = companies.found()
    make.grant(company.bot, company.use, people=[company.alice], lasts=MONTHS)
    causes.note("combination", company.bot, {"rule": "pair"})
    assert start.open_due() == 1
    causes.note("combination", company.bot, {"rule": "pair"})
    at(timedelta(days=8))
    causes.note("new_office", company.bot, {"to": "sofia"})
    assert start.open_due(limit=1) == 1
    assert ReviewTrigger.objects.get(kind="new_office").state == "opened"


def test_what_happens_again_is_added_while_it_waits_and_asked_about_later_once_it_was(at: Move) -> None:
    company, _ = worlds.found()
    fact = {"tool": "clock/now", "difference": []}
    causes.note("tool_changed", company.bot, fact)
    causes.note("tool_changed", company.bot, fact)
    assert [len(each.facts) for each in ReviewTrigger.objects.all()] == [2]
    assert start.open_due() == 1
    later = causes.note("tool_changed", company.bot, fact)
    assert later.open_from == clock.now() + timedelta(days=7) or later.open_from > clock.now() + timedelta(days=6)
    assert start.open_due() == 0
    at(timedelta(hours=7))
    assert start.open_due() == 0


def test_nobody_has_more_than_ten_at_once_and_the_weightiest_come_first() -> None:
    sofia, ana, use = make.person("sofia"), make.analyst("ana"), make.entitlement(make.system("mail"))
    for number in range(11):
        agent = make.agent(f"bot-{number}", sponsor=sofia)
        make.grant(agent, use, lasts=MONTHS)
        causes.note("combination" if number == 10 else "new_office", agent, {"to": "sofia"})
    assert start.open_due() == 10
    left = ReviewTrigger.objects.get(state="waiting")
    assert (left.kind, left.agent.slug) == ("new_office", "bot-9")
    assert left.open_from > clock.now()
    assert ana.campaigns.count() == 10


def test_more_facts_than_an_event_has_room_for_are_asked_about_and_the_record_says_how_many_more() -> None:
    company, _ = worlds.found()
    for number in range(20):
        fact = {"tool": f"clock/{number}", "difference": ["é" * 400] * 10}
        causes.note("tool_changed", company.bot, fact)
    assert start.open_due() == 1
    detail = Event.objects.get(action=Action.CAMPAIGN_ACTIVATED).detail
    assert [each["tool"] for each in detail["facts"]] == [f"clock/{number}" for number in range(4)]
    assert detail["more_facts"] == 16
    assert len(ReviewTrigger.objects.get().facts) == 20, "the page shows them all"


def test_a_cause_that_fails_keeps_no_other_from_being_asked_about_nor_the_sweeps_that_follow() -> None:
    company, _ = worlds.found()
    causes.note("combination", company.bot, {"rule": 2**60})  # no number that the record can carry
    causes.note("new_office", company.bot, {"to": "sofia"})
    with pytest.raises(ExceptionGroup):
        tasks.open_micro_reviews()
    failed = ReviewTrigger.objects.get(kind="combination")
    assert (failed.state, failed.open_from > clock.now()) == ("waiting", True), "it is tried again, after the others"
    assert ReviewTrigger.objects.get(kind="new_office").state == "opened"


def test_what_nothing_in_force_is_left_of_is_dropped_and_asks_nobody() -> None:
    company, grant = worlds.found()
    causes.note("new_office", company.bot, {"to": "sofia"})
    grants.revoke(grant.pk, by=SYSTEM, reason="over")
    assert start.open_due() == 0
    assert ReviewTrigger.objects.get().state == "dropped"
    with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic():
        ReviewTrigger.objects.all().delete()
    with pytest.raises(DatabaseError, match="asks about cannot change"), transaction.atomic():
        ReviewTrigger.objects.update(facts=[])
