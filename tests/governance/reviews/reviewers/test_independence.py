"""Who may not answer by way of another account, an office handed over or a signature; and who cannot be reached."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from audit import clock
from audit.context import SYSTEM
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Person
from governance.approvals import approvals
from governance.eligibility import eligibility
from governance.mail import outbox
from governance.requests import requests
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import attention
from governance.reviews.items.errors import ConflictOfInterest
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack.models import EvidencePack
from governance.reviews.remediation.models import Remediation, RemediationException
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment
from tests import make
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.reviews.items.test_refusals import decision, give, refused, review_of_one

pytestmark = pytest.mark.django_db


@pytest.fixture
def review() -> tuple[Company, Campaign, ReviewItem]:
    return review_of_one()


def twin_of(person: Person) -> Person:
    """Make a second account of somebody."""
    return people.edit(make.person(f"{person.login}-too"), email=person.email, by=SYSTEM)


@pytest.mark.parametrize(("who", "said"), [("otto", "technical owner"), ("alice", "benefit"), ("sofia", "requested")])
def test_what_stands_against_one_account_stands_against_each_of_that_person(who: str, said: str) -> None:
    company, grant = worlds.found()
    if who == "sofia":
        Grant.objects.filter(pk=grant.pk).update(
            request_id=company.ask("now", by=company.sofia, people=[company.bob]).pk
        )
    item = worlds.item(worlds.campaign(company))
    twin = twin_of(company.named(who))
    give(item, twin)
    with refused(said), transaction.atomic():
        decision(item, twin)
    people.edit(twin, email="another@example.org", by=SYSTEM)
    decision(item, twin)


def test_whoever_owned_the_agent_when_it_was_taken_decides_nothing_by_handing_it_over(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, _, item = review
    Agent.objects.filter(pk=company.bot.pk).update(owner=company.mona, sponsor=company.otto)
    people.disable(company.sofia, by=SYSTEM, reason="left")
    assignment.reassign_leavers()
    live = worlds.live(item)
    assert live.reviewer == company.sam
    assert live.resolution["skipped"] == [{"who": "otto", "why": "owns_the_agent"}]
    with pytest.raises(ConflictOfInterest):
        assignment.reassign(item.pk, company.otto, by=company.ana, reason="He knows it.")
    give(item, company.otto)
    with refused("technical owner"):
        decision(item, company.otto, assignment=live)


def test_two_accounts_of_one_person_are_not_two_people(review: tuple[Company, Campaign, ReviewItem]) -> None:
    company, _, item = review
    decision(item, company.sofia)
    Assignment.objects.filter(item=item).update(state="submitted")
    twin = twin_of(company.sofia)
    Assignment.objects.create(item=item, stage=2, reviewer=twin, assigned_at=clock.now())
    with refused("two distinct people"), transaction.atomic():
        decision(item, twin, stage=2)
    people.edit(twin, email="another@example.org", by=SYSTEM)
    decision(item, twin, stage=2)


def test_a_second_account_excepts_no_cut_and_signs_nothing_off(review: tuple[Company, Campaign, ReviewItem]) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)])
    now, twin = clock.now(), twin_of(company.sofia)
    fields = {"reason": "x", "control": "x", "made_at": now, "expires_at": now + timedelta(days=1)}
    with refused("second person"), transaction.atomic():
        RemediationException.objects.create(remediation=Remediation.objects.get(), by=twin, **fields)
    close.close(campaign.pk, by=company.ana, reason="The quarter is over.")
    campaign.refresh_from_db()
    assert campaign.state == "closed"
    signed = {"sealed_at": now, "statement": "x", "key_id": "k", "sha256": "0" * 64, "files": [], "content": b"x"}
    with refused("does not sign it off"), transaction.atomic():
        EvidencePack.objects.create(campaign=campaign, signed_off_by=twin, tie_out={}, **signed)
    people.edit(twin, email="another@example.org", by=SYSTEM)
    EvidencePack.objects.create(campaign=campaign, signed_off_by=twin, tie_out={}, **signed)


def test_whoever_mail_does_not_reach_is_replaced_unless_she_has_opened_the_item() -> None:
    company, _ = worlds.found()
    bot = make.agent("helper", sponsor=company.sofia)
    make.grant(bot, worlds.low(company), people=[company.bob])
    campaign = worlds.campaign(company)
    unseen, seen = worlds.item(campaign, company.bot), worlds.item(campaign, bot)
    attention.looked(seen.pk, by=company.sofia)
    assert assignment.reassign_leavers() == 0
    outbox.mark_bad(company.sofia, by=SYSTEM, reason="No such address.")

    assert (assignment.reassign_leavers(), assignment.reassign_leavers()) == (1, 0)

    assert (worlds.live(unseen).reviewer, worlds.live(seen).reviewer) == (company.sam, company.sofia)
    assert worlds.live(unseen).resolution["skipped"] == [{"who": "sofia", "why": "mail_came_back"}]
    people.edit(company.sofia, email="sofia@example.net", by=SYSTEM)
    following = worlds.campaign(company, slug="next")
    assert worlds.live(worlds.item(following, bot)).reviewer == company.sofia, "the new address is another"


def test_who_owned_an_agent_when_it_asked_for_itself_never_certifies_what_it_got() -> None:
    company = companies.found()
    ask = eligibility.RequestTerms(timedelta(hours=1), "was denied", people=(company.alice,), tools=frozenset({"now"}))
    asked = requests.submit(company.bot, company.use, ask, by=company.bot, on_behalf_of=company.alice)
    approvals.approve(asked.pk, by=company.sofia)
    make.hand_over(company.bot, "owner", company.bob, by=company.ana.principal, reason="Otto moved.")
    make.hand_over(company.bot, "sponsor", company.otto, by=company.ana.principal, reason="Otto sponsors it now.")

    asked_of = worlds.live(worlds.item(worlds.campaign(company)))

    assert asked_of.reviewer == company.sam
    assert {"who": "otto", "why": "requested_it"} in asked_of.resolution["skipped"]
