"""What begins a small review: each cause by the act that brings it about, once, and about what it concerns alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import versions
from entitlements.agents.models import Agent
from entitlements.catalog import discovery, tools
from entitlements.catalog.models import Tool
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from governance.approvals import approvals
from governance.ownership import dormancy
from governance.request_changes import renewal
from governance.reviews.campaigns import sweeps
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.event_triggered import answer, causes, start, triggers
from governance.reviews.event_triggered import sweeps as sweeps_actions
from governance.reviews.event_triggered import words as event_triggered_words
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.usage.models import UsageDay
from governance.sod import check, policies
from governance.sod.models import SodPolicy
from tests import make
from tests.audit.make import Archive
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

type Hear = Callable[[], dict[str, ReviewTrigger]]
type Move = Callable[[datetime | timedelta], datetime]
MONTHS = timedelta(days=89)


@pytest.fixture
def heard() -> Hear:
    """Hear what the record says since the last time, and return what waits by kind."""
    known: set[UUID] = set()

    def note_events() -> dict[str, ReviewTrigger]:
        for event in Event.objects.filter(action__in=[*triggers._HANDLERS]).order_by("at", "sequence"):
            if event.uuid not in known:
                triggers.note_event(event)
            known.add(event.uuid)
        return {each.kind: each for each in ReviewTrigger.objects.filter(state="waiting")}

    return note_events


def drifted(tool: Tool, **changes: object) -> None:
    """Let a server offer another definition of a tool than the approved one."""
    raw = {**(tool.approved.definition if tool.approved else {}), **changes}
    with transaction.atomic():
        locks.exclusive((Lock.TOOL, tool.pk))
        discovery.update_tool(tool, raw, discovery.Discovery(), by=SYSTEM)


def test_a_changed_tool_is_asked_about_at_each_agent_that_holds_it_with_the_difference(heard: Hear) -> None:
    company, grant = worlds.found()
    make.grant(make.agent("bystander"), make.entitlement(make.system("mail")), lasts=MONTHS)
    drifted(Tool.objects.get(name="now"), description="Deletes your mail.")
    waiting = heard()["tool_changed"]
    assert (waiting.agent, waiting.subject, waiting.grants) == (company.bot, "agent:research-bot", [grant.pk])
    [fact] = waiting.facts
    assert (fact["tool"], fact["change"]) == ("clock/now", "description")
    assert any("Deletes your mail." in line for line in fact["difference"])

    assert start.open_due() == 1
    campaign = ReviewTrigger.objects.get(kind="tool_changed").campaign
    assert campaign is not None
    assert (campaign.kind, campaign.state, campaign.is_rehearsal) == ("micro", "active", False)
    assert [item.agent for item in campaign.items.all()] == [company.bot]


def test_whoever_answers_for_an_agent_and_goes_to_another_manager_is_asked_whether_it_is_still_theirs(
    heard: Hear,
) -> None:
    company, _grant = worlds.found()
    people.edit(company.sofia, by=SYSTEM, manager=company.mona)
    assert "moved" not in heard(), "nobody was known before"
    people.edit(company.sofia, by=SYSTEM, manager=company.resa)
    [fact] = heard()["moved"].facts
    assert (fact["office"], fact["name"], fact["from"], fact["to"]) == ("sponsor", "Sofia", "Mona", "Resa")
    assert start.open_due() == 1
    trigger = ReviewTrigger.objects.get(kind="moved")
    assert "The sponsor Sofia has a new manager: Resa, before Mona." in {
        each.sentence for each in event_triggered_words.happened(trigger)
    }


def test_whose_manager_left_has_not_moved(heard: Hear) -> None:
    company, _grant = worlds.found()
    people.edit(company.sofia, by=SYSTEM, manager=company.mona)
    people.disable(company.mona, by=SYSTEM, reason="gone")
    people.edit(company.sofia, by=SYSTEM, manager=company.resa)
    assert "moved" not in heard()


def test_a_cosmetic_change_is_no_cause(heard: Hear) -> None:
    worlds.found()
    drifted(Tool.objects.get(name="now"), icons=[{"src": "https://example.org/clock.png"}])
    changed = Event.objects.get(action=Action.TOOL_CHANGED)
    assert changed.detail["change"] == "cosmetic"
    assert "tool_changed" not in heard()


def test_whoever_leaves_is_a_cause_for_what_they_answered_for_and_for_what_was_given_for_them(heard: Hear) -> None:
    company, grant = worlds.found()
    bobs = make.grant(company.bot, company.use, people=[company.bob])
    people.disable(company.sofia, by=SYSTEM, reason="gone")
    people.disable(company.bob, by=SYSTEM, reason="gone")
    waiting = heard()
    assert (waiting["leaver"].facts[0]["name"], waiting["leaver"].facts[0]["office"]) == ("Sofia", "sponsor")
    assert waiting["leaver"].grants == []
    assert (waiting["delegate_left"].facts[0]["name"], waiting["delegate_left"].grants) == ("Bob", [bobs.pk])

    assert start.open_due() == 2
    asked = ReviewTrigger.objects.get(kind="delegate_left").campaign
    assert asked is not None
    assert list(asked.population.values_list("grant", flat=True)) == [bobs.pk] != [grant.pk]


def test_an_unused_agent_is_asked_about_when_its_sponsor_is(at: Move, heard: Hear) -> None:
    company, _ = worlds.found()
    make.grant(company.bot, make.entitlement(company.system), people=[company.bob], lasts=MONTHS)
    at(timedelta(days=31))
    dormancy.take_steps()
    at(timedelta(days=15))
    assert "dormant" not in heard()
    dormancy.take_steps()
    assert heard()["dormant"].agent == company.bot


def test_the_first_use_of_what_cannot_be_undone_is_asked_about_once() -> None:
    company, grant = worlds.found()
    Tool.objects.filter(name="wipe").update(action="delete")
    wipe, today = Tool.objects.get(name="wipe"), clock.now()
    row = {"agent": company.bot, "grant": grant, "denied": 0}
    UsageDay.objects.create(**row, tool=Tool.objects.get(name="now"), day=today.date(), calls=9, last_at=today)
    assert sweeps_actions.first_uses() == 0
    UsageDay.objects.create(**row, tool=wipe, day=today.date(), calls=2, last_at=today)
    assert (sweeps_actions.first_uses(), sweeps_actions.first_uses()) == (1, 0)
    cause = ReviewTrigger.objects.get()
    assert (cause.kind, cause.grants, cause.facts[0]["tool"], cause.facts[0]["calls"]) == (
        "irreversible_use",
        [grant.pk],
        "clock/wipe",
        2,
    )


def test_a_tool_that_was_used_before_the_last_week_is_no_first_use() -> None:
    company, grant = worlds.found()
    Tool.objects.filter(name="wipe").update(action="delete")
    for days in (0, 30):
        day = clock.now() - timedelta(days=days)
        row = {"agent": company.bot, "grant": grant, "tool": Tool.objects.get(name="wipe"), "denied": 0}
        UsageDay.objects.create(**row, day=day.date(), calls=2, last_at=day)
    assert sweeps_actions.first_uses() == 0


def rule(company: Company) -> SodPolicy:
    """Publish that nobody reads the clock and wipes it."""
    sides = [{"tools": ["now"]}, {"tools": ["wipe"]}]
    proposed = policies.propose(
        "pair",
        sentence="Reads the clock and wipes it.",
        sides=sides,
        on=True,
        by=company.resa,
        reason="a test",
    )
    return policies.KIND.confirm(proposed.pk, by=company.rob, reason="seen")


def test_a_combination_is_asked_about_when_a_rule_finds_it_and_only_once_for_its_wording(heard: Hear) -> None:
    company, _ = worlds.found()
    assert "combination" not in heard()
    rule(company)
    cause = heard()["combination"]
    assert (cause.agent, cause.facts[0]["rule"], len(cause.facts[0]["sides"])) == (company.bot, "pair", 2)
    start.open_due()
    assert "combination" not in heard(), "the same wording is asked about once"


def test_each_agent_that_holds_a_forbidden_combination_is_asked_about_however_many_a_page_shows(
    heard: Hear, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, _ = worlds.found()
    other = make.agent("other-bot", sponsor=company.sofia)
    make.grant(other, company.use, people=[company.bob])
    heard()
    monkeypatch.setattr(check, "MOST_SHOWN", 1)
    rule(company)
    heard()
    asked = ReviewTrigger.objects.filter(kind="combination").values_list("agent__slug", flat=True)
    assert sorted(asked) == ["other-bot", "research-bot"]


def test_a_combination_that_another_classing_of_a_tool_completes_is_asked_about(heard: Hear) -> None:
    company, _ = worlds.found()
    proposed = policies.propose(
        "pair", sentence="Reads and deletes.", sides=[{"tools": ["now"]}, {"actions": ["delete"]}], on=True,
        by=company.resa, reason="a test",
    )  # fmt: skip
    policies.KIND.confirm(proposed.pk, by=company.rob, reason="seen")
    assert "combination" not in heard()
    wipe = Tool.objects.select_related("seen").get(name="wipe")
    assert wipe.seen is not None
    approval = tools.Approval(wipe, wipe.seen.sha256, "Wipes.", "delete", "critical")
    tools.approve_tool(approval, by=company.sam.principal)
    cause = heard()["combination"]
    assert (cause.agent, cause.facts[0]["sides"]) == (company.bot, [["clock/now"], ["clock/wipe"]])
    start.open_due()
    assert ReviewTrigger.objects.get(kind="combination").campaign is not None


def test_a_changed_agent_a_new_sponsor_many_denials_and_a_far_greater_reach_are_causes(heard: Hear) -> None:
    company, _ = worlds.found()
    heard()
    ReviewTrigger.objects.update(state="dropped")
    version = versions.Version("model-1")
    versions.report(company.bot, version, by=SYSTEM)
    assert "agent_changed" not in heard(), "the first report is no change"
    versions.report(company.bot, versions.Version("model-2"), by=SYSTEM)
    make.hand_over(company.bot, "sponsor", make.person("sven"), by=company.ana.principal, reason="moved")
    today = clock.now()
    row = {"agent": company.bot, "tool": Tool.objects.get(name="now"), "calls": 0, "last_at": None}
    UsageDay.objects.create(**row, day=(today - timedelta(days=3)).date(), denied=40)
    UsageDay.objects.create(**row, day=today.date(), denied=19)
    assert sweeps_actions.spikes() == 0
    UsageDay.objects.filter(day=today.date()).update(denied=20)
    assert (sweeps_actions.spikes(), sweeps_actions.spikes()) == (1, 0)
    Tool.objects.filter(name="wipe").update(data_class="restricted", action="delete")
    big = make.entitlement(company.system, Tool.objects.get(name="wipe"))
    many = make.group(*(make.person() for _ in range(30)))
    make.grant(company.bot, big, groups=[many])
    waiting = heard()
    assert waiting["agent_changed"].facts[-1]["changed"] == ["model"]
    assert waiting["new_office"].facts[-1]["to"] == "sven"
    assert waiting["denials"].facts[-1]["denied"] == 20
    reach = waiting["reach_grew"].facts[-1]
    assert reach["after"] - reach["before"] >= 15


def _given(agent: Agent, times: int, people: int = 2) -> list[UUID]:
    """Give an agent small access, each time for another system."""
    named = [make.person() for _ in range(people)]
    use = (make.entitlement(of, make.tool(of)) for of in (make.system() for _ in range(times)))
    return [make.grant(agent, each, people=named, lasts=MONTHS, starts_at=clock.now()).pk for each in use]


def test_small_accesses_that_together_reach_much_further_than_at_the_last_look_are_one_cause(
    heard: Hear, at: Move
) -> None:
    company = companies.found()
    agent = make.agent("small-bot", sponsor=company.sofia)
    _given(agent, 3)
    assert "reach_grew" not in heard(), "nobody looked yet: each has been approved by itself"
    campaign = worlds.campaign(company)
    waiting = worlds.waiting_for(campaign, company.sofia)
    worlds.answer(campaign, company.sofia, [(each.item, worlds.KEEP) for each in waiting])
    at(timedelta(days=2))
    first = _given(agent, 2)
    assert "reach_grew" not in heard()
    at(timedelta(days=2))
    more = [*_given(agent, 1), *_given(agent, 1)]
    many = [*first, *more]
    for _ in range(20):
        if "reach_grew" in heard():
            break
        at(timedelta(minutes=1))
        many += _given(agent, 1)
    cause = heard()["reach_grew"]
    (fact,) = cause.facts
    assert (fact["after"] - fact["before"] >= 15, fact["grants"], cause.grants) == (True, len(many), sorted(many))
    _given(agent, 1)
    assert len(heard()["reach_grew"].facts) == 1, "it is noted once"

    assert start.open_due() == 1
    cause.refresh_from_db()
    small = cause.campaign
    assert small is not None
    assert set(small.population.values_list("grant", flat=True)) == set(many)
    at(timedelta(days=1))
    _given(agent, 1)
    assert "reach_grew" not in heard(), "nor while it is asked about"
    assert worlds.waiting_for(small, company.sofia)


def test_what_a_look_cut_and_what_is_renewed_is_no_rise(heard: Hear, at: Move) -> None:
    company = companies.found()
    agent = make.agent("small-bot", sponsor=company.sofia)
    kept = _given(agent, 3)
    dropped = _given(agent, 5)
    campaign = worlds.campaign(company)
    answers = {}
    for each in worlds.waiting_for(campaign, company.sofia):
        (held,) = each.item.population.values_list("grant", flat=True)
        answers[each.item] = worlds.KEEP if held in kept else worlds.REMOVE
    worlds.answer(campaign, company.sofia, list(answers.items()))
    at(timedelta(minutes=20))
    while sweeps.prove_due():
        pass
    assert not Grant.objects.filter(pk__in=dropped, ended_at=None).exists()
    at(timedelta(days=2))
    for pk in kept:  # as if each was renewed: another in its place
        grants.revoke(pk, by=SYSTEM, reason="It is renewed.")
    _given(agent, 3)
    assert "reach_grew" not in heard()
    _given(agent, 14)
    assert heard()["reach_grew"].facts[0]["before"] == 19, "what was cut was not there any more"


def test_weighty_access_that_is_renewed_by_itself_is_no_rise(heard: Hear) -> None:
    company = companies.found()
    Tool.objects.filter(name="now").update(data_class="restricted", action="delete")
    make.grant(company.bot, make.entitlement(make.system("mail")), lasts=MONTHS)
    asked = company.ask("now", people=[make.person() for _ in range(30)])
    approvals.approve(asked.pk, by=company.sofia)
    assert "reach_grew" in heard(), "it is weighty"
    ReviewTrigger.objects.update(state="dropped")
    held = Grant.objects.get(request_id=asked.pk)
    again = renewal.renew(held.pk, by=company.otto, lasts=timedelta(days=7), reason="still needed")
    approvals.approve(again.pk, by=company.sofia)
    assert Grant.objects.filter(request_id=again.pk, ended_at=None).exists()
    assert "reach_grew" not in heard()


def test_an_answer_about_one_access_is_no_look_at_all_of_it(heard: Hear, at: Move) -> None:
    company = companies.found()
    agent = make.agent("small-bot", sponsor=company.sofia)
    (held, *_) = _given(agent, 3)
    campaign = worlds.campaign(company)
    waiting = worlds.waiting_for(campaign, company.sofia)
    worlds.answer(campaign, company.sofia, [(each.item, worlds.KEEP) for each in waiting])
    at(timedelta(days=2))
    first = _given(agent, 2)
    causes.note("ends_soon", agent, {"what": "x", "day": "2026-12-01"}, grants=[held])
    assert start.open_due() == 1
    small = ReviewTrigger.objects.get(kind="ends_soon").campaign
    assert small is not None
    answer.answer(
        small.pk, answer.ReviewAnswer("certify", worlds.open_in(small)), by=company.sofia, via=ReviewDecision.Via.UI
    )
    at(timedelta(days=1))
    many = [*first, *_given(agent, 12)]
    assert sorted(heard()["reach_grew"].grants) == sorted(many)


def test_access_of_long_standing_is_asked_about_before_it_ends_and_short_access_is_not(at: Move) -> None:
    company, _ = worlds.found()
    longest = make.grant(company.bot, company.use, people=[company.bob], lasts=timedelta(days=90))
    make.grant(company.bot, company.use, people=[company.mona], lasts=timedelta(days=30))
    at(timedelta(days=20))
    assert sweeps_actions.ending() == 0
    at(timedelta(days=58))
    assert (sweeps_actions.ending(), sweeps_actions.ending()) == (1, 0)
    assert ReviewTrigger.objects.get().grants == [longest.pk]


def test_the_record_is_read_on_from_where_it_was_left_and_what_was_before_is_no_cause(
    transactional_db: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    archive = Archive(tmp_path, Ed25519PrivateKey.generate())
    company, _ = worlds.found()
    people.disable(company.bob, by=SYSTEM, reason="before")
    archive.seal()
    assert triggers.listen() == 0
    people.disable(company.sofia, by=SYSTEM, reason="gone")
    archive.seal()
    with transaction.atomic():
        assert triggers.listen() == 1
        transaction.set_rollback(True)  # as where the worker is killed
    assert (triggers.listen(), triggers.listen()) == (1, 0)
    assert [each.kind for each in ReviewTrigger.objects.all()] == ["leaver"]
