"""After thirteen months nobody's own time is left; what several took together is, and an answer loses nothing else."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from governance import tasks
from governance.reviews.campaigns import pause
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import attention, recall
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack.models import EvidencePack
from governance.reviews.pack_tables import contents
from governance.reviews.quality import retention
from governance.reviews.quality.models import Timing, TimingRun
from governance.reviews.reviewers.models import Assignment
from tests import databases
from tests.audit.make import Archive
from tests.governance.companies import Company
from tests.governance.reviews import longago, worlds
from tests.governance.reviews.longago import TIMES, Move, review
from tests.governance.reviews.pack.test_evidence_pack import archive

__all__ = ["archive", "review"]
pytestmark = pytest.mark.django_db(transaction=True)


def rows_of(name: str, campaign: Campaign) -> list[dict[str, Any]]:
    """Return a table of the campaign's pack."""
    with transaction.atomic():
        return list(contents.TABLES[name].rows(campaign))


def times(campaign: Campaign) -> list[tuple[Any, ...]]:
    """Return how long answers took, by risk level, as the pack has it."""
    return [(row["risk"], row["timed"], row["fast"], row["median_ms"]) for row in rows_of("09_quality", campaign)]


def kept() -> list[dict[str, Any]]:
    """Return all that decisions say but for their time."""
    rows = ReviewDecision.objects.order_by("pk").values()
    return [{name: value for name, value in row.items() if name != "dwell_ms"} for row in rows]


def test_nobodys_own_time_is_left_and_the_times_of_all_are_the_same(review: tuple[Company, Campaign]) -> None:
    _, campaign = review
    said = kept()
    assert times(campaign) == [("low", 5, 2, 5_000)]
    assert len(set(ReviewDecision.objects.values_list("dwell_ms", flat=True))) == 5

    tasks.forget_timings()

    assert (times(campaign), kept()) == ([("low", 5, 2, 5_000)], said)
    assert set(ReviewDecision.objects.values_list("dwell_ms", flat=True)) == {None}
    row = Timing.objects.get()
    assert (row.risk, row.people, row.timed, row.fast, row.median_ms) == ("low", 5, 5, 2, 5_000)
    for asked in Assignment.objects.all():
        assert asked.opened_at is not None
        assert asked.opened_at == asked.evidence_opened_at == _day(asked.opened_at)
        assert asked.dwell_ms == 0
    assert all(each.saved_at == _day(each.saved_at) for each in Draft.objects.all())
    (event,) = timeline.of("campaign", campaign.slug).filter(action=Action.CAMPAIGN_TIMING_FORGOTTEN)
    assert (event.actor, event.reason) == (str(SYSTEM), "How long reviewers looked is kept for thirteen months.")
    assert event.detail == {"assignments": 5, "is_last": True}
    assert retention.due() == []


