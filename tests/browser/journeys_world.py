"""What the journeys begin from: a review for sofia, unused agents of a department, and a tool approved last quarter."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest
from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.agents.models import Agent
from entitlements.grants import grants
from entitlements.people.models import Person, Role
from entitlements.people_sources.models import PeopleSource, SourcedPerson
from governance.agents import summaries
from governance.approvals import approvals
from governance.ownership.models import Dormancy
from governance.requests.models import AccessRequest
from governance.reviews.campaigns.models import Campaign
from governance.reviews.templates import templates
from tests import make, snapshots
from tests.browser import review_world

_UNUSED: Final = {"where": {"field": "grant.calls_90d", "op": "eq", "value": 0}}
DEPARTMENT: Final = "Finance"
_ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def fill(password: str) -> None:
    """Make it all, so that each journey begins from the same company."""
    _fill(password)
    source = PeopleSource.objects.create(slug="hr", name="HR", digest="0" * 64, created_at=clock.now())
    said = {_ENTERPRISE: {"department": DEPARTMENT}}
    times = {"created_at": clock.now(), "changed_at": clock.now()}
    sofia = Person.objects.get(login="sofia")  # the database computes her department, so that no snapshot can hold it
    SourcedPerson.objects.create(source=source, person=sofia, user_name="sofia", said=said, **times)


@snapshots.restored
def _fill(password: str) -> Campaign:
    """Make what a snapshot can hold, and return the review."""
    review = review_world.fill(password, items=30)
    for agent in Agent.objects.filter(slug__in=[f"bot-{number:03}" for number in (6, 9, 15, 18, 21)]):
        Dormancy.objects.create(agent=agent, step=Dormancy.Step.ASKED, since=clock.now())
    templates.save("unused", name="Unused access", scope=_UNUSED, by=review.owner)
    make.person("audrey", roles=[Role.AUDITOR], password=password)
    with pytest.MonkeyPatch.context() as patch:
        _payroll(patch)
    summaries.refresh_due()
    return review


def approved_at() -> datetime:
    """Return the moment of the approval: twenty days before this quarter began."""
    now = clock.now()
    began = now.replace(month=now.month - (now.month - 1) % 3, day=1, hour=0, minute=0, second=0, microsecond=0)
    return began - timedelta(days=20)


def _payroll(patch: pytest.MonkeyPatch) -> None:
    """Let sam approve `payroll/export` last quarter for an agent that used it twice for alice, until it was revoked."""
    then = approved_at()
    patch.setattr(clock, "now", lambda: then)
    people = Person.objects.in_bulk(field_name="login")
    system = make.system("payroll", owner=people["sam"])
    system.name = "Payroll"
    system.save()
    use = make.entitlement(system, make.tool(system, "export", sentence="Exports the payroll.", risk="high"))
    bot = make.agent("payroll-bot", sponsor=people["mona"], owner=people["otto"])
    asked = make.request(use, bot, by=people["otto"], people=[people["alice"]], lasts=timedelta(days=30))
    while (waiting := AccessRequest.objects.get(pk=asked.pk)).state == AccessRequest.State.IN_APPROVAL:
        stage = waiting.approvals.filter(answer="waiting").order_by("stage")[0]
        approvals.approve(asked.pk, by=stage.waiting_for.order_by("pk")[0], reason="The auditors need the totals.")
    grant = bot.grants.get()
    for _ in range(2):
        with transaction.atomic():
            links = [f"grant:{grant.pk}", "tool:payroll/export", "system:payroll", "agent:payroll-bot"]
            log.record(Action.CALL_ALLOWED, by=bot.principal, about=links, detail={"tool": "export"})
    grants.revoke(grant.pk, by=people["ana"].principal, reason="The audit is over.")
