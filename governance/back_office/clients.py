"""OAuth clients in the back office: suspend and restore."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.clients import actions
from entitlements.clients.models import Client

from .act_admin import ActAdmin
from .acts import Act

SUSPEND = Act(
    "suspend",
    actions.DISABLE,
    gettext_lazy("Suspend"),
    gettext_lazy("It gets no token from now on; its sessions and tokens end. Another person can restore it."),
    gettext_lazy("Suspended"),
    lambda client: client.status == Client.Status.ACTIVE,
)
RESTORE = Act(
    "restore",
    actions.ENABLE,
    gettext_lazy("Restore"),
    gettext_lazy("It works again, with new tokens only. The person who suspended it cannot restore it."),
    gettext_lazy("Restored"),
    lambda client: client.status == Client.Status.DISABLED,
)


class ClientAdmin(ActAdmin):
    """OAuth clients; django-oauth-toolkit registers it in place of its own page, which writes (settings)."""

    subject, console_page, acts = actions.CLIENT, "client-page", (SUSPEND, RESTORE)
    console_lookup = ("agent__slug", "client_id")
    relations: ClassVar = {"sponsor": "agent__sponsor", "owner": "agent__owner"}
    effect = "client"
    list_display = ("client_id", "name", "agent", "auth", "status")
    list_filter = ("auth", "status")
    search_fields = ("client_id", "name")
    more = ("jwks", "redirect_uris", "api_scopes")

    def label(self, row: Client) -> str:
        """Return its name, or what it is called by."""
        return row.name or row.client_id

    def console_address(self, row: Client) -> str:
        """Return the address of its page, empty for a script, which has none."""
        return super().console_address(row) if row.agent else ""

    def facts(self, row: Client) -> list[tuple[str, Any]]:
        """Return whose software it is."""
        return [
            (_("State"), row.get_status_display()),
            (_("Agent"), row.agent.name if row.agent else _("none")),
            *super().facts(row),
        ]
