from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from audit.models import Event
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.errors import BadCampaignOptions, BadScope
from governance.reviews.items.models import ReviewItem
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.population.models import PopulationRow
from governance.reviews.staging import preview
from governance.reviews.suggestions.models import Suggestion
from tests import make
from tests.entitlements.api import client
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


def test_a_preview_says_what_beginning_would_do_and_leaves_nothing_behind() -> None:
    company, _ = worlds.found()
    make.grant(make.agent("helper", sponsor=company.sofia), worlds.low(company), people=[company.bob])
    make.grant(make.agent("other", sponsor=company.bob, owner=company.mona), worlds.low(company), people=[company.bob])
    events = Event.objects.count()

    seen = preview.preview({}, CampaignOptions(), by=company.ana)

    assert (seen.grants, seen.items, seen.unresolved, seen.readable) == (3, 3, 0, 100)
    assert {load.login: (load.items, load.minutes) for load in seen.loads} == {"sofia": (2, 4), "sam": (1, 1)}
    assert (seen.risks, seen.silent_grants) == ({"low": 2, "critical": 1}, 1)
    assert seen.sample[0]["agent"] == "research-bot"
    for rows in (Campaign, PopulationRow, ReviewItem, Suggestion):
        assert not rows.objects.exists()
    assert Event.objects.count() == events

    begun = worlds.campaign(company)
    assert (begun.population_rows, ReviewItem.objects.count()) == (seen.grants, seen.items)
    make.grant(make.agent(sponsor=company.sofia), worlds.low(company), people=[company.bob])
    assert (preview.preview({}, CampaignOptions(), by=company.ana).new, Campaign.objects.count()) == (1, 1)


@pytest.mark.parametrize(("items", "level"), [(60, "fine"), (61, "many"), (120, "many"), (121, "too_many")])
def test_a_reviewer_has_many_items_from_sixty_one_on_and_too_many_above_the_cap(items: int, level: str) -> None:
    assert preview.Load("sam", "Sam", items, 1).level == level
    assert Campaign._meta.get_field("load_cap").default == preview.TOO_MANY


def test_what_is_too_large_for_a_look_is_counted_and_what_is_wrong_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    company, _ = worlds.found()
    monkeypatch.setattr(preview, "LARGEST", 0)
    seen = preview.preview({}, CampaignOptions(), by=company.ana)
    assert (seen.grants, seen.staged) == (1, False)
    with pytest.raises(BadScope):
        preview.preview({"sql": "x"}, CampaignOptions(), by=company.ana)
    with pytest.raises(BadCampaignOptions):
        preview.preview({}, CampaignOptions(mode="delta", framework="sox", carry_days=9), by=company.ana)


@pytest.mark.django_db(transaction=True)
def test_a_preview_says_that_silence_stops_nothing_where_it_stops_nothing() -> None:
    """Roles stay where nobody answers; the page said that they stop, and asked for the name to be typed."""
    company, _ = worlds.found()
    seen = preview.preview({}, CampaignOptions(kind="console_access"), by=company.ana)
    assert seen.items > 0
    assert any(name != "low" for name, _n in seen.by_risk)
    assert seen.silent_grants == 0


def test_an_analyst_previews_over_rest_and_drafts_what_she_saw() -> None:
    company, _ = worlds.found()
    body = {
        "kind": "privileged_tools",
        "scope": {
            "where": {"field": "grant.age_days", "op": "lte", "value": 5},
            "exclude": [{"where": {"field": "agent.slug", "op": "eq", "value": "none"}, "reason": "x"}],
        },
    }
    assert client.of(company.sofia).post("/api/v1/campaigns/preview", body).status_code == 403
    response = client.of(company.ana).post("/api/v1/campaigns/preview", body)
    assert (response.status_code, response.json()["items"], response.json()["reviewers"]) == (
        200,
        1,
        [{"login": "sam", "items": 1, "minutes": 3, "level": "fine"}],
    )
    due = {"slug": "risky", "name": "Risky", "due_at": (clock.now() + timedelta(days=9)).isoformat()}
    made = client.of(company.ana).post("/api/v1/campaigns", {**body, **due})
    assert (made.status_code, made.json()["kind"], made.json()["scope"]) == (201, "privileged_tools", body["scope"])
