"""Grants in the back office: narrow, suspend, restore and revoke."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.grants import actions
from entitlements.grants.models import Grant
from governance.grants import actions as grant_actions
from governance.grants.pages import grants as pages

from .act_admin import ActAdmin
from .acts import Act
from .narrow_form import NarrowingForm


def _is_open(grant: Grant) -> bool:
    return grant.ended_at is None


NARROW = Act(
    "narrow",
    grant_actions.NARROW,
    gettext_lazy("Narrow"),
    gettext_lazy("What is taken away stops at once. The rest goes on; the time counts from now."),
    gettext_lazy("Narrowed"),
    _is_open,
    form=NarrowingForm(pages.given, "version"),
)
SUSPEND = Act(
    "suspend",
    actions.SUSPEND,
    gettext_lazy("Suspend"),
    gettext_lazy("The access stops at once. Another person can restore it until it ends."),
    gettext_lazy("Suspended"),
    lambda grant: grant.state == Grant.State.ACTIVE,
)
RESTORE = Act(
    "restore",
    actions.RESTORE,
    gettext_lazy("Restore"),
    gettext_lazy("The access works again until its old end. The person who suspended it cannot restore it."),
    gettext_lazy("Restored"),
    lambda grant: grant.state == Grant.State.SUSPENDED,
)
REVOKE = Act(
    "revoke",
    actions.REVOKE,
    gettext_lazy("Revoke"),
    gettext_lazy("The access ends at once and for good. Only a new request gives it back."),
    gettext_lazy("Revoked"),
    _is_open,
    is_last=True,
)


class GrantAdmin(ActAdmin):
    """Grants."""

    subject, console_page, acts = actions.GRANT, "grant-page", (NARROW, SUSPEND, RESTORE, REVOKE)
    relations: ClassVar = {
        "sponsor": "agent__sponsor",
        "owner": "agent__owner",
        "system_owner": "entitlement__system__owner",
    }
    effect = "grant"
    list_display = ("label", "state", "starts_at", "expires_at", "ended_at")
    ordering = ("-created_at", "-id")
    list_filter = ("state",)
    search_fields = ("id", "agent__slug", "entitlement__scope")
    more = ("id", "agent", "entitlement", "end_reason", "request_id")

    @admin.display(description=gettext_lazy("What"))
    def label(self, row: Grant) -> str:
        """Say whose access it is, and to what."""
        return f"{row.agent.name}: {row.entitlement.name}"

    def facts(self, row: Grant) -> list[tuple[str, Any]]:
        """Return whom it serves and until when."""
        people = [str(each.person.name if each.person else each.group.name) for each in row.subjects.all()]  # type: ignore[union-attr]  # one of both
        return [
            (_("State"), row.get_state_display()),
            (_("Acts for"), ", ".join(sorted(people)) or _("no person")),
            (_("Ends"), row.ended_at or row.expires_at),
            *super().facts(row),
        ]
