"""Templates of campaigns: read anew each time, one campaign a period however often the clock strikes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.errors import Stale
from governance import tasks
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.errors import BadCadence, BadScope, NameTaken, TemplateStopped
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.population.models import PopulationRow
from governance.reviews.spot_checks import plan as plan_actions
from governance.reviews.spot_checks.models import SpotCheckPlan
from governance.reviews.staging import launch
from governance.reviews.templates import templates
from governance.reviews.templates.models import CampaignTemplate
from governance.reviews.templates.templates import Recurrence
from tests import make, shared
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)

type Move = Callable[[datetime | timedelta], datetime]


def test_periods_follow_each_other_by_the_calendar() -> None:
    assert [templates.period(each, date(2026, 11, 30)) for each in templates.MONTHS] == [
        "2026-11", "2026-q4", "2026-h2", "2026"
    ]  # fmt: skip
    assert [templates.following(each, date(2026, 11, 30)) for each in templates.MONTHS] == [
        date(2026, 12, 30), date(2027, 2, 28), date(2027, 5, 30), date(2027, 11, 30)
    ]  # fmt: skip


def test_a_beat_that_strikes_twice_makes_one_campaign_and_the_next_period_another(company: Company, at: Move) -> None:
    worlds.granted(company)
    make.grant(make.agent(sponsor=company.sofia), worlds.low(company), lasts=timedelta(days=80))
    today = clock.now().date()
    templates.save("access", name="Access", recurrence=Recurrence("monthly", today, 20), by=company.ana)
    for _ in range(2):
        assert tasks.launch_recurring() is None
    made = Campaign.objects.get()
    assert (made.state, made.period, made.owner) == ("staging", f"{today:%Y-%m}", company.ana)
    tasks.stage_campaign(str(made.pk))
    for _ in range(2):
        tasks.launch_recurring()
    made.refresh_from_db()
    assert made.state == "active"

    make.grant(make.agent("newer", sponsor=company.sofia), worlds.low(company), lasts=timedelta(days=80))
    at(timedelta(days=32))
    assert templates.launch_due() == 1
    second = Campaign.objects.get(state="staging")
    tasks.stage_campaign(str(second.pk))
    assert PopulationRow.objects.filter(campaign=second, grant__agent__slug="newer").exists(), "the scope is read anew"
    with pytest.raises(IntegrityError), transaction.atomic():
        Campaign.objects.filter(pk=second.pk).update(period=made.period)


def test_what_cannot_be_made_says_why_and_waits_for_somebody_to_start_it(company: Company, at: Move) -> None:
    worlds.granted(company)
    system = make.system("gone")
    today = clock.now().date()
    templates.save("x", name="X", scope={"systems": ["gone"]}, recurrence=Recurrence("monthly", today), by=company.ana)
    type(system).objects.filter(pk=system.pk).update(slug="renamed")
    assert templates.launch_due() == 0
    held = CampaignTemplate.objects.get()
    assert (held.refused, Campaign.objects.exists()) == (BadScope.code, False)
    at(timedelta(days=40))
    assert templates.launch_due() == 0
    with pytest.raises(BadScope):
        templates.start("x", by=company.ana)
    type(system).objects.filter(pk=system.pk).update(slug="gone")
    assert templates.start("x", by=company.ana).state == "draft"
    assert CampaignTemplate.objects.get().refused == ""


def test_a_template_whose_owner_left_makes_nothing(company: Company) -> None:
    worlds.granted(company)
    templates.save("x", name="X", recurrence=Recurrence("yearly", clock.now().date()), by=company.ana)
    company.ana.is_active, company.ana.disabled_at = False, clock.now()
    company.ana.save()
    assert templates.launch_due() == 0
    assert CampaignTemplate.objects.get().refused == templates.OWNER_LEFT


def test_what_recurs_is_cancelled_if_it_could_not_begin_before_it_was_due(company: Company, at: Move) -> None:
    """Its owner was away, say; and what else recurs begins all the same."""
    worlds.granted(company)
    make.grant(make.agent(sponsor=company.sofia), worlds.low(company), lasts=timedelta(days=80))
    today = clock.now().date()
    templates.save("late", name="Late", recurrence=Recurrence("yearly", today, 20), by=company.ana)
    templates.launch_due()
    late = Campaign.objects.get()
    tasks.stage_campaign(str(late.pk))
    at(timedelta(days=21))
    templates.save("new", name="New", recurrence=Recurrence("yearly", clock.now().date(), 20), by=company.ana)
    templates.launch_due()
    new = Campaign.objects.get(state="staging")
    tasks.stage_campaign(str(new.pk))
    templates.launch_due()
    late.refresh_from_db()
    new.refresh_from_db()
    assert (late.state, new.state) == ("cancelled", "active")
    assert late.state_reason == "Its due date passed before it could begin."


def test_one_that_fails_keeps_no_other_from_recurring(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.granted(company)
    today = clock.now().date()
    for name in ("a", "b"):
        templates.save(name, name=name.upper(), recurrence=Recurrence("yearly", today, 20), by=company.ana)
    begin = templates._begin

    def broken(held: CampaignTemplate, now: str) -> None:
        if held.slug == "a":
            message = "nobody thought of this"
            raise RuntimeError(message)
        begin(held, now)

    monkeypatch.setattr(templates, "_begin", broken)
    with pytest.RaisesGroup(RuntimeError):
        templates.launch_due()
    assert list(Campaign.objects.values_list("template__slug", flat=True)) == ["b"]


def test_a_stopped_template_makes_nothing(company: Company) -> None:
    worlds.granted(company)
    templates.save("x", name="X", recurrence=Recurrence("yearly", clock.now().date()), by=company.ana)
    templates.stop("x", by=company.ana)
    assert templates.launch_due() == 0
    for verb in (templates.start, templates.stop):
        with pytest.raises(TemplateStopped):
            verb("x", by=company.ana)


def test_a_template_that_means_nothing_is_refused(company: Company) -> None:
    with pytest.raises(BadScope):  # a kind without systems
        templates.save(
            "x", name="X", scope={"systems": ["clock"]}, options=CampaignOptions(kind="console_access"), by=company.ana
        )
    for wrong in (
        Recurrence("weekly"),
        Recurrence("monthly"),
        Recurrence("none", date(2026, 1, 1)),
        Recurrence(days=0),
    ):
        with pytest.raises(BadCadence):
            templates.save("x", name="X", recurrence=wrong, by=company.ana)
    templates.save("x", name="X", by=company.ana)
    with pytest.raises(NameTaken):
        templates.save("x", name="X", by=company.ana)


def test_an_analyst_keeps_a_template_starts_it_and_makes_another_like_it(company: Company) -> None:
    worlds.granted(company)
    ana = visits.as_(company.ana)
    due = (clock.now() + timedelta(days=20)).date().isoformat()
    form = {"name": "Quarterly", "due": due, "system": "clock", "cadence": "quarterly", "do": "save-template"}
    assert ana.post("/reviews/new/", form, secure=True)["Location"] == "/reviews/templates/"
    held = CampaignTemplate.objects.get()
    assert (held.cadence, held.days, held.scope) == ("quarterly", 20, {"systems": ["clock"]})
    assert "Every quarter" in visits.text(ana.get("/reviews/templates/", secure=True))
    begun = ana.post("/reviews/templates/quarterly/start/", secure=True)["Location"]
    first = Campaign.objects.get()
    assert begun == f"/reviews/{first.slug}/"
    again = ana.post(f"{begun}duplicate/", {"name": "Once more", "due": due}, secure=True)["Location"]
    second = Campaign.objects.get(slug="once-more")
    assert (again, second.scope, second.template) == ("/reviews/once-more/", first.scope, None)
    ana.post("/reviews/templates/quarterly/stop/", secure=True)
    assert "Retired" in visits.text(ana.get("/reviews/templates/", secure=True))
    assert visits.as_(company.sofia).get("/reviews/templates/", secure=True).status_code == 403
    assert launch.activate(second.pk, by=company.ana).state == "active"


def test_each_review_of_a_template_has_its_spot_checks_and_each_its_own_seed(company: Company, at: Move) -> None:
    worlds.granted(company)
    today = clock.now().date()
    templates.save("access", name="Access", recurrence=Recurrence("monthly", today, 20, 15, 5), by=company.ana)
    assert templates.launch_due() == 1
    at(timedelta(days=32))
    assert templates.launch_due() == 1
    templates.start("access", by=company.ana)
    plans = list(SpotCheckPlan.objects.all())
    assert [(plan.share, plan.days, plan.made_by) for plan in plans] == [(15, 5, company.ana)] * 3
    assert len({plan.seed for plan in plans}) == 3
    for plan in plans:
        timeline.of("campaign", plan.campaign.slug).get(action=Action.CAMPAIGN_SPOT_CHECKS_ON)
    templates.save("plain", name="Plain", by=company.ana)
    templates.start("plain", by=company.ana)
    assert SpotCheckPlan.objects.count() == 3


def test_a_template_says_which_spot_checks_its_reviews_have_by_page_and_rest(company: Company) -> None:
    worlds.granted(company)
    for wrong in (
        Recurrence(spot_share=101),
        Recurrence(spot_share=-1),
        Recurrence(spot_share=5, spot_days=29),
        Recurrence(spot_days=0),
    ):
        with pytest.raises(plan_actions.BadSpotChecks):
            templates.save("x", name="X", recurrence=wrong, by=company.ana)
    with pytest.raises(plan_actions.BadSpotChecks):
        templates.save(
            "x", name="X", options=CampaignOptions(kind="micro"), recurrence=Recurrence(spot_share=5), by=company.ana
        )
    ana, machine = visits.as_(company.ana), api.of(company.ana)
    due = (clock.now() + timedelta(days=20)).date().isoformat()
    form = {"name": "Paged", "due": due, "cadence": "none", "do": "save-template", "spot_share": "25"}
    assert ana.post("/reviews/new/", form, secure=True).status_code == 302
    assert CampaignTemplate.objects.values_list("spot_share", "spot_days").get() == (25, 7)
    assert "25 %" in visits.text(ana.get("/reviews/templates/", secure=True))
    edit = "/reviews/templates/paged/edit/"
    assert (
        'name="spot_share" type="number" min="0" max="100" required value="25"'
        in ana.get(edit, secure=True).content.decode()
    )
    sent = {"version": "1", "name": "Paged", "kind": "agent_owner", "cadence": "none", "days": "20"}
    refused = ana.post(edit, {**sent, "spot_share": "25", "spot_days": "29"}, secure=True)
    assert (refused.status_code, "spot_checks_malformed" in visits.text(refused)) == (422, True)
    assert ana.post(edit, {**sent, "spot_share": "30", "spot_days": "9"}, secure=True).status_code == 302
    response = machine.get("/api/v1/campaign-templates/paged")
    assert (response.json()["spot_share"], response.json()["spot_days"]) == (30, 9)
    changed = machine.patch(
        "/api/v1/campaign-templates/paged", {"spot_share": 0}, headers={"if-match": response["ETag"]}
    )
    assert (changed.json()["spot_share"], changed.json()["spot_days"], changed.json()["days"]) == (0, 9, 20)
    body = {"slug": "rest", "name": "By REST", "spot_share": 10}
    assert machine.post("/api/v1/campaign-templates", body).json()["spot_share"] == 10
    assert machine.post("/api/v1/campaign-templates", {**body, "slug": "no", "spot_share": 101}).status_code == 400
    event = timeline.about("template:paged").filter(action=Action.CAMPAIGN_TEMPLATE_CHANGED)[0]
    assert event.detail["changed"]["spot_share"] == {"before": 25, "after": 30}
    for wrong_row in ({"spot_share": 101}, {"spot_days": 0}, {"spot_share": 5, "kind": "micro"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            CampaignTemplate.objects.filter(slug="paged").update(**wrong_row)


def test_a_template_is_changed_from_the_version_that_was_read_and_run_by_whoever_did(company: Company) -> None:
    worlds.granted(company)
    today = clock.now().date()
    made = templates.save("access", name="Access", recurrence=Recurrence("monthly", today, 20), by=company.ana)
    address, other = "/api/v1/campaign-templates/access", make.analyst("olga")
    asked = {"days": 30, "strategies": {"low": "all_must_keep"}, "reason": "More time."}
    assert api.of(other).patch(address, asked).status_code == 428
    read = api.of(other).get(address)
    done = api.of(other).patch(address, asked, headers={"if-match": read["ETag"]})
    assert (done.status_code, done.json()["days"], done.json()["owner"]) == (200, 30, "olga")
    assert done.json()["next_on"] == today.isoformat(), "what is left out stays"
    again = api.of(other).patch(address, {"days": 5}, headers={"if-match": read["ETag"]})
    assert (again.status_code, again.json()["code"]) == (412, "stale")
    wrong = api.of(other).patch(address, {"cadence": "none"}, headers={"if-match": done["ETag"]})
    assert wrong.status_code == 422, "what recurs no more has no next day"
    event = timeline.about("template:access").get(action=Action.CAMPAIGN_TEMPLATE_CHANGED)
    assert event.detail["changed"]["days"] == {"before": 20, "after": 30}
    with pytest.raises(Stale):
        templates.edit(
            "access",
            name="A",
            scope={},
            options=CampaignOptions(),
            recurrence=templates.BY_HAND,
            version=made.version,
            by=other,
        )


def test_a_template_is_changed_by_its_page_which_keeps_what_it_has_no_words_for(company: Company) -> None:
    worlds.granted(company)
    where = {"field": "tool.risk", "op": "gte", "value": "high"}
    plain: dict[str, Any] = {"systems": [company.system.slug], "where": where}
    templates.save("plain", name="Plain", scope=plain, by=company.ana)
    odd = {"where": {"not": {"field": "agent.slug", "op": "eq", "value": "x"}}}
    templates.save("odd", name="Odd", scope=odd, by=company.ana)
    page = visits.as_(company.ana)
    shown = page.get("/reviews/templates/plain/edit/").content.decode()
    assert 'value="high" selected' in shown
    sent = {
        "version": "1",
        "name": "Plainer",
        "kind": "agent_owner",
        "cadence": "none",
        "days": "9",
        "who_low": "any_deny_denies",
    }
    filled = {**sent, "system": company.system.slug, "risk": "critical"}
    assert page.post("/reviews/templates/plain/edit/", filled).status_code == 302
    held = CampaignTemplate.objects.get(slug="plain")
    assert (held.name, held.days, held.strategies) == ("Plainer", 9, {"low": "any_deny_denies"})
    assert held.scope == {**plain, "where": {**where, "value": "critical"}}
    assert "keeps it as it is" in visits.text(page.get("/reviews/templates/odd/edit/"))
    assert page.post("/reviews/templates/odd/edit/", sent).status_code == 302
    assert CampaignTemplate.objects.get(slug="odd").scope == odd
    stale = page.post("/reviews/templates/odd/edit/", sent)
    assert (stale.status_code, "stale" in stale.content.decode()) == (412, True)
