"""Agents in the back office: suspend and restore."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.agents import actions
from entitlements.agents.models import Agent

from .act_admin import ActAdmin
from .acts import Act

SUSPEND = Act(
    "suspend",
    actions.SUSPEND,
    gettext_lazy("Suspend"),
    gettext_lazy("It gets no token and makes no call from now on. Another person can restore it."),
    gettext_lazy("Suspended"),
    lambda agent: agent.status in (Agent.Status.ACTIVE, Agent.Status.STAGED),
)
RESTORE = Act(
    "restore",
    actions.RESTORE,
    gettext_lazy("Restore"),
    gettext_lazy("It works again, with new tokens only. The person who suspended it cannot restore it."),
    gettext_lazy("Restored"),
    lambda agent: agent.status == Agent.Status.SUSPENDED,
)


class AgentAdmin(ActAdmin):
    """Agents."""

    subject, console_page, acts = actions.AGENT, "agent-page", (SUSPEND, RESTORE)
    relations: ClassVar = {"sponsor": "sponsor", "owner": "owner"}
    effect = "agent"
    list_display = ("slug", "name", "kind", "sponsor", "owner", "status", "created_at")
    list_filter = ("kind", "status")
    search_fields = ("slug", "name")
    more = ("purpose", "business_critical", "status_reason", "tokens_valid_after")

    def facts(self, row: Agent) -> list[tuple[str, Any]]:
        """Return who answers for it, and what it is for."""
        return [
            (_("State"), row.get_status_display()),
            (_("Sponsor"), row.sponsor.name),
            (_("Technical owner"), row.owner.name if row.owner else _("none")),
            (_("Purpose"), row.purpose),
            *super().facts(row),
        ]
