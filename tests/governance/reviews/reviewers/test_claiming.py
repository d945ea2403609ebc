"""Taking what waits for nobody: by whom, by which door, one of two who try, and that it is said how it came about."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.errors import DomainError, Forbidden, NotFound
from entitlements.people import people
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import errors, review_rules
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers import claim
from governance.reviews.reviewers.models import Assignment
from tests import make, waits
from tests.entitlements.api import client
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
type Review = tuple[Company, Campaign, ReviewItem]


@pytest.fixture
def review() -> Review:
    """An item that waits for nobody."""
    company, campaign = worlds.reviewed()
    item = worlds.item(campaign)
    Assignment.objects.filter(item=item).update(reviewer=None)
    return company, campaign, item


def test_whoever_runs_reviews_takes_what_waits_for_nobody_and_that_is_said(review: Review) -> None:
    company, campaign, item = review
    before = worlds.live(item)
    claim.claim(item.pk, by=company.ana, reason="I know the desk.")
    after = worlds.live(item)
    before.refresh_from_db()
    assert (before.state, before.replaced_by) == ("reassigned", after)
    said = {name: after.resolution[name] for name in ("chosen", "rule", "by", "engine")}
    assert said == {"chosen": "ana", "rule": "claimed", "by": "person:ana", "engine": review_rules.ENGINE}
    event = timeline.of("item", item.pk).get(action=Action.REVIEW_CLAIMED)
    assert (event.actor, event.reason, event.detail["to"]) == ("person:ana", "I know the desk.", "ana")
    worlds.answer(campaign, company.ana, [(item, worlds.REMOVE)])
    item.refresh_from_db()
    assert item.state == "decided"


def test_what_somebody_has_or_what_is_over_is_not_taken(review: Review) -> None:
    company, campaign, item = review
    claim.claim(item.pk, by=company.ana)
    rita = make.person("rita", roles=["analyst"])
    for who in (rita, company.ana):
        with pytest.raises(claim.ItemTaken):
            claim.claim(item.pk, by=who)
    worlds.answer(campaign, company.ana, [(item, worlds.REMOVE)])
    with pytest.raises(claim.ItemTaken):
        claim.claim(item.pk, by=rita)
    assert Assignment.objects.filter(item=item).count() == 2


def test_who_only_reads_or_does_not_see_it_takes_nothing(review: Review) -> None:
    company, _campaign, item = review
    with pytest.raises(Forbidden):
        claim.claim(item.pk, by=make.person("audrey", roles=["auditor"]))
    for who in (company.sofia, company.sam, company.mona):
        with pytest.raises(NotFound):
            claim.claim(item.pk, by=who)
    assert worlds.live(item).reviewer is None


@pytest.mark.parametrize("login", ["otto", "alice", "twin"])
def test_nobody_takes_what_they_are_not_independent_of(review: Review, login: str) -> None:
    company, _campaign, item = review
    if login == "twin":
        make.person("twin")
        Person.objects.filter(login="twin").update(email=Person.objects.get(login="otto").email)
    who = Person.objects.get(login=login)
    people.assign_role(who, "security", by=SYSTEM, reason="made for a test")
    assert claim.may_claim([worlds.live(item)], who) == set()
    with pytest.raises(errors.ConflictOfInterest):
        claim.claim(item.pk, by=who)
    assert client.of(who).post(f"/api/v1/review-items/{item.pk}/claim", {}).json()["code"] == "conflict_of_interest"
    assert claim.may_claim([worlds.live(item)], company.ana) == {item.pk}


def test_who_could_not_judge_it_does_not_take_it_again(review: Review) -> None:
    company, campaign, item = review
    claim.claim(item.pk, by=company.ana)
    worlds.answer(campaign, company.ana, [(item, Answer("abstain", "dont_understand"))])
    Assignment.objects.filter(item=item, state="assigned").update(reviewer=None)
    with pytest.raises(errors.ConflictOfInterest) as refused:
        claim.claim(item.pk, by=company.ana)
    assert refused.value.detail["why"] == "could_not_judge"


def test_it_is_taken_over_rest_and_on_the_pages(review: Review) -> None:
    company, _campaign, item = review
    rita = make.person("rita", roles=["analyst"])
    claims = f"/reviews/q4/items/{item.pk}/claim/"
    for page in ("/reviews/q4/reviewers/", f"/reviews/q4/items/{item.pk}/"):
        assert claims in visits.text(visits.as_(rita).get(page))
    audrey = visits.as_(make.person("audrey", roles=["auditor"]))
    assert claims not in visits.text(audrey.get("/reviews/q4/reviewers/"))
    assert audrey.post(claims).status_code == 403
    done = visits.as_(rita).post(claims)
    assert (done.status_code, done["Location"]) == (302, f"/reviews/q4/work/#item-{item.pk}")
    second = client.of(company.ana).post(f"/api/v1/review-items/{item.pk}/claim", {"reason": "Mine."})
    assert (second.status_code, second.json()["code"]) == (409, "item_taken")
    Assignment.objects.filter(item=item, state="assigned").update(reviewer=None)
    told = client.of(company.ana).post(f"/api/v1/review-items/{item.pk}/claim", {})
    assert (told.status_code, told.json()["reviewer"]) == (200, "ana")


@pytest.mark.django_db(transaction=True)
def test_of_two_who_take_it_at_once_one_has_it_and_the_other_is_told(review: Review) -> None:
    company, _campaign, item = review
    both = [company.ana, make.person("rita", roles=["analyst"])]
    for _ in range(5):
        Assignment.objects.filter(item=item, state="assigned").update(reviewer=None)
        told: list[str] = []
        ready = threading.Barrier(2)

        def take(who: Person, told: list[str] = told, ready: threading.Barrier = ready) -> None:
            ready.wait()
            try:
                claim.claim(item.pk, by=who)
                told.append("has it")
            except DomainError as refusal:
                told.append(refusal.code)
            finally:
                connection.close()

        threads = [threading.Thread(target=take, args=(who,)) for who in both]
        for each in threads:
            each.start()
        for each in threads:
            each.join(timeout=waits.SECONDS)
        assert sorted(told) == ["has it", "item_taken"]
        assert Assignment.objects.filter(item=item, state="assigned").count() == 1
