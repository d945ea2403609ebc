"""Submitting while things change: what ended or does not fit any more is named, and keeps no other answer back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db import transaction

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.errors import Stale
from entitlements.grants import grants
from entitlements.grants.models import Grant
from governance.reviews.campaigns.api.campaigns import Submissions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import errors as item_errors
from governance.reviews.items.errors import Outdated
from governance.reviews.items.models import ReviewItem
from tests import make
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db(transaction=True)

type Move = Callable[[datetime | timedelta], datetime]
SUBMIT = "/reviews/q4/submit/"


@pytest.fixture
def review() -> tuple[Company, Campaign, list[ReviewItem]]:
    """Begin a review of two harmless agents of sofia's, and draft that she keeps both."""
    company = companies.found()
    use = worlds.low(company)
    for name in ("early-bot", "late-bot"):
        bot = make.agent(name, sponsor=company.sofia)
        make.grant(bot, use, people=[company.alice], lasts=timedelta(days=60))
    campaign = worlds.campaign(company)
    items = [worlds.item(campaign, grant.agent) for grant in Grant.objects.order_by("agent__slug")]
    for item in items:
        submission.save_draft(item.pk, worlds.KEEP, by=company.sofia, rev=0)
    return company, campaign, items


def ended(item: ReviewItem, company: Company) -> None:
    """End the access of an item, whatever is drafted about it."""
    for grant in Grant.objects.filter(pk__in=item.population.values("grant")):
        grants.revoke(grant.pk, by=company.resa.principal, reason="The project is over.")


def state(item: ReviewItem) -> str:
    item.refresh_from_db()
    return str(item.state)


def test_what_ended_meanwhile_is_named_and_the_other_answers_count(
    review: tuple[Company, Campaign, list[ReviewItem]],
) -> None:
    company, campaign, (early, late) = review
    ended(early, company)
    tag = submission.drafts_tag(campaign, company.sofia)

    done = submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI, tag=tag)

    assert [each.item for each in done.decided] == [late]
    assert (done.ended, done.superseded) == ([early], 1)
    assert (state(early), state(late)) == ("superseded", "decided")
    assert timeline.of("item", str(early.pk)).filter(action=Action.REVIEW_SUPERSEDED).count() == 1


def test_where_all_of_it_ended_that_stands_and_nothing_is_refused(
    review: tuple[Company, Campaign, list[ReviewItem]],
) -> None:
    company, campaign, items = review
    for item in items:
        ended(item, company)

    done = submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI)

    assert (done.decided, done.ended) == ([], items)
    assert {state(item) for item in items} == {"superseded"}
    with pytest.raises(item_errors.NothingToSubmit):
        submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI)


def test_the_page_says_what_ended_meanwhile(review: tuple[Company, Campaign, list[ReviewItem]]) -> None:
    company, _, (early, _late) = review
    ended(early, company)
    sofia = visits.as_(company.sofia)
    tag = sofia.get(SUBMIT, secure=True).context["tag"]

    page = visits.text(sofia.post(SUBMIT, {"tag": tag}, secure=True, follow=True))

    assert "1 decision is submitted." in page
    assert "1 item was not decided, because its access ended before: early-bot." in page


def test_over_rest_what_ended_is_listed_beside_what_was_decided(
    review: tuple[Company, Campaign, list[ReviewItem]],
) -> None:
    company, _, (early, late) = review
    ended(early, company)
    sofia = client.of(company.sofia)
    tag = sofia.get("/api/v1/campaigns/q4").json()["drafts_etag"]

    done = sofia.post("/api/v1/campaigns/q4/submissions", headers={"If-Match": tag})

    assert done.status_code == 201, done.json()
    assert [each["item"] for each in done.json()["decided"]] == [str(late.pk)]
    assert (done.json()["superseded"], done.json()["ended"]) == (1, [str(early.pk)])


def test_a_draft_that_changed_after_it_was_read_is_still_refused(
    review: tuple[Company, Campaign, list[ReviewItem]],
) -> None:
    company, campaign, (early, late) = review
    ended(early, company)
    tag = submission.drafts_tag(campaign, company.sofia)
    submission.save_draft(late.pk, worlds.REMOVE, by=company.sofia, rev=1)

    with pytest.raises(Stale):
        submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI, tag=tag)


