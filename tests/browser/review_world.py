"""A review of 121 items, with use of every kind beside them: one item has no reviewer, one holds hostile text."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.grants.models import Grant
from governance.reviews.campaigns.models import Campaign
from governance.reviews.population import campaigns
from governance.reviews.staging import launch
from tests import make, snapshots
from tests.browser.world import HOSTILE

_JOBS = ("Invoice matcher", "Expense helper", "Travel planner", "Contract reader", "Ticket sorter", "Release notes")

_RISKY = 24
"""Among the first of them half are of high or critical risk, and after them none."""


@snapshots.restored
def fill(password: str, items: int = 120) -> Campaign:
    """Make the people, the agents and the campaign; sofia answers nearly everything."""
    people = {name: make.person(name, password=password) for name in ("sofia", "otto", "sam", "mona", "alice", "bob")}
    ana = make.person("ana", roles=["analyst"], password=password)
    systems = [make.system(slug, owner=people["sam"]) for slug in ("erp", "crm", "wiki")]
    systems.append(make.system("vendor", owner=people["sam"], kind="mcp"))
    offers = []
    for place, system in enumerate(systems):
        system.name = ("SAP ERP", "Customers", "Knowledge base", "Vendor suite")[place]
        system.save()
        risks = (("low", "medium"), ("low", "high"), ("low",), ("critical", "low"))[place]
        tools = [make.tool(system, f"{risk}_tool_{place}_{n}", risk=risk) for n, risk in enumerate((*risks, "low"))]
        offers.append(make.entitlement(system, *tools))
    with transaction.atomic():
        for number in range(items):
            bot = make.agent(f"bot-{number:03}", sponsor=people["sofia"], owner=people["otto"])
            bot.name = f"{_JOBS[number % len(_JOBS)]} {number + 1}"
            bot.purpose = HOSTILE if number == 3 else "Saves the team an hour a day."
            bot.save()
            people_of = [[people["alice"]], [people["alice"], people["bob"]], []][number % 3]
            old = clock.now() - timedelta(days=120 if number % 4 else 20)
            place = number % 4 if number < _RISKY else 2 * (number % 2)
            grant = make.grant(bot, offers[place], people=people_of, lasts=timedelta(days=80))
            Grant.objects.filter(pk=grant.pk).update(starts_at=old, expires_at=clock.now() + timedelta(days=30))
            _use(bot.principal, grant, number)
        lonely = make.agent("lonely", kind="personal", sponsor=people["sam"], owner=people["otto"])
        make.grant(lonely, offers[0], people=[people["sam"]])
    made = campaigns.make("q4", name="Fourth quarter 2026", due_at=clock.now() + timedelta(days=18), by=ana)
    return launch.activate(made.pk, by=ana)


def _use(bot: Principal, grant: Grant, number: int) -> None:
    for tool in list(grant.entitlement.tools.order_by("pk"))[: number % 3]:
        for _ in range(1 + number % 5):
            log.record(Action.CALL_ALLOWED, by=bot, about=[f"grant:{grant.pk}"], detail={"tool": tool.name})
