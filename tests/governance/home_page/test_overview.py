"""What an analyst finds at home: each thing that needs her as a sentence, the numbers, and the reviews."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from governance.home_page.queries import overview
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines
from governance.reviews.items.answer import Answer
from governance.reviews.remediation import remediation
from governance.reviews.remediation.models import Remediation
from governance.reviews.reports.queries import plots as plots_queries
from governance.reviews.usage import coverage
from tests import make
from tests.governance import companies
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.reviews.kinds import subjects

pytestmark = pytest.mark.django_db


def _sentences() -> list[str]:
    return [f"{need.title} {need.detail}".strip() for need in overview.needs()]


def _later(monkeypatch: pytest.MonkeyPatch, **passed: float) -> None:
    later = clock.now() + timedelta(**passed)
    monkeypatch.setattr(clock, "now", lambda: later)


def test_what_needs_an_analyst_is_said_and_leads_there(monkeypatch: pytest.MonkeyPatch) -> None:
    company, _ = worlds.found()
    lonely = make.agent("lonely", kind="personal", sponsor=company.sam, owner=company.otto)
    make.grant(lonely, worlds.low(company), people=[company.sam])
    campaign = worlds.campaign(company)
    assert _sentences() == ["1 unassigned item Fourth quarter"]
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign, company.bot), worlds.REMOVE)])
    Remediation.objects.update(state=Remediation.State.FAILED)
    assert "The remediation of research-bot failed its verification Fourth quarter" in _sentences()

    _later(monkeypatch, days=15)

    told = _sentences()
    assert "Fourth quarter is overdue 1 item is open" in told
    assert "The deadline of Fourth quarter A rehearsal: nothing is suspended" in told
    page = visits.text(visits.as_(company.ana).get("/", secure=True))
    assert "Fourth quarter is overdue" in page
    assert "Fourth quarter is overdue" not in visits.text(visits.as_(company.sofia).get("/", secure=True))


def test_where_more_than_three_answers_of_ten_are_passed_on_somebody_looks_into_it() -> None:
    company, _ = worlds.found()
    for number in range(9):
        make.grant(make.agent(f"bot-{number}", sponsor=company.sofia), worlds.low(company), people=[company.bob])
    campaign = worlds.campaign(company)
    items = list(campaign.items.exclude(agent=company.bot).order_by("number"))
    passed = Answer("abstain", "dont_understand")
    worlds.answer(campaign, company.sofia, [(item, passed) for item in items[:3]])
    worlds.answer(campaign, company.sofia, [(item, Answer("certify")) for item in items[3:]])
    assert "33 of 100 decisions are “Don't know” Fourth quarter" in _sentences()
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign, company.bot), worlds.REMOVE)])
    assert not any("know" in told for told in _sentences()), "three of ten are not more than that"


def test_what_stops_by_itself_within_three_days_is_said_with_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    company, _ = worlds.found()
    worlds.campaign(company, slug="first")
    ends = deadlines.grace_ends(worlds.campaign(company))
    monkeypatch.setattr(clock, "now", lambda: ends - timedelta(hours=73))
    assert not any("deadline" in told for told in _sentences())
    monkeypatch.setattr(clock, "now", lambda: ends - timedelta(hours=71))
    assert "The deadline of Fourth quarter 1 access is suspended without a decision" in _sentences()
    Campaign.objects.filter(slug="q4").update(deadline_held={"grants": 1, "calls_a_day": 0, "critical": []})
    held = "The deadline of Fourth quarter waits for the confirmation of Ana "
    held += "1 access would be suspended; none is before the confirmation"
    assert held.lower() in [told.lower() for told in _sentences()]
    monkeypatch.setattr(overview, "_FEW", 0)  # a review of so many items that they are not looked at here
    assert held.lower() in [told.lower() for told in _sentences()]
    Campaign.objects.filter(slug="q4").update(deadline_held=None)
    many = "The deadline of Fourth quarter 1 items are open; without a decision their access is suspended by risk level"
    assert many in _sentences()


def test_what_one_person_says_of_whom_an_agent_acts_for_is_no_review_of_its_access_now_or_in_the_past() -> None:
    company = companies.found()
    make.grant(company.bot, worlds.low(company), people=[company.alice])
    campaign = subjects.begin(company, "delegation")
    item = worlds.item(campaign)
    for person in (company.alice, company.sofia):
        worlds.answer(campaign, person, [(item, worlds.KEEP)])
    item.refresh_from_db()
    assert item.state == "decided"
    assert coverage.coverage().percent == 0
    assert [seen.percent for _month, seen in coverage.by_month()][-1:] == [0]


def test_the_headline_is_what_was_reviewed_and_it_can_be_counted_for_the_past() -> None:
    company = worlds.found()[0]
    assert [seen.percent for _month, seen in coverage.by_month()][-1:] == [0]
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
    worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    assert [seen.percent for _month, seen in coverage.by_month()][-1:] == [100]
    assert coverage.coverage().percent == 100
    numbers = overview.numbers()
    assert (numbers["orphaned"], numbers["unused"], numbers["access"].granted) == (0, 4, 4)
    line = overview.campaign_line(campaign)
    assert (line.answered, line.is_late) == (100, False)


def test_a_heat_map_tells_used_unused_and_unseen_apart() -> None:
    company, _ = worlds.found()
    vendor = make.system("vendor", owner=company.sam, kind="mcp")
    other = make.agent("other-bot", sponsor=company.sofia, owner=company.otto)
    make.grant(other, make.entitlement(vendor, make.tool(vendor, "far")), people=[company.alice])
    heat = plots_queries.heat(worlds.campaign(company))
    assert heat is not None
    told = {
        name: {tool: cell.state for tool, cell in zip(heat.tools, cells, strict=True)} for name, _, cells in heat.rows
    }
    assert told["research-bot"] == {
        "now": "unused",
        "convert": "unused",
        "remove": "unused",
        "wipe": "unused",
        "far": "empty",
    }
    assert told["other-bot"]["far"] == "unseen"
    assert (heat.granted, heat.used, heat.hidden) == (4, 0, (0, 0))


def test_cuts_are_drawn_by_how_long_their_proof_took() -> None:
    company, campaign = worlds.reviewed()
    assert plots_queries.remediation(campaign) is None
    done = worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.REMOVE)])
    for each in done.removals:
        remediation.verify(each)
    plot = plots_queries.remediation(campaign)
    assert plot is not None
    assert plot.rows[0] == ("1 min", "100 %")
