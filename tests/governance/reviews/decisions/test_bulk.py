"""Many items with one answer: only what is alike and what nothing speaks against is kept in bulk."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import uuid4

import pytest

from audit import clock
from entitlements.catalog.models import Tool
from entitlements.errors import ReasonRequired
from entitlements.grants.models import Grant
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import bulk, submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import errors as item_errors
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import BadBulk
from governance.reviews.items.models import ReviewItem
from governance.reviews.suggestions.models import Suggestion
from governance.reviews.usage.models import UsageDay
from tests import make, shared
from tests.entitlements.api import client
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

KEEP = Answer("certify", "business_need", "All as they were.")


def _used(grant: Grant) -> None:
    now, tool = clock.now(), grant.lines.get().tool
    row = {"agent": grant.agent, "grant": grant, "tool": tool, "calls": 5, "denied": 0, "last_at": now}
    UsageDay.objects.create(day=now.date(), **row)


def _review() -> tuple[Company, Campaign, dict[str, ReviewItem]]:
    """A second campaign over three alike and harmless agents, one with other tools, one unseen, and the critical one.

    All were used but the second; a person kept all but the third before.
    """
    company, _ = worlds.found()
    shared, other, vendor = worlds.low(company), worlds.low(company), make.system("vendor", kind="mcp")
    bundles = {"odd": other, "blind": make.entitlement(vendor, make.tool(vendor))}
    for name in ("one", "two", "three", "odd", "blind"):
        bot = make.agent(name, sponsor=company.sofia)
        grant = make.grant(bot, bundles.get(name, shared), people=[company.bob], lasts=timedelta(days=80))
        Grant.objects.filter(pk=grant.pk).update(starts_at=clock.now() - timedelta(days=120))
        if name != "two":
            _used(grant)
    first = worlds.campaign(company, slug="first")
    items = ReviewItem.objects.filter(campaign=first).exclude(agent=company.bot).exclude(agent__slug="three")
    worlds.answer(first, company.sofia, [(each, KEEP) for each in items])
    close.close(first.pk, by=company.ana, reason="over", without_answer=True)
    campaign = worlds.campaign(company)
    return company, campaign, {item.agent_slug: item for item in ReviewItem.objects.filter(campaign=campaign)}


made_world, review = shared.world(_review)


def test_keeping_in_bulk_is_for_what_is_alike_and_unchanged_alone(
    review: tuple[Company, Campaign, dict[str, ReviewItem]],
) -> None:
    company, campaign, items = review
    asked = [items[name].pk for name in ("one", "two", "three", "odd", "blind", "research-bot")]
    shown = bulk.preview(campaign, asked, KEEP, by=company.sofia)
    assert shown.eligible == (items["one"].pk,)
    assert {slug: shown.barred[items[slug].pk].value for slug in ("two", "three", "odd", "blind", "research-bot")} == {
        "two": "keeping_not_suggested",
        "three": "changed_or_never_reviewed",
        "odd": "other_tools",
        "blind": "calls_not_visible",
        "research-bot": "too_risky",
    }
    cut = bulk.preview(campaign, asked[:1], Answer("reduce", "unused"), by=company.sofia)
    assert cut.barred == {asked[0]: bulk.Bar.NOTHING_SUGGESTED}
    with pytest.raises(item_errors.BadAnswer):
        bulk.preview(campaign, [uuid4() for _ in range(201)], Answer("revoke", "unused"), by=company.sofia)
    Grant.objects.filter(agent__slug="one").update(version=7)
    assert bulk.preview(campaign, asked[:1], KEEP, by=company.sam).barred == {asked[0]: bulk.Bar.NOT_YOURS}


def test_what_was_found_since_the_review_began_is_kept_by_itself(
    review: tuple[Company, Campaign, dict[str, ReviewItem]],
) -> None:
    company, campaign, items = review
    one = items["one"]
    assert bulk.preview(campaign, [one.pk], KEEP, by=company.sofia).eligible == (one.pk,)
    tool = Tool.objects.filter(pk__in=one.lines.values("tool"))
    tool.update(state=Tool.State.QUARANTINED)
    assert bulk.preview(campaign, [one.pk], KEEP, by=company.sofia).barred == {one.pk: bulk.Bar.FOUND}
    tool.update(state=Tool.State.APPROVED)
    assert bulk.preview(campaign, [one.pk], KEEP, by=company.sofia).eligible == (one.pk,)
    tool.update(seen=None)
    assert bulk.preview(campaign, [one.pk], KEEP, by=company.sofia).barred == {one.pk: bulk.Bar.FOUND}


def test_what_is_confirmed_is_drafted_under_one_number_and_nothing_else(
    review: tuple[Company, Campaign, dict[str, ReviewItem]],
) -> None:
    company, campaign, items = review
    cut = Answer("revoke", "unused")
    shown = bulk.preview(campaign, [items["one"].pk, items["two"].pk], cut, by=company.sofia)
    for wrong in ({"by": company.sam, "count": 2}, {"by": company.sofia}, {"by": company.sofia, "count": 1}):
        with pytest.raises(BadBulk):
            bulk.commit(campaign, shown.token, **wrong)
    with pytest.raises(BadBulk):
        bulk.commit(campaign, shown.token + "x", by=company.sofia, count=2)
    with pytest.raises(BadBulk):  # looked at in one review, and confirmed in another
        bulk.commit(Campaign.objects.get(slug="first"), shown.token, by=company.sofia, count=2)
    submission.save_draft(items["two"].pk, KEEP, by=company.sofia, rev=0)

    done = bulk.commit(campaign, shown.token, by=company.sofia, count=2)

    assert (done.drafted, [str(each.code) for each in done.refused.values()]) == ([items["one"].pk], ["stale"])
    assert {draft.bulk_op for draft in Draft.objects.filter(verb="revoke")} == {done.bulk_op}
    submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI)
    assert ReviewDecision.objects.get(verb="revoke").bulk_op == done.bulk_op


def test_what_was_looked_at_too_long_ago_is_looked_at_again(
    review: tuple[Company, Campaign, dict[str, ReviewItem]], monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign, items = review
    shown = bulk.preview(campaign, [items["one"].pk], Answer("revoke", "unused"), by=company.sofia)
    ten_minutes_on = time.time() + 601
    with monkeypatch.context() as later:
        later.setattr(time, "time", lambda: ten_minutes_on)
        with pytest.raises(BadBulk):
            bulk.commit(campaign, shown.token, by=company.sofia, count=1)
    assert bulk.commit(campaign, shown.token, by=company.sofia, count=1).drafted == [items["one"].pk]


def test_no_more_than_fifty_are_kept_and_only_with_a_reason(
    review: tuple[Company, Campaign, dict[str, ReviewItem]],
) -> None:
    company, campaign, items = review
    with pytest.raises(item_errors.BadAnswer):
        bulk.preview(campaign, [uuid4() for _ in range(51)], KEEP, by=company.sofia)
    with pytest.raises(ReasonRequired):
        bulk.preview(campaign, [items["one"].pk], Answer("certify"), by=company.sofia)
    with pytest.raises(item_errors.BadAnswer):
        bulk.preview(campaign, [], KEEP, by=company.sofia)
    with pytest.raises(item_errors.BadAnswer):
        bulk.preview(campaign, [items["one"].pk], Answer("abstain", "not_mine"), by=company.sofia)


def test_bulk_over_rest_answers_for_each_item(review: tuple[Company, Campaign, dict[str, ReviewItem]]) -> None:
    company, _, items = review
    sofia = client.of(company.sofia)
    asked = {"items": [str(items["one"].pk), str(items["odd"].pk)], "verb": "revoke", "reason_code": "unused"}
    shown = sofia.post("/api/v1/campaigns/q4/bulk-preview", asked).json()
    assert (len(shown["eligible"]), shown["barred"]) == (2, [])
    done = sofia.post("/api/v1/campaigns/q4/bulk", {"token": shown["token"], "count": 2})
    assert (done.status_code, [each["status"] for each in done.json()["results"]]) == (207, [200, 200])
    assert Draft.objects.filter(verb="revoke").count() == 2
    assert Suggestion.objects.exists()
