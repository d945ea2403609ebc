from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from audit import chain, clock
from audit.context import SYSTEM
from entitlements.agents import versions
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool, ToolVersion
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.definitions import definitions
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Person
from governance.requests.models import AccessRequest
from governance.reviews.campaigns import pause
from governance.reviews.decisions import bulk
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.event_triggered import reach
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.staging import launch
from governance.reviews.suggestions import judgement, suggestions
from governance.reviews.suggestions.judgement import judge
from governance.reviews.suggestions.models import Suggestion
from governance.reviews.usage.models import UsageDay
from tests import make, snapshots
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.sod.test_combinations import rule

OLD = timedelta(days=200)
type Move = Callable[[datetime | timedelta], datetime]
CALM: dict[str, Any] = {
    "lines": [{"line": 1, "tool": "now", "action": "read", "calls": 9, "full": True, "changed": False, "wider": False}],
    "peers": {"count": 0, "least": 0},
    "denied": 0,
    "sponsor_active": True,
    "idle": False,
    "old_secret": False,
    "new": False,
    "by_rule": False,
    "kept_before": False,
    "combinations": [],
    "runs_another": False,
    "seasonal": False,
    "blast": 20,
    "blast_before": None,
}


def line(
    number: int, calls: int, *, full: bool = True, action: str = "read", changed: bool = False, wider: bool = False
) -> dict[str, Any]:
    said = {"line": number, "tool": f"t{number}", "action": action, "calls": calls, "full": full}
    return {**said, "changed": changed, "wider": wider}


@pytest.mark.parametrize(
    ("differs", "verdict", "signals"),
    [
        ({}, "keep", {}),
        ({"lines": [line(1, 0), line(2, 0)]}, "revoke", {"U1": 6, "U2": 6}),
        ({"lines": [line(1, 0), line(2, 7)]}, "reduce", {"U1": 3}),
        ({"lines": [line(1, 0), line(2, 7)], "parts": False}, "look", {"U1": 3}),
        ({"lines": [line(1, 0), line(2, 0)], "parts": False}, "revoke", {"U1": 6, "U2": 6}),
        ({"lines": [line(1, 0, full=False)]}, "unknown", {}),
        ({"lines": [line(1, 0, full=False), line(2, 7)]}, "unknown", {}),
        ({"lines": [line(1, 0, full=False)], "idle": True, "sponsor_active": False}, "revoke", {"D1": 4, "O1": 5}),
        ({"idle": True, "sponsor_active": False}, "look", {"D1": 4, "O1": 5}),
        ({"denied": 5}, "keep", {}),
        ({"denied": 6}, "look", {"U3": 0}),
        ({"sponsor_active": False}, "look", {"O1": 5}),
        ({"lines": [line(1, 7, changed=True)]}, "look", {"F1": 0}),
        ({"lines": [line(1, 7, changed=True, wider=True)]}, "look", {"F1": 0, "F1+": 4}),
        ({"runs_another": True}, "look", {"F2": 0}),
        ({"blast": 69}, "keep", {}),
        ({"blast": 70}, "look", {"B1": 0}),
        ({"blast": 40, "blast_before": 26}, "keep", {}),
        ({"blast": 40, "blast_before": 25}, "look", {"B1": 0}),
        ({"lines": [line(1, 0), line(2, 7)], "seasonal": True}, "keep", {"S1": 0}),
        (
            {"lines": [line(1, 0)], "seasonal": True, "idle": True, "sponsor_active": False},
            "look",
            {"D1": 4, "O1": 5, "S1": 0},
        ),
        ({"combinations": ["trifecta"]}, "look", {"C1": 4}),
        ({"new": True}, "look", {"N1": 0}),
        ({"by_rule": True}, "look", {"A1": 1}),
        ({"lines": [line(1, 7, action="delete")]}, "look", {"R1": 2}),
        ({"lines": [line(1, 7, action="delete")], "peers": {"count": 5, "least": 70}}, "keep", {"R1": 2, "P1-": -3}),
        ({"peers": {"count": 5, "least": 29}}, "look", {"P1+": 2}),
        ({"peers": {"count": 4, "least": 0}}, "keep", {}),
        ({"old_secret": True, "kept_before": True}, "keep", {"K1": 1, "H1": -1}),
    ],
)
def test_the_same_facts_always_give_the_same_verdict(
    differs: dict[str, Any], verdict: str, signals: dict[str, int]
) -> None:
    judged = judge(CALM | differs)
    assert (judged.verdict, {each["signal"]: each["weight"] for each in judged.reasons}) == (verdict, signals)
    assert judged.score == sum(signals.values())
    assert judged == judge(CALM | differs)


