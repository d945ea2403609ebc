"""The page and the API of a small review: who comes in, what they read, and what one click does."""

from __future__ import annotations

import re

import pytest
from django.db import transaction

from audit import log
from audit.actions import Action
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.event_triggered import causes, start
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.items import review_rules
from governance.reviews.reviewers import assignment
from tests import make
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked() -> tuple[Company, Campaign]:
    """Two harmless tools of which one changed, about which sofia is asked."""
    company = companies.found()
    tools = (make.tool(company.system, "peek"), make.tool(company.system, "poke"))
    make.grant(company.bot, make.entitlement(company.system, *tools), people=[company.bob])
    fact = {"tool": "clock/peek", "change": "description", "difference": ["The description says <b>now</b>."]}
    causes.note("tool_changed", company.bot, fact)
    start.open_due()
    return company, Campaign.objects.get()


def shown(campaign: Campaign) -> dict[str, list[str]]:
    """Return what the page of a small review posts of what it shows."""
    return {"item": [str(pk) for pk in worlds.open_in(campaign)]}


def test_the_page_says_what_happened_and_one_press_of_a_button_answers_it(asked: tuple[Company, Campaign]) -> None:
    company, campaign = asked
    address, sofia = f"/event-triggered-reviews/{campaign.slug}/", visits.as_(company.sofia)
    page = visits.text(sofia.get(address))
    for words in ("A tool changed", "clock/peek changed after its approval", "&lt;b&gt;now&lt;/b&gt;", "Keep some"):
        assert words in page
    assert sofia.get(f"/reviews/{campaign.slug}/work/")["Location"] == address
    assert visits.as_(company.mallory).get(address).status_code == 404
    assert "You are not a reviewer here" in visits.text(visits.as_(company.ana).get(address))
    assert visits.as_(company.ana).post(address, {"verb": "certify"}).status_code >= 400

    assert f'name="item" value="{campaign.items.get().pk}"' in page
    assert sofia.post(address, {"verb": "certify"}).status_code == 412, "it says not what was on the page"
    assert sofia.post(address, {"verb": "certify", "item": ["x"]}).status_code == 400
    assert sofia.post(address, {"verb": "certify", **shown(campaign)}).status_code == 302

    decision = ReviewDecision.objects.get()
    assert (decision.verb, decision.decided_by, decision.via) == ("certify", company.sofia, "ui")
    assert "Recall the decision" in visits.text(sofia.get(address))


def test_the_page_shows_calls_of_what_its_reader_may_see_and_of_nothing_else() -> None:
    company = companies.found()
    mail = make.system("mail", owner=company.sam)
    for system, name in ((company.system, "peek"), (mail, "post")):
        use = make.entitlement(system, make.tool(system, name))
        grant = make.grant(company.bot, use, people=[company.bob])
        with transaction.atomic():
            log.record(
                Action.CALL_ALLOWED,
                by=company.bot.principal,
                about=[f"grant:{grant.pk}"],
                detail={"tool": f"{name}-it"},
            )
    causes.note("new_office", company.bot, {"to": "sofia"})
    start.open_due()
    campaign = Campaign.objects.get()
    address, sofia = f"/event-triggered-reviews/{campaign.slug}/", visits.as_(company.sofia)
    assert [f"{name}-it" in visits.text(sofia.get(address)) for name in ("peek", "post")] == [True, True]
    assignment.reassign(campaign.items.get(system=mail).pk, company.sam, by=company.ana, reason="He knows it.")
    assert [f"{name}-it" in visits.text(sofia.get(address)) for name in ("peek", "post")] == [True, False]


def test_unticking_a_tool_and_keeping_some_removes_that_tool_alone(asked: tuple[Company, Campaign]) -> None:
    company, campaign = asked
    lines = {line.tool.name: line.pk for line in campaign.items.get().lines.select_related("tool")}
    address, sofia = f"/event-triggered-reviews/{campaign.slug}/", visits.as_(company.sofia)
    both = {**shown(campaign), "verb": "reduce", "why_reduce": "drifted", "keep": [*lines.values()]}
    assert sofia.post(address, both).status_code >= 400
    assert sofia.post(address, {**both, "keep": ["x"]}).status_code >= 400
    unsaid = visits.text(sofia.post(address, {**both, "why_reduce": "", "keep": [lines["poke"]]}))
    assert [f'value="{lines[name]}" checked' in unsaid for name in ("peek", "poke")] == [False, True], (
        "as it was ticked"
    )
    assert sofia.post(address, {**both, "keep": [lines["poke"]]}).status_code == 302
    decision = ReviewDecision.objects.get()
    assert (decision.verb, decision.reason_code, decision.kept_lines) == ("reduce", "drifted", [lines["poke"]])


