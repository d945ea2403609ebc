"""Tools in the back office: suspend and restore."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.catalog import actions
from entitlements.catalog.models import Tool

from .act_admin import ActAdmin
from .acts import Act

SUSPEND = Act(
    "suspend",
    actions.DISABLE_TOOL,
    gettext_lazy("Suspend"),
    gettext_lazy("Agents cannot call it from now on. Another person can restore it."),
    gettext_lazy("Suspended"),
    lambda tool: tool.state in (Tool.State.PENDING, Tool.State.APPROVED, Tool.State.QUARANTINED),
)
RESTORE = Act(
    "restore",
    actions.ENABLE_TOOL,
    gettext_lazy("Restore"),
    gettext_lazy("It can be called again, unless it changed meanwhile. The person who suspended it cannot restore it."),
    gettext_lazy("Restored"),
    lambda tool: tool.state == Tool.State.DISABLED,
)


class ToolAdmin(ActAdmin):
    """Tools and their state."""

    subject, console_page, acts = actions.TOOL, "tool-page", (SUSPEND, RESTORE)
    relations: ClassVar = {"system_owner": "system__owner"}
    effect = "tool"
    list_display = ("name", "system", "state", "action", "risk", "sentence", "approved", "seen")
    list_filter = ("state", "risk", "action")
    search_fields = ("name", "system__slug")

    def label(self, row: Tool) -> str:
        """Return its name with that of its system."""
        return f"{row.system.name}: {row.name}"

    def facts(self, row: Tool) -> list[tuple[str, Any]]:
        """Return what it does, and how dangerous that is."""
        return [
            (_("State"), row.get_state_display()),
            (_("Does"), row.sentence),
            (_("Risk level"), row.get_risk_display()),
            *super().facts(row),
        ]
