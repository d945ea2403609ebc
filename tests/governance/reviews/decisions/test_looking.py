from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from entitlements.errors import NotFound, ReasonRequired
from governance.out_of_office import delegations
from governance.reviews.decisions import attention, recall, submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import errors
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def _later(monkeypatch: pytest.MonkeyPatch, **passed: float) -> None:
    later = clock.now() + timedelta(**passed)
    monkeypatch.setattr(clock, "now", lambda: later)


def test_a_decision_says_how_long_its_evidence_was_looked_at(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.granted(company)
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    _later(monkeypatch, minutes=1)
    attention.looked(item.pk, by=company.sofia, ms=4_000)
    attention.looked(item.pk, by=company.sofia, ms=2_500, evidence=True)
    worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
    said = ReviewDecision.objects.get()
    assert (said.dwell_ms, said.evidence_opened) == (6_500, True)


def test_of_whoever_did_not_look_the_decision_says_so_and_of_a_script_nothing(company: Company) -> None:
    worlds.granted(company)
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    submission.save_draft(item.pk, worlds.REMOVE, by=company.sofia, rev=0)
    submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI)
    assert ReviewDecision.objects.values_list("dwell_ms", "evidence_opened").get() == (None, False)
    recall.recall(item.pk, by=company.sofia)
    submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.API)
    again = ReviewDecision.objects.order_by("-decided_at")[0]
    assert (again.dwell_ms, again.evidence_opened) == (None, None)


def test_nobody_looks_longer_than_time_has_passed(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.granted(company)
    item = worlds.item(worlds.campaign(company))
    _later(monkeypatch, seconds=30)
    attention.looked(item.pk, by=company.sofia, ms=600_000)
    assert 29_000 < Assignment.objects.get(item=item).dwell_ms < 40_000
    attention.looked(item.pk, by=company.sofia, ms=-5)
    _later(monkeypatch, days=1)
    for _ in range(10):
        attention.looked(item.pk, by=company.sofia, ms=999_999_999)
    assert Assignment.objects.get(item=item).dwell_ms == 3_600_000


def test_only_whoever_answers_an_item_is_seen_looking_at_it(company: Company) -> None:
    worlds.granted(company)
    item = worlds.item(worlds.campaign(company))
    with pytest.raises(NotFound):
        attention.looked(item.pk, by=company.mona, evidence=True)
    assert Assignment.objects.get(item=item).evidence_opened_at is None


def test_what_another_looked_at_in_her_place_is_no_looking_of_hers(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds.granted(company)
    item = worlds.item(worlds.campaign(company))
    until = clock.now() + timedelta(days=3)
    delegations.make(company.mona, starts_at=clock.now(), ends_at=until, by=company.sofia, reason="Away.")
    _later(monkeypatch, minutes=1)
    attention.looked(item.pk, by=company.mona, ms=5_000, evidence=True)
    keep = f'name="verb:{item.pk}" value="certify" disabled'
    assert keep in visits.text(visits.as_(company.sofia).get("/reviews/q4/work/", secure=True))
    assert keep not in visits.text(visits.as_(company.mona).get("/reviews/q4/work/", secure=True))
    submission.save_draft(item.pk, worlds.KEEP, by=company.mona, rev=0)
    page = visits.text(visits.as_(company.sofia).get("/reviews/q4/submit/", secure=True))
    assert "drafted by" in page

    submission.submit(item.campaign_id, by=company.sofia, via=ReviewDecision.Via.UI)

    said = ReviewDecision.objects.get()
    assert (said.decided_by, said.dwell_ms, said.evidence_opened) == (company.sofia, None, False)


def test_whoever_looks_after_another_begins_anew(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.granted(company)
    item = worlds.item(worlds.campaign(company))
    until = clock.now() + timedelta(days=3)
    delegations.make(company.mona, starts_at=clock.now(), ends_at=until, by=company.sofia, reason="Away.")
    _later(monkeypatch, minutes=1)
    attention.looked(item.pk, by=company.mona, ms=5_000, evidence=True)
    seen = attention.looked(item.pk, by=company.sofia, ms=2_000)
    assert (seen.dwell_ms, seen.evidence_opened_at, seen.looked_by) == (2_000, None, company.sofia)
    worlds.answer(item.campaign, company.sofia, [(item, worlds.KEEP)])
    assert ReviewDecision.objects.values_list("dwell_ms", "evidence_opened").get() == (2_000, False)


def test_a_reviewer_hands_an_item_on_within_its_chain_alone(company: Company) -> None:
    worlds.granted(company)
    item = worlds.item(worlds.campaign(company))
    stranger = make.person("stranger")
    assert stranger not in assignment.successors(item.pk, by=company.sofia)
    with pytest.raises(errors.ConflictOfInterest):
        assignment.hand_on(item.pk, stranger, by=company.sofia, reason="She has time.")
    with pytest.raises(errors.NotTheReviewer):
        assignment.hand_on(item.pk, company.sam, by=company.mona, reason="I want it.")
    with pytest.raises(ReasonRequired):
        assignment.hand_on(item.pk, company.sam, by=company.sofia, reason=" ")

    assignment.hand_on(item.pk, company.sam, by=company.sofia, reason="His system, his question.")

    assert worlds.live(item).reviewer == company.sam
    assert company.sofia in assignment.successors(item.pk, by=company.sam)
