"""Reviews of agents, credentials and roles: who is asked, who may not, what a removal does, and its proof."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client as Browser

from audit import clock
from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.people import people, roles
from entitlements.people.models import ApiToken, Role
from governance.ownership.models import OwnershipProposal
from governance.reviews.campaigns import close
from governance.reviews.deadlines import deadlines
from governance.reviews.decisions import recall, submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import ConflictOfInterest, TooLateToRecall
from governance.reviews.remediation.models import NoAnswer
from governance.reviews.reviewers import assignment
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.reviews.kinds.subjects import authenticates, begin, decide, of, refused, remove, ties_out
from tests.governance.reviews.worlds import KEEP, REMOVE

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


# ownership


def test_a_sponsor_is_asked_about_her_agent_and_removing_it_retires_it(
    company: Company, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    campaign = begin(company, "ownership")
    item = of(campaign, "research-bot")
    assert worlds.live(item).reviewer == company.sofia
    assert remove(campaign, company.sofia, item).state == "verified"
    company.bot.refresh_from_db()
    assert company.bot.status == "suspended"
    worlds.let_it_be_final(monkeypatch)
    company.bot.refresh_from_db()
    assert company.bot.status == "retired"
    close.close(campaign.pk, by=company.ana, reason="All is answered.")
    assert ties_out(campaign, tmp_path)


def test_whoever_owned_an_agent_when_it_was_taken_answers_nothing_about_whose_it_is(company: Company) -> None:
    people.edit(company.otto, by=SYSTEM, manager=company.mona)
    Agent.objects.filter(pk=company.bot.pk).update(sponsor=company.otto)
    campaign = begin(company, "ownership")
    item = of(campaign, "research-bot")
    assert worlds.live(item).reviewer == company.mona
    Agent.objects.filter(pk=company.bot.pk).update(owner=company.bob)
    worlds.answer(campaign, company.mona, [(item, Answer("abstain", "dont_understand"))])
    skipped = worlds.live(item).resolution["skipped"]
    assert worlds.live(item).reviewer != company.otto
    assert {"who": "otto", "why": "owns_the_agent"} in skipped
    with refused("technical owner"):
        decide(item, company.otto)


def test_the_proof_asks_for_each_client_of_an_agent_at_each_system_that_it_reaches(company: Company) -> None:
    for number in range(6):
        make.client(company.bot, f"client-{number}", auth="client_secret_basic")
    for number in range(21):
        make.grant(company.bot, make.entitlement(make.system(f"system-{number}")))
    campaign = begin(company, "ownership")
    proof = remove(campaign, company.sofia, of(campaign, "research-bot")).probe
    assert proof is not None
    assert (proof["holds"], proof["tried"]) == (True, {"calls": 1 + 6 * 22, "of": 1 + 6 * 22})


def test_a_removed_agent_works_again_when_the_answer_is_taken_back(company: Company) -> None:
    campaign = begin(company, "ownership")
    item = of(campaign, "research-bot")
    remove(campaign, company.sofia, item)
    recall.recall(item.pk, by=company.sofia)
    company.bot.refresh_from_db()
    assert company.bot.status == "active"


def test_an_agent_that_is_not_hers_gets_an_heir_asked_and_the_next_in_the_chain(company: Company) -> None:
    people.edit(company.sofia, by=SYSTEM, manager=company.mona)
    campaign = begin(company, "ownership")
    item = of(campaign, "research-bot")
    worlds.answer(campaign, company.sofia, [(item, Answer("abstain", "not_mine"))])
    assert OwnershipProposal.objects.get(agent=company.bot).person == company.mona
    assert worlds.live(item).reviewer == company.mona


def test_the_technical_owner_does_not_keep_the_agent(company: Company) -> None:
    item = of(begin(company, "ownership"), "research-bot")
    with pytest.raises(ConflictOfInterest):
        assignment.reassign(item.pk, company.otto, by=company.ana, reason="He runs it.")
    with refused("technical owner"):
        decide(item, company.otto)


def test_an_agent_that_was_retired_meanwhile_is_no_longer_asked_about(company: Company) -> None:
    campaign = begin(company, "ownership")
    agents.retire(company.bot, by=SYSTEM, reason="gone")
    close.close(campaign.pk, by=company.ana, reason="All is answered.", without_answer=True)
    assert of(campaign, "research-bot").state == "superseded"


# credential


def test_the_owner_of_a_secret_is_asked_first_and_the_token_endpoint_refuses_it_once_removed(
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    make.grant(company.bot, worlds.low(company))
    _, secret = make.client(company.bot, "research-bot-ci", auth=Client.Auth.CLIENT_SECRET_BASIC)
    assert authenticates("research-bot-ci", secret)[1] != "client_disabled"
    campaign = begin(company, "credential")
    item = of(campaign, "research-bot-ci")
    assert worlds.live(item).reviewer == company.otto
    cut = remove(campaign, company.otto, item)
    assert cut.state == "verified"
    assert authenticates("research-bot-ci", secret) == (401, "client_disabled")
    worlds.let_it_be_final(monkeypatch)
    close.close(campaign.pk, by=company.ana, reason="All is answered.")
    assert ties_out(campaign, tmp_path)


def test_the_owner_of_a_secret_never_keeps_it_alone(company: Company) -> None:
    make.client(company.bot, "research-bot-ci", auth=Client.Auth.CLIENT_SECRET_BASIC)
    campaign = begin(company, "credential")
    item = of(campaign, "research-bot-ci")
    worlds.answer(campaign, company.otto, [(item, KEEP)])
    assert worlds.live(item).reviewer == company.sofia
    with refused("their own"):
        decide(item, company.otto, stage=2)
    worlds.answer(campaign, company.sofia, [(item, KEEP)])
    item.refresh_from_db()
    assert item.state == "decided"


def test_a_client_works_again_when_the_answer_is_taken_back(company: Company) -> None:
    client, _ = make.client(company.bot, "research-bot-ci", auth=Client.Auth.CLIENT_SECRET_BASIC)
    campaign = begin(company, "credential")
    item = of(campaign, "research-bot-ci")
    remove(campaign, company.otto, item)
    recall.recall(item.pk, by=company.otto)
    client.refresh_from_db()
    assert client.status == Client.Status.ACTIVE


def test_a_personal_token_that_its_owner_removes_opens_nothing_and_cannot_be_taken_back(
    company: Company, tmp_path: Path
) -> None:
    token = people.make_api_token(company.alice, "laptop", by=company.alice.principal)
    campaign = begin(company, "credential")
    item = of(campaign, str(ApiToken.objects.get().pk))
    assert worlds.live(item).reviewer == company.alice
    assert remove(campaign, company.alice, item).state == "verified"
    assert Browser().get("/api/v1/agents", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    with pytest.raises(TooLateToRecall):
        recall.recall(item.pk, by=company.alice)
    close.close(campaign.pk, by=company.ana, reason="All is answered.")
    assert ties_out(campaign, tmp_path)


# console_access


def test_a_role_is_asked_of_the_manager_and_opens_nothing_once_removed(company: Company, tmp_path: Path) -> None:
    people.edit(company.mallory, by=SYSTEM, manager=company.mona)
    people.assign_role(company.mallory, Role.ANALYST, by=SYSTEM, reason="for the test")
    campaign = begin(company, "console_access")
    item = of(campaign, "mallory:analyst")
    assert worlds.live(item).reviewer == company.mona
    assert remove(campaign, company.mona, item).state == "verified"
    assert not company.mallory.has_role(Role.ANALYST)
    close.close(campaign.pk, by=company.ana, reason="The others are a rehearsal.", without_answer=True)
    assert ties_out(campaign, tmp_path)


def test_nobody_certifies_their_own_role(company: Company) -> None:
    item = of(begin(company, "console_access"), "resa:security")
    assert worlds.live(item).reviewer == company.rob
    with pytest.raises(ConflictOfInterest):
        assignment.reassign(item.pk, company.resa, by=company.ana, reason="She knows best.")
    with refused("their own"):
        decide(item, company.resa)


def test_the_last_platform_admin_keeps_the_role_whatever_is_answered_and_silence_takes_none(
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin = make.person("ada", roles=[Role.ADMIN])
    first = begin(company, "ownership")
    close.close(first.pk, by=company.ana, reason="A rehearsal.", without_answer=True)
    campaign = begin(company, "console_access")
    item = of(campaign, "ada:admin")
    submission.save_draft(item.pk, REMOVE, by=company.named(str(worlds.live(item).reviewer)), rev=0)
    with pytest.raises(roles.LastAdmin):
        submission.submit(campaign.pk, by=company.named(str(worlds.live(item).reviewer)), via=ReviewDecision.Via.UI)
    later = clock.now() + timedelta(days=20)
    monkeypatch.setattr(clock, "now", lambda: later)
    deadlines.apply_due()
    assert admin.has_role(Role.ADMIN)
    assert set(NoAnswer.objects.filter(item__campaign=campaign).values_list("did", flat=True)) == {"keep_flagged"}
