"""What is counted of a review: in time, passed on, nobody's, proven, given again, and what is used of what is left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from audit import clock
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.revocation.models import Revocation
from governance import tasks
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.answer import Answer
from governance.reviews.population import campaigns
from governance.reviews.quality import measures
from governance.reviews.quality.measures import Measures
from governance.reviews.remediation import remediation
from governance.reviews.remediation.models import Remediation
from governance.reviews.reports.queries import plots as plots_queries
from governance.reviews.reviewers import assignment
from governance.reviews.staging import launch
from governance.reviews.usage.models import UsageDay
from tests import make
from tests.entitlements.api import client as api
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

type Move = Callable[[datetime | timedelta], datetime]


@pytest.fixture
def review(at: Move) -> tuple[Company, Campaign, Move]:
    """One item of four tools, and two of one harmless tool, all Sofia's."""
    company, grant = worlds.found()
    row = {"agent": company.bot, "grant": grant, "tool": grant.lines.order_by("pk")[0].tool, "calls": 5, "denied": 0}
    UsageDay.objects.create(day=clock.now().date(), last_at=clock.now(), **row)
    shared = worlds.low(company)
    for name in ("one", "two"):
        make.grant(make.agent(name, sponsor=company.sofia, owner=company.otto), shared, people=[company.bob])
    at(timedelta())
    return company, worlds.campaign(company), at


def test_items_are_in_time_late_passed_on_and_nobodys(review: tuple[Company, Campaign, Move]) -> None:
    company, campaign, at = review
    before = Measures.count(campaign)
    assert (before.due, before.in_time_percent, before.items) == (0, None, 3)

    worlds.answer(campaign, company.sofia, [(campaign.items.get(agent__slug="one"), worlds.KEEP)])
    assignment.reassign(campaign.items.get(agent__slug="two").pk, company.resa, by=company.ana, reason="She knows it.")
    assert (Measures.count(campaign).in_time_percent, Measures.count(campaign).handed) == (100, 1)
    people.disable(company.sam, by=company.resa.principal, reason="He has left.")
    people.disable(company.sofia, by=company.resa.principal, reason="She has left.")
    assignment.reassign_leavers()
    assert Measures.count(campaign).nobodys == 1

    at(timedelta(days=15))
    worlds.answer(campaign, company.resa, [(campaign.items.get(agent__slug="two"), worlds.KEEP)])
    late = Measures.count(campaign)
    assert (late.due, late.in_time, late.in_time_percent, late.is_late) == (3, 1, 33, True)


def test_what_is_removed_is_proven_and_what_is_given_again_within_thirty_days_is_counted(
    review: tuple[Company, Campaign, Move],
) -> None:
    company, campaign, at = review
    gone = [campaign.items.get(agent__slug=name) for name in ("one", "two")]
    worlds.answer(campaign, company.sofia, [(each, worlds.REMOVE) for each in gone])
    for cut in Remediation.objects.all():
        remediation.verify(cut.pk)
    at(timedelta(days=3))
    offer = Grant.objects.get(agent=gone[0].agent).entitlement
    make.grant(gone[0].agent, offer)  # for nobody, and for others: that is no regret
    make.grant(gone[1].agent, offer, people=[company.alice], groups=[make.group(company.alice)])
    Grant.objects.filter(agent__in=[each.agent for each in gone]).update(created_at=at(timedelta()))
    assert Measures.count(campaign).again == 0
    again = make.grant(gone[0].agent, offer, groups=[make.group(company.bob)])
    Grant.objects.filter(pk=again.pk).update(created_at=at(timedelta()))
    found = Measures.count(campaign)
    assert (found.cuts, found.proven, found.proven_in_time, found.excepted) == (2, 2, 2, 0)
    assert (found.removed, found.again) == (2, 1)
    assert found.half is not None
    assert found.most is not None
    Grant.objects.filter(pk=again.pk).update(created_at=at(timedelta(days=28)))
    assert Measures.count(campaign).again == 0


