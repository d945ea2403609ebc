from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from audit.export import timeline
from entitlements.errors import ReasonRequired, Stale
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Role
from governance.reviews.campaigns import close, sweeps
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import submission as submission_actions
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.evidence import record
from governance.reviews.items import errors as item_errors
from governance.reviews.items import review_rules, visibility
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import BadAnswer, BadScope, NameTaken, NotTheReviewer
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population import campaigns
from governance.reviews.population.models import PopulationRow
from governance.reviews.remediation import remediation
from governance.reviews.remediation.models import Remediation
from governance.reviews.reviewers import assignment as assignment_actions
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)

UI = ReviewDecision.Via.UI

type Move = Callable[[datetime | timedelta], datetime]


def test_a_campaign_goes_from_draft_to_closed_and_the_record_tells_it(company: Company) -> None:
    grant = worlds.granted(company)
    kept = make.grant(make.agent("helper", sponsor=company.sofia), worlds.low(company), people=[company.bob])

    campaign = worlds.campaign(company)
    worst, mild = ReviewItem.objects.order_by("number")
    assert (worst.risk, mild.risk, worst.subjects) == ("critical", "low", ["person:alice"])
    submission = worlds.answer(campaign, company.sofia, [(worst, worlds.REMOVE), (mild, Answer("certify"))])
    for removal in submission.removals:
        remediation.verify(removal)
    grant.refresh_from_db()
    assert grant.state == "suspended"  # it may still be taken back
    close.close(campaign.pk, by=company.ana, reason="All answered.")

    campaign.refresh_from_db()
    grant.refresh_from_db()
    kept.refresh_from_db()
    assert (campaign.state, grant.state, kept.state) == ("closed", "revoked", "active")
    assert "unused" in grant.end_reason
    actions = [event.action for event in timeline.of("campaign", "q4")]
    assert [action for action in actions if action.startswith("campaign")] == [
        Action.CAMPAIGN_MADE,
        Action.CAMPAIGN_STAGING,
        Action.CAMPAIGN_STAGED,
        Action.CAMPAIGN_ACTIVATED,
        Action.CAMPAIGN_CLOSING,
        Action.CAMPAIGN_CLOSED,
    ]
    assert actions.count(Action.REVIEW_DECIDED) == 2
    assert actions.count(Action.REMEDIATION_VERIFIED) == 1
    decided = timeline.of("decision", submission.removals[0]).first()
    assert decided is not None
    assert (decided.actor, decided.reason, decided.detail["verb"]) == ("person:sofia", worlds.REMOVE.comment, "revoke")
    ended = [event for event in timeline.of("grant", grant.pk) if event.action == Action.GRANT_REVOKED]
    assert [event.actor for event in ended] == ["person:sofia"]


def test_the_population_is_hashed_row_by_row_and_as_a_whole_in_any_time_zone(company: Company) -> None:
    grant = worlds.granted(company)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'Asia/Kathmandu'")
        campaign = worlds.campaign(company)

    (row,) = PopulationRow.objects.filter(campaign=campaign)
    data = json.loads(row.payload)
    assert data["expires_at"] == grant.expires_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert (data["agent"], data["subjects"], data["entitlement"]) == ("research-bot", ["person:alice"], "clock:use")
    assert {line["tool"] for line in data["lines"]} == {"now", "convert", "remove", "wipe"}
    assert row.row_sha256 == review_rules.row_digest(row.payload)
    assert campaign.population_sha256 == review_rules.population_digest([row.row_sha256])


def test_grants_of_one_agent_at_one_system_for_the_same_people_are_one_item_and_other_people_another(
    company: Company,
) -> None:
    worlds.granted(company)
    make.grant(company.bot, worlds.low(company), people=[company.alice])
    make.grant(company.bot, worlds.low(company), people=[company.bob])

    campaign = worlds.campaign(company)

    items = ReviewItem.objects.filter(campaign=campaign).order_by("number")
    assert [(item.subjects, item.population.count()) for item in items] == [(["person:alice"], 2), (["person:bob"], 1)]
    assert [item.lines.count() for item in items] == [5, 1]


def test_what_has_ended_is_not_in_the_population_and_what_is_suspended_is(company: Company) -> None:
    grant = worlds.granted(company)
    other = make.grant(make.agent(sponsor=company.sofia), worlds.low(company))
    grants.revoke(other.pk, by=company.ana.principal, reason="gone")
    grants.suspend(grant.pk, by=company.ana.principal, reason="pause")
    campaign = worlds.campaign(company)
    assert [row.grant_id for row in PopulationRow.objects.filter(campaign=campaign)] == [grant.pk]


