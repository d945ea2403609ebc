"""What people do about proposals: each action declared once, for API and console."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.api.actions import Action, Subject, caller, person
from entitlements.api.fields import InputSerializer
from entitlements.hooks import Hook
from entitlements.proposals import proposals
from entitlements.proposals.models import Proposal

BEFORE_CONFIRM: Final[Hook[[Caller, Proposal, str], None]] = Hook("confirm a proposal", "combinations")
"""What refuses to confirm before the caller, who says what they accept, knows what follows."""


class ConfirmInputSerializer(InputSerializer):
    """What the caller accepts: the `accept` of the facts that a refusal named."""

    accept = serializers.RegexField(r"^[0-9a-f]{64}$", default="", allow_blank=True)


def _confirm(key: UUID, *, by: Caller, accept: str = "") -> Proposal:
    """Confirm a proposal, after what follows from it is accepted. Raises as proposals.confirm."""
    return proposals.confirm(key, by=person(by), look=lambda row: BEFORE_CONFIRM.ask(by, row, accept))


PROPOSAL = Subject(visibility.proposals, proposals.about, by=person, by_key=True)
CONFIRM = Action(
    "change-proposal-confirm",
    PROPOSAL,
    _confirm,
    input=ConfirmInputSerializer,
    by=caller,
    done=_("Confirmed. It is in force."),
)
WITHDRAW = Action("change-proposal-withdraw", PROPOSAL, proposals.withdraw, done=_("Withdrawn."))
