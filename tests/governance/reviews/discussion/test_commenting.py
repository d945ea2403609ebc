"""Comments on an item: who makes them by which door, that they decide nothing, and that they stay as they were said."""

from __future__ import annotations

import threading

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.errors import Forbidden, NotFound, ReasonRequired
from entitlements.people.models import Person
from governance.eligibility import narrowing
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.discussion import comments
from governance.reviews.discussion.models import ReviewComment
from governance.reviews.items import errors
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack import seal
from governance.reviews.pack.models import EvidenceSealing
from governance.reviews.population import campaigns
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch
from tests import databases, make, waits
from tests.entitlements.api import client
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
type Review = tuple[Company, Campaign, ReviewItem]
ITEMS = "/api/v1/review-items"


@pytest.fixture
def review() -> Review:
    company, campaign = worlds.reviewed()
    return company, campaign, worlds.item(campaign)


def test_a_comment_says_who_said_what_and_decides_nothing(review: Review) -> None:
    company, _campaign, item = review
    made = comments.comment(item.pk, by=company.sofia, text=" Ask the sales desk. ")
    event = timeline.of("item", item.pk).get(action=Action.REVIEW_COMMENTED)
    assert (event.actor, event.reason) == ("person:sofia", "Ask the sales desk.")
    assert event.detail == {"comment": str(made.pk), "sha256": comments.digest("Ask the sales desk.")}
    assert f"comment:{made.pk}" in event.about
    item.refresh_from_db()
    assert (item.state, worlds.live(item).reviewer) == ("in_review", company.sofia)


def test_whoever_answers_owns_or_runs_it_comments_and_nobody_else(review: Review) -> None:
    company, _campaign, item = review
    for person in (company.sofia, company.ana, make.person("secure", roles=["security"])):
        comments.comment(item.pk, by=person, text="Seen.")
    with pytest.raises(Forbidden):
        comments.comment(item.pk, by=make.person("audrey", roles=["auditor"]), text="Seen.")
    for person in (company.mona, company.otto, company.alice):
        with pytest.raises(NotFound):
            comments.comment(item.pk, by=person, text="Seen.")
    assignment.reassign(item.pk, company.sam, by=company.ana, reason="She is on leave.")
    with pytest.raises(NotFound):
        comments.comment(item.pk, by=company.sofia, text="It was mine.")
    assert ReviewComment.objects.count() == 3