def _day(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def test_a_second_run_and_a_later_night_do_nothing_more(review: tuple[Company, Campaign], at: Move) -> None:
    _, campaign = review
    tasks.forget_timings()
    rows = list(Timing.objects.values()), list(TimingRun.objects.values())
    tasks.forget_timings()
    retention.forget(campaign.pk)
    at(timedelta(days=1))
    tasks.forget_timings()
    retention.forget(campaign.pk)
    assert (list(Timing.objects.values()), list(TimingRun.objects.values())) == rows
    assert timeline.of("campaign", "q4").filter(action=Action.CAMPAIGN_TIMING_FORGOTTEN).count() == 1


def test_a_killed_worker_loses_nothing_and_the_next_goes_on(
    review: tuple[Company, Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, campaign = review
    before = times(campaign)
    monkeypatch.setattr(retention, "ITEMS", 2)
    with monkeypatch.context() as patch:
        patch.setattr(retention, "_day", _die)  # after the answers, before the rest of the step
        with pytest.raises(KeyboardInterrupt):
            retention.forget(campaign.pk)
    assert ReviewDecision.objects.filter(dwell_ms=None).count() == 0, "a step is whole or not at all"
    assert (Timing.objects.count(), TimingRun.objects.count()) == (0, 0)

    assert retention._step(campaign.pk)
    assert ReviewDecision.objects.filter(dwell_ms=None).count() == 2
    assert times(campaign) == before, "also in between"
    assert retention.due() == [campaign.pk]
    assert not timeline.of("campaign", "q4").filter(action=Action.CAMPAIGN_TIMING_FORGOTTEN).exists()

    tasks.forget_timings()
    (event,) = timeline.of("campaign", "q4").filter(action=Action.CAMPAIGN_TIMING_FORGOTTEN)
    assert (event.detail["assignments"], ReviewDecision.objects.filter(dwell_ms=None).count()) == (5, 5)
    assert times(campaign) == before


def _die(name: str) -> None:
    raise KeyboardInterrupt(name)


def test_while_one_worker_is_at_it_another_leaves(review: tuple[Company, Campaign]) -> None:
    _, campaign = review
    now = clock.now()
    TimingRun.objects.create(campaign=campaign, begun_at=now)
    with psycopg.connect(databases.addresses().app) as other:
        other.execute("SELECT FROM governance_timingrun FOR UPDATE")
        retention.forget(campaign.pk)
        assert ReviewDecision.objects.filter(dwell_ms=None).count() == 0
    retention.forget(campaign.pk)
    assert ReviewDecision.objects.filter(dwell_ms=None).count() == 5


def test_what_is_younger_stays_until_its_time_has_come(at: Move) -> None:
    today = clock.now()
    _, campaign, sponsors = longago.begun(at, 6)
    first, last = sponsors[:5], sponsors[5]
    longago.answer(campaign, {person: [ms] for person, ms in zip(first, TIMES, strict=True)})
    at(today - timedelta(days=380))
    longago.answer(campaign, {last: [9_000]})
    at(today)
    before = times(campaign)
    assert before == [("low", 6, 2, 6_000)]

    tasks.forget_timings()

    (left,) = ReviewDecision.objects.filter(dwell_ms__isnull=False)
    assert (left.decided_by, left.dwell_ms, left.assignment.dwell_ms) == (last, 9_000, 9_000)
    assert set(Assignment.objects.exclude(pk=left.assignment_id).values_list("dwell_ms", flat=True)) == {0}
    assert times(campaign) == before, "put together before the first is forgotten"
    run = TimingRun.objects.get()
    assert (run.is_over, retention.due()) == (False, [])
    at(timedelta(days=1))
    assert retention.due() == [campaign.pk], "it is looked at again each night"
    tasks.forget_timings()
    told = timeline.of("campaign", "q4").filter(action=Action.CAMPAIGN_TIMING_FORGOTTEN)
    assert [event.detail for event in told] == [{"assignments": 5, "is_last": False}], "a night without is no event"


def test_a_clock_that_runs_ahead_forgets_nothing_that_the_database_would_keep(at: Move) -> None:
    company, campaign = worlds.reviewed()
    item = worlds.item(campaign)
    at(timedelta(minutes=1))
    attention.looked(item.pk, by=company.sofia, ms=4_000, evidence=True)
    worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
    at(longago.AGO)
    assert retention.due() == []
    retention.forget(campaign.pk)
    assert ReviewDecision.objects.get().dwell_ms == 4_000


def test_who_is_still_asked_goes_on_and_the_younger_review_is_left_alone(at: Move) -> None:
    today = clock.now()
    company, campaign, sponsors = longago.begun(at)
    longago.answer(campaign, {person: [ms] for person, ms in zip(sponsors[:4], TIMES, strict=False)})
    (waits,) = worlds.waiting_for(campaign, sponsors[4])
    attention.looked(waits.item_id, by=sponsors[4], ms=4_000, evidence=True)
    at(today)
    worlds.campaign(company, slug="new")
    tasks.forget_timings()
    waits.refresh_from_db()
    assert (waits.dwell_ms, ReviewDecision.objects.filter(dwell_ms__isnull=False).count()) == (4_000, 0)
    assert TimingRun.objects.get().campaign == campaign
    assert not TimingRun.objects.get().is_over
    pause.cancel(campaign.pk, by=company.ana, reason="It was forgotten itself.")
    at(timedelta(days=1))
    tasks.forget_timings()
    waits.refresh_from_db()
    assert (waits.dwell_ms, TimingRun.objects.get().is_over) == (0, True)
    told = timeline.of("campaign", "q4").filter(action=Action.CAMPAIGN_TIMING_FORGOTTEN).order_by("at")
    assert [event.detail["assignments"] for event in told] == [4, 1], "also of what came to no answer"


def test_a_review_that_is_under_way_is_never_over(at: Move) -> None:
    today = clock.now()
    _, campaign, sponsors = longago.begun(at)
    longago.answer(campaign, {person: [ms] for person, ms in zip(sponsors[:4], TIMES, strict=False)})
    at(today)
    tasks.forget_timings()
    assert ReviewDecision.objects.filter(dwell_ms__isnull=False).count() == 0
    assert not TimingRun.objects.get().is_over
    longago.answer(campaign, {sponsors[4]: [6_000]})
    at(timedelta(days=1))
    assert retention.due() == [campaign.pk]
    assert ReviewDecision.objects.get(decided_by=sponsors[4]).dwell_ms == 6_000


def test_of_too_few_people_nothing_is_put_together_and_the_evidence_says_so(at: Move) -> None:
    today = clock.now()
    company, campaign, sponsors = longago.begun(at, 4)
    longago.answer(campaign, {person: [ms] for person, ms in zip(sponsors, TIMES, strict=False)})
    longago.ended(campaign, company)
    at(today)
    assert times(campaign) == [("low", 4, 2, 4_000)]
    tasks.forget_timings()
    assert Timing.objects.count() == 0
    (row,) = rows_of("09_quality", campaign)
    assert (row["answers"], row["timed"], row["fast"], row["median_ms"], row["timing"]) == (
        4, "", "", "", "forgotten after thirteen months",
    )  # fmt: skip


def test_risks_of_too_few_people_are_put_together_with_another(at: Move) -> None:
    today = clock.now()
    company, campaign, sponsors = longago.begun(at, 6, medium=2)
    took = dict(zip(sponsors, ([1_000, 9_000], [2_000, 11_000], [3_000], [4_500], [5_000], [6_000]), strict=True))
    longago.answer(campaign, took)
    longago.ended(campaign, company)
    at(today)
    assert times(campaign) == [("low", 6, 3, 3_750), ("medium", 2, 0, 10_000)]
    tasks.forget_timings()
    row = Timing.objects.get()
    assert (row.risk, row.people, row.timed, row.fast, row.median_ms) == ("", 6, 8, 3, 4_750)
    assert times(campaign) == [("low", "", "", ""), ("medium", "", "", "")], "the group of both is of no level"


def test_a_sealed_pack_keeps_its_bytes_and_reperforming_still_equals(
    archive: Archive, at: Move, tmp_path: Path
) -> None:
    today = clock.now()
    company, campaign, sponsors = longago.begun(at)
    longago.answer(campaign, {person: [ms] for person, ms in zip(sponsors, TIMES, strict=True)})
    longago.ended(campaign, company)
    archive.seal()
    pack = worlds.sealed(campaign, company.ana)
    content = b"".join(pack.archive())
    at(today)
    tasks.forget_timings()
    assert set(ReviewDecision.objects.values_list("dwell_ms", flat=True)) == {None}
    assert set(Assignment.objects.values_list("dwell_ms", flat=True)) == {0}
    pack = EvidencePack.objects.get()
    assert b"".join(pack.archive()) == content
    (tmp_path / "pack.zip").write_bytes(content)
    said = io.StringIO()
    call_command("evidence_reperform", str(tmp_path / "pack.zip"), stdout=said)
    assert "5 grants in the pack, 5 by the audit log, 0 others" in said.getvalue()


def test_a_pack_that_is_sealed_afterwards_says_that_it_was_put_together(
    archive: Archive, review: tuple[Company, Campaign]
) -> None:
    company, campaign = review
    (before,) = rows_of("09_quality", campaign)
    assert (before["timed"], before["fast"], before["median_ms"], before["timing"]) == (5, 2, 5_000, "by answer")
    tasks.forget_timings()
    archive.seal()
    assert worlds.sealed(campaign, company.ana).files
    (after,) = rows_of("09_quality", campaign)
    assert after == {**before, "timing": "put together after thirteen months"}
    assert all(len(row["opened_on"]) == 10 for row in rows_of("04_assignments", campaign))


def test_answers_that_are_taken_back_are_forgotten_and_not_put_together(at: Move) -> None:
    today = clock.now()
    _, campaign, sponsors = longago.begun(at)
    longago.answer(campaign, {person: [ms] for person, ms in zip(sponsors, TIMES, strict=True)})
    said = ReviewDecision.objects.get(decided_by=sponsors[0])
    recall.recall(said.item_id, by=sponsors[0])
    at(today)
    before = times(campaign)
    assert before == [("low", 4, 1, 6_000)]
    tasks.forget_timings()
    assert set(ReviewDecision.objects.values_list("dwell_ms", flat=True)) == {None}
    assert Timing.objects.count() == 0, "four people are too few"
    assert ReviewItem.objects.count() == 5
