from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from audit import clock
from entitlements.catalog.models import Tool
from entitlements.grants.models import Grant
from governance.charts import geometry
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.answer import Answer
from governance.reviews.templates.models import CampaignTemplate
from governance.reviews.usage import coverage
from governance.reviews.usage.models import UsageDay
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def test_the_workbench_shows_the_suggestion_its_reasons_the_weeks_and_what_the_cut_would_have_done(
    company: Company,
) -> None:
    grant = worlds.granted(company)
    company.use.longest = timedelta(days=400)
    company.use.save()
    now = clock.now()
    type(grant).objects.filter(pk=grant.pk).update(starts_at=now - timedelta(days=200))
    for name, calls in (("now", 12), ("convert", 3)):
        UsageDay.objects.create(
            agent=company.bot,
            grant=grant,
            tool=Tool.objects.get(name=name),
            day=now,
            calls=calls,
            denied=0,
            last_at=now,
        )
    item = worlds.item(worlds.campaign(company))
    sofia = visits.as_(company.sofia)

    page = visits.text(sofia.get("/reviews/q4/work/", secure=True))
    beside = visits.text(sofia.get(f"/reviews/q4/items/{item.pk}/", secure=True))

    assert "Keep 2 of 4" in page
    assert "Suggested: Keep 2 of 4" in beside
    assert "2 tools were not called in 90 days." in beside
    assert "0 of 15 calls in the 90 days before would have been denied." in beside
    assert "the oldest first: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15" in page


def test_plots_are_geometry_with_the_numbers_they_draw() -> None:
    first = date(2026, 11, 2)
    plot = geometry.burn_down(4, [(first, 1), (date(2026, 11, 4), 2)], first, date(2026, 11, 4), date(2026, 11, 6))
    assert [left for _, left in plot.days] == [3, 3, 1]
    assert (plot.line.split()[0], plot.line.split()[-1], plot.ideal) == (
        "0.0,0.0",
        "300.0,120.0",
        "0.0,0.0 600.0,160.0",
    )
    assert [bar.width for bar in geometry.bars([("a", 5, "fine"), ("b", 10, "many")])] == [300.0, 600.0]
    assert geometry.spark([0, 1, 400])[1][2] == 2.0, "what is not nothing is seen"
    assert geometry.outline(geometry.spark([0, 1, 400])) == "M26 18h4v2h-4zM52 0h4v20h-4z"


def test_the_form_previews_what_it_says_and_drafts_exactly_that(company: Company) -> None:
    worlds.granted(company)
    make.grant(make.agent("helper", sponsor=company.sofia), worlds.low(company), people=[company.bob])
    ana = visits.as_(company.ana)
    assert "2 grants, 2 items to decide" in visits.text(ana.get("/reviews/new/?step=scope", secure=True))
    due = (clock.now() + timedelta(days=9)).date().isoformat()
    form = {"name": "Risky", "due": due, "kind": "resource_owner", "risk": "high", "left_out": "nobody"}
    form["left_out_reason"] = "Not there."

    seen = visits.text(ana.post("/reviews/new/", {**form, "preview": "yes"}, secure=True))
    assert "with a tool of high risk or above" in seen
    assert ("1 grant, 1 item to decide" in seen, Campaign.objects.exists()) == (True, False)

    made = ana.post("/reviews/new/", form, secure=True)
    campaign = Campaign.objects.get()
    assert (made["Location"], campaign.kind) == ("/reviews/risky/", "resource_owner")
    assert campaign.scope["where"] == {"field": "tool.risk", "op": "gte", "value": "high"}
    assert campaign.scope["exclude"][0]["reason"] == "Not there."
    ready = visits.text(ana.get("/reviews/risky/", secure=True))
    assert ("Every item has a reviewer" in ready, "1 item to decide" in ready) == (True, True)


