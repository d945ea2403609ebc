"""What would be suggested today, beside what was frozen: weighed again once a night, and never in its place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.catalog.models import Tool
from entitlements.grants.models import Grant
from entitlements.people import people
from governance import tasks
from governance.reviews.campaigns import pause
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items.models import ReviewItem
from governance.reviews.newer_signals import newer_signals
from governance.reviews.newer_signals.models import NewerSignal, SignalRun
from governance.reviews.pack_tables import contents
from governance.reviews.suggestions.models import Suggestion
from governance.reviews.usage.models import UsageDay
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
OLD = timedelta(days=200)
type Move = Callable[[datetime | timedelta], datetime]


def called(grant: Grant, *names: str) -> None:
    """Add calls of today."""
    now = clock.now()
    for name in names:
        tool = Tool.objects.get(system=grant.entitlement.system, name=name)
        row: dict[str, Any] = {"agent": grant.agent, "grant": grant, "tool": tool, "day": now.date()}
        UsageDay.objects.create(**row, calls=7, denied=0, last_at=now)


def _begun() -> tuple[Company, Campaign, Grant]:
    """A review of access that is old, of which one tool is called."""
    company = companies.found()
    company.use.longest = 2 * OLD
    company.use.save()
    start = clock.now() - OLD
    grant = make.grant(company.bot, company.use, people=[company.alice], starts_at=start, lasts=OLD + worlds.MONTH)
    called(grant, "now")
    return company, worlds.campaign(company), grant


made_world, begun = shared.world(_begun)


def tomorrow(at: Move) -> None:
    at(clock.now() + timedelta(days=1))


def test_what_is_as_it_was_gets_no_newer_signal(begun: tuple[Company, Campaign, Grant], at: Move) -> None:
    _, campaign, _ = begun
    tasks.look_for_newer_signals()
    assert not SignalRun.objects.exists(), "it began today"
    tomorrow(at)
    tasks.look_for_newer_signals()
    run = SignalRun.objects.get(campaign=campaign)
    assert (run.looked, run.newer, run.done_at is not None) == (1, 0, True)
    assert not NewerSignal.objects.exists(), "nothing changed, and this review is not the one before itself"


def test_a_sponsor_who_left_and_calls_that_came_are_newer_and_the_frozen_suggestion_stays(
    begun: tuple[Company, Campaign, Grant], at: Move
) -> None:
    company, campaign, grant = begun
    frozen = Suggestion.objects.values().get()
    tomorrow(at)
    called(grant, "now", "convert")
    Tool.objects.filter(name="now").update(state="quarantined")
    tasks.look_for_newer_signals()

    signal = NewerSignal.objects.get()
    names = set(signal.item.lines.filter(pk__in=signal.kept).values_list("tool__name", flat=True))
    assert (signal.verdict, names, signal.stands) == ("reduce", {"now", "convert"}, True)
    assert [each["signal"] for each in newer_signals.unlike(signal.reasons, frozen["reasons"])] == ["F1"]
    assert Suggestion.objects.values().get() == frozen
    (event,) = timeline.of("campaign", campaign.slug).filter(action=Action.CAMPAIGN_SIGNALS_RENEWED)
    assert event.detail == {"items": 1, "newer": 1}

    sofia = visits.as_(company.sofia)
    page = visits.text(sofia.get("/reviews/q4/work/", secure=True))
    beside = visits.text(sofia.get(f"/reviews/q4/items/{signal.item_id}/?beside", secure=True))
    assert "Newer signal" in page
    assert "Changed since it was approved: now." in page
    assert "Suggested today: Keep 2 of 4" in beside
    shown = client.of(company.sofia).get(f"/api/v1/review-items/{signal.item_id}").json()
    assert (shown["suggestion"]["verdict"], len(shown["suggestion"]["kept"])) == ("reduce", 1)
    assert (shown["newer_signal"]["verdict"], len(shown["newer_signal"]["kept"])) == ("reduce", 2)
    assert [each["signal"] for each in shown["newer_signal"]["new_reasons"]] == ["F1"]


def test_what_was_newer_is_not_any_more_and_an_answer_keeps_the_frozen_version(
    begun: tuple[Company, Campaign, Grant], at: Move
) -> None:
    company, campaign, _ = begun
    tomorrow(at)
    Tool.objects.filter(name="now").update(state="quarantined")
    tasks.look_for_newer_signals()
    tasks.look_for_newer_signals()
    assert NewerSignal.objects.get().stands
    assert timeline.of("campaign", "q4").filter(action=Action.CAMPAIGN_SIGNALS_RENEWED).count() == 1, "once a night"
    tomorrow(at)
    Tool.objects.filter(name="now").update(state="approved")
    tasks.look_for_newer_signals()
    assert not NewerSignal.objects.get().stands
    assert "Newer signal" not in visits.text(visits.as_(company.sofia).get("/reviews/q4/work/", secure=True))
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.KEEP)])
    decision = ReviewDecision.objects.get()
    assert (decision.suggestion, decision.reco_version) == ("reduce", Suggestion.objects.get().version)


def test_only_what_is_open_and_under_way_is_weighed_again(begun: tuple[Company, Campaign, Grant], at: Move) -> None:
    company, campaign, _ = begun
    pause.pause(campaign.pk, by=company.ana, reason="Holidays.")
    tomorrow(at)
    people.disable(company.sofia, by=SYSTEM, reason="left")
    assert newer_signals.due() == []
    newer_signals.weigh_again(campaign.pk)
    assert not SignalRun.objects.exists()
    item = worlds.item(campaign)
    row = {"item": item, "verdict": "keep", "score": 0, "version": "x", "seen_at": clock.now()}
    with pytest.raises(DatabaseError, match="waits for an answer"), transaction.atomic():
        NewerSignal.objects.create(**row)
    pause.resume(campaign.pk, by=company.ana)
    made = NewerSignal.objects.create(**row)
    ReviewItem.objects.filter(pk=item.pk).update(state="superseded")
    with pytest.raises(DatabaseError, match="waits for an answer"), transaction.atomic():
        NewerSignal.objects.filter(pk=made.pk).update(verdict="look")
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM governance_newersignal")


def test_a_worker_goes_on_where_the_last_one_came_to_and_asks_no_more_for_more_items(
    begun: tuple[Company, Campaign, Grant], at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, _, _ = begun
    for name in ("a", "b", "c"):
        bot = make.agent(name, sponsor=company.mona, owner=company.otto)
        make.grant(bot, worlds.low(company), people=[company.alice])
    second = worlds.campaign(company, slug="late")
    tomorrow(at)
    people.disable(company.mona, by=SYSTEM, reason="left")
    monkeypatch.setattr(newer_signals, "ITEMS", 2)
    peers = newer_signals._step(second.pk, None)
    run = SignalRun.objects.get(campaign=second)
    assert (run.upto, run.looked, run.done_at) == (2, 2, None), "a worker was killed here"
    with CaptureQueriesContext(connection) as two:
        newer_signals._step(second.pk, peers)
    assert second.pk in newer_signals.due()
    newer_signals.weigh_again(second.pk)
    run = SignalRun.objects.get(campaign=second)
    assert (run.looked, run.newer, run.done_at is not None) == (4, 3, True)
    tomorrow(at)
    monkeypatch.setattr(newer_signals, "ITEMS", 4)
    with CaptureQueriesContext(connection) as four:
        newer_signals._step(second.pk, peers)
    assert len(four) <= len(two) + 1, "as many statements for more items"


def test_evidence_has_it_as_information(begun: tuple[Company, Campaign, Grant], at: Move) -> None:
    _, campaign, _ = begun
    tomorrow(at)
    Tool.objects.filter(name="now").update(state="quarantined")
    tasks.look_for_newer_signals()
    (row,) = contents.TABLES["05_newer_signals"].rows(campaign)
    assert (row["item"], row["suggestion"], row["verdict"], row["stands"]) == (1, "reduce", "reduce", True)
    assert [each["signal"] for each in row["new_reasons"]] == ["F1"]