def used(grant: Grant, name: str, calls: int) -> None:
    tool, now = Tool.objects.get(system=grant.entitlement.system, name=name), clock.now()
    UsageDay.objects.create(
        agent=grant.agent, grant=grant, tool=tool, day=now.date(), calls=calls, denied=0, last_at=now
    )


@snapshots.restored
def old_company() -> tuple[Company, Grant]:
    company = companies.found()
    company.use.longest = 2 * OLD
    company.use.save()
    lasts = OLD + timedelta(days=30)
    return company, make.grant(
        company.bot, company.use, people=[company.alice], starts_at=clock.now() - OLD, lasts=lasts
    )


@pytest.mark.django_db
def test_what_is_used_is_kept_and_the_rest_suggested_for_removal_with_the_frozen_reasons() -> None:
    company, grant = old_company()
    used(grant, "now", 12)
    used(grant, "convert", 3)
    Tool.objects.filter(name="wipe").update(action="delete")

    campaign = worlds.campaign(company)

    told = Suggestion.objects.get(item__campaign=campaign)
    kept = set(told.item.lines.filter(pk__in=told.kept).values_list("tool__name", flat=True))
    assert (told.verdict, kept, told.version) == ("reduce", {"now", "convert"}, judgement.VERSION)
    assert {each["signal"] for each in told.reasons} == {"U1", "R1"}
    assert told.inputs_sha256 == hashlib.sha256(chain.canonical(told.inputs)).hexdigest()
    again = judge(told.inputs)
    assert (again.verdict, again.score, list(again.kept)) == (told.verdict, told.score, told.kept)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "options", [CampaignOptions(strategies={"critical": "all_must_keep"}), CampaignOptions(kind="delegation")]
)
def test_to_keep_some_is_suggested_only_of_what_has_parts(
    options: CampaignOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, grant = old_company()
    used(grant, "now", 12)
    until = clock.now() + timedelta(days=14)
    made = campaigns.make("q4", name="Q4", due_at=until, options=options, by=company.ana)
    with monkeypatch.context() as earlier:
        earlier.setattr(judgement, "judge", lambda inputs: judge({**inputs, "parts": True}))
        campaign = launch.activate(made.pk, by=company.ana)
    item = worlds.item(campaign)
    by = Person.objects.get(review_assignments__item=item)
    assert item.suggestion.verdict == "reduce"  # as the release before said it

    assert judge(item.suggestion.inputs).verdict == "look"
    barred = bulk.preview(campaign, [item.pk], Answer("reduce", "unused"), by=by).barred
    assert barred == {item.pk: bulk.Bar.NOTHING_SUGGESTED}


@pytest.mark.django_db
def test_an_orphan_a_drifted_tool_and_a_request_that_no_person_approved_are_looked_at() -> None:
    company, grant = old_company()
    for name in ("now", "convert", "remove", "wipe"):
        used(grant, name, 5)
    Tool.objects.filter(name="wipe").update(state="quarantined")
    request = company.ask("now", people=[company.bob])
    Grant.objects.filter(pk=grant.pk).update(request_id=request.pk)
    people.disable(company.sofia, by=SYSTEM, reason="left")

    told = Suggestion.objects.get(item__campaign=worlds.campaign(company))

    assert (told.verdict, {each["signal"] for each in told.reasons}) == ("look", {"O1", "F1", "A1"})
    assert next(each["names"] for each in told.reasons if each["signal"] == "F1") == ["wipe"]


@pytest.mark.django_db
def test_a_suggestion_is_never_changed_and_made_only_before_the_campaign_begins() -> None:
    company, _ = worlds.found()
    told = Suggestion.objects.get(item__campaign=worlds.campaign(company))
    assert told.verdict == "unknown"
    for statement in (
        "UPDATE governance_suggestion SET verdict = 'keep'",
        "DELETE FROM governance_suggestion",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.django_db
def test_access_that_was_renewed_counts_from_its_first_grant_with_the_calls_of_all() -> None:
    company = companies.found()
    start = clock.now() - timedelta(days=100)
    old = make.grant(company.bot, company.use, people=[company.alice], starts_at=start, lasts=timedelta(days=89))
    Grant.objects.filter(pk=old.pk).update(state="expired", ended_at=clock.now(), end_reason="Its time was over.")
    used(old, "now", 8)
    request = company.ask("now")
    AccessRequest.objects.filter(pk=request.pk).update(renews=old)
    new = make.grant(company.bot, company.use, people=[company.alice])
    Grant.objects.filter(pk=new.pk).update(request_id=request.pk)

    item = worlds.item(worlds.campaign(company))

    lines = {line.tool.name: line.calls_window for line in item.lines.select_related("tool")}
    assert lines == {"now": 8, "convert": 0, "remove": 0, "wipe": 0}
    assert (item.suggestion.verdict, len(item.suggestion.kept)) == ("reduce", 1)


@pytest.mark.django_db
def test_a_decision_keeps_what_was_suggested_and_by_which_version() -> None:
    company, _ = worlds.found()
    helper = make.agent("helper", sponsor=company.sofia)
    make.grant(helper, worlds.low(company), people=[company.bob])
    campaign = worlds.campaign(company)
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign, helper), Answer("certify"))])
    decision = ReviewDecision.objects.get()
    assert (decision.suggestion, decision.reco_version) == ("unknown", judgement.VERSION)