def test_an_answer_that_does_not_fit_any_more_is_named_with_why(
    review: tuple[Company, Campaign, list[ReviewItem]], at: Move
) -> None:
    company, campaign, (early, late) = review
    soon = clock.now() + timedelta(days=1)
    submission.save_draft(early.pk, replace(worlds.KEEP, valid_until=soon), by=company.sofia, rev=1)
    submission.save_draft(late.pk, replace(worlds.REMOVE, effective_at=soon), by=company.sofia, rev=1)
    at(timedelta(days=2))

    with pytest.raises(Outdated) as refusal:
        submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI)

    told = {each["item"]: each["field"] for each in refusal.value.detail["answers"]}  # type: ignore[attr-defined]
    assert told == {str(early.pk): "valid_until", str(late.pk): "effective_at"}
    assert not ReviewDecision.objects.exists()


def test_an_earlier_end_that_is_none_any_more_is_shown_before_anything_is_submitted(
    review: tuple[Company, Campaign, list[ReviewItem]],
) -> None:
    company, _, (early, _late) = review
    grant = Grant.objects.get(pk__in=early.population.values("grant"))
    until = grant.expires_at - timedelta(days=1)
    submission.save_draft(early.pk, replace(worlds.KEEP, valid_until=until), by=company.sofia, rev=1)
    keep = {line.tool.name: line.limits for line in grant.lines.all()}
    sooner = grant.expires_at - timedelta(days=2)
    with transaction.atomic():
        grants.reduce(grant.pk, keep, expires_at=sooner, by=company.resa.principal, reason="Shorter.")
    sofia = visits.as_(company.sofia)

    page = sofia.get(SUBMIT, secure=True)

    assert [each.row.item for each in page.context["outdated"]] == [early]
    assert "1 draft is outdated. Change it:" in visits.text(page)
    assert " disabled>" in visits.text(page)
    answer = client.of(company.sofia).post("/api/v1/campaigns/q4/submissions")
    assert (answer.status_code, answer.json()["code"]) == (409, "review_answer_outdated")
    assert [each["item"] for each in answer.json()["facts"]["answers"]] == [str(early.pk)]
    submission.save_draft(early.pk, worlds.KEEP, by=company.sofia, rev=2)
    assert client.of(company.sofia).post("/api/v1/campaigns/q4/submissions").status_code == 201


def test_what_is_drafted_after_it_was_weighed_is_not_submitted_without_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    company, _ = worlds.found()
    low = make.agent("low-bot", sponsor=company.sofia)
    make.grant(low, worlds.low(company), people=[company.alice])
    campaign = worlds.campaign(company)
    critical = worlds.item(campaign, company.bot)
    submission.save_draft(worlds.item(campaign, low).pk, worlds.KEEP, by=company.sofia, rev=0)
    weigh = Submissions.weigh

    def weigh_then_draft(self: Submissions, *, weighs: bool) -> None:
        weigh(self, weighs=weighs)
        submission.save_draft(critical.pk, worlds.REMOVE, by=company.sofia, rev=0)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Submissions, "weigh", weigh_then_draft)
        answer = client.of(company.sofia).post("/api/v1/campaigns/q4/submissions")

    assert (answer.status_code, answer.json()["code"]) == (412, "stale")
    assert not ReviewDecision.objects.exists()
    again = client.of(company.sofia).post("/api/v1/campaigns/q4/submissions")
    assert (again.status_code, again.json()["code"]) == (403, "reauthentication_required")
    assert client.proven(company.sofia).post("/api/v1/campaigns/q4/submissions").status_code == 201


def test_a_script_submits_the_drafts_of_the_items_that_it_names_alone(
    review: tuple[Company, Campaign, list[ReviewItem]],
) -> None:
    company, _, (early, late) = review
    sofia = client.of(company.sofia)

    answer = sofia.post("/api/v1/campaigns/q4/submissions", {"only": [str(early.pk)]}, format="json")

    assert (answer.status_code, [each["item"] for each in answer.json()["decided"]]) == (201, [str(early.pk)])
    assert [decision.item_id for decision in ReviewDecision.objects.all()] == [early.pk]
    again = sofia.post("/api/v1/campaigns/q4/submissions", {"only": [str(early.pk)]}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_submit")
    rest = sofia.post("/api/v1/campaigns/q4/submissions")
    assert [each["item"] for each in rest.json()["decided"]] == [str(late.pk)]
