"""A review of which sofia answered everything, and whose spot checks wait for sam, who owns the system."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from audit import clock
from audit.context import SYSTEM
from entitlements.people import people
from entitlements.people.models import Person
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.spot_checks import plan
from governance.reviews.spot_checks.models import SpotCheck
from tests import make, snapshots
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds

WEEK = timedelta(days=7)


@dataclass
class Checked:
    """A review of which sofia answered everything, and whose checks wait for sam, who owns the system."""

    company: Company
    campaign: Campaign

    @property
    def checks(self) -> list[SpotCheck]:
        return list(SpotCheck.objects.select_related("item__current_decision").order_by("item__number"))


@snapshots.restored
def under_way(agents: int = 10, share: int = 10) -> Checked:
    company = companies.found()
    low = worlds.low(company)
    for number in range(agents):
        make.grant(make.agent(f"bot-{number}", sponsor=company.sofia), low, people=[company.alice])
    campaign = worlds.campaign(company)
    plan.switch_on(campaign.pk, by=company.ana, share=share)
    return Checked(company, campaign)


def end(checked: Checked, removed: int = 0) -> Checked:
    """Let sofia keep all but some, and ana close it."""
    waiting = worlds.waiting_for(checked.campaign, checked.company.sofia)
    said = [(each.item, worlds.REMOVE if number < removed else worlds.KEEP) for number, each in enumerate(waiting)]
    worlds.answer(checked.campaign, checked.company.sofia, said)
    close.close(checked.campaign.pk, by=checked.company.ana, reason="The quarter is over.")
    checked.campaign.refresh_from_db()
    return checked


def said(check: SpotCheck) -> str:
    """Return what was answered."""
    assert check.item.current_decision is not None
    return check.item.current_decision.verb


def audits(person: Person) -> None:
    people.assign_role(person, "auditor", expires_at=clock.now() + WEEK, by=SYSTEM, reason="The yearly audit.")
