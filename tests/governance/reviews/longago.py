"""A review of fourteen months ago, in which several people looked for a known time before they answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import pytest

from audit import clock
from entitlements.catalog.models import Entitlement
from entitlements.people.models import Person
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import attention
from tests import make
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds

type Move = Callable[[datetime | timedelta], datetime]
AGO = timedelta(days=430)
TIMES = (2_000, 3_000, 5_000, 7_000, 30_000)


def begun(at: Move, people: int = 5, *, medium: int = 0) -> tuple[Company, Campaign, list[Person]]:
    """Begin it, and let two hours pass: each person has an item of low risk, and the first ones one of medium risk."""
    at(clock.now() - AGO)
    company = companies.found()
    sponsors = [company.sofia, *(make.person(f"sponsor-{number}") for number in range(people - 1))]
    use = worlds.low(company)
    more = make.entitlement(company.system, make.tool(company.system, risk="medium"))
    Entitlement.objects.update(longest=2 * AGO)
    use.refresh_from_db()
    more.refresh_from_db()
    for number, sponsor in enumerate(sponsors):
        make.grant(make.agent(f"low-{number}", sponsor=sponsor), use, people=[company.alice], lasts=2 * AGO)
        if number < medium:
            make.grant(make.agent(f"medium-{number}", sponsor=sponsor), more, people=[company.alice], lasts=2 * AGO)
    campaign = worlds.campaign(company)
    at(timedelta(hours=2))
    return company, campaign, sponsors


def answer(campaign: Campaign, times: Mapping[Person, Sequence[int]]) -> None:
    """Let each person look at her items for so many milliseconds, that of low risk first, and keep them."""
    for person, looked in times.items():
        waiting = sorted(worlds.waiting_for(campaign, person), key=lambda each: each.item.risk)
        for each, ms in zip(waiting, looked, strict=True):
            attention.looked(each.item_id, by=person, ms=ms, evidence=True)
        worlds.answer(campaign, person, [(each.item, worlds.KEEP) for each in waiting])


def ended(campaign: Campaign, company: Company) -> Campaign:
    """Close it on the day of its answers."""
    close.close(campaign.pk, by=company.ana, reason="The quarter is over.")
    close.finish_closing(campaign.pk)
    campaign.refresh_from_db()
    return campaign


@pytest.fixture
def review(at: Move) -> tuple[Company, Campaign]:
    """A closed review of fourteen months ago, of which five people each answered one item; it is today again."""
    today = clock.now()
    company, campaign, sponsors = begun(at)
    answer(campaign, {person: [ms] for person, ms in zip(sponsors, TIMES, strict=True)})
    ended(campaign, company)
    at(today)
    return company, campaign