def test_a_form_names_systems_agents_and_departments_and_a_template_keeps_them(company: Company) -> None:
    worlds.granted(company)
    make.grant(make.agent("helper", sponsor=company.otto), worlds.low(company), people=[company.bob])
    make.department("Finance", company.sofia)
    ana = visits.as_(company.ana)
    form = {"name": "Ours", "due": f"{clock.now() + timedelta(days=9):%Y-%m-%d}", "kind": "agent_owner", "days": "14"}
    form |= {"system": company.system.name, "agent": f"{company.bot.name}, helper", "department": "Finance"}
    seen = visits.text(ana.post("/reviews/new/", {**form, "preview": "yes"}, secure=True))
    assert "1 grant, 1 item to decide" in seen
    ana.post("/reviews/new/", {**form, "do": "save-template", "cadence": "none"}, secure=True)
    template = CampaignTemplate.objects.get()
    agents = sorted([company.bot.slug, "helper"])
    assert template.scope == {"systems": [company.system.slug], "agents": agents, "departments": ["Finance"]}
    page = visits.text(ana.get(f"/reviews/templates/{template.slug}/edit/", secure=True))
    assert f'value="{company.system.name}"' in page
    assert "<option selected>Finance</option>" in page


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"older": "-1"}, "malformed"),
        ({"mode": "delta", "framework": "sox", "carry_days": "30"}, "review_settings_malformed"),
        ({"left_out": "helper"}, "scope_malformed"),
        ({"kind": "other"}, "review_settings_malformed"),
    ],
)
def test_a_form_that_means_nothing_says_so_in_the_preview_and_drafts_nothing(
    company: Company, wrong: dict[str, str], code: str
) -> None:
    worlds.granted(company)
    form = {"name": "x", "due": f"{clock.now() + timedelta(days=9):%Y-%m-%d}", **wrong}
    answer = visits.as_(company.ana).post("/reviews/new/", form, secure=True)
    assert (code in visits.text(answer), Campaign.objects.exists()) == (True, False)


def test_a_review_begins_once_its_name_is_typed_where_access_may_be_suspended(company: Company) -> None:
    ana, low = visits.as_(company.ana), make.grant(company.bot, worlds.low(company), people=[company.alice])
    worlds.campaign(company, start=False)
    assert ana.post("/reviews/q4/activate/", {}, secure=True).status_code == 302, "nothing is taken away"
    assert Campaign.objects.get().state == "active"
    worlds.granted(company)
    worlds.campaign(company, start=False, slug="q5")
    assert Grant.objects.exclude(pk=low.pk).get().lines.filter(tool__risk="critical").exists()
    assert ana.post("/reviews/q5/activate/", {"typed": "fourth"}, secure=True).status_code == 400
    ana.post("/reviews/q5/activate/", {"typed": "Fourth quarter"}, secure=True)
    assert Campaign.objects.get(slug="q5").state == "active"
    shown = visits.text(ana.get("/reviews/q4/", secure=True))
    assert "Items to decide, by day" in shown


def test_coverage_counts_what_a_person_kept_in_time_and_weighs_it_by_risk(
    company: Company, at: Callable[[timedelta], datetime]
) -> None:
    worlds.granted(company)
    helper = make.agent("helper", sponsor=company.sofia)
    make.grant(helper, worlds.low(company), people=[company.bob], lasts=timedelta(days=89))
    assert coverage.coverage().percent == 0
    campaign = worlds.campaign(company)
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign, helper), Answer("certify"))])
    seen = coverage.coverage()
    assert (seen.percent, seen.risks) == (11, (("critical", 1, 0), ("low", 1, 1)))
    page = visits.text(visits.as_(company.ana).get("/reviews/", secure=True))
    assert "11 % of the access in force was reviewed in time" in page
    assert "access in force" not in visits.text(visits.as_(company.sofia).get("/reviews/", secure=True))
    at(timedelta(hours=9))
    assert coverage.coverage().percent == 100, "what has ended is not asked about"
