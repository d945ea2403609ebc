"""Who owns a system and gave an access there answers for it only with a second person; the trace says who owns it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from audit import clock
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.approvals import approvals
from governance.approvals.models import Approval
from governance.out_of_office import delegations
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items.errors import ConflictOfInterest
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack_tables import tables
from governance.reviews.population import campaigns
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.reviewers import assignment, claim
from governance.reviews.staging import launch
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company, waiting
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
OWNERS = CampaignOptions(kind="resource_owner")


def _company() -> Company:
    company = companies.found()
    Person.objects.filter(pk=company.sofia.pk).update(manager=company.mallory)
    return company


made_world, company = shared.world(_company)


def given_by_sam(company: Company, *, by: Person | None = None) -> Grant:
    """Let sam, who owns the system, approve low access himself, since its sponsor asked for it."""
    request = company.ask(by=company.sofia)
    assert waiting(request) == {"sponsor": ["sam"]}
    approvals.approve(request.pk, by=by or company.sam, expected_version=1, reason="It is needed.")
    return Grant.objects.get()


def begun(company: Company, options: CampaignOptions = OWNERS) -> tuple[Campaign, ReviewItem]:
    due = clock.now() + timedelta(days=14)
    made = campaigns.make("q4", name="Fourth quarter", due_at=due, options=options, by=company.ana)
    campaign = launch.activate(made.pk, by=company.ana, acknowledged=True)
    return campaign, worlds.item(campaign)


def test_who_gave_it_at_her_own_system_is_passed_over_where_one_person_answers(company: Company) -> None:
    given_by_sam(company)
    _, item = begun(company)
    live = worlds.live(item)
    assert live.reviewer == company.mallory
    assert {"who": "sam", "why": "gave_it_at_their_system"} in live.resolution["skipped"]
    assert live.resolution["provisions"] is False


def test_so_is_in_whose_place_it_was_given(company: Company) -> None:
    now = clock.now()
    over = timedelta(hours=1)
    delegations.make(company.bob, starts_at=now - over, ends_at=now + over, by=company.sam, reason="On leave.")
    given_by_sam(company, by=company.bob)
    _, item = begun(company)
    assert {"who": "sam", "why": "gave_it_at_their_system"} in worlds.live(item).resolution["skipped"]


def test_however_long_ago(company: Company) -> None:
    given_by_sam(company)
    long_ago = clock.now() - timedelta(days=100)
    Approval.objects.update(answered_at=long_ago)
    _, item = begun(company)
    assert {"who": "sam", "why": "gave_it_at_their_system"} in worlds.live(item).resolution["skipped"]


def test_with_a_second_person_she_answers_and_the_trace_and_evidence_say_that_she_owns_it(company: Company) -> None:
    given_by_sam(company)
    two = CampaignOptions(kind="resource_owner", strategies={"low": "any_deny_denies"})
    campaign, item = begun(company, two)
    live = worlds.live(item)
    assert (live.reviewer, live.resolution["provisions"]) == (company.sam, True)
    worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    second = worlds.live(item)
    assert (second.stage, second.reviewer, second.resolution["provisions"]) == (2, company.resa, False)
    rows = tables.TABLES["04_assignments"].rows(campaign)
    assert [(row["reviewer"], row["provisions"]) for row in rows] == [("sam", True), ("resa", False)]


def test_an_ordinary_review_by_the_owner_of_the_system_has_one_stage_as_before(company: Company) -> None:
    make.grant(company.bot, worlds.low(company), people=[company.alice])
    campaign, item = begun(company)
    assert (worlds.live(item).reviewer, worlds.live(item).resolution["provisions"]) == (company.sam, True)
    worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    item.refresh_from_db()
    assert item.state == "decided"


def test_who_approved_it_and_owns_nothing_there_answers_alone(company: Company) -> None:
    request = company.ask()
    approvals.approve(request.pk, by=company.sofia, expected_version=1, reason="It is needed.")
    _, item = begun(company, CampaignOptions())
    assert (worlds.live(item).reviewer, worlds.live(item).resolution["provisions"]) == (company.sofia, False)


def test_a_sponsor_who_owns_the_system_too_and_said_yes_as_sponsor_answers_and_it_is_said(company: Company) -> None:
    type(company.system).objects.filter(pk=company.system.pk).update(owner=company.sofia)
    request = company.ask()
    assert waiting(request) == {"sponsor": ["sofia"]}
    approvals.approve(request.pk, by=company.sofia, expected_version=1, reason="It is needed.")
    campaign, item = begun(company)
    assert (worlds.live(item).reviewer, worlds.live(item).resolution["provisions"]) == (company.sofia, True)
    worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
    item.refresh_from_db()
    assert item.state == "decided"


def test_an_owner_who_said_yes_in_the_sponsors_place_gave_it(company: Company) -> None:
    now, over = clock.now(), timedelta(hours=1)
    delegations.make(company.sam, starts_at=now - over, ends_at=now + over, by=company.sofia, reason="On leave.")
    request = company.ask()
    approvals.approve(request.pk, by=company.sam, expected_version=1, reason="It is needed.")
    _, item = begun(company)
    live = worlds.live(item)
    assert (live.reviewer, live.resolution["skipped"]) == (
        company.sofia,
        [{"who": "sam", "why": "gave_it_at_their_system"}],
    )


def test_nobody_names_him_by_hand_and_he_claims_nothing(company: Company) -> None:
    given_by_sam(company)
    _, item = begun(company)
    with pytest.raises(ConflictOfInterest) as refused:
        assignment.reassign(item.pk, company.sam, by=company.ana, reason="He knows it.")
    assert refused.value.detail["why"] == "gave_it_at_their_system"
    assert claim.may_claim([worlds.live(item)], company.sam) == set()
    assignment.reassign(item.pk, company.mona, by=company.ana, reason="She knows it.")
    assert worlds.live(item).resolution["provisions"] is False


def test_the_database_refuses_his_answer_too(company: Company) -> None:
    given_by_sam(company)
    _, item = begun(company)
    live = worlds.live(item)
    type(live).objects.filter(pk=live.pk).update(reviewer=company.sam)
    lines = list(item.lines.values_list("pk", flat=True))
    with pytest.raises(DatabaseError, match="only with a second person"), transaction.atomic():
        ReviewDecision.objects.create(
            item=item,
            assignment=live,
            decided_by=company.sam,
            via="ui",
            verb="certify",
            kept_lines=lines,
            decided_at=clock.now(),
        )