def test_a_scope_names_systems_and_agents_that_exist(company: Company) -> None:
    worlds.granted(company)
    make.grant(make.agent("elsewhere", sponsor=company.sofia), make.entitlement(make.system("other")))
    due = clock.now() + timedelta(days=1)
    scopes: list[dict[str, Any]] = [
        {"systems": ["nowhere"]},
        {"systems": []},
        {"systems": "clock"},
        {"people": ["alice"]},
    ]
    for wrong in scopes:
        with pytest.raises(BadScope):
            campaigns.make("wrong", name="Wrong", due_at=due, scope=wrong, by=company.ana)

    campaign = campaigns.make("clock-only", name="Clock", due_at=due, scope={"systems": ["clock"]}, by=company.ana)
    launch.activate(campaign.pk, by=company.ana)

    assert worlds.item(campaign).agent == company.bot
    with pytest.raises(NameTaken):
        campaigns.make("clock-only", name="Again", due_at=due, by=company.ana)


def test_a_campaign_over_nothing_does_not_begin(company: Company) -> None:
    grant = worlds.granted(company)
    Grant.objects.filter(pk=grant.pk).update(expires_at=clock.now())
    with pytest.raises(item_errors.NothingToReview):
        worlds.campaign(company)
    assert Campaign.objects.get().state == "draft"


def test_drafts_are_kept_with_a_revision_and_two_windows_are_told_apart(company: Company) -> None:
    worlds.granted(company)
    item = worlds.item(worlds.campaign(company))
    first = submission_actions.save_draft(item.pk, worlds.KEEP, by=company.sofia, rev=0)
    second = submission_actions.save_draft(item.pk, worlds.REMOVE, by=company.sofia, rev=first.rev)
    assert (first.rev, second.rev, second.verb) == (1, 2, "revoke")
    for stale in (0, 1, 3):
        with pytest.raises(Stale):
            submission_actions.save_draft(item.pk, worlds.KEEP, by=company.sofia, rev=stale)
    with pytest.raises(NotTheReviewer):
        submission_actions.save_draft(item.pk, worlds.KEEP, by=company.sam, rev=0)
    for wrong in (Answer("approve"), Answer("certify", "unused"), Answer("revoke", "business_need")):
        with pytest.raises(BadAnswer):
            submission_actions.save_draft(item.pk, wrong, by=company.sofia, rev=2)
    assert ReviewDecision.objects.count() == 0


def test_a_submission_decides_everything_or_nothing(company: Company) -> None:
    worlds.granted(company)
    make.grant(make.agent("helper", sponsor=company.sofia), worlds.low(company), people=[company.bob])
    campaign = worlds.campaign(company)
    worst, mild = ReviewItem.objects.order_by("number")

    with pytest.raises(ReasonRequired):
        worlds.answer(campaign, company.sofia, [(mild, Answer("certify")), (worst, Answer("certify"))])

    assert ReviewDecision.objects.count() == 0
    assert set(ReviewItem.objects.values_list("state", flat=True)) == {"in_review"}
    assert [draft.verb for draft in submission_actions.drafts_of(campaign, company.sofia)] == ["certify", "certify"]


def test_what_is_confirmed_is_what_was_read(company: Company) -> None:
    worlds.granted(company)
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    submission_actions.save_draft(item.pk, worlds.KEEP, by=company.sofia, rev=0)
    tag = submission_actions.drafts_tag(campaign, company.sofia)
    submission_actions.save_draft(item.pk, worlds.REMOVE, by=company.sofia, rev=1)
    with pytest.raises(Stale):
        submission_actions.submit(campaign.pk, by=company.sofia, via=UI, tag=tag)
    assert ReviewDecision.objects.count() == 0


def test_access_that_ended_meanwhile_needs_no_decision(company: Company) -> None:
    grant = worlds.granted(company)
    campaign = worlds.campaign(company)
    submission_actions.save_draft(worlds.item(campaign).pk, worlds.KEEP, by=company.sofia, rev=0)
    grants.revoke(grant.pk, by=company.ana.principal, reason="gone")

    close.close(campaign.pk, by=company.ana, reason="Nothing is left.")

    assert worlds.item(campaign).state == "superseded"
    campaign.refresh_from_db()
    assert campaign.state == "closed"
    assert timeline.of("campaign", "q4").filter(action=Action.REVIEW_SUPERSEDED).count() == 1


