"""What people and programs do with grants: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.api.actions import Action, Subject
from entitlements.api.fields import StopInputSerializer
from entitlements.grants import grants

GRANT = Subject(visibility.grants, grants.about, by_key=True)

REVOKE = Action("grant-revoke", GRANT, grants.revoke, input=StopInputSerializer, stops="grant")
SUSPEND = Action(
    "grant-suspend",
    GRANT,
    grants.suspend,
    input=StopInputSerializer,
    stops="grant",
    done=_("The access is suspended. You can restore it until it ends."),
)
RESTORE = Action("grant-restore", GRANT, grants.restore, done=_("The access is restored."))
