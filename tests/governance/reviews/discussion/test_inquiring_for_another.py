"""A question waits for one person, and for whoever stands in for her: the answer says who gave it, and for whom."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.people.models import Person
from governance.notices import listener
from governance.notices.models import Notice
from governance.out_of_office import delegations
from governance.out_of_office.models import OutOfOfficeDelegate
from governance.reviews.campaigns.models import Campaign
from governance.reviews.discussion import questions
from governance.reviews.discussion.models import ReviewQuestion
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack_tables import outcomes
from tests import make, shared
from tests.entitlements.api import client
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
type Review = tuple[Company, Campaign, ReviewItem]
QUESTIONS = "/api/v1/review-questions"


def _review() -> Review:
    company, campaign = worlds.reviewed()
    return company, campaign, worlds.item(campaign)


made_world, review = shared.world(_review)


def leave(by: Person, to: Person) -> OutOfOfficeDelegate:
    now = clock.now()
    over = timedelta(hours=1)
    return delegations.make(to, starts_at=now - over, ends_at=now + over, by=by, reason="On leave.")


def ask(review: Review) -> ReviewQuestion:
    company, _, item = review
    return questions.ask(item.pk, to=company.otto, by=company.sofia, text="What for?")


def test_who_stands_in_answers_and_row_record_and_evidence_say_for_whom(review: Review) -> None:
    company, campaign, item = review
    asked = ask(review)
    leave(company.otto, company.mallory)
    questions.answer(asked.pk, by=company.mallory, text="For the sales desk.")
    asked.refresh_from_db()
    assert (asked.answered_by, asked.in_place_of, asked.answerer) == (company.mallory, company.otto, company.mallory)
    event = timeline.of("item", item.pk).get(action=Action.REVIEW_QUESTION_ANSWERED)
    logged = (event.actor, event.detail["asked_of"], event.detail["in_place_of"])
    assert logged == ("person:mallory", "otto", "otto")
    assert {"person:otto", "person:mallory"} <= set(event.about)
    (row,) = outcomes.TABLES["05_questions"].rows(campaign)
    assert (row["asked_of"], row["answered_by"]) == ("otto", "mallory")


def test_who_is_asked_answers_for_herself_and_what_was_answered_before_is_hers(review: Review) -> None:
    company, campaign, item = review
    asked = ask(review)
    questions.answer(asked.pk, by=company.otto, text="Sales.")
    asked.refresh_from_db()
    assert (asked.answered_by, asked.in_place_of) == (company.otto, None)
    assert "in_place_of" not in timeline.of("item", item.pk).get(action=Action.REVIEW_QUESTION_ANSWERED).detail
    older = ask(review)
    ReviewQuestion.objects.filter(pk=older.pk).update(answer="Sales.", answered_at=clock.now())
    older.refresh_from_db()
    assert (older.answered_by, older.answerer, older.in_place_of) == (None, company.otto, None)
    assert {row["answered_by"] for row in outcomes.TABLES["05_questions"].rows(campaign)} == {"otto"}


def test_nobody_stands_in_before_after_or_for_another_nor_answers_what_they_asked(review: Review) -> None:
    company, _, _ = review
    asked = ask(review)
    with pytest.raises(questions.NotAsked):
        questions.answer(asked.pk, by=company.mallory, text="x")
    over = leave(company.otto, company.mallory)
    delegations.end(over.pk, by=company.otto, reason="I am back.")
    leave(company.sam, company.bob)
    for person in (company.mallory, company.bob):
        with pytest.raises(questions.NotAsked):
            questions.answer(asked.pk, by=person, text="x")
        assert list(questions.waiting_for(person)) == []
    leave(company.otto, company.sofia)
    with pytest.raises(questions.NotAsked):
        questions.answer(asked.pk, by=company.sofia, text="I answer myself.")
    assert list(questions.waiting_for(company.sofia)) == []


def test_a_second_account_of_whoever_asks_answers_in_no_place(review: Review) -> None:
    company, _, _ = review
    asked = ask(review)
    other = make.person("sofia2")
    Person.objects.filter(pk__in=[other.pk, company.sofia.pk]).update(email="sofia@company.example")
    other.refresh_from_db()
    leave(company.otto, other)
    with pytest.raises(questions.NotAsked):
        questions.answer(asked.pk, by=other, text="x")
    assert list(questions.waiting_for(other)) == []


def test_it_is_told_found_and_answered_on_the_page_by_who_stands_in(review: Review) -> None:
    company, _, item = review
    leave(company.otto, company.mallory)
    asked = ask(review)
    page = f"/review-questions/{asked.pk}/"
    listener.notify(timeline.of("item", item.pk).get(action=Action.REVIEW_QUESTION_ASKED))
    sentences = {told.person.login: told.sentence for told in Notice.objects.filter(url=page)}
    assert set(sentences) == {"otto", "mallory"}
    assert "whose out-of-office delegate you are" in sentences["mallory"]
    mallory = visits.as_(company.mallory)
    assert "for whom you act" in visits.text(mallory.get("/"))
    assert f"Your answer as out-of-office delegate of {company.otto.name}" in visits.text(mallory.get(page))
    assert mallory.post(page, {"text": "Sales."})["Location"] == page
    assert page not in visits.text(mallory.get("/"))
    assert f"as out-of-office delegate of {company.otto.name}" in visits.text(visits.as_(company.otto).get(page))
    listener.notify(timeline.of("item", item.pk).get(action=Action.REVIEW_QUESTION_ANSWERED))
    (heard,) = Notice.objects.filter(person=company.sofia, url=f"/reviews/q4/items/{item.pk}/")
    assert heard.sentence.startswith(company.mallory.name)
    beside = visits.text(visits.as_(company.sofia).get(f"/reviews/q4/items/{item.pk}/?beside"))
    assert f"as out-of-office delegate of {company.otto.name}" in beside
    delegations.end(OutOfOfficeDelegate.objects.get().pk, by=company.otto, reason="I am back.")
    assert mallory.get(page).status_code == 200, "what she answered she still reads"


def test_it_is_listed_and_answered_over_rest_by_who_stands_in(review: Review) -> None:
    company, _, _ = review
    asked = ask(review)
    mallory = client.of(company.mallory)
    assert mallory.get(f"{QUESTIONS}/{asked.pk}").status_code == 404
    leave(company.otto, company.mallory)
    (waits,) = mallory.get(f"{QUESTIONS}?answered=false").json()["results"]
    assert waits["answered_by"] is None
    data = mallory.post(f"{QUESTIONS}/{asked.pk}/answer", {"text": "Sales."}).json()
    assert (data["asked_of"], data["answered_by"], data["answer"]) == ("otto", "mallory", "Sales.")
    assert client.of(company.otto).post(f"{QUESTIONS}/{asked.pk}/answer", {"text": "x"}).status_code == 409


def test_the_database_takes_an_answer_only_of_who_is_asked_or_stands_in(review: Review) -> None:
    company, _, _ = review
    asked, row = ask(review), ReviewQuestion.objects.filter(asked_by=company.sofia)
    for who, why in (
        (company.mallory, "person asked or their delegate"),
        (company.sofia, "cannot answer their own question|person asked or their delegate"),
    ):
        with pytest.raises((DatabaseError, IntegrityError), match=why), transaction.atomic():
            row.update(answer="x", answered_at=clock.now(), answered_by=who)
    with pytest.raises((DatabaseError, IntegrityError), match="not_answered"), transaction.atomic():
        row.update(answered_by=company.otto)
    leave(company.otto, company.sofia)
    with pytest.raises(DatabaseError, match="cannot answer their own question"), transaction.atomic():
        row.update(answer="x", answered_at=clock.now(), answered_by=company.sofia)
    OutOfOfficeDelegate.objects.update(ended_at=clock.now())
    leave(company.otto, company.mallory)
    with pytest.raises(DatabaseError, match="person asked or their delegate"), transaction.atomic():
        row.update(answer="x", answered_at=clock.now() + timedelta(days=1), answered_by=company.mallory)
    Person.objects.filter(pk=company.otto.pk).update(is_active=False, disabled_at=clock.now())
    with pytest.raises(DatabaseError, match="only an active person"), transaction.atomic():
        row.update(answer="x", answered_at=clock.now(), answered_by=company.mallory)
    with pytest.raises(questions.NotAsked):
        questions.answer(asked.pk, by=company.mallory, text="x")
