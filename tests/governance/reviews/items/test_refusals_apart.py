"""The refusals of the database that need a review of their own: of another beginning, or not begun."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from audit import clock
from entitlements.grants.models import Grant
from governance.approvals import approvals
from governance.requests.models import AccessRequest
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment
from tests import shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.reviews.items.test_refusals import decision, give, refused

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def test_nothing_is_decided_before_a_campaign_begins_or_after_it_closes(company: Company) -> None:
    worlds.granted(company)
    campaign = worlds.campaign(company)
    item, live = worlds.item(campaign), worlds.live(worlds.item(campaign))
    close.close(campaign.pk, by=company.ana, reason="over", without_answer=True)
    with refused("under way"), transaction.atomic():
        decision(item, company.sofia, assignment=live)
    draft = worlds.campaign(company, start=False, slug="next")
    early = ReviewItem.objects.create(
        campaign=draft, number=1, agent=company.bot, system=company.system, subjects_digest="", subjects=[], risk="low"
    )
    waits = Assignment.objects.create(item=early, reviewer=company.sofia, assigned_at=clock.now())
    with refused("under way"):
        decision(early, company.sofia, assignment=waits)


def test_the_requester_decides_nothing_about_what_they_requested(company: Company) -> None:
    grant = worlds.granted(company)
    request = company.ask("now", by=company.sofia, people=[company.bob])
    Grant.objects.filter(pk=grant.pk).update(request_id=request.pk)
    item = worlds.item(worlds.campaign(company))
    assert worlds.live(item).reviewer == company.sam
    give(item, company.sofia)
    with refused("requested"), transaction.atomic():
        decision(item, company.sofia)
    AccessRequest.objects.filter(pk=request.pk).update(requested_by=company.otto)
    decision(item, company.sofia)


def test_whoever_approved_it_lately_does_not_certify_it(company: Company) -> None:
    asked = company.ask("remove")
    for who in (company.sofia, company.sam):
        approvals.approve(asked.pk, by=who)
    item = worlds.item(worlds.campaign(company))
    assert worlds.live(item).reviewer == company.resa or worlds.live(item).reviewer is None
    give(item, company.sam)
    with refused("approved lately"):
        decision(item, company.sam)


def test_a_campaign_begins_as_a_draft_and_only_with_all_of_its_population(company: Company) -> None:
    worlds.granted(company)
    draft = worlds.campaign(company, start=False)
    begun = {"state": "active", "snapshot_at": clock.now(), "population_rows": 1, "population_sha256": "0" * 64}
    rows = Campaign.objects.filter(pk=draft.pk)
    rows.update(state="staging")
    with refused("all of its population"), transaction.atomic():
        rows.update(**{**begun, "state": "staged"})
    with refused("hashed_population"), transaction.atomic():
        rows.update(**{**begun, "state": "staged", "population_sha256": "", "population_rows": 0})
    with refused("begins as a draft"):
        Campaign.objects.create(
            slug="x", name="x", owner=company.ana, due_at=clock.now() + timedelta(1), created_at=clock.now(), **begun
        )
