"""A review set against an earlier one: what came and went, what was answered otherwise, and how much was answered."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from entitlements.agents.models import Agent
from governance.charts import plots
from governance.reviews.campaigns.models import Campaign
from governance.reviews.population import campaigns
from governance.reviews.quality import comparison
from governance.reviews.reports.queries import comparison as shown
from governance.reviews.staging import launch
from tests import make
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> tuple[Company, Campaign, Campaign, list[Agent]]:
    """Make two reviews: one bot is removed in the first, one kept in both, one cut only now, one new and open."""
    company = companies.found()
    offer = worlds.low(company)
    bots = [make.agent(f"bot-{n}", sponsor=company.sofia, owner=company.otto) for n in range(4)]
    for bot in bots[:3]:
        make.grant(bot, offer, people=[company.alice])
    drafted = campaigns.make("q3", name="Third quarter", due_at=clock.now() + timedelta(days=14), by=company.ana)
    first = launch.activate(drafted.pk, by=company.ana)
    answers = [worlds.REMOVE, worlds.KEEP, worlds.KEEP]
    worlds.answer(
        first, company.sofia, [(worlds.item(first, bot), said) for bot, said in zip(bots, answers, strict=False)]
    )
    worlds.let_it_be_final(monkeypatch)
    make.grant(bots[3], offer, people=[company.alice])
    second = worlds.campaign(company)
    worlds.answer(
        second,
        company.sofia,
        [(worlds.item(second, bots[1]), worlds.KEEP), (worlds.item(second, bots[2]), worlds.REMOVE)],
    )
    return company, Campaign.objects.get(pk=first.pk), second, bots


def test_both_reviews_are_told_apart_item_by_item(two: tuple[Company, Campaign, Campaign, list[Agent]]) -> None:
    _company, first, second, _bots = two
    assert comparison.previous(second) == first
    assert comparison.previous(first) is None

    seen = comparison.compare(second, first)

    assert seen.counts == {"added": 1, "removed": 1, "changed": 1, "same": 1}
    assert {what: [each.name for each in rows] for what, rows in seen.differences.items()} == {
        "added": ["bot-3"],
        "removed": ["bot-0"],
        "changed": ["bot-2"],
    }
    (changed,) = seen.differences["changed"]
    assert (changed.then, changed.now) == ("certify", "revoke")
    assert seen.outcomes == (("certify", 2, 1), ("revoke", 1, 1), ("in_review", 0, 1))
    assert seen.coverage == (100, 66)
    drawn = shown.context(seen)["outcomes"]
    assert [(then, now) for _word, then, now, _svg in drawn] == [(2, 1), (1, 1), (0, 1)]
    assert drawn[0][3] == plots.pair(2, 1, 2)
    assert [f'width="{width}"' in drawn[0][3] for width in ("600.00", "300.00")] == [True, True]


def test_the_page_and_the_api_say_the_same_and_only_to_whoever_reads_evidence(
    two: tuple[Company, Campaign, Campaign, list[Agent]],
) -> None:
    company, _first, _second, _bots = two
    told = client.of(company.ana).get("/api/v1/campaigns/q4/comparison")
    assert told.json()["counts"] == {"added": 1, "removed": 1, "changed": 1, "same": 1}
    assert told.json()["outcomes"]["certify"] == {"then": 2, "now": 1}
    assert (told.json()["compared_with"], told.json()["changed"][0]["then"]) == ("q3", "certify")
    other = client.of(company.ana).get("/api/v1/campaigns/q3/comparison?with=q4")
    assert (
        other.json()["counts"]["added"],
        client.of(company.ana).get("/api/v1/campaigns/q3/comparison").status_code,
    ) == (
        1,
        404,
    )
    page = visits.text(visits.as_(company.ana).get("/reviews/q4/compare/", secure=True))
    assert ("Fourth quarter, compared with Third quarter" in page, ">+1<" in page, ">66 %<" in page) == (
        True,
        True,
        True,
    )
    assert "No earlier review of this kind" in visits.text(
        visits.as_(company.ana).get("/reviews/q3/compare/", secure=True)
    )
    assert visits.as_(company.sofia).get("/reviews/q4/compare/", secure=True).status_code == 403
    assert client.of(company.sofia).get("/api/v1/campaigns/q4/comparison").status_code == 403


def test_a_preview_and_a_staged_review_lead_to_what_they_are_compared_with(
    two: tuple[Company, Campaign, Campaign, list[Agent]],
) -> None:
    company, _first, _second, bots = two
    make.grant(bots[0], worlds.low(company), people=[company.alice])
    ana = visits.as_(company.ana)
    page = visits.text(
        ana.post("/reviews/new/", {"preview": "yes", "name": "Next", "kind": "agent_owner", "due": "2099-01-01"})
    )
    assert ("+1 \u22120 items" in page, 'href="/reviews/q4/"' in page) == (True, True)
