"""Which events of the record the evidence lists as changes to rules and rights, and over which time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from audit import clock
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.pack_tables import period
from governance.reviews.population import campaigns
from governance.reviews.staging import launch
from governance.reviews.templates import templates
from governance.reviews.templates.models import CampaignTemplate
from tests import make
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.reviews.longago import Move


def test_what_decides_who_answers_and_who_is_believed_counts_as_configuration() -> None:
    counts = {
        *("agent.criticality_changed", "agent.sponsor_changed", "api_token.made", "approval_policy.published"),
        *("campaign_template.changed", "entitlement.edited", "evidence.shared", "group.joined", "issuer.trusted"),
        *("key_encryption_key.replaced", "people_source.disabled", "person.role_assigned", "group_mapping.confirmed"),
        *("secret.set", "system.edited", "tool.approved", "webhook.made"),
    }
    assert counts - set(period.CONFIGURATION) == set()
    for name in ("call.allowed", "grant.issued", "token.issued", "review.decided", "evidence.looked_at", "tool.found"):
        assert name not in period.CONFIGURATION


@pytest.fixture
def company() -> Company:
    company = companies.found()
    make.grant(company.bot, worlds.low(company), people=[company.alice])
    return company


def _begun(company: Company, slug: str, template: CampaignTemplate | None = None, **scope: Any) -> Campaign:  # noqa: ANN401
    made = campaigns.make(slug, name=slug, due_at=clock.now() + timedelta(days=14), scope=scope, by=company.ana)
    Campaign.objects.filter(pk=made.pk).update(template=template)
    return launch.activate(made.pk, by=company.ana)


def _closed(company: Company, campaign: Campaign) -> Campaign:
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.KEEP)])
    close.close(campaign.pk, by=company.ana, reason="All is answered.")
    campaign.refresh_from_db()
    return campaign


@pytest.mark.django_db
def test_a_review_of_a_part_does_not_cut_short_the_period_of_the_next_of_the_whole(company: Company, at: Move) -> None:
    whole = _closed(company, _begun(company, "q3"))
    at(timedelta(hours=1))
    part = _closed(company, _begun(company, "part", systems=["clock"]))
    assert period.bounds(part)[0] == whole.closed_at, "one of everything looked at this too"
    at(timedelta(hours=2))
    assert period.bounds(_begun(company, "q4"))[0] == whole.closed_at
    assert period.bounds(_begun(company, "again", systems=["clock"]))[0] == part.closed_at
    assert period.bounds(_begun(company, "other", agents=[company.bot.slug]))[0] == whole.closed_at


@pytest.mark.django_db
def test_reviews_of_one_template_follow_upon_one_another_though_its_scope_was_changed(
    company: Company, at: Move
) -> None:
    template = templates.save("systems", name="Systems", by=company.ana)
    before = _closed(company, _begun(company, "before", template, agents=[company.bot.slug]))
    at(timedelta(hours=1))
    assert period.bounds(_begun(company, "after", template, systems=["clock"]))[0] == before.closed_at
    assert period.bounds(_begun(company, "alone", systems=["clock"]))[0] == period.BEGINNING