def test_what_says_nothing_or_too_much_is_no_comment(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    company, _campaign, item = review
    with pytest.raises(ReasonRequired):
        comments.comment(item.pk, by=company.sofia, text=" \n")
    with pytest.raises(narrowing.ReasonTooLong):
        comments.comment(item.pk, by=company.sofia, text="x" * 2001)
    monkeypatch.setattr(comments, "MOST", 1)
    comments.comment(item.pk, by=company.sofia, text="First.")
    with pytest.raises(comments.TooManyComments):
        comments.comment(item.pk, by=company.sofia, text="Second.")


def test_nothing_is_said_before_a_review_begins_or_once_it_is_signed_off(review: Review) -> None:
    company, campaign, item = review
    draft = campaigns.make("next", name="Next", due_at=campaign.due_at, by=company.ana)
    launch.stage_now(draft.pk, by=company.ana)
    with pytest.raises(errors.NotUnderWay):
        comments.comment(worlds.item(draft).pk, by=company.ana, text="Early.")
    worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
    if worlds.waiting_for(campaign, company.sam):
        worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    close.close(campaign.pk, by=company.ana, reason="It is over.")
    comments.comment(item.pk, by=company.ana, text="Closed, and not sealed.")
    seal.seal(campaign.pk, by=company.ana, statement=worlds.SIGNED)
    with pytest.raises(seal.BeingSealed):
        comments.comment(item.pk, by=company.ana, text="Late.")
    with pytest.raises(DatabaseError, match="stays as it is"), transaction.atomic():
        _insert(item, company.ana.pk)


def _insert(item: ReviewItem, person: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO governance_reviewcomment (id, item_id, by_id, text, at)"
            " VALUES (gen_random_uuid(), %s, %s, 'x', now())",
            [item.pk, person],
        )


def test_the_database_takes_no_comment_of_who_has_left_and_rewrites_none(
    review: Review, roles: databases.Addresses
) -> None:
    company, _campaign, item = review
    gone = make.person("gone")
    Person.objects.filter(pk=gone.pk).update(is_active=False, disabled_at=clock.now())
    with pytest.raises(DatabaseError, match="only an active person"), transaction.atomic():
        _insert(item, gone.pk)
    comments.comment(item.pk, by=company.sofia, text="As it was said.")
    for statement in ("UPDATE governance_reviewcomment SET text = 'x'", "DELETE FROM governance_reviewcomment"):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    with psycopg.connect(roles.app) as app, pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("TRUNCATE governance_reviewcomment CASCADE")


@pytest.mark.django_db(transaction=True)
def test_whoever_signs_off_waits_for_a_comment_that_is_being_made(review: Review) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
    if worlds.waiting_for(campaign, company.sam):
        worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    close.close(campaign.pk, by=company.ana, reason="It is over.")
    order: list[str] = []

    def sign_off() -> None:
        seal.seal(campaign.pk, by=company.ana, statement=worlds.SIGNED)
        order.append("signed off")
        connection.close()

    with transaction.atomic():
        _insert(item, company.ana.pk)
        thread = threading.Thread(target=sign_off)
        thread.start()
        thread.join(timeout=waits.MOMENT)
        order.append("said")
    thread.join(timeout=waits.SECONDS)
    assert (order, EvidenceSealing.objects.count()) == (["said", "signed off"], 1)


def test_it_is_made_over_rest_and_stands_in_the_item_oldest_first(review: Review) -> None:
    company, _campaign, item = review
    sofia, address = client.of(company.sofia), f"{ITEMS}/{item.pk}/comment"
    responses = [sofia.post(address, {"text": text}) for text in ("=1+1", "Second.")]
    assert [(each.status_code, each.json()["by"]) for each in responses] == [(201, "sofia")] * 2
    shown = client.of(company.ana).get(f"{ITEMS}/{item.pk}").json()["comments"]
    assert [each["text"] for each in shown] == ["=1+1", "Second."]
    assert sofia.post(address, {"text": " "}).status_code == 400
    assert sofia.post(address, {"text": "x", "by": "ana"}).status_code == 400
    audrey = client.of(make.person("audrey", roles=["auditor"]))
    assert (audrey.post(address, {"text": "x"}).status_code, audrey.get(f"{ITEMS}/{item.pk}").status_code) == (403, 200)
    assert client.of(company.mona).post(address, {"text": "x"}).status_code == 404


def test_it_is_made_beside_the_item_and_read_there_by_whoever_may_not_comment(review: Review) -> None:
    company, _campaign, item = review
    sofia, page = visits.as_(company.sofia), f"/reviews/q4/items/{item.pk}/"
    assert "No comments yet." in visits.text(sofia.get(page))
    back = f"/reviews/q4/work/#item-{item.pk}"
    done = sofia.post(f"{page}comment/", {"text": "<b>Hm</b>", "next": back})
    assert (done.status_code, done["Location"]) == (302, back)
    assert "&lt;b&gt;Hm&lt;/b&gt;" in visits.text(sofia.get(f"{page}?beside"))
    audrey = visits.as_(make.person("audrey", roles=["auditor"]))
    words = visits.text(audrey.get(page))
    assert "&lt;b&gt;Hm&lt;/b&gt;" in words
    assert "Add the comment" not in words
    assert "review.commented" in words, "the story of the item"
    assert audrey.post(f"{page}comment/", {"text": "x"}).status_code == 403
    assert visits.as_(company.mona).post(f"{page}comment/", {"text": "x"}).status_code == 404
    assert Assignment.objects.get(item=item).state == "assigned"
