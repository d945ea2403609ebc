"""What is kept of how far a review has come equals a recount after every verb, and holds nobody up."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection, connections, transaction

from audit import clock
from entitlements.agents.models import Agent
from entitlements.grants import grants
from entitlements.people import people
from entitlements.people.models import Person
from governance.operations import invariants
from governance.reviews.campaigns import close, pause, sweeps
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.queries import campaigns as pages
from governance.reviews.deadlines import deadlines, undecided
from governance.reviews.decisions import recall, submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import tallies
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import AssignmentTally, ItemTally, ReviewItem
from governance.reviews.population import campaigns
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch, staging
from tests import make
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

type Move = Callable[[datetime | timedelta], datetime]


def check(campaign: Campaign) -> None:
    """Compare what is kept with a recount."""
    campaign.refresh_from_db()
    assert tallies.outcomes(campaign) == undecided.outcomes(campaign)
    items = ReviewItem.objects.filter(campaign=campaign)
    decided = items.filter(current_decision__isnull=False).values_list("current_decision__decided_at", flat=True)
    asked = items.exclude(state__in=["excluded", "carried_forward"]).count()
    assert tallies.by_day(campaign) == (asked, sorted(Counter(at.date() for at in decided).items()))
    waiting = items.filter(state="in_review").count()
    assert tallies.still_open([campaign]) == ({campaign.pk: waiting} if waiting else {})
    rows = Assignment.objects.filter(item__campaign=campaign, replaced_by=None).values_list("reviewer__login", "state")
    found = Counter(rows)
    kept = {row["login"]: (row["all"], row["submitted"], row["open"]) for row in tallies.reviewers(campaign)}
    assert kept == {
        who: (
            sum(count for (whose, _), count in found.items() if whose == who),
            found[who, "submitted"],
            found[who, "assigned"],
        )
        for who in {whose for whose, _ in found}
    }


def fleet(company: Company, count: int = 6) -> list[Agent]:
    """Give sofia agents with access to a harmless tool each."""
    use = worlds.low(company)
    bots = [make.agent(f"bot-{number}", sponsor=company.sofia) for number in range(count)]
    for bot in bots:
        make.grant(bot, use, people=[company.alice])
    return bots


def test_what_is_kept_equals_a_recount_after_every_verb(at: Move) -> None:
    company, _ = worlds.found()
    bots = fleet(company)
    campaign = worlds.campaign(company, start=False)
    assert tallies.outcomes(campaign) == {}
    launch.stage_now(campaign.pk, by=company.ana)
    check(campaign)
    launch.stage_now(campaign.pk, by=company.ana)
    check(campaign)
    assert sum(tallies.outcomes(campaign).values()) == 7
    launch.activate(campaign.pk, by=company.ana, acknowledged=True)
    item = {bot: worlds.item(campaign, bot) for bot in [*bots, company.bot]}

    def say(who: Person, *answers: tuple[Agent, Answer]) -> None:
        worlds.answer(campaign, who, [(item[bot], answer) for bot, answer in answers])
        check(campaign)

    say(company.sofia, (bots[0], worlds.KEEP), (bots[1], worlds.REMOVE), (company.bot, worlds.KEEP))
    say(company.sofia, (bots[2], Answer("abstain", "not_mine")))
    recall.recall(item[bots[0]].pk, by=company.sofia)
    check(campaign)
    at(timedelta(days=1))
    submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.API)
    check(campaign)
    recall.reopen(item[bots[0]].pk, by=company.ana, reason="Look again.")
    check(campaign)
    assignment.reassign(item[bots[0]].pk, company.bob, by=company.ana, reason="He knows it.")
    check(campaign)
    people.disable(company.bob, by=company.ana.principal, reason="left")
    assert assignment.reassign_leavers()
    check(campaign)
    tallies.compact()
    check(campaign)
    grants.revoke(bots[3].grants.get().pk, by=company.ana.principal, reason="Not needed.")
    say(company.sofia, (bots[4], worlds.KEEP))
    pause.pause(campaign.pk, by=company.ana, reason="A holiday.")
    pause.resume(campaign.pk, by=company.ana, reason="It is over.")
    at(timedelta(days=40))
    deadlines.apply_due()
    check(campaign)
    assert tallies.outcomes(campaign)["no_response"]
    sweeps.prove_due()
    close.close(campaign.pk, by=company.ana, reason="Over.")
    check(campaign)
    assert {part.name: part.count for part in pages.progress(campaign) if part.count} == undecided.outcomes(campaign)


def test_what_is_carried_forward_or_cancelled_while_it_is_staged_is_counted_too() -> None:
    company, _ = worlds.found()
    bots = fleet(company, 2)
    worlds.answer(first := worlds.campaign(company), company.sofia, [(worlds.item(first, bots[0]), worlds.KEEP)])
    pause.cancel(first.pk, by=company.ana, reason="What is answered stays so.")
    due, options = clock.now() + timedelta(days=9), campaigns.CampaignOptions(mode="delta", carry_days=100)
    delta = campaigns.make("delta", name="Delta", due_at=due, options=options, by=company.ana)
    launch.activate(delta.pk, by=company.ana)
    check(delta)
    assert tallies.outcomes(delta) == {"carried_forward": 1, "in_review": 2}

    launch.stage(campaigns.make("off", name="Off", due_at=due, by=company.ana).pk, by=company.ana)
    off = Campaign.objects.get(slug="off")
    while ReviewItem.objects.filter(campaign=off).count() == 0:
        staging.advance(off.pk)
    pause.cancel(off.pk, by=company.ana, reason="Not now.")
    check(off)
    assert tallies.outcomes(off) == {"in_review": 3}


def test_putting_together_leaves_one_row_of_each_and_the_same_sums() -> None:
    company, _ = worlds.found()
    bots = fleet(company)
    campaign = worlds.campaign(company)
    for bot in bots:
        worlds.answer(campaign, company.sofia, [(worlds.item(campaign, bot), worlds.KEEP)])
    assert ItemTally.objects.filter(outcome="certify").count() == len(bots)

    tallies.compact()

    assert list(ItemTally.objects.filter(outcome="certify").values_list("count", flat=True)) == [len(bots)]
    assert AssignmentTally.objects.filter(state="submitted").count() == 1
    check(campaign)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        ("UPDATE governance_itemtally SET count = 2 WHERE outcome = 'certify'", "says 2 items certify on .* and has 1"),
        ("DELETE FROM governance_itemtally WHERE outcome = 'in_review'", "says 0 items in_review and has 2"),
        ("DELETE FROM governance_assignmenttally WHERE state = 'submitted'", "says 0 items submitted to .* and has 1"),
        (
            "UPDATE governance_assignment SET state = 'assigned' WHERE state = 'submitted'",
            "and a reviewer is still assigned",
        ),
    ],
)
def test_a_count_that_drifted_breaks_an_invariant_that_names_it(spoil: str, named: str) -> None:
    company, _ = worlds.found()
    bots = fleet(company, 2)
    campaign = worlds.campaign(company)
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign, bots[0]), worlds.KEEP)])
    tallies.compact()
    (found,) = invariants.check(only=["14"])
    assert found.count == 0

    with connection.cursor() as cursor:
        cursor.execute(spoil)

    (found,) = invariants.check(only=["14"])
    assert re.search(named, "\n".join(found.violations))


@pytest.mark.django_db(transaction=True)
def test_who_submits_waits_for_nobody_elses_counts() -> None:
    company, _ = worlds.found()
    bots = fleet(company, 2)
    Agent.objects.filter(pk=bots[1].pk).update(sponsor=company.bob)
    campaign = worlds.campaign(company)
    for bot, who in zip(bots, (company.sofia, company.bob), strict=True):
        submission.save_draft(worlds.item(campaign, bot).pk, worlds.KEEP, by=who, rev=0)

    def second() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            submission.submit(campaign.pk, by=company.bob, via=ReviewDecision.Via.UI)
        connections.close_all()

    with transaction.atomic():
        submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI)
        other = threading.Thread(target=second)
        other.start()
        other.join()
        tallies.compact()  # sees its own rows and what the other one committed

    check(campaign)
    assert tallies.outcomes(campaign)["certify"] == 2