def test_what_is_kept_and_stopped_within_ninety_days_is_counted(review: tuple[Company, Campaign, Move]) -> None:
    company, campaign, at = review
    one, two = (campaign.items.get(agent__slug=name) for name in ("one", "two"))
    row = {"id": uuid4(), "by": "person:resa", "reason": "It went wrong."}
    Revocation.objects.create(**row, target_type="agent", target_id="one", committed_at=clock.now())
    at(timedelta(minutes=1))
    worlds.answer(campaign, company.sofia, [(one, worlds.KEEP), (two, worlds.KEEP)])
    assert (Measures.count(campaign).kept, Measures.count(campaign).stopped) == (2, 0), "the stop was before"

    held = str(two.population.get().grant_id)
    for target, name in (("agent", "two"), ("grant", held), ("everything", "everything"), ("agent", "other")):
        stop = {**row, "id": uuid4(), "target_type": target, "target_id": name}
        Revocation.objects.create(**stop, committed_at=clock.now() + timedelta(days=89))
    assert Measures.count(campaign).stopped == 1
    Revocation.objects.filter(target_id="two").update(committed_at=clock.now() + timedelta(days=91))
    assert Measures.count(campaign).stopped == 1, "its access was"
    Revocation.objects.filter(target_id=held).update(committed_at=clock.now() + timedelta(days=91))
    assert Measures.count(campaign).stopped == 0


def test_what_is_used_of_what_was_granted_is_told_before_and_after(review: tuple[Company, Campaign, Move]) -> None:
    company, campaign, _at = review
    item = campaign.items.get(agent=company.bot)
    used = item.lines.get(calls_window=5)
    worlds.answer(campaign, company.sofia, [(item, Answer("reduce", "unused", kept=(used.pk,)))])
    first = Measures.count(campaign)
    assert (first.lines, first.used, first.used_percent) == (6, 1, 16)
    worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    left = Measures.count(campaign)
    assert (left.lines_left, left.used_left, left.used_left_percent) == (3, 1, 33)


def test_what_is_left_out_is_no_part_of_what_was_granted_and_used() -> None:
    company, _ = worlds.found()
    make.grant(make.agent("out", sponsor=company.sofia), worlds.low(company), people=[company.bob])
    out = {"where": {"field": "agent.slug", "op": "eq", "value": "out"}, "reason": "It goes next week."}
    due, scope = clock.now() + timedelta(days=9), {"exclude": [out]}
    made = campaigns.make("q4", name="Q4", due_at=due, scope=scope, by=company.ana)
    campaign = launch.activate(made.pk, by=company.ana)
    heat = plots_queries.heat(campaign)
    assert heat is not None
    assert (
        (Measures.count(campaign).lines, Measures.count(campaign).lines_left) == (heat.granted, heat.granted) == (4, 4)
    )


def test_the_page_says_it_and_of_many_items_what_a_worker_counted(
    review: tuple[Company, Campaign, Move], monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign, _at = review
    worlds.answer(campaign, company.sofia, [(campaign.items.get(agent__slug="one"), worlds.REMOVE)])
    ana, sofia = visits.as_(company.ana), visits.as_(company.sofia)
    page = visits.text(ana.get("/reviews/q4/"))
    assert 'id="h-measures"' in page
    assert "0 of 1" in page
    assert 'id="h-measures"' not in visits.text(sofia.get("/reviews/q4/")), "only to people who run reviews"

    said = api.of(company.ana).get("/api/v1/campaigns/q4/measures").json()
    assert (said["counts"]["removed"], said["in_time_percent"], said["as_of"]) == (1, 100, None)
    assert api.of(company.sofia).get("/api/v1/campaigns/q4/measures").status_code == 403
    monkeypatch.setattr(measures, "MANY", 1)
    assert api.of(company.ana).get("/api/v1/campaigns/q4/measures").status_code == 404
    assert 'id="h-measures"' not in visits.text(ana.get("/reviews/q4/"))
    tasks.count_figures()
    assert "counted as of" in visits.text(ana.get("/reviews/q4/"))
