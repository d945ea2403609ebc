"""Who answers what is of a risk, and what their answers come to: chosen for a campaign, and kept to."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.grants.models import Grant
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines, effects
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import answer, review_rules
from governance.reviews.items import errors as item_errors
from governance.reviews.items.errors import BadCampaignOptions
from governance.reviews.items.models import ReviewItem
from governance.reviews.pack import description
from governance.reviews.population import campaigns
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.remediation.models import NoAnswer
from governance.reviews.staging import launch, preview
from governance.reviews.templates import templates
from tests import make, shared
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
KEEP, REMOVE = worlds.KEEP, worlds.REMOVE
TWO, WHOLE = {"low": "any_deny_denies"}, {"low": "all_must_keep"}


def _company() -> Company:
    """Make the company, with one harmless access of two tools for alice."""
    company = companies.found()
    harmless = make.entitlement(company.system, make.tool(company.system), make.tool(company.system))
    make.grant(company.bot, harmless, people=[company.alice])
    return company


made_world, company = shared.world(_company)


def begun(company: Company, strategies: dict[str, str]) -> tuple[Campaign, ReviewItem]:
    made = campaigns.make(
        "q4",
        name="Q4",
        due_at=clock.now() + timedelta(days=14),
        options=CampaignOptions(strategies=strategies),
        by=company.ana,
    )
    campaign = launch.activate(made.pk, by=company.ana)
    return campaign, worlds.item(campaign)


def outcome(item: ReviewItem) -> str:
    item.refresh_from_db()
    return item.current_decision.verb if item.current_decision else item.state


def test_one_person_decides_what_is_of_low_risk_unless_something_else_is_chosen(company: Company) -> None:
    campaign, item = begun(company, {})
    worlds.answer(campaign, company.sofia, [(item, KEEP)])
    assert outcome(item) == "certify"


def test_two_people_are_asked_where_that_is_chosen_and_either_removes(company: Company) -> None:
    campaign, item = begun(company, TWO)
    worlds.answer(campaign, company.sofia, [(item, KEEP)])
    assert outcome(item) == "in_review"
    second = worlds.live(item)
    assert (second.stage, second.reviewer) == (2, company.sam)
    worlds.answer(campaign, company.sam, [(item, REMOVE)])
    assert outcome(item) == "revoke"


def test_where_all_must_keep_nothing_is_kept_in_part_by_verb_page_or_database(company: Company) -> None:
    campaign, item = begun(company, WHOLE)
    lines = list(item.lines.values_list("pk", flat=True))
    some = answer.Answer("reduce", "unused", kept=(lines[0],))
    shorter = answer.Answer("certify", "business_need", valid_until=clock.now() + timedelta(hours=2))
    for said in (some, shorter):
        with pytest.raises(item_errors.BadAnswer):
            submission.save_draft(item.pk, said, by=company.sofia, rev=0)
    page = visits.as_(company.sofia).get("/reviews/q4/work/").content.decode()
    assert f'name="until:{item.pk}" min=' not in page
    assert 'value="reduce" disabled' in page.replace("\n", " ")
    assigned = worlds.live(item)
    wrong: dict[str, Any] = {"verb": "reduce", "kept_lines": lines[:1], "reason_code": "unused"}
    with pytest.raises(DatabaseError, match="nothing is kept in part"), transaction.atomic():
        ReviewDecision.objects.create(
            item=item, assignment=assigned, decided_by=company.sofia, via="ui", decided_at=clock.now(), **wrong
        )
    worlds.answer(campaign, company.sofia, [(item, KEEP)])
    worlds.answer(campaign, company.sam, [(item, KEEP)])
    assert outcome(item) == "certify"


def test_where_all_must_keep_silence_of_one_stops_even_what_is_of_low_risk(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, item = begun(company, WHOLE)
    worlds.answer(campaign, company.sofia, [(item, KEEP)])
    found = effects.effect(campaign)
    assert (found.stopped, found.kept) == (1, 0)
    later = clock.now() + timedelta(days=30)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert deadlines.apply_due() == 1
    assert NoAnswer.objects.get(item=item).did == NoAnswer.Outcome.REHEARSED, "the first review only shows it"


def test_a_preview_says_what_silence_stops_by_what_is_chosen(company: Company) -> None:
    usual = preview.preview({}, CampaignOptions(), by=company.ana)
    whole = preview.preview({}, CampaignOptions(strategies=WHOLE), by=company.ana)
    assert (usual.silent_grants, whole.silent_grants) == (0, 1)


@pytest.mark.parametrize("wrong", [{"high": "first_decides"}, {"critical": "first_decides"}, {"low": "x"}, {"x": "x"}])
def test_what_is_of_high_risk_is_never_one_persons_by_verb_api_or_database(
    company: Company, wrong: dict[str, str]
) -> None:
    due = clock.now() + timedelta(days=14)
    with pytest.raises(BadCampaignOptions):
        campaigns.make("q4", name="Q4", due_at=due, options=CampaignOptions(strategies=wrong), by=company.ana)
    asked = {"slug": "q4", "name": "Q4", "due_at": due.isoformat(), "strategies": wrong}
    assert api.of(company.ana).post("/api/v1/campaigns", asked).status_code == 400
    made = worlds.campaign(company, start=False, slug="other")
    with pytest.raises(DatabaseError), transaction.atomic():
        Campaign.objects.filter(pk=made.pk).update(strategies=wrong)


def test_what_was_chosen_stays_once_a_campaign_began_and_is_shown_wherever_it_is_told(company: Company) -> None:
    campaign, _item = begun(company, {**WHOLE, "critical": "all_must_keep"})
    with pytest.raises(DatabaseError, match="fixed when a campaign begins"), transaction.atomic():
        Campaign.objects.filter(pk=campaign.pk).update(strategies={})
    all_of_them = {
        "low": "all_must_keep",
        "medium": "first_decides",
        "high": "any_deny_denies",
        "critical": "all_must_keep",
    }
    assert review_rules.strategies(campaign.strategies) == all_of_them
    assert api.of(company.ana).get("/api/v1/campaigns/q4").json()["strategies"] == all_of_them
    assert "both must keep all of it" in visits.text(visits.as_(company.ana).get("/reviews/q4/settings/"))
    said = description.scope(campaign)
    assert said["strategies"] == all_of_them
    assert "This is a rehearsal, so nothing is." in visits.text(visits.as_(company.ana).get("/reviews/q4/settings/"))
    assert "medium: one person decides" in description.control(campaign, said).decode()
    made = timeline.about("campaign:q4").get(action=Action.CAMPAIGN_MADE)
    assert made.detail["strategies"] == all_of_them


def test_the_page_says_by_risk_what_silence_does(company: Company) -> None:
    first, _item = begun(company, {})
    close.close(first.pk, by=company.ana, reason="over", without_answer=True)
    campaign = worlds.campaign(company, slug="next")
    for sees in (campaign, worlds.campaign(company, slug="draft", start=False)):
        page = visits.text(visits.as_(company.ana).get(f"/reviews/{sees.slug}/settings/"))
        rows = re.findall(r'<th scope="row">.*?(Critical|High|Medium|Low) risk.*?</tr>', page, re.DOTALL)
        assert rows == ["Critical", "High", "Medium", "Low"]
        assert page.count("Suspended, and revoked 14 days later unless a second person restores it.") == 3
        assert page.count("Kept, and counted as not reviewed.") == 1


def test_a_form_a_template_and_another_like_it_go_by_what_was_chosen(company: Company) -> None:
    due = (clock.now() + timedelta(days=14)).date().isoformat()
    filled = {"name": "Whole", "kind": "agent_owner", "due": due, "who_low": "all_must_keep", "cadence": "none"}
    page = visits.as_(company.ana)
    assert page.post("/reviews/new/", {**filled, "do": "save-template"}).status_code == 302
    started = templates.start("whole", by=company.ana)
    again = templates.duplicate(started, "again", name="Again", due_at=started.due_at, by=company.ana)
    for campaign in (started, again):
        assert campaign.strategies["low"] == "all_must_keep"
    shown = api.of(company.ana).get("/api/v1/campaign-templates/whole").json()["strategies"]
    assert shown["low"] == "all_must_keep"


def test_two_answers_are_owed_by_the_database_where_two_people_are_asked(company: Company) -> None:
    campaign, item = begun(company, TWO)
    worlds.answer(campaign, company.sofia, [(item, KEEP)])
    decision = ReviewDecision.objects.get()
    with pytest.raises(DatabaseError, match="each of its stages is answered"), transaction.atomic():
        ReviewItem.objects.filter(pk=item.pk).update(state="decided", current_decision=decision)
    assert Grant.objects.get().state == "active"
    assert not connection.needs_rollback
