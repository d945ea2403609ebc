"""Reviews of findings, delegations and entitlements: who is asked, who may not, what a removal does, and its proof."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction

from audit import clock
from audit.context import SYSTEM
from entitlements.catalog.models import Entitlement, Tool
from entitlements.grants import subjects
from entitlements.grants.models import Grant
from entitlements.people import people
from governance.reviews.campaigns import close
from governance.reviews.deadlines import deadlines, restore
from governance.reviews.decisions import recall, submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import BadAnswer, BadCampaignOptions, BadScope, ConflictOfInterest
from governance.reviews.items.models import ReviewItem
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.remediation.models import NoAnswer
from governance.reviews.reviewers import assignment
from tests import make
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.reviews.kinds.subjects import begin, decide, of, refused, remove, ties_out
from tests.governance.reviews.worlds import KEEP, REMOVE

pytestmark = pytest.mark.django_db


# findings


def test_findings_takes_in_what_has_one_and_asks_the_owner_of_the_system(tmp_path: Path) -> None:
    company = companies.found()
    clean = make.grant(company.bot, worlds.low(company), people=[company.alice])
    drifted = worlds.low(company)
    Tool.objects.filter(entitlements=drifted).update(state=Tool.State.QUARANTINED)
    found = make.grant(make.agent("drifted-bot", sponsor=company.sofia), drifted, people=[company.alice])
    campaign = begin(company, "findings")
    item = worlds.item(campaign)
    assert list(item.population.values_list("grant", flat=True)) == [found.pk]
    assert worlds.live(item).reviewer == company.sam
    assert remove(campaign, company.sam, item).state == "verified"
    close.close(campaign.pk, by=company.ana, reason="All is answered.")
    assert ties_out(campaign, tmp_path)
    clean.refresh_from_db()
    assert clean.state == Grant.State.ACTIVE


def test_an_agent_that_nobody_answers_for_is_a_finding() -> None:
    company = companies.found()
    make.grant(company.bot, worlds.low(company), people=[company.alice])
    people.disable(company.otto, by=SYSTEM, reason="left")
    assert worlds.item(begin(company, "findings")).agent == company.bot


# delegation


@pytest.fixture
def shared() -> tuple[Company, Grant]:
    """An agent that acts for alice and for bob under one harmless grant."""
    company = companies.found()
    return company, make.grant(company.bot, worlds.low(company), people=[company.alice, company.bob])


def test_each_person_is_asked_first_about_who_acts_for_her_then_the_sponsor(shared: tuple[Company, Grant]) -> None:
    company, _ = shared
    campaign = begin(company, "delegation")
    item = of(campaign, "research-bot:clock:alice")
    assert worlds.live(item).reviewer == company.alice
    assert worlds.live(of(campaign, "research-bot:clock:bob")).reviewer == company.bob
    worlds.answer(campaign, company.alice, [(item, KEEP)])
    item.refresh_from_db()
    assert item.state == "in_review"
    assert (worlds.live(item).reviewer, worlds.live(item).stage) == (company.sofia, 2)
    worlds.answer(campaign, company.sofia, [(item, KEEP)])
    item.refresh_from_db()
    assert item.state == "decided"


def test_whom_an_agent_acts_for_never_keeps_that_alone(shared: tuple[Company, Grant]) -> None:
    company, _ = shared
    campaign = begin(company, "delegation")
    item = of(campaign, "research-bot:clock:alice")
    worlds.answer(campaign, company.alice, [(item, KEEP)])
    with pytest.raises(ConflictOfInterest):
        assignment.reassign(item.pk, company.alice, by=company.ana, reason="She knows best.")
    with refused("their own"):
        decide(item, company.alice, stage=2)
    with refused("each of its stages"), transaction.atomic():
        first = ReviewDecision.objects.get(item=item, stage=1)
        ReviewItem.objects.filter(pk=item.pk).update(state="decided", current_decision=first)


def test_who_no_longer_wants_it_leaves_a_shared_grant_and_the_others_go_on(shared: tuple[Company, Grant]) -> None:
    company, grant = shared
    campaign = begin(company, "delegation")
    item = of(campaign, "research-bot:clock:alice")
    cut = remove(campaign, company.alice, item)
    assert cut.state == "verified"
    item.refresh_from_db()
    assert item.state == "decided"
    assert [each.person for each in grant.subjects.select_related("person")] == [company.bob]
    grant.refresh_from_db()
    assert grant.state == Grant.State.ACTIVE
    recall.recall(item.pk, by=company.alice)
    assert set(grant.subjects.values_list("person", flat=True)) == {company.alice.pk, company.bob.pk}


def test_a_removed_delegation_is_final_proven_and_ties_out(
    shared: tuple[Company, Grant], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    company, _ = shared
    alone = make.grant(make.agent("own-bot", sponsor=company.sofia), worlds.low(company), people=[company.alice])
    campaign = begin(company, "delegation")
    for key in ("research-bot:clock:alice", "own-bot:clock:alice"):
        assert remove(campaign, company.alice, of(campaign, key)).state == "verified"
    remove(campaign, company.bob, of(campaign, "research-bot:clock:bob"))
    worlds.let_it_be_final(monkeypatch)
    close.close(campaign.pk, by=company.ana, reason="All is answered.")
    alone.refresh_from_db()
    assert alone.state == Grant.State.REVOKED
    assert ties_out(campaign, tmp_path)


def test_a_delegation_has_no_parts_and_no_earlier_end(shared: tuple[Company, Grant]) -> None:
    company, _ = shared
    campaign = begin(company, "delegation")
    item = of(campaign, "research-bot:clock:alice")
    line = item.lines.get()
    for said in (
        Answer("reduce", "unused", kept=(line.pk,)),
        Answer("certify", valid_until=clock.now() + worlds.MONTH),
    ):
        with pytest.raises(BadAnswer):
            submission.save_draft(item.pk, said, by=company.alice, rev=0)
    with refused("kept or removed as it is"):
        decide(item, company.alice, verb="reduce", limits={str(line.pk): {}}, reason_code="unused")


def test_silence_about_one_person_stops_it_for_her_alone_and_a_second_person_restores_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    company = companies.found()
    middling = make.entitlement(company.system, make.tool(company.system, risk="medium"))
    grant = make.grant(company.bot, middling, people=[company.alice, company.bob], lasts=2 * worlds.MONTH)
    for _ in range(9):
        make.grant(make.agent(), worlds.low(company), lasts=2 * worlds.MONTH)
    first = begin(company, "ownership")
    close.close(first.pk, by=company.ana, reason="A rehearsal.", without_answer=True)
    campaign = begin(company, "delegation")
    item = of(campaign, "research-bot:clock:alice")
    remove(campaign, company.bob, of(campaign, "research-bot:clock:bob"), REMOVE)
    recall.recall(of(campaign, "research-bot:clock:bob").pk, by=company.bob)
    later = clock.now() + timedelta(days=20)
    monkeypatch.setattr(clock, "now", lambda: later)
    deadlines.apply_due()
    done = NoAnswer.objects.get(item=item)
    assert done.did == "suspend"
    assert not grant.subjects.filter(person=company.alice).exists()
    with pytest.raises(ConflictOfInterest):
        restore.restore(item.pk, by=company.alice, reason="I want it.")
    restore.restore(item.pk, by=company.resa, reason="She was on leave.")
    assert grant.subjects.filter(person=company.alice).exists()


# entitlement_definition


def test_keeping_some_of_an_entitlement_drops_the_others_from_it_and_from_what_is_held(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    company = companies.found()
    grant = make.grant(company.bot, company.use, people=[company.alice])
    campaign = begin(company, "entitlement_definition")
    item = of(campaign, "clock:use")
    assert worlds.live(item).reviewer == company.sam
    kept = tuple(item.lines.filter(tool__name__in=["now", "convert"]).values_list("pk", flat=True))
    assert remove(campaign, company.sam, item, Answer("reduce", "unused", kept=kept)).state == "verified"
    assert set(company.use.lines.values_list("tool__name", flat=True)) == {"now", "convert"}
    assert set(grant.lines.values_list("tool__name", flat=True)) == {"now", "convert"}
    item.refresh_from_db()
    assert worlds.live(item).reviewer in (company.resa, company.rob)
    worlds.answer(campaign, company.named(str(worlds.live(item).reviewer)), [(item, KEEP)])
    worlds.let_it_be_final(monkeypatch)
    close.close(campaign.pk, by=company.ana, reason="All is answered.")
    assert ties_out(campaign, tmp_path)


def test_an_entitlement_is_whole_again_when_the_answer_is_taken_back() -> None:
    company = companies.found()
    grant = make.grant(company.bot, company.use, people=[company.alice])
    campaign = begin(company, "entitlement_definition")
    item = of(campaign, "clock:use")
    kept = tuple(item.lines.filter(tool__name="now").values_list("pk", flat=True))
    remove(campaign, company.sam, item, Answer("reduce", "unused", kept=kept))
    recall.recall(item.pk, by=company.sam)
    assert (company.use.lines.count(), grant.lines.count()) == (4, 4)


def test_a_removed_entitlement_can_neither_be_asked_for_nor_used() -> None:
    company = companies.found()
    campaign = begin(company, "entitlement_definition")
    assert remove(campaign, company.sam, of(campaign, "clock:use")).state == "verified"
    assert not Entitlement.objects.get(pk=company.use.pk).enabled


# all of them


def test_what_is_asked_each_time_carries_no_answers_and_says_what_its_scope_cannot_be() -> None:
    company = companies.found()
    with pytest.raises(BadCampaignOptions):
        CampaignOptions(kind="delegation", mode="delta", carry_days=30).check()
    with pytest.raises(BadScope):
        begin(company, "console_access", systems=["clock"])


def test_who_left_a_shared_grant_may_hold_it_again_beside_the_others(shared: tuple[Company, Grant]) -> None:
    company, grant = shared
    make.grant(company.bot, grant.entitlement, people=[company.bob])
    before = subjects.remove_person(grant.pk, company.alice, by=SYSTEM, reason="no longer")
    again = make.grant(company.bot, grant.entitlement, people=[company.alice, company.bob])
    subjects.restore_person(grant.pk, before, by=SYSTEM, reason="after all")
    assert grant.subjects.count() == again.subjects.count() == 2
