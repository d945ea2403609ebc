"""Something that happened to an agent, about which somebody is asked."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant, GrantLine
from governance.ownership.models import Dormancy
from governance.reviews.campaigns.models import Campaign
from governance.reviews.event_triggered import causes, start
from tests import make, snapshots


@snapshots.restored
def fill(password: str) -> Grant:
    """Make an agent of sofia's with three tools, of which one changed and one is used; she is asked about it."""
    sofia, alice = (make.person(name, password=password) for name in ("sofia", "alice"))
    make.person("ana", roles=["analyst"], password=password)
    system = make.system("crm")
    system.name = "Customers"
    system.save()
    names = {"find_customer": "Finds a customer.", "send_letter": "Sends a letter.", "list_notes": "Lists notes."}
    tools = [make.tool(system, name, sentence=sentence) for name, sentence in names.items()]
    bot = make.agent("letter-bot", sponsor=sofia)
    Agent.objects.filter(pk=bot.pk).update(name="Letter writer", purpose="Writes to customers who ask for it.")
    grant = make.grant(bot, make.entitlement(system, *tools, scope="crm:use"), people=[alice], lasts=timedelta(days=80))
    Grant.objects.filter(pk=grant.pk).update(starts_at=clock.now() - timedelta(days=100))
    for _ in range(7):
        with transaction.atomic():
            log.record(
                Action.CALL_ALLOWED, by=bot.principal, about=[f"grant:{grant.pk}"], detail={"tool": "find_customer"}
            )
    small_review()
    return grant


def small_review() -> str:
    """Let a tool of an agent of sofia's change, about which she is asked; returns the address of what asks her."""
    held = GrantLine.objects.filter(grant__agent__sponsor__login="sofia", grant__ended_at=None)
    tool = held.select_related("tool__system", "grant__agent").order_by("grant__agent", "pk").first()
    assert tool is not None
    bot = tool.grant.agent
    name = f"{tool.tool.system.slug}/{tool.tool.name}"
    said = "The argument “recipient” is new; it takes any address."
    causes.note("tool_changed", bot, {"tool": name, "change": "schema_widened", "difference": [said]})
    start.open_due()
    return Campaign.objects.filter(kind=Campaign.Kind.MICRO).latest("created_at").slug


def unused() -> str:
    """Let a small review ask sofia whether an agent of hers is needed that nobody uses; returns its address."""
    held = GrantLine.objects.filter(grant__agent__sponsor__login="sofia", grant__ended_at=None)
    line = held.select_related("grant__agent").order_by("grant__agent", "pk").first()
    assert line is not None
    Dormancy.objects.update_or_create(
        agent=line.grant.agent, defaults={"step": Dormancy.Step.ASKED, "since": clock.now()}
    )
    causes.note("dormant", line.grant.agent, {})
    start.open_due()
    return Campaign.objects.filter(trigger__kind="dormant").latest("created_at").slug
