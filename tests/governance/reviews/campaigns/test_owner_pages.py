"""The pages of a review for its owner: figures, items, reviewers and settings."""

from __future__ import annotations

import json

import pytest

from audit.actions import Action
from audit.export import timeline
from governance.notices import listener
from governance.notices.models import Notice
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


def _begun() -> tuple[Company, Campaign]:
    """Begin a review of four items of sofia, one of them acting for mona, and one unassigned item."""
    company = companies.found()
    worlds.granted(company)
    for name, person in (("one", company.bob), ("two", company.bob), ("own", company.mona)):
        make.grant(make.agent(name, sponsor=company.sofia), worlds.low(company), people=[person])
    lonely = make.agent("lonely", kind="personal", sponsor=company.sam, owner=company.otto)
    make.grant(lonely, worlds.low(company), people=[company.sam])
    return company, worlds.campaign(company)


made_world, review = shared.world(_begun)


def _item(slug: str) -> ReviewItem:
    return ReviewItem.objects.get(agent__slug=slug)


def test_its_owner_sees_figures_and_what_waits_for_her(review: tuple[Company, Campaign]) -> None:
    company, campaign = review
    worlds.answer(campaign, company.sofia, [(_item("one"), worlds.REMOVE), (_item("two"), worlds.KEEP)])
    page = visits.as_(company.ana).get("/reviews/q4/")
    seen = page.context["figures"]
    assert (seen.items, seen.decided, seen.to_decide, seen.revoked, seen.remediations) == (5, 2, 3, 1, 1)
    assert [task.sentence for task in page.context["tasks"]] == ["1 item is unassigned. Choose a reviewer."]
    text = visits.text(page)
    assert ("Waiting for you" in text, 'href="/reviews/q4/items/?state=in_review"' in text) == (True, True)
    other = visits.text(visits.as_(make.analyst("olga")).get("/reviews/q4/"))
    assert "Waiting for Ana" in other


def test_items_are_listed_filtered_and_exported_and_a_reviewer_sees_hers_alone(
    review: tuple[Company, Campaign],
) -> None:
    company, campaign = review
    worlds.answer(campaign, company.sofia, [(_item("one"), worlds.REMOVE)])
    ana, address = visits.as_(company.ana), "/reviews/q4/items/"
    assert visits.text(ana.get(address)).count('scope="row"') == 5
    for query, names in (
        ("decision=revoke", ["one"]),
        ("assigned=no", ["lonely"]),
        ("reviewer=sofia&state=in_review&sort=-item", ["two", "research-bot", "own"]),
        ("view=revoked", ["one"]),
        ("q=lone", ["lonely"]),
    ):
        rows = [json.loads(line) for line in visits.text(ana.get(f"{address}?{query}&export=jsonl")).splitlines()]
        assert [row["item"] for row in rows] == names, query
    (row,) = [json.loads(visits.text(ana.get(f"{address}?decision=revoke&export=jsonl")))]
    assert (row["reviewer"], row["state"], row["remediation"]) == ("Sofia", "decided", "applied")
    her_page = visits.text(visits.as_(company.sofia).get(address))
    assert ("lonely" in her_page, her_page.count('scope="row"'), "Reassign" in her_page) == (False, 4, False)
    assert visits.as_(company.otto).get(address).status_code == 404


def test_ticked_items_go_to_another_reviewer_by_name_and_a_conflict_stays(review: tuple[Company, Campaign]) -> None:
    company, _campaign = review
    ana, give = visits.as_(company.ana), "/reviews/q4/give/"
    keys = [str(_item(name).pk) for name in ("one", "two", "own")]
    assert visits.as_(company.sofia).post(give, {"key": keys}).status_code == 403
    asked = visits.text(ana.post(give, {"key": keys}))
    assert ("Reassign 3 items" in asked, "New reviewer" in asked) == (True, True)

    unknown = ana.post(give, {"key": keys, "to": "nobody", "reason": "Away."})
    assert (unknown.status_code, "unknown_person" in visits.text(unknown), 'value="Away."' in visits.text(unknown)) == (
        422,
        True,
        True,
    )
    shown = visits.text(ana.post(give, {"key": keys, "to": "Mona", "reason": "Away."}))
    assert ("Mona may decide 2 of 3 items" in shown, "the agent acts for them" in shown) == (True, True)
    assert worlds.live(_item("one")).reviewer == company.sofia

    done = ana.post(give, {"key": keys, "to": "mona", "reason": "Away.", "count": "2"})
    assert done["Location"] == "/reviews/q4/items/"
    reviewers = [worlds.live(_item(name)).reviewer for name in ("one", "two", "own")]
    assert reviewers == [company.mona, company.mona, company.sofia]
    ana.post(give, {"key": [str(_item("own").pk)], "to": "Sam", "reason": "Owns it."})
    assert worlds.live(_item("own")).reviewer == company.sam, "where all fit no preview is needed"


def test_one_reviewer_is_reminded_and_the_others_are_not(review: tuple[Company, Campaign]) -> None:
    company, campaign = review
    ana = visits.as_(company.ana)
    ana.post("/reviews/q4/give/", {"key": [str(_item("one").pk)], "to": "mona", "reason": "Away."})
    page = " ".join(visits.text(ana.get("/reviews/q4/reviewers/")).split())
    assert ("Mona" in page, 'name="reviewer" value="mona"' in page) == (True, True)
    ana.post("/reviews/q4/remind/", {"reviewer": "mona"})
    event = timeline.of("campaign", campaign.slug).get(action=Action.CAMPAIGN_REMINDED)
    listener.notify(event)
    assert {
        notice.person.login for notice in Notice.objects.filter(sentence__startswith="Reminder: decide your items")
    } == {"mona"}
    assert ana.post("/reviews/q4/remind/", {"reviewer": "otto"}).status_code == 409


def test_reviewers_and_settings_are_for_its_owner_and_whoever_reads_evidence(review: tuple[Company, Campaign]) -> None:
    company, _campaign = review
    for tab in ("reviewers", "settings"):
        address = f"/reviews/q4/{tab}/"
        assert [visits.as_(who).get(address).status_code for who in (company.ana, company.sofia)] == [200, 403]
        assert address not in visits.text(visits.as_(company.sofia).get("/reviews/q4/"))
