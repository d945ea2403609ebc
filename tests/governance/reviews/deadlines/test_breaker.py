"""What a deadline stops is counted as it is called, with what others stopped; too much of it waits for a word."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from audit import clock
from entitlements.agents import agents
from entitlements.clients.models import Client
from entitlements.grants.models import Grant
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines, effects
from governance.reviews.population import campaigns
from governance.reviews.remediation.models import NoAnswer
from governance.reviews.staging import launch, preview
from governance.reviews.usage.models import UsageDay
from tests import make
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.reviews.kinds.subjects import begin

pytestmark = pytest.mark.django_db

type Move = Callable[[datetime | timedelta], datetime]
LATE, MONTHS = timedelta(days=19), timedelta(days=60)


def states() -> dict[str, str]:
    return dict(Grant.objects.values_list("agent__slug", "state"))


def test_the_breaker_trips_at_its_real_bounds_and_not_below_them() -> None:
    company = companies.found()
    others = make.entitlement(make.system("mail", owner=company.sam))
    for number in range(4):
        make.grant(make.agent(f"other-{number}"), others, lasts=MONTHS)
    mine = make.grant(company.bot, company.use, people=[company.alice], lasts=MONTHS)
    line = {"agent": company.bot, "grant": mine, "tool": company.use.lines.get(tool__name="now").tool}
    day = clock.now() - timedelta(days=1)
    calls = UsageDay.objects.create(**line, day=day.date(), calls=90_000, denied=0, last_at=day)
    worlds.campaign(company, slug="rehearsal")

    def why(slug: str) -> list[str]:
        made = campaigns.make(
            slug, name=slug, due_at=day + timedelta(days=9), scope={"agents": ["research-bot"]}, by=company.ana
        )
        launch.activate(made.pk, by=company.ana)
        return effects.effect(made).exceeded_limits()

    assert why("a-fifth-and-a-thousand-calls-a-day") == []
    calls.calls = 90_001
    calls.save()
    assert why("one-call-more") == ["calls"]
    agents.set_criticality(company.bot, business_critical=True, by=company.ana.principal, reason="It closes the books.")
    assert why("business-critical") == ["calls", "business_critical"]
    agents.set_criticality(company.bot, business_critical=False, by=company.ana.principal, reason="It does no more.")
    calls.delete()
    for _ in range(24):
        make.grant(company.bot, company.use, people=[make.person()], lasts=MONTHS)
    assert why("twenty-five") == ["share"]
    make.grant(company.bot, company.use, people=[make.person()], lasts=MONTHS)
    assert why("twenty-six") == ["share", "grants"]


@pytest.fixture
def busy() -> tuple[Company, int]:
    """An agent with two clients and two grants, that makes a call more a day than stops at once; and eight others."""
    company = companies.found()
    others = make.entitlement(make.system("mail", owner=company.sam))
    for number in range(8):
        make.grant(make.agent(f"other-{number}"), others, lasts=MONTHS)
    for name in ("one", "two"):
        make.client(company.bot, f"research-bot-{name}", auth=Client.Auth.CLIENT_SECRET_BASIC)
        use = worlds.low(company) if name == "one" else company.use
        grant = make.grant(company.bot, use, people=[company.alice], lasts=MONTHS)
        day = clock.now() - timedelta(days=1)
        line = {"agent": company.bot, "grant": grant, "tool": use.lines.order_by("pk")[0].tool}
        calls = effects.MOST_CALLS_A_DAY * 45 + (name == "one")
        UsageDay.objects.create(**line, day=day.date(), calls=calls, denied=0, last_at=day)
    worlds.campaign(company, slug="rehearsal")
    Campaign.objects.filter(slug="rehearsal").update(due_at=clock.now() + MONTHS)
    return company, effects.MOST_CALLS_A_DAY + 1


@pytest.mark.parametrize("kind", ["ownership", "credential"])
def test_what_an_agent_holds_and_calls_counts_once_where_it_or_its_clients_stop(
    busy: tuple[Company, int], kind: str
) -> None:
    company, calls = busy
    scope: dict[str, Any] = {"agents": ["research-bot"]}
    campaign = begin(company, kind, **scope)
    found = effects.effect(campaign)
    assert (found.grants, found.calls, found.exceeded_limits()) == (2, calls, ["calls"])
    seen = preview.preview(scope, campaigns.CampaignOptions(kind=kind), by=company.ana)
    assert (seen.silent_grants, seen.silent_calls) == (found.grants, found.calls)


@pytest.mark.parametrize("kind", ["ownership", "credential"])
def test_what_stopped_with_agents_and_clients_within_a_day_counts_for_the_next_deadline(
    busy: tuple[Company, int], kind: str, at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, calls = busy
    monkeypatch.setattr(effects, "MOST_CALLS_A_DAY", calls)
    first = begin(company, kind, agents=["research-bot"])
    later = campaigns.make(
        "later", name="Later", due_at=clock.now() + 2 * LATE, scope={"agents": ["other-1"]}, by=company.ana
    )
    launch.activate(later.pk, by=company.ana)
    at(LATE)
    deadlines.apply_due()
    assert set(NoAnswer.objects.filter(item__campaign=first).values_list("calls_a_day", flat=True)) == {calls}
    gone = 2 if kind == "ownership" else 0
    assert effects._stopped_lately() == (2, calls, gone)


def test_what_several_deadlines_stop_within_a_day_counts_together(at: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    company = companies.found()
    bots = [make.agent(f"bot-{number}", sponsor=company.sofia) for number in range(3)]
    for bot in bots:
        make.grant(bot, company.use, people=[company.alice], lasts=MONTHS)
    worlds.campaign(company, slug="rehearsal")
    due = clock.now() + timedelta(days=14)
    for bot in bots:
        made = campaigns.make(bot.slug, name=bot.slug, due_at=due, scope={"agents": [bot.slug]}, by=company.ana)
        launch.activate(made.pk, by=company.ana)
    Campaign.objects.filter(slug="rehearsal").update(due_at=due + MONTHS)
    for bound in ("MOST_SHARE", "MOST_GRANTS"):
        monkeypatch.setattr(effects, bound, 1)
    at(LATE)
    assert deadlines.apply_due() == 1
    held = list(Campaign.objects.filter(deadline_held__isnull=False))
    assert [each.deadline_held["why"] for each in held if each.deadline_held] == [["grants"], ["grants"]]
    deadlines.release(held[0].pk, by=company.ana, reason="They had their time.")
    assert deadlines.apply_due() == 1
    assert effects.effect(held[1]).lately[0] == 1, "what its owner let go was nobody's surprise"
    assert sorted(states().values()) == ["active", "suspended", "suspended"]
