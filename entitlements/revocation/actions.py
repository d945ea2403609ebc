"""What people do about revocations: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.api.actions import NEW, Action, Subject
from entitlements.decisions import guardrails
from entitlements.revocation import proofs

REVOCATION = Subject(rows=visibility.revocations, about=lambda row: [row.link])

RESTORE_EVERYTHING = Action(
    "revocations-everything-restore",
    NEW,
    guardrails.restart_everything,
    done=_("All access is restored. Agents work again within their grants."),
)
PROVE = Action("revocation-prove", REVOCATION, proofs.prove, input=None)
