"""Races with real transactions: whatever overlaps, each item is decided once, and the record says it once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections, transaction

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.errors import DomainError
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Person
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import recall, submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch
from tests import make, shared, waits
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = shared.race_rounds(4)


def at_once(*verbs: Callable[[], object]) -> list[str]:
    """Start the verbs at the same moment, each on a connection of its own; "done" or the code of the refusal."""
    start = threading.Barrier(len(verbs))

    def run(verb: Callable[[], object]) -> str:
        start.wait()
        try:
            verb()
        except DomainError as refusal:
            return str(refusal.code)
        else:
            return "done"
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(verbs)) as lanes:
        return list(lanes.map(run, verbs))


def drafted(round_: int, company: Company) -> Campaign:
    """Begin a campaign in which sofia has drafted an answer to each of five items."""
    for number in range(5):
        bot = make.agent(f"bot-{round_}-{number}", sponsor=company.sofia)
        make.grant(bot, company.use, people=[company.alice], lasts=timedelta(days=60))
    slugs = [f"bot-{round_}-{number}" for number in range(5)]
    campaign = campaigns.make(
        f"round-{round_}",
        name="Round",
        due_at=clock.now() + timedelta(days=1),
        scope={"agents": slugs},
        by=company.ana,
    )
    launch.activate(campaign.pk, by=company.ana)
    for place, item in enumerate(ReviewItem.objects.filter(campaign=campaign)):
        submission.save_draft(item.pk, worlds.REMOVE if place % 2 else worlds.KEEP, by=company.sofia, rev=0)
    return campaign


def test_two_submissions_at_once_decide_each_item_once() -> None:
    company, _ = worlds.found()
    for round_ in range(ROUNDS):
        campaign = drafted(round_, company)

        told = at_once(*[lambda pk=campaign.pk: submission.submit(pk, by=company.sofia, via=ReviewDecision.Via.UI)] * 2)

        assert sorted(told) == ["done", "nothing_to_submit"]
        assert ReviewDecision.objects.filter(item__campaign=campaign).count() == 5
        said = timeline.of("campaign", campaign.slug)
        assert said.filter(action=Action.REVIEW_DECIDED).count() == 5
        assert Grant.objects.filter(agent__slug__startswith=f"bot-{round_}-", state="suspended").count() == 2


def test_closing_while_somebody_submits_leaves_no_item_with_two_outcomes(at: Callable[[timedelta], object]) -> None:
    company, _ = worlds.found()
    for round_ in range(ROUNDS):
        campaign = drafted(round_, company)
        at(timedelta(days=6))  # after the due date and its grace

        submitted, closed = at_once(
            lambda pk=campaign.pk: submission.submit(pk, by=company.sofia, via=ReviewDecision.Via.UI),  # type: ignore[misc]
            lambda pk=campaign.pk: close.close(pk, by=company.ana, reason="over", without_answer=True),  # type: ignore[misc]
        )

        assert closed == "done"
        decided = ReviewDecision.objects.filter(item__campaign=campaign).count()
        assert decided == (5 if submitted == "done" else 0)
        states = set(ReviewItem.objects.filter(campaign=campaign).values_list("state", flat=True))
        assert states == ({"decided", "no_response"} if submitted == "done" else {"no_response"})
        assert submitted in {"done", "campaign_not_under_way"}


def test_two_windows_that_save_the_same_draft_are_told_apart() -> None:
    company, campaign = worlds.reviewed()
    item = worlds.item(campaign)

    told = at_once(*[lambda: submission.save_draft(item.pk, worlds.KEEP, by=company.sofia, rev=0)] * 2)

    assert sorted(told) == ["done", "stale"]


def test_whoever_is_disabled_first_decides_nothing() -> None:
    company, _ = worlds.found()
    campaign = drafted(0, company)

    submitted, disabled = at_once(
        lambda: submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI),
        lambda: people.disable(company.sofia, by=company.ana.principal, reason="left"),
    )

    assert disabled == "done"
    assert submitted in {"done", "may_not_review", "review_answer_refused"}


def test_taking_back_while_the_second_person_answers_waits_in_no_circle() -> None:
    company, _ = worlds.found()
    for round_ in range(ROUNDS):
        campaign = worlds.campaign(company, slug=f"round-{round_}")
        item = worlds.item(campaign)
        worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
        submission.save_draft(item.pk, worlds.KEEP, by=company.sam, rev=0)

        recalled, submitted = at_once(
            lambda pk=item.pk: recall.recall(pk, by=company.sofia),  # type: ignore[misc]
            lambda pk=campaign.pk: submission.submit(pk, by=company.sam, via=ReviewDecision.Via.UI),  # type: ignore[misc]
        )

        assert (recalled, submitted) in {("done", "nothing_to_submit"), ("too_late_to_recall", "done")}


def test_who_left_is_replaced_while_a_review_closes_and_neither_waits_for_the_other(
    at: Callable[[timedelta], object],
) -> None:
    company, _ = worlds.found()
    for round_ in range(ROUNDS):
        campaign = drafted(round_, company)
        at(timedelta(days=6))  # after the due date and its grace
        Person.objects.filter(pk=company.sofia.pk).update(is_active=False, disabled_at=clock.now())

        passed_on, ended = at_once(
            assignment.reassign_leavers,
            lambda pk=campaign.pk: close.close(pk, by=company.ana, reason="over", without_answer=True),  # type: ignore[misc]
        )

        assert (passed_on, ended) == ("done", "done")
        assert set(campaign.items.values_list("state", flat=True)) == {"no_response"}
        assert not Assignment.objects.filter(item__campaign=campaign, state=Assignment.State.ASSIGNED).exists()
        Person.objects.filter(pk=company.sofia.pk).update(is_active=True, disabled_at=None)


def test_whoever_answered_the_first_stage_names_nobody_for_the_second() -> None:
    company, _ = worlds.found()
    for round_ in range(ROUNDS):
        campaign = worlds.campaign(company, slug=f"round-{round_}")
        item = worlds.item(campaign)
        submission.save_draft(item.pk, worlds.KEEP, by=company.sofia, rev=0)

        submitted, handed = at_once(
            lambda pk=campaign.pk: submission.submit(pk, by=company.sofia, via=ReviewDecision.Via.UI),  # type: ignore[misc]
            lambda pk=item.pk: assignment.hand_on(pk, company.resa, by=company.sofia, reason="She knows it."),  # type: ignore[misc]
        )

        assert (submitted, handed) in {("done", "not_the_reviewer"), ("nothing_to_submit", "done")}


def test_the_same_access_answered_in_three_reviews_at_once_gets_one_outcome_in_each_and_no_deadlock() -> None:
    company, _ = worlds.found()
    for round_ in range(ROUNDS):
        bots = [make.agent(f"same-{round_}-{number}", sponsor=company.sofia) for number in range(3)]
        for bot in bots:
            make.grant(bot, worlds.low(company), people=[company.alice], lasts=timedelta(days=60))
        asked = []
        for name in "abc":
            until, scope = clock.now() + timedelta(days=1), {"agents": [bot.slug for bot in bots]}
            made = campaigns.make(f"{name}-{round_}", name="Same", due_at=until, scope=scope, by=company.ana)
            launch.activate(made.pk, by=company.ana)
            asked.append(made)
            for item in ReviewItem.objects.filter(campaign=made):
                submission.save_draft(item.pk, worlds.KEEP, by=company.sofia, rev=0)

        told = at_once(
            *(lambda pk=each.pk: submission.submit(pk, by=company.sofia, via=ReviewDecision.Via.UI) for each in asked)
        )

        assert set(told) <= {"done", "nothing_to_submit"}
        assert not ReviewItem.objects.filter(campaign__in=asked, state="in_review").exists()
        assert not Assignment.objects.filter(item__campaign__in=asked, state="assigned").exists()
        settled = ReviewItem.objects.filter(campaign__in=asked, state="carried_forward")
        events = timeline.of("campaign", asked[0].slug).filter(action=Action.REVIEW_SETTLED).count()
        assert events == settled.filter(campaign=asked[0]).count()


def test_an_item_that_is_busy_holds_up_no_decision_and_is_settled_once_it_is_free() -> None:
    company, _ = worlds.found()
    bot = make.agent("busy", sponsor=company.sofia)
    make.grant(bot, worlds.low(company), people=[company.alice], lasts=timedelta(days=60))
    here, there = (
        campaigns.make(
            name, name=name, due_at=clock.now() + timedelta(days=1), scope={"agents": ["busy"]}, by=company.ana
        )
        for name in ("here", "there")
    )
    for each in (here, there):
        launch.activate(each.pk, by=company.ana)
    submission.save_draft(worlds.item(here).pk, worlds.KEEP, by=company.sofia, rev=0)

    with ThreadPoolExecutor(1) as lane:
        with transaction.atomic():
            ReviewItem.objects.select_for_update().get(campaign=there)
            done = lane.submit(at_once, lambda: submission.submit(here.pk, by=company.sofia, via=ReviewDecision.Via.UI))
            waits.until(ReviewDecision.objects.filter(item__campaign=here).exists)
            assert worlds.item(there).state == "in_review"
        assert done.result() == ["done"]

    assert worlds.item(there).carried_from == worlds.item(here).current_decision
