"""Systems in the back office: suspend and restore."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.catalog import actions
from entitlements.catalog.models import System

from .act_admin import ActAdmin
from .acts import Act

SUSPEND = Act(
    "suspend",
    actions.DISABLE,
    gettext_lazy("Suspend"),
    gettext_lazy("No token for it and no call to it from now on. Another person can restore it."),
    gettext_lazy("Suspended"),
    lambda system: system.status == System.Status.ACTIVE,
)
RESTORE = Act(
    "restore",
    actions.ENABLE,
    gettext_lazy("Restore"),
    gettext_lazy("It can be reached again. The person who suspended it cannot restore it."),
    gettext_lazy("Restored"),
    lambda system: system.status == System.Status.DISABLED,
)


class SystemAdmin(ActAdmin):
    """Systems."""

    subject, console_page, acts = actions.SYSTEM, "system-page", (SUSPEND, RESTORE)
    relations: ClassVar = {"system_owner": "owner"}
    effect = "system"
    list_display = ("slug", "name", "kind", "owner", "upstream_url", "status", "discovered_at")
    list_filter = ("kind", "status")
    search_fields = ("slug", "name")
    more = ("denial_shape", "token_seconds")

    def facts(self, row: System) -> list[tuple[str, Any]]:
        """Return who owns it."""
        owner = row.owner.name if row.owner else _("none")
        return [(_("State"), row.get_status_display()), (_("Owner"), owner), *super().facts(row)]
