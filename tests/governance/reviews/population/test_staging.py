"""A campaign is staged step by step, resumed where a worker fell, launched, held and cancelled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.errors import ReasonRequired
from entitlements.grants import grants
from entitlements.grants.models import Grant
from governance import tasks
from governance.reviews.campaigns import close, pause
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines
from governance.reviews.decisions import submission
from governance.reviews.items import visibility
from governance.reviews.items.errors import (
    DuePassed,
    NotAcknowledged,
    NotADraft,
    NothingToReview,
    NotPaused,
    NotStaged,
    NotUnderWay,
    SnapshotTooOld,
)
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population.models import PopulationRow
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch, staging
from governance.reviews.staging.models import CampaignStaging, SnapshotRow
from governance.reviews.suggestions.models import Suggestion
from tests import make
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

type Move = Callable[[datetime | timedelta], datetime]


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> tuple[Company, list[Grant]]:
    """Five items, of which two are staged at a time."""
    monkeypatch.setattr(staging, "ITEMS", 2)
    company, grant = worlds.found()
    bundle = worlds.low(company)
    more = [make.grant(make.agent(f"helper-{n}", sponsor=company.sofia), bundle) for n in range(4)]
    return company, [grant, *more]


def held(campaign: Campaign) -> list[int]:
    """Count what is staged, table by table."""
    items = ReviewItem.objects.filter(campaign=campaign)
    return [
        items.count(),
        PopulationRow.objects.filter(campaign=campaign).count(),
        *(model.objects.filter(item__in=items).count() for model in (ReviewLine, Suggestion, Assignment)),
    ]


def test_a_campaign_is_staged_in_steps_and_each_may_be_taken_by_another_worker(
    fleet: tuple[Company, list[Grant]],
) -> None:
    company, _ = fleet
    campaign = worlds.campaign(company, start=False)
    launch.stage(campaign.pk, by=company.ana)
    seen = []
    while staging.advance(campaign.pk):
        run = CampaignStaging.objects.get()
        seen.append((run.step, run.upto, staging.progress(run)))

    through = ["population", "suggestions"]
    assert [step for step, *_ in seen] == [
        *("snapshot", *(step for step in through for _ in range(3))),
        *("carrying", *["reviewers"] * 3),
    ]
    assert [share for *_, share in seen] == sorted(share for *_, share in seen)
    assert held(campaign) == [5, 5, 8, 5, 5]
    campaign.refresh_from_db()
    assert (campaign.state, campaign.population_rows) == ("staged", 5)
    assert not staging.advance(campaign.pk), "it is through"
    assert staging.unfinished() == []


def test_a_step_that_fails_in_the_middle_leaves_nothing_and_is_taken_anew(fleet: tuple[Company, list[Grant]]) -> None:
    company, _ = fleet
    campaign = worlds.campaign(company, start=False)
    launch.stage(campaign.pk, by=company.ana)
    for _ in range(3):
        staging.advance(campaign.pk)
    before = held(campaign)
    with patch.object(staging, "_through", side_effect=RuntimeError), pytest.raises(RuntimeError):
        staging.advance(campaign.pk)
    assert held(campaign) == before
    assert staging.unfinished() == [campaign.pk]
    tasks.stage_campaign(str(campaign.pk))
    assert held(campaign) == [5, 5, 8, 5, 5]


def test_what_changes_while_a_population_is_taken_does_not_change_it(fleet: tuple[Company, list[Grant]]) -> None:
    company, (first, *_) = fleet
    campaign = worlds.campaign(company, start=False)
    launch.stage(campaign.pk, by=company.ana)
    while CampaignStaging.objects.get().step != "population":
        staging.advance(campaign.pk)
    read_at = CampaignStaging.objects.get().taken_at
    grants.revoke(first.pk, by=company.ana.principal, reason="gone")
    make.grant(make.agent("later", sponsor=company.sofia), worlds.low(company))
    tasks.stage_campaign(str(campaign.pk))
    assert held(campaign) == [5, 5, 8, 5, 5]
    rows = PopulationRow.objects.filter(campaign=campaign)
    assert rows.get(grant=first).grant_version == first.version
    campaign.refresh_from_db()
    assert campaign.snapshot_at == read_at
    assert not SnapshotRow.objects.exists(), "nothing is kept aside once it is taken over"


def test_a_staging_that_is_cancelled_or_begun_anew_leaves_nothing_aside(fleet: tuple[Company, list[Grant]]) -> None:
    company, _ = fleet
    campaign = worlds.campaign(company, start=False)
    launch.stage(campaign.pk, by=company.ana)
    for _ in range(3):
        staging.advance(campaign.pk)
    assert (held(campaign)[0], SnapshotRow.objects.count()) == (2, 3)
    pause.cancel(campaign.pk, by=company.ana, reason="The wrong scope.")
    assert not SnapshotRow.objects.exists()


def test_a_staging_that_an_earlier_version_began_goes_on(fleet: tuple[Company, list[Grant]]) -> None:
    """It had nothing to keep aside, and its population came first."""
    company, _ = fleet
    campaign = worlds.campaign(company, start=False)
    launch.stage(campaign.pk, by=company.ana)
    CampaignStaging.objects.update(step="population")
    tasks.stage_campaign(str(campaign.pk))
    assert held(campaign) == [5, 5, 8, 5, 5]
    campaign.refresh_from_db()
    assert campaign.state == "staged"


def test_staging_again_takes_the_access_of_that_moment_and_doubles_nothing(fleet: tuple[Company, list[Grant]]) -> None:
    company, (first, *_) = fleet
    campaign = worlds.campaign(company, start=False)
    before = launch.stage_now(campaign.pk, by=company.ana).population_sha256
    grants.revoke(first.pk, by=company.ana.principal, reason="gone")

    again = launch.stage_now(campaign.pk, by=company.ana)

    assert held(campaign) == [4, 4, 4, 4, 4]
    assert again.population_rows == 4
    details = [event.detail for event in timeline.of("campaign", "q4") if event.action == Action.CAMPAIGN_STAGED]
    assert sorted(each["population_sha256"] for each in details) == sorted({before, again.population_sha256})


def test_a_campaign_of_nothing_goes_back_to_being_a_draft_and_says_why(fleet: tuple[Company, list[Grant]]) -> None:
    company, held_by = fleet
    campaign = worlds.campaign(company, start=False)
    launch.stage(campaign.pk, by=company.ana)
    for each in held_by:
        grants.revoke(each.pk, by=company.ana.principal, reason="gone")
    tasks.stage_campaign(str(campaign.pk))
    campaign.refresh_from_db()
    assert (campaign.state, campaign.staging.refused) == ("draft", NothingToReview.code)


def test_a_large_draft_is_staged_before_it_begins(
    fleet: tuple[Company, list[Grant]], monkeypatch: pytest.MonkeyPatch
) -> None:
    company, _ = fleet
    campaign = worlds.campaign(company, start=False)
    monkeypatch.setattr(launch, "AT_ONCE", 4)
    with pytest.raises(NotStaged):
        launch.activate(campaign.pk, by=company.ana)
    launch.stage(campaign.pk, by=company.ana)
    with pytest.raises(NotStaged):
        launch.activate(campaign.pk, by=company.ana)
    tasks.stage_campaign(str(campaign.pk))
    assert launch.activate(campaign.pk, by=company.ana).state == "active"
    for verb in (launch.activate, launch.stage):
        with pytest.raises(NotADraft):
            verb(campaign.pk, by=company.ana)


def test_what_was_staged_a_day_ago_is_not_launched(at: Move) -> None:
    company, _ = worlds.found()
    make.grant(make.agent(sponsor=company.sofia), worlds.low(company), lasts=timedelta(days=5))
    campaign = worlds.campaign(company, start=False)
    launch.stage_now(campaign.pk, by=company.ana)
    at(timedelta(hours=25))
    with pytest.raises(SnapshotTooOld):
        launch.activate(campaign.pk, by=company.ana)
    launch.stage_now(campaign.pk, by=company.ana)
    assert launch.activate(campaign.pk, by=company.ana).state == "active"


def test_items_of_nobody_are_acknowledged_or_given_to_somebody_before_a_launch() -> None:
    company, _ = worlds.found()
    campaign = worlds.campaign(company, start=False)
    launch.stage_now(campaign.pk, by=company.ana)
    Assignment.objects.update(reviewer=None)
    with pytest.raises(NotAcknowledged):
        launch.activate(campaign.pk, by=company.ana)
    assignment.reassign(worlds.item(campaign).pk, company.sofia, by=company.ana, reason="She knows it.")
    assert launch.activate(campaign.pk, by=company.ana).state == "active"


def test_nobody_is_asked_before_a_campaign_begins() -> None:
    company, _ = worlds.found()
    campaign = worlds.campaign(company, start=False)
    launch.stage_now(campaign.pk, by=company.ana)
    assert not visibility.campaigns_visible_to(company.sofia).exists()
    assert not visibility.items_visible_to(company.sofia).exists()
    launch.activate(campaign.pk, by=company.ana)
    assert visibility.campaigns_visible_to(company.sofia).exists()


def test_a_paused_campaign_takes_no_answer_and_is_due_later_when_it_goes_on(at: Move) -> None:
    company, campaign = worlds.reviewed()
    item, due = worlds.item(campaign), campaign.due_at
    with pytest.raises(ReasonRequired):
        pause.pause(campaign.pk, by=company.ana, reason=" ")
    pause.pause(campaign.pk, by=company.ana, reason="The quarter closes.")
    with pytest.raises(NotUnderWay):
        submission.save_draft(item.pk, worlds.KEEP, by=company.sofia, rev=0)
    at(timedelta(days=30))
    assert deadlines.apply_due() == 0
    gone_on = pause.resume(campaign.pk, by=company.ana)
    assert timedelta(days=30) <= gone_on.due_at - due < timedelta(days=30, minutes=5)
    worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
    with pytest.raises(NotPaused):
        pause.resume(campaign.pk, by=company.ana)


def test_a_cancelled_campaign_stays_listed_with_its_reason_and_waits_for_nobody() -> None:
    company, campaign = worlds.reviewed()
    pause.cancel(campaign.pk, by=company.ana, reason="The wrong scope.")
    campaign.refresh_from_db()
    assert (campaign.state, campaign.state_reason) == ("cancelled", "The wrong scope.")
    assert not visibility.waiting_for(company.sofia).exists()
    assert campaign in visibility.campaigns_visible_to(company.ana)
    with pytest.raises(NotUnderWay):
        pause.cancel(campaign.pk, by=company.ana, reason="again")


def test_a_draft_and_what_is_staged_may_be_cancelled_and_what_is_closing_may_not() -> None:
    company, _ = worlds.found()
    draft = worlds.campaign(company, start=False, slug="draft")
    staged = worlds.campaign(company, start=False, slug="staged")
    launch.stage_now(staged.pk, by=company.ana)
    for each in (draft, staged):
        assert pause.cancel(each.pk, by=company.ana, reason="no").state == "cancelled"
    over = worlds.campaign(company, slug="over")
    worlds.answer(over, company.sofia, [(worlds.item(over), worlds.REMOVE)])
    assert close.close(over.pk, by=company.ana, reason="done").state in ("closing", "closed")
    with pytest.raises(NotUnderWay):
        pause.cancel(over.pk, by=company.ana, reason="no")


def refused(message: str) -> Any:  # noqa: ANN401
    return pytest.raises(DatabaseError, match=message)


def test_the_database_begins_no_draft_stages_nothing_without_its_snapshot_and_ends_what_is_cancelled() -> None:
    company, _ = worlds.found()
    rows = Campaign.objects.filter(pk=worlds.campaign(company, start=False).pk)
    hashed = {"snapshot_at": clock.now(), "population_rows": 1, "population_sha256": "0" * 64}
    with refused("not from draft to active"), transaction.atomic():
        rows.update(state="active", **hashed)
    with refused("not from draft to staged"), transaction.atomic():
        rows.update(state="staged", **hashed)
    rows.update(state="staging")
    with refused("staged with all of its population"), transaction.atomic():
        rows.update(state="staged")
    with refused("staged with all of its population"), transaction.atomic():
        rows.update(state="staged", **hashed)
    with refused("says_why"), transaction.atomic():
        rows.update(state="cancelled")
    rows.update(state="cancelled", state_reason="no")
    with refused("stays as it is"), transaction.atomic():
        rows.update(state="draft")


def test_the_database_lets_a_population_be_put_away_only_while_it_is_taken_anew() -> None:
    company, _ = worlds.found()
    campaign = worlds.campaign(company, start=False)
    launch.stage_now(campaign.pk, by=company.ana)
    kept = (Assignment, Suggestion, ReviewLine, PopulationRow, ReviewItem)
    for model in kept:
        with refused("never changed or deleted"), transaction.atomic():
            model.objects.all()._raw_delete("default")
    with refused("never changed or deleted"), transaction.atomic():
        PopulationRow.objects.update(payload="{}")
    launch.stage(campaign.pk, by=company.ana)
    with refused("never changed or deleted"), transaction.atomic():
        PopulationRow.objects.update(payload="{}")
    for model in kept:
        model.objects.all()._raw_delete("default")


@pytest.mark.parametrize("staged", [True, False])
def test_what_is_due_already_does_not_begin(at: Move, staged: bool) -> None:  # noqa: FBT001 - pytest's own
    """Or its silence would be acted on before anybody was asked."""
    company, _ = worlds.found()
    make.grant(make.agent(sponsor=company.sofia), worlds.low(company), lasts=timedelta(days=60))
    campaign = worlds.campaign(company, start=False)
    at(timedelta(days=14, minutes=-30))
    if staged:
        launch.stage_now(campaign.pk, by=company.ana)
    at(timedelta(hours=1))
    with pytest.raises(DuePassed):
        launch.activate(campaign.pk, by=company.ana)
    page = visits.as_(company.ana).get("/reviews/q4/").content.decode()
    assert "The due date has passed" in page
    assert '/reviews/q4/activate/"' not in page
    assert '/reviews/q4/stage/"' not in page
    visits.as_(company.ana).post("/reviews/q4/activate/", {"reason": "", "acknowledged": "yes"})
    campaign.refresh_from_db()
    assert campaign.state == ("staged" if staged else "draft")


def test_a_long_staging_lets_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    company, _ = worlds.found()
    campaign = worlds.campaign(company, start=False)
    launch.stage(campaign.pk, by=company.ana)
    waiting = [str(campaign.pk)]
    monkeypatch.setattr(tasks, "TURN_SECONDS", 0)
    monkeypatch.setattr(tasks.stage_campaign, "delay", waiting.append)
    turns = 0
    while waiting:
        tasks.stage_campaign(waiting.pop())
        turns += 1
    campaign.refresh_from_db()
    assert (campaign.state, turns > 3) == ("staged", True)


def test_what_is_checked_as_a_whole_leaves_no_other_statement_another_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "MANY", 1)
    company, _ = worlds.found()
    campaign = worlds.campaign(company, start=False)
    with transaction.atomic(), connection.cursor() as cursor, CaptureQueriesContext(connection) as seen:
        assert launch.stage_now(campaign.pk, by=company.ana).state == "staged"
        cursor.execute("SHOW enable_nestloop")
        assert cursor.fetchone() == ("on",)
    asked = [each["sql"] for each in seen.captured_queries]
    off, on = (asked.index(f"SET LOCAL enable_nestloop {to}") for to in ("= off", "TO DEFAULT"))
    (moved,) = [number for number, sql in enumerate(asked) if sql.startswith("UPDATE") and "'staged'" in sql]
    assert off < moved < on
