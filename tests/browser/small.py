"""Something that happened to an agent, about which somebody is asked."""

from __future__ import annotations

from entitlements.models import Agent, GrantLine
from governance import microreviews
from governance.microreviews import causes
from governance.models import Campaign


def small_review() -> str:
    """Let a tool of an agent of sofia's change, about which she is asked; returns the address of what asks her."""
    bot = Agent.objects.filter(sponsor__login="sofia", grants__ended_at=None).order_by("pk")[0]
    tool = GrantLine.objects.filter(grant__agent=bot, grant__ended_at=None).select_related("tool__system").first()
    assert tool is not None
    name = f"{tool.tool.system.slug}/{tool.tool.name}"
    said = "The argument “recipient” is new; it takes any address."
    causes.note("tool_changed", bot, {"tool": name, "change": "schema_widened", "difference": [said]})
    microreviews.open_due()
    return Campaign.objects.filter(kind=Campaign.Kind.MICRO).latest("created_at").slug