def test_each_decision_offers_the_reasons_of_the_workbench(asked: tuple[Company, Campaign]) -> None:
    company, campaign = asked
    page = visits.text(visits.as_(company.sofia).get(f"/event-triggered-reviews/{campaign.slug}/"))
    for verb in ("reduce", "revoke"):
        select = page.partition(f'<select id="why-{verb}"')[2].partition("</select>")[0]
        assert re.findall(r'value="(\w+)"', select) == list(review_rules.FITTING[review_rules.Verb(verb)])
    assert '<option value="drifted" selected>' in page, "the reason of its cause"
    assert re.findall(r'value="abstain:(\w+)"', page) == list(review_rules.FITTING[review_rules.Verb.ABSTAIN])


def test_whoever_cannot_judge_or_not_now_says_so_with_a_press(asked: tuple[Company, Campaign]) -> None:
    company, campaign = asked
    address, sofia = f"/event-triggered-reviews/{campaign.slug}/", visits.as_(company.sofia)
    assert sofia.post(address, {"postpone": "yes", "reason": ""}).status_code >= 400
    assert sofia.post(address, {"postpone": "yes", "reason": "quarter end"}).status_code == 302
    assert ReviewTrigger.objects.get().postponed == 1
    assert sofia.post(address, {"verb": "abstain:dont_understand", **shown(campaign)}).status_code == 302
    assert worlds.live(campaign.items.get()).reviewer == company.sam


def test_the_list_of_reviews_shows_small_ones_in_a_tab_of_their_own(asked: tuple[Company, Campaign]) -> None:
    company, campaign = asked
    ana = visits.as_(company.ana)
    assert campaign.slug not in visits.text(ana.get("/reviews/"))
    assert '<a href="/event-triggered-reviews/">Event-triggered reviews</a>' in visits.text(ana.get("/reviews/"))
    listed = visits.text(ana.get("/event-triggered-reviews/"))
    assert [each in listed for each in (f"/event-triggered-reviews/{campaign.slug}/", company.sofia.name)] == [
        True,
        True,
    ]
    remove = {"verb": "revoke", "why_revoke": "drifted", **shown(campaign)}
    visits.as_(company.sofia).post(f"/event-triggered-reviews/{campaign.slug}/", remove)
    assert "Revoke" in visits.text(ana.get("/event-triggered-reviews/")), "what came of it"
    api = client.of(company.ana)
    assert api.get("/api/v1/campaigns").json()["results"] == []
    assert [each["slug"] for each in api.get("/api/v1/campaigns?kind=micro").json()["results"]] == [campaign.slug]
    mine = {"slug": "mine", "name": "Mine", "due_at": "2030-01-01T00:00:00Z", "kind": "micro"}
    assert api.post("/api/v1/campaigns", mine).status_code == 400, "it is made by what happens, and by nobody"


@pytest.mark.django_db(transaction=True)
def test_over_the_api_it_is_read_answered_and_put_off(asked: tuple[Company, Campaign]) -> None:
    company, campaign = asked
    sofia, address = client.of(company.sofia), f"/api/v1/event-triggered-reviews/{campaign.slug}"
    [listed] = sofia.get("/api/v1/event-triggered-reviews?cause=tool_changed").json()["results"]
    assert (listed["slug"], listed["agent"], listed["state"]) == (campaign.slug, "research-bot", "active")
    [happened] = listed["happened"]
    assert happened["said"] == "clock/peek changed after its approval."
    assert happened["notes"] == ["The description says <b>now</b>."]
    assert client.of(company.mallory).get(address).status_code == 404
    assert sofia.post(f"{address}/postpone", {"reason": "later"}).json()["postponed"] == 1
    items = [each["id"] for each in sofia.get(address).json()["items"]]
    assert sofia.post(f"{address}/answer", {"verb": "keep", "items": items}).status_code == 400
    assert sofia.post(f"{address}/answer", {"verb": "revoke", "why_drop": "drifted"}).status_code == 400
    done = sofia.post(f"{address}/answer", {"verb": "revoke", "why_drop": "drifted", "items": items})
    assert (done.status_code, [each["verb"] for each in done.json()["decided"]]) == (201, ["revoke"])
    assert [each["state"] for each in done.json()["removals"]] == ["verified"]
    assert sofia.post(f"{address}/answer", {"verb": "certify", "items": items}).status_code == 403
