"""Spot checks: of somebody who was never asked, once, in time; enforced in the database, followed up by who runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.errors import NotFound, ReasonRequired
from entitlements.people.models import Person, RoleAssignment
from governance.approvals import approvals
from governance.notices import listener
from governance.notices.models import Notice
from governance.reviews.deadlines import reminders
from governance.reviews.event_triggered import follow_up, start
from governance.reviews.event_triggered import words as event_triggered_words
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.evidence import audit
from governance.reviews.items import errors
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack import seal
from governance.reviews.pack_check import verify
from governance.reviews.reviewers import checkers
from governance.reviews.spot_checks import plan as plan_actions
from governance.reviews.spot_checks import spot_checks
from governance.reviews.spot_checks.models import SpotCheck, SpotCheckPlan
from tests import databases, make
from tests.governance import companies
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.reviews.spotted import Checked, audits, end, said, under_way

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)


@pytest.fixture
def checked() -> Checked:
    """All ten answers are checked; two of them removed something."""
    return end(under_way(share=100), removed=2)


def test_they_are_switched_on_once_before_a_review_ends_and_the_seed_is_not_told() -> None:
    checked = under_way()
    (event,) = timeline.of("campaign", "q4").filter(action=Action.CAMPAIGN_SPOT_CHECKS_ON)
    plan = SpotCheckPlan.objects.get()
    assert (plan.share, plan.days, event.actor) == (10, 7, "person:ana")
    assert event.detail["seed_sha256"] == hashlib.sha256(plan.seed.encode()).hexdigest()
    assert plan.seed not in event.body
    with pytest.raises(plan_actions.SpotChecksOn):
        plan_actions.switch_on(checked.campaign.pk, by=checked.company.ana)
    end(checked)
    other = worlds.campaign(checked.company, slug="other")
    for share, days in ((0, 7), (101, 7), (10, 0), (10, 29)):
        with pytest.raises(plan_actions.BadSpotChecks):
            plan_actions.switch_on(other.pk, by=checked.company.ana, share=share, days=days)
    end(Checked(checked.company, other))
    with pytest.raises(errors.NotUnderWay):
        plan_actions.switch_on(other.pk, by=checked.company.ana)
    assert not SpotCheck.objects.filter(item__campaign=other).exists()


def test_what_is_drawn_is_in_the_record_with_its_seed_and_asks_somebody_else(checked: Checked) -> None:
    (event,) = timeline.of("campaign", "q4").filter(action=Action.CAMPAIGN_SPOT_CHECKS_DRAWN)
    plan = SpotCheckPlan.objects.get()
    assert event.detail["seed"] == plan.seed
    assert event.detail["items"] == [check.item.number for check in checked.checks] == list(range(1, 11))
    assert {check.checker for check in checked.checks} == {checked.company.sam}
    assert plan.due_at == plan.drawn_at + WEEK if plan.drawn_at else False
    skipped = checked.checks[0].resolution["skipped"]
    assert skipped == [{"who": "sofia", "why": "answered_another_stage"}]
    listener.notify(event)
    assert Notice.objects.get(person=checked.company.sam, url="/spot-checks/").sentence.startswith("Spot checks of")


def test_what_is_picked_is_what_the_seed_picks_and_no_answer_more_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = under_way(agents=40, share=5)
    other = make.grant(make.agent("others-bot", sponsor=checked.company.mona), worlds.low(checked.company))
    later = worlds.campaign(checked.company, slug="later")
    plan_actions.switch_on(later.pk, by=checked.company.ana, share=5)
    worlds.answer(later, checked.company.mona, [(worlds.item(later, other.agent), worlds.KEEP)])
    end(Checked(checked.company, later), removed=15)
    plan = SpotCheckPlan.objects.get(campaign=later)
    told = ReviewItem.objects.filter(campaign=later, current_decision__isnull=False)
    rows = told.values_list("number", "current_decision__verb", "current_decision__decided_by__login")
    answers = {number: (verb == "certify", login) for number, verb, login in rows}
    assert (len(answers), len({who for _, who in answers.values()}), plan.frame) == (41, 2, 41)
    read: list[int] = []

    def count(execute: Callable[..., object], *said: Any) -> object:  # noqa: ANN401 - what Django hands on
        done = execute(*said)
        read.append(said[-1]["cursor"].rowcount)
        return done

    seeds, shares = ("ab" * 32, "cd" * 32, plan.seed), (1, 5, 20, 100)
    for most, plan.share, plan.seed in product((500, 5), shares, seeds):
        monkeypatch.setattr(verify, "MOST_CHECKED", most)
        with connection.execute_wrapper(count):
            frame, picked = plan_actions.pick(plan)
        assert set(picked) == verify.asked_again(plan.seed, plan.share, answers)
        assert (frame, list(picked), read.pop(), read) == (41, sorted(picked), len(picked), [])


def test_nobody_who_is_not_independent_or_sees_the_answer_checks_it_and_then_it_says_nobody() -> None:
    checked = under_way(agents=1, share=100)
    audits(checked.company.sam)
    end(checked)
    (check,) = checked.checks
    assert check.checker is None
    assert {skip["who"]: skip["why"] for skip in check.resolution["skipped"]}["sam"] == "sees_the_answer"
    found = spot_checks.result(checked.campaign)
    assert found is not None
    assert (found.sampled, found.nobody, found.open, found.is_over) == (1, 1, 0, True)
    assert seal.answered_in(checked.campaign, checked.company.sam) is False


def test_a_check_is_answered_once_in_time_by_whoever_is_asked_and_still_blind(
    checked: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam, (check, other, third, *_) = checked.company.sam, checked.checks
    with pytest.raises(spot_checks.NotTheChecker):
        spot_checks.answer(check.pk, by=checked.company.mona, verb="certify")
    with pytest.raises(ReasonRequired):
        spot_checks.answer(check.pk, by=sam, verb="revoke")
    with pytest.raises(errors.BadAnswer):
        spot_checks.answer(check.pk, by=sam, verb="revoke", reason_code="business_need")
    with pytest.raises(NotFound):
        spot_checks.answer(checked.campaign.pk, by=sam, verb="certify")
    spot_checks.answer(check.pk, by=sam, verb="revoke", reason_code="unused", comment="Nobody calls it.")
    with pytest.raises(spot_checks.SpotCheckAnswered):
        spot_checks.answer(check.pk, by=sam, verb="certify")
    (event,) = timeline.of("spot_check", check.pk)
    assert (event.actor, event.reason, event.detail["verb"]) == ("person:sam", "Nobody calls it.", "revoke")
    audits(sam)
    with pytest.raises(errors.ConflictOfInterest) as refused:
        spot_checks.answer(other.pk, by=sam, verb="certify")
    assert refused.value.detail["why"] == "sees_the_answer"
    RoleAssignment.objects.filter(person=sam).delete()
    spot_checks.answer(other.pk, by=sam, verb="certify")
    late = clock.now() + WEEK
    monkeypatch.setattr(clock, "now", lambda: late)
    with pytest.raises(spot_checks.SpotCheckOver):
        spot_checks.answer(third.pk, by=sam, verb="certify")
    found = spot_checks.result(checked.campaign)
    assert found is not None
    assert (found.sampled, found.answered, found.unanswered, found.open, found.nobody) == (10, 2, 8, 0, 0)


def test_who_said_yes_to_the_access_checks_it_at_no_risk_and_at_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    company = companies.found()
    approvals.approve(company.ask().pk, by=company.sofia, reason="It is needed.")
    campaign = worlds.campaign(company)
    (item,) = campaign.items.all()
    ((_pk, people_of_items),) = checkers.of_items([item.pk])
    assert "sofia" in people_of_items.approvers
    long_ago = clock.now() + timedelta(days=200)
    monkeypatch.setattr(clock, "now", lambda: long_ago)
    ((_pk, later),) = checkers.of_items([item.pk])
    assert checkers.against(company.sofia, item.pk, replace(later, answered=frozenset())) == "approved_it_lately"


def test_the_database_refuses_a_checker_who_is_not_independent_and_another_answer(
    checked: Checked, roles: databases.Addresses
) -> None:
    check, second, *_ = checked.checks
    company = checked.company
    refused = {
        company.sofia: "who was asked about an item does not check its answer",
        company.ana: "who sees every answer checks none",
        company.resa: "who sees every answer checks none",
        company.alice: "a person cannot certify what they benefit from",
    }
    for person, why in refused.items():
        with connection.cursor() as cursor:
            cursor.execute("SELECT governance_spot_conflict(%s, %s)", [check.item_id, person.pk])
            assert cursor.fetchone() == (why,)
    twin = make.person("sofia-two")
    Person.objects.filter(pk=twin.pk).update(email="SOFIA@example.org")
    with connection.cursor() as cursor:
        cursor.execute("SELECT governance_spot_conflict(%s, %s)", [check.item_id, twin.pk])
        assert cursor.fetchone() == ("who was asked about an item does not check its answer",)
    spot_checks.answer(check.pk, by=company.sam, verb="certify")
    late = clock.now() + timedelta(days=8)
    once, whole, why = "answered once, and followed up once", "is_answered_whole", "followed_up_with_a_reason"
    changes: list[tuple[SpotCheck, dict[str, Any], str]] = [
        (check, {"verb": "revoke", "reason_code": "unused"}, once),
        (check, {"comment": "Rewritten."}, once),
        (second, {"checker": company.mona}, once),
        (second, {"verb": "certify", "answered_at": late}, "before it is due"),
        (second, {"verb": "revoke", "answered_at": clock.now()}, whole),
        (check, {"followed": "left", "followed_by": company.resa, "followed_at": clock.now()}, once),
        (
            check,
            {"followed": "left", "followed_by": company.ana, "followed_at": clock.now()},
            "followed_up_with_a_reason",
        ),
    ]
    for row, change, refusal in changes:
        with pytest.raises(DatabaseError, match=refusal), transaction.atomic():
            SpotCheck.objects.filter(pk=row.pk).update(**change)
    Person.objects.filter(pk=company.sam.pk).update(is_active=False, disabled_at=clock.now())
    with pytest.raises(IntegrityError, match="only an active person"), transaction.atomic():
        SpotCheck.objects.filter(pk=second.pk).update(verb="certify", answered_at=clock.now())
    with pytest.raises(DatabaseError, match="drawn once"), transaction.atomic():
        SpotCheckPlan.objects.update(share=1)
    with pytest.raises(DatabaseError, match="never"), transaction.atomic():
        SpotCheck.objects.filter(pk=second.pk)._raw_delete("default")
    with psycopg.connect(roles.app) as app, pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("TRUNCATE governance_spotcheck CASCADE")


def test_whoever_runs_the_review_asks_again_or_leaves_it_and_no_access_changes_before(checked: Checked) -> None:
    company, checks = checked.company, [each for each in checked.checks if said(each) == "certify"]
    for each in checks[:2]:
        spot_checks.answer(each.pk, by=company.sam, verb="revoke", reason_code="unused", comment="Nobody calls it.")
    (cut,) = [each for each in checked.checks if said(each) == "revoke"][:1]
    spot_checks.answer(cut.pk, by=company.sam, verb="certify")
    assert [each.pk for each in spot_checks.to_follow_up(checked.campaign)] == [each.pk for each in checks[:2]]
    assert all(row.grant and row.grant.ended_at is None for each in checks[:2] for row in each.item.population.all())
    (event, *_) = timeline.of("spot_check", checks[0].pk)
    listener.notify(event)
    assert Notice.objects.get(person=company.ana, url="/reviews/q4/").sentence.startswith("A spot check of")
    with pytest.raises(errors.NotTheOwner):
        follow_up.follow_up(checks[0].pk, by=company.resa, how="left", reason="No.")
    with pytest.raises(ReasonRequired):
        follow_up.follow_up(checks[0].pk, by=company.ana, how="left", reason=" ")
    with pytest.raises(follow_up.NothingToFollowUp):
        follow_up.follow_up(cut.pk, by=company.ana, how="left", reason="It was removed.")
    follow_up.follow_up(checks[0].pk, by=company.ana, how="asked_again", reason="Two people differ.")
    follow_up.follow_up(checks[1].pk, by=company.ana, how="left", reason="It is seasonal.")
    with pytest.raises(follow_up.NothingToFollowUp):
        follow_up.follow_up(checks[1].pk, by=company.ana, how="asked_again", reason="Or not.")
    with pytest.raises(DatabaseError, match="followed up once"), transaction.atomic():
        SpotCheck.objects.filter(pk=checks[1].pk).update(followed_because="Another reason.")
    assert spot_checks.to_follow_up(checked.campaign) == []
    assert start.open_due() == 1
    trigger = ReviewTrigger.objects.get(kind="spot_check")
    assert (trigger.agent, [str(each) for each in event_triggered_words.happened(trigger)[0].notes]) == (
        checks[0].item.agent,
        ["Nobody calls it."],
    )
    assert "Fourth quarter" in event_triggered_words.happened(trigger)[0].sentence


def test_a_seed_draws_a_share_of_what_was_kept_and_of_what_was_not_and_older_packs_drew_a_quarter_of_some() -> None:
    answers = {number: (number % 10 > 0, "sofia" if number <= 40 else "mona") for number in range(1, 101)}
    usual = verify.asked_again("a" * 64, 10, answers)
    assert len(usual) == 10
    assert sum(not answers[number][0] for number in usual) == 1
    assert usual == verify.asked_again("a" * 64, 10, dict(reversed(answers.items())))
    assert usual != verify.asked_again("b" * 64, 10, answers)
    more = verify.asked_again("a" * 64, 10, answers, {"mona"})
    of_mona = [number for number in more if answers[number][1] == "mona"]
    assert usual < more
    assert len(of_mona) >= 15, "a quarter of her sixty"
    assert {number for number in more if number <= 40} == {number for number in usual if number <= 40}
    assert len(verify.asked_again("a" * 64, 100, dict.fromkeys(range(600), (True, "x")))) == verify.MOST_CHECKED


def test_each_sees_her_own_agreement_when_all_are_over_and_others_see_all_together(checked: Checked) -> None:
    first, *rest = checked.checks
    spot_checks.answer(first.pk, by=checked.company.sam, verb="abstain", reason_code="dont_understand")
    assert spot_checks.own_agreement(checked.campaign, checked.company.sofia) is None, "not while some are open"
    for each in rest:
        verb = said(each)
        reason = "unused" if verb != "certify" else ""
        spot_checks.answer(each.pk, by=checked.company.sam, verb=verb, reason_code=reason)
    sofia, mona = (
        visits.text(visits.as_(who).get("/reviews/q4/", secure=True))
        for who in (checked.company.sofia, checked.company.mona)
    )
    assert ("9 of 9 spot checks agree with your decisions." in sofia, "spot checks agree" in mona) == (True, False)
    own = spot_checks.own_agreement(checked.campaign, checked.company.sofia)
    assert own is not None
    assert (own.n, own.percent, spot_checks.own_agreement(checked.campaign, checked.company.mona)) == (9, 100, None)


def test_the_evidence_waits_for_spot_checks_until_they_are_due_and_the_reminder_comes_once(
    checked: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(seal.SpotChecksOpen):
        seal.seal(checked.campaign.pk, by=checked.company.ana, statement=worlds.SIGNED)
    soon = clock.now() + timedelta(days=5)
    monkeypatch.setattr(clock, "now", lambda: soon)
    assert (reminders.remind(), reminders.remind()) == (1, 0)
    late = clock.now() + WEEK
    monkeypatch.setattr(clock, "now", lambda: late)
    assert seal.seal(checked.campaign.pk, by=checked.company.ana, statement=worlds.SIGNED) is not None
    assert audit.had_part_in(checked.campaign, checked.company.sam), "who checks is no auditor of it"