@pytest.mark.django_db
def test_what_an_earlier_table_suggested_is_answered_as_its_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    company, _ = worlds.found()
    helper = make.agent("helper", sponsor=company.sofia)
    make.grant(helper, worlds.low(company), people=[company.bob])
    with monkeypatch.context() as earlier:
        earlier.setattr(judgement, "VERSION", "reco@0.9.0")
        campaign = worlds.campaign(company)
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign, helper), Answer("certify"))])
    assert ReviewDecision.objects.get().reco_version == "reco@0.9.0"


@pytest.mark.django_db
def test_what_lies_unused_holds_what_may_not_go_together_or_came_after_the_last_review_is_named() -> None:
    company, grant = old_company()
    for name in ("now", "convert", "remove", "wipe"):
        used(grant, name, 5)
    first = worlds.item(worlds.campaign(company))
    assert {each["signal"] for each in first.suggestion.reasons} == set()

    rule("now-and-wipe", [{"tools": ["now"]}, {"tools": ["wipe"]}])
    idle = make.agent("idle", sponsor=company.sofia)
    calm = make.entitlement(company.system, Tool.objects.get(name="now"))
    calm.longest = 2 * OLD
    calm.save()
    make.grant(idle, calm, people=[company.bob], starts_at=clock.now() - OLD, lasts=OLD + timedelta(days=9))
    second = worlds.campaign(company, slug="second")
    told = {
        item.agent_slug: (item.suggestion.verdict, {each["signal"] for each in item.suggestion.reasons})
        for item in ReviewItem.objects.filter(campaign=second).select_related("agent", "suggestion")
    }
    assert told == {"research-bot": ("look", {"C1"}), "idle": ("revoke", {"U1", "U2", "D1", "N1"})}


@pytest.mark.django_db
def test_a_review_that_never_began_or_was_cancelled_hides_nothing_that_is_new() -> None:
    company, _ = old_company()
    worlds.campaign(company)
    make.grant(make.agent("newer", sponsor=company.sofia), worlds.low(company), people=[company.bob])
    launch.stage_now(worlds.campaign(company, start=False, slug="draft").pk, by=company.ana)
    pause.cancel(worlds.campaign(company, slug="over").pk, by=company.ana, reason="It was a mistake.")
    third = worlds.campaign(company, slug="third")
    assert "N1" in _signals(worlds.item(third, Agent.objects.get(slug="newer")))
    fourth = worlds.campaign(company, slug="fourth")
    assert "N1" not in _signals(worlds.item(fourth, Agent.objects.get(slug="newer")))