def test_closing_waits_for_outcomes_and_no_answer_is_said_on_purpose(company: Company) -> None:
    grant = worlds.granted(company)
    campaign = worlds.campaign(company)
    with pytest.raises(item_errors.ItemsOpen) as refusal:
        close.close(campaign.pk, by=company.ana, reason="Too late.")
    assert refusal.value.detail == {"open": 1}
    with pytest.raises(ReasonRequired):
        close.close(campaign.pk, by=company.ana, reason=" ", without_answer=True)

    close.close(campaign.pk, by=company.ana, reason="Too late.", without_answer=True)

    grant.refresh_from_db()
    assert (worlds.item(campaign).state, grant.state) == ("no_response", "active")
    with pytest.raises(item_errors.NotUnderWay):
        submission_actions.submit(campaign.pk, by=company.sofia, via=UI)


def test_calls_are_counted_from_the_record_where_every_call_is_seen_and_nowhere_else(company: Company) -> None:
    grant = worlds.granted(company)
    native = make.system("native", kind="mcp", owner=company.sam)
    make.grant(make.agent("vendor-bot", sponsor=company.sofia), make.entitlement(native))
    bot = Principal("agent", "research-bot")
    for tool in ("now", "now", "convert"):
        log.record(Action.CALL_ALLOWED, by=bot, about=[f"grant:{grant.pk}"], detail={"tool": tool})
    log.record(Action.CALL_DENIED, by=bot, about=[f"grant:{grant.pk}"], outcome="refused", detail={"tool": "now"})
    log.record(Action.CALL_FINISHED, by=bot, about=[f"grant:{grant.pk}"], detail={"tool": "now"})

    worlds.campaign(company)

    lines = {line.tool.name: line for line in ReviewLine.objects.filter(grant=grant).select_related("tool")}
    assert {name: (line.calls_window, line.denied_window) for name, line in lines.items()} == {
        "now": (2, 1),
        "convert": (1, 0),
        "remove": (0, 0),
        "wipe": (0, 0),
    }
    assert lines["now"].last_call_at is not None
    blind = ReviewLine.objects.get(item__agent__slug="vendor-bot")
    assert (blind.usage_grade, blind.calls_window, blind.last_call_at) == ("B", None, None)


def test_calls_of_longer_ago_than_the_window_do_not_count(company: Company, at: Move) -> None:
    grant = worlds.granted(company)
    now = at(timedelta())
    at(now - timedelta(days=20))
    log.record(
        Action.CALL_ALLOWED, by=Principal("agent", "research-bot"), about=[f"grant:{grant.pk}"], detail={"tool": "now"}
    )
    at(now)
    worlds.campaign(company)
    assert ReviewLine.objects.get(tool__name="now").calls_window == 1


def test_somebody_who_leaves_is_replaced_and_the_trace_says_so(company: Company) -> None:
    worlds.granted(company)
    item = worlds.item(worlds.campaign(company))
    assert worlds.live(item).reviewer == company.sofia
    people.disable(company.sofia, by=company.ana.principal, reason="left")

    assert assignment_actions.reassign_leavers() == 1
    assert assignment_actions.reassign_leavers() == 0

    now = worlds.live(item)
    assert (now.reviewer, now.resolution["rule"]) == (company.sam, "system_owner")
    assert now.resolution["skipped"] == [{"who": "sofia", "why": "inactive"}]
    assert Assignment.objects.get(replaced_by=now).reviewer == company.sofia


def test_an_unresolved_item_waits_visibly_until_somebody_is_named(company: Company) -> None:
    worlds.granted(company)
    alone = make.agent("lonely", kind="personal", sponsor=company.sam, owner=company.otto)
    make.grant(alone, worlds.low(company), people=[company.sam])
    campaign = worlds.campaign(company)
    item = worlds.item(campaign, alone)
    waits = worlds.live(item)
    assert (waits.reviewer, waits.resolution["rule"]) == (None, "unresolved")
    assert waits.resolution["skipped"] == [{"who": "sam", "why": "benefits"}]
    for who in (company.sam, company.otto):
        with pytest.raises(item_errors.ConflictOfInterest):
            assignment_actions.reassign(item.pk, who, by=company.ana, reason="please")

    assignment_actions.reassign(item.pk, company.mona, by=company.ana, reason="She knows the agent.")

    worlds.answer(campaign, company.mona, [(item, Answer("certify"))])
    item.refresh_from_db()
    assert item.state == "decided"


