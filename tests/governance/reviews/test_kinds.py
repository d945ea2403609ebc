"""Reviews of other things than access at a system: who is asked, who may not, what a removal does, and its proof.

Each removal is looked at where a user would: at the token endpoint, the API, the grant, the agent.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client as Browser

from audit import clock
from audit.context import SYSTEM
from entitlements import agents, people, roles, serving
from entitlements.models import ApiToken, Client, Entitlement, Grant, Person, Role, Tool
from governance import reviews
from governance.models import (
    Assignment,
    Campaign,
    NoAnswer,
    OfficeProposal,
    Remediation,
    ReviewDecision,
    ReviewItem,
)
from governance.reviews import Answer, Manner
from governance.reviews.errors import BadAnswer, BadManner, BadScope, ConflictOfInterest, TooLateToRecall
from governance.reviews.pack import building, contents, describing, verify
from tests import make
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.reviews.worlds import KEEP, REMOVE

pytestmark = pytest.mark.django_db


def begin(company: Company, kind: str, *, rehearsal: bool = False, **scope: Any) -> Campaign:  # noqa: ANN401
    """Begin a campaign of a kind that does what its deadline says, unless it is a rehearsal."""
    due = clock.now() + timedelta(days=14)
    made = reviews.make(f"of-{kind}", name=kind, due_at=due, scope=scope, manner=Manner(kind=kind), by=company.ana)
    begun = reviews.activate(made.pk, by=company.ana)
    if not rehearsal:
        Campaign.objects.filter(pk=begun.pk).update(state="active")
    return begun


def of(campaign: Campaign, key: str) -> ReviewItem:
    return ReviewItem.objects.get(campaign=campaign, subject_key=key)


def remove(campaign: Campaign, by: Person, item: ReviewItem, answer: Answer = REMOVE) -> Remediation:
    """Answer an item with a removal, and prove it."""
    (decision,) = worlds.answer(campaign, by, [(item, answer)]).removals
    return reviews.prove(decision)


def ties_out(campaign: Campaign, folder: Path) -> bool:
    """Whether the evidence adds up, as the list and as the pack: every difference is zero."""
    campaign.refresh_from_db()
    for name, table in contents.TABLES.items():
        building._write(folder, name, table.rows(campaign))
    different = {**reviews.evidence(campaign).tie_out, **verify.tie_out(folder, describing.scope(campaign))}
    return {name: count for name, count in different.items() if count} == {}


def authenticates(client_id: str, secret: str) -> tuple[int, str]:
    """Ask for a token as a client does; returns the status and our word for it."""
    proof = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    answer = Browser().post(
        "/as/clock/token",
        "grant_type=client_credentials",
        "application/x-www-form-urlencoded",
        headers={"Authorization": f"Basic {proof}"},
    )
    return answer.status_code, answer.json().get("code", "")


def refused(said: str) -> Any:  # noqa: ANN401
    return pytest.raises(DatabaseError, match=said)


def decide(item: ReviewItem, by: Person, stage: int = 1, **fields: Any) -> None:  # noqa: ANN401
    """Write a decision past every verb, as if it were assigned to her."""
    row = {"verb": "certify", "reason_code": "mandated", "via": "api", "decided_at": clock.now(), **fields}
    kept = row.pop("kept", list(item.lines.order_by("pk").values_list("pk", flat=True)))
    with transaction.atomic():
        live = Assignment.objects.get(item=item, stage=stage, state="assigned")
        Assignment.objects.filter(pk=live.pk).update(reviewer=by)
        ReviewDecision.objects.create(item=item, stage=stage, assignment=live, decided_by=by, kept_lines=kept, **row)


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
    reviews.close(campaign.pk, by=company.ana, reason="All is answered.")
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
        reviews.reassign(item.pk, company.alice, by=company.ana, reason="She knows best.")
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
    reviews.recall(item.pk, by=company.alice)
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
    reviews.close(campaign.pk, by=company.ana, reason="All is answered.")
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
            reviews.save_draft(item.pk, said, by=company.alice, rev=0)
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
    reviews.close(first.pk, by=company.ana, reason="A rehearsal.", without_answer=True)
    campaign = begin(company, "delegation")
    item = of(campaign, "research-bot:clock:alice")
    remove(campaign, company.bob, of(campaign, "research-bot:clock:bob"), REMOVE)
    reviews.recall(of(campaign, "research-bot:clock:bob").pk, by=company.bob)
    later = clock.now() + timedelta(days=20)
    monkeypatch.setattr(clock, "now", lambda: later)
    reviews.apply_due()
    done = NoAnswer.objects.get(item=item)
    assert done.did == "suspend"
    assert not grant.subjects.filter(person=company.alice).exists()
    with pytest.raises(ConflictOfInterest):
        reviews.restore(item.pk, by=company.alice, reason="I want it.")
    reviews.restore(item.pk, by=company.resa, reason="She was on leave.")
    assert grant.subjects.filter(person=company.alice).exists()


# ownership


def test_a_sponsor_is_asked_about_her_agent_and_removing_it_retires_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    company = companies.found()
    campaign = begin(company, "ownership")
    item = of(campaign, "research-bot")
    assert worlds.live(item).reviewer == company.sofia
    assert remove(campaign, company.sofia, item).state == "verified"
    company.bot.refresh_from_db()
    assert company.bot.status == "suspended"
    worlds.let_it_be_final(monkeypatch)
    company.bot.refresh_from_db()
    assert company.bot.status == "retired"
    reviews.close(campaign.pk, by=company.ana, reason="All is answered.")
    assert ties_out(campaign, tmp_path)


def test_a_removed_agent_works_again_when_the_answer_is_taken_back() -> None:
    company = companies.found()
    campaign = begin(company, "ownership")
    item = of(campaign, "research-bot")
    remove(campaign, company.sofia, item)
    reviews.recall(item.pk, by=company.sofia)
    company.bot.refresh_from_db()
    assert company.bot.status == "active"


def test_an_agent_that_is_not_hers_gets_an_heir_asked_and_the_next_in_the_chain() -> None:
    company = companies.found()
    people.edit(company.sofia, by=SYSTEM, manager=company.mona)
    campaign = begin(company, "ownership")
    item = of(campaign, "research-bot")
    worlds.answer(campaign, company.sofia, [(item, Answer("abstain", "not_mine"))])
    assert OfficeProposal.objects.get(agent=company.bot).person == company.mona
    assert worlds.live(item).reviewer == company.mona


def test_the_technical_owner_does_not_keep_the_agent() -> None:
    company = companies.found()
    item = of(begin(company, "ownership"), "research-bot")
    with pytest.raises(ConflictOfInterest):
        reviews.reassign(item.pk, company.otto, by=company.ana, reason="He runs it.")
    with refused("technical owner"):
        decide(item, company.otto)


def test_an_agent_that_was_retired_meanwhile_is_no_longer_asked_about() -> None:
    company = companies.found()
    campaign = begin(company, "ownership")
    agents.retire(company.bot, by=SYSTEM, reason="gone")
    reviews.close(campaign.pk, by=company.ana, reason="All is answered.", without_answer=True)
    assert of(campaign, "research-bot").state == "superseded"


# credential


def test_the_owner_of_a_secret_is_asked_first_and_the_token_endpoint_refuses_it_once_removed(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    company = companies.found()
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
    reviews.close(campaign.pk, by=company.ana, reason="All is answered.")
    assert ties_out(campaign, tmp_path)


def test_the_owner_of_a_secret_never_keeps_it_alone() -> None:
    company = companies.found()
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


def test_a_client_works_again_when_the_answer_is_taken_back() -> None:
    company = companies.found()
    client, _ = make.client(company.bot, "research-bot-ci", auth=Client.Auth.CLIENT_SECRET_BASIC)
    campaign = begin(company, "credential")
    item = of(campaign, "research-bot-ci")
    remove(campaign, company.otto, item)
    reviews.recall(item.pk, by=company.otto)
    client.refresh_from_db()
    assert client.status == Client.Status.ACTIVE


def test_a_personal_token_that_its_owner_removes_opens_nothing_and_cannot_be_taken_back(tmp_path: Path) -> None:
    company = companies.found()
    token = people.make_api_token(company.alice, "laptop", by=company.alice.principal)
    campaign = begin(company, "credential")
    item = of(campaign, str(ApiToken.objects.get().pk))
    assert worlds.live(item).reviewer == company.alice
    assert remove(campaign, company.alice, item).state == "verified"
    assert Browser().get("/api/v1/agents", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    with pytest.raises(TooLateToRecall):
        reviews.recall(item.pk, by=company.alice)
    reviews.close(campaign.pk, by=company.ana, reason="All is answered.")
    assert ties_out(campaign, tmp_path)


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
    reviews.close(campaign.pk, by=company.ana, reason="All is answered.")
    assert ties_out(campaign, tmp_path)


def test_an_entitlement_is_whole_again_when_the_answer_is_taken_back() -> None:
    company = companies.found()
    grant = make.grant(company.bot, company.use, people=[company.alice])
    campaign = begin(company, "entitlement_definition")
    item = of(campaign, "clock:use")
    kept = tuple(item.lines.filter(tool__name="now").values_list("pk", flat=True))
    remove(campaign, company.sam, item, Answer("reduce", "unused", kept=kept))
    reviews.recall(item.pk, by=company.sam)
    assert (company.use.lines.count(), grant.lines.count()) == (4, 4)


def test_a_removed_entitlement_can_neither_be_asked_for_nor_used() -> None:
    company = companies.found()
    campaign = begin(company, "entitlement_definition")
    assert remove(campaign, company.sam, of(campaign, "clock:use")).state == "verified"
    assert not Entitlement.objects.get(pk=company.use.pk).enabled


# console_access


def test_a_role_is_asked_of_the_manager_and_opens_nothing_once_removed(tmp_path: Path) -> None:
    company = companies.found()
    people.edit(company.mallory, by=SYSTEM, manager=company.mona)
    people.assign_role(company.mallory, Role.ANALYST, by=SYSTEM, reason="for the test")
    campaign = begin(company, "console_access")
    item = of(campaign, "mallory:analyst")
    assert worlds.live(item).reviewer == company.mona
    assert remove(campaign, company.mona, item).state == "verified"
    assert not company.mallory.has_role(Role.ANALYST)
    reviews.close(campaign.pk, by=company.ana, reason="The others are a rehearsal.", without_answer=True)
    assert ties_out(campaign, tmp_path)


def test_nobody_certifies_their_own_role() -> None:
    company = companies.found()
    item = of(begin(company, "console_access"), "resa:security")
    assert worlds.live(item).reviewer == company.rob
    with pytest.raises(ConflictOfInterest):
        reviews.reassign(item.pk, company.resa, by=company.ana, reason="She knows best.")
    with refused("their own"):
        decide(item, company.resa)


def test_the_last_platform_admin_keeps_the_role_whatever_is_answered_and_silence_takes_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    company = companies.found()
    admin = make.person("ada", roles=[Role.ADMIN])
    first = begin(company, "ownership")
    reviews.close(first.pk, by=company.ana, reason="A rehearsal.", without_answer=True)
    campaign = begin(company, "console_access")
    item = of(campaign, "ada:admin")
    reviews.save_draft(item.pk, REMOVE, by=company.named(str(worlds.live(item).reviewer)), rev=0)
    with pytest.raises(roles.LastAdmin):
        reviews.submit(campaign.pk, by=company.named(str(worlds.live(item).reviewer)), via=ReviewDecision.Via.UI)
    later = clock.now() + timedelta(days=20)
    monkeypatch.setattr(clock, "now", lambda: later)
    reviews.apply_due()
    assert admin.has_role(Role.ADMIN)
    assert set(NoAnswer.objects.filter(item__campaign=campaign).values_list("did", flat=True)) == {"keep_flagged"}


# all of them


def test_what_is_asked_each_time_carries_no_answers_and_says_what_its_scope_cannot_be() -> None:
    company = companies.found()
    with pytest.raises(BadManner):
        Manner(kind="delegation", mode="delta", carry_days=30).check()
    with pytest.raises(BadScope):
        begin(company, "console_access", systems=["clock"])


def test_who_left_a_shared_grant_may_hold_it_again_beside_the_others(shared: tuple[Company, Grant]) -> None:
    company, grant = shared
    make.grant(company.bot, grant.entitlement, people=[company.bob])
    before = serving.leave(grant.pk, company.alice, by=SYSTEM, reason="no longer")
    again = make.grant(company.bot, grant.entitlement, people=[company.alice, company.bob])
    serving.come_back(grant.pk, before, by=SYSTEM, reason="after all")
    assert grant.subjects.count() == again.subjects.count() == 2