@pytest.mark.django_db
def test_a_shared_secret_is_as_old_as_its_last_rotation() -> None:
    company, grant = old_company()
    client, _secret = make.client(grant.agent, auth=Client.Auth.CLIENT_SECRET_BASIC)
    Client.objects.filter(pk=client.pk).update(credential_made_at=clock.now() - timedelta(days=400))
    campaign = worlds.campaign(company)
    items, peers = [worlds.item(campaign).pk], suggestions.peers_of(campaign)

    def is_old() -> bool:
        return bool(suggestions.gather(items, clock.now(), peers)[0][1]["old_secret"])

    assert is_old()
    clients.rotate_secret(client, by=grant.agent.sponsor.principal, reason="a year is long")
    assert not is_old()


@pytest.mark.django_db
def test_a_grown_schema_another_model_and_a_longer_reach_since_the_last_review_are_looked_at(at: Move) -> None:
    company, grant = old_company()
    for name in ("now", "convert", "remove", "wipe"):
        used(grant, name, 5)
    versions.report(company.bot, versions.Version(model="small-1"), by=SYSTEM)
    Grant.objects.filter(pk=grant.pk).update(starts_at=clock.now() + timedelta(seconds=1))
    first = worlds.campaign(company)
    assert {"F1", "F1+", "F2", "B1"}.isdisjoint(_signals(worlds.item(first)))
    begun = worlds.item(first).suggestion.inputs

    at(timedelta(days=1))
    versions.report(company.bot, versions.Version(model="large-2"), by=SYSTEM)
    _offer_more(Tool.objects.get(name="now"))
    Tool.objects.filter(name="wipe").update(data_class="restricted", action="delete")

    second = worlds.item(worlds.campaign(company, slug="second"))

    assert {"F1", "F1+", "F2", "B1"} <= _signals(second)
    told = second.suggestion.inputs
    assert told["blast_before"] == begun["blast"] <= told["blast"] - judgement.FARTHER
    assert told["blast"] == reach.score(Grant.objects.filter(agent=company.bot, ended_at=None), company.bot)


@pytest.mark.django_db
def test_what_is_used_in_a_season_is_not_suggested_for_removal_while_it_lies_unused(at: Move) -> None:
    company, _ = worlds.found()
    calm = make.entitlement(company.system, *Tool.objects.filter(name__in=["now", "convert"]))
    calm.longest = 2 * OLD
    calm.save()
    bot = make.agent("december", sponsor=company.sofia)
    make.grant(bot, calm, people=[company.bob], starts_at=clock.now() - OLD, lasts=OLD + timedelta(days=9))
    first = worlds.campaign(company)
    assert worlds.item(first, bot).suggestion.verdict == "revoke"
    worlds.answer(first, company.sofia, [(worlds.item(first, bot), Answer("certify", "seasonal", "Each December."))])
    at(timedelta(days=1))
    second = worlds.item(worlds.campaign(company, slug="second"), bot)
    assert (second.suggestion.verdict, {"U1", "U2"} & _signals(second)) == ("look", set())
    assert {"S1", "H1"} <= _signals(second)


def _offer_more(tool: Tool) -> None:
    """Let a server list a tool that takes one argument more than the definition that is approved."""
    for properties in ({}, {"anything": {"type": "string"}}):
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        raw = {"name": tool.name, "inputSchema": schema}
        seen = ToolVersion.objects.create(
            tool=tool, definition=raw, sha256=definitions.digest(raw), seen_at=clock.now()
        )
        Tool.objects.filter(pk=tool.pk).update(**({"seen": seen} if properties else {"seen": seen, "approved": seen}))


def _signals(item: ReviewItem) -> set[str]:
    return {each["signal"] for each in item.suggestion.reasons}