def test_a_removal_is_proven_only_when_no_call_passes_and_another_grant_is_named(company: Company) -> None:
    grant = worlds.granted(company)
    other = make.grant(company.bot, company.use, groups=[make.group(company.alice, company.bob)])
    make.client(company.bot)
    campaign = worlds.campaign(company)
    item = ReviewItem.objects.get(subjects=["person:alice"])

    (removal,) = worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)]).removals
    assert Remediation.objects.get().state == "applied"
    proven = remediation.verify(removal)

    assert (proven.state, proven.verified_at is not None) == ("verified", True)
    assert proven.probe is not None
    allowed = [call for call in proven.probe["calls"] if call["allowed"]]
    assert {call["grant"] for call in allowed} == {str(other.pk)}
    grant.refresh_from_db()
    assert grant.state == "suspended"


def test_a_removal_that_did_not_happen_is_not_proven_and_is_found_again(
    company: Company, at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = worlds.granted(company)
    campaign = worlds.campaign(company)
    with monkeypatch.context() as broken:
        broken.setattr(grants, "suspend", lambda *_, **__: None)
        broken.setattr(grants, "revoke", lambda *_, **__: None)
        (removal,) = worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.REMOVE)]).removals
        assert remediation.verify(removal).state == "failed"
        close.close(campaign.pk, by=company.ana, reason="All answered.")
    campaign.refresh_from_db()
    assert campaign.state == "closing"
    assert sweeps.prove_due() == 0
    grants.revoke(grant.pk, by=company.ana.principal, reason="put right")
    at(timedelta(minutes=6))
    assert sweeps.prove_due() == 1
    campaign.refresh_from_db()
    assert campaign.state == "closed"


def test_a_queued_removal_is_carried_out_by_the_sweep(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    grant = worlds.granted(company)
    campaign = worlds.campaign(company)
    with monkeypatch.context() as later:
        later.setattr(remediation, "_apply", lambda *_: None)
        (removal,) = worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.REMOVE)]).removals
    assert Remediation.objects.get().state == "queued"

    assert sweeps.prove_due() == 1

    grant.refresh_from_db()
    assert (grant.state, Remediation.objects.get().state) == ("suspended", "verified")
    assert remediation.verify(removal).attempts == 1


def test_the_evidence_ties_out_names_its_events_and_changes_with_the_population(company: Company) -> None:
    worlds.granted(company)
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    (removal,) = worlds.answer(campaign, company.sofia, [(item, Answer("revoke", "unused", "=1+1"))]).removals
    assert record.evidence(campaign).tie_out["removals_not_proven"] == 1
    remediation.verify(removal)
    close.close(campaign.pk, by=company.ana, reason="done")
    campaign.refresh_from_db()

    found = record.evidence(campaign)

    assert set(found.tie_out.values()) == {0}
    (row,) = found.rows()
    assert (row["outcome"], row["decided_by"], row["removal"], row["reviewer_rule"]) == (
        "revoke",
        "sofia",
        "verified",
        "sponsor",
    )
    decided = timeline.of("decision", removal)
    assert row["event"] == str(decided.get(action=Action.REVIEW_DECIDED).uuid)
    assert row["proof_event"] == str(decided.get(action=Action.REMEDIATION_VERIFIED).uuid)
    assert '"\'=1+1"' in "".join(found.as_csv())
    assert json.loads("".join(found.as_json()))["rows"][0]["comment"] == "=1+1"
    other = worlds.campaign(company, start=False, slug="q5")
    copy = PopulationRow.objects.get()
    copy.pk, copy.campaign, copy.payload = None, other, copy.payload + " "
    copy.save()
    wrong = {"population_rows_missing": -1, "population_rows_changed": 1, "population_hash_differs": 1}
    assert {name: n for name, n in record.evidence(other).tie_out.items() if n} == wrong


def test_who_sees_a_campaign(company: Company) -> None:
    worlds.granted(company)
    campaign = worlds.campaign(company)
    auditor = make.person("audrey", roles=[Role.AUDITOR])
    for who in (company.ana, company.sofia, auditor, None):
        assert list(visibility.campaigns_visible_to(who)) == [campaign]
    for who in (company.mallory, company.otto, company.alice):
        assert not visibility.campaigns_visible_to(who).exists()
        assert not visibility.items_visible_to(who).exists()
