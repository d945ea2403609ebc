"""What an administrator does about ticket references: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.api.actions import NEW, Action, person
from entitlements.api.fields import InputSerializer, Text
from governance.tickets import rules, tickets
from governance.tickets.models import TicketPolicy


class TicketPatternInputSerializer(InputSerializer):
    """One kind of ticket; `{ticket}` in the link is the reference."""

    name = Text(max_length=rules.LONGEST_NAME)
    expression = Text(max_length=rules.LONGEST_EXPRESSION, trim_whitespace=False)
    link = Text(max_length=rules.LONGEST_LINK, required=False, allow_blank=True, default="")


def _need() -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=TicketPolicy.Need.choices, default=TicketPolicy.Need.NEVER.value)


class TicketNeedsInputSerializer(InputSerializer):
    """Where a ticket is asked for."""

    request = _need()
    sod_exception = _need()
    break_glass = _need()
    revocation = _need()


class TicketPolicyInputSerializer(InputSerializer):
    """The settings from now on."""

    patterns = serializers.ListField(child=TicketPatternInputSerializer(), max_length=rules.MOST_PATTERNS)
    needs = TicketNeedsInputSerializer()
    reason = Text(max_length=500)


CHANGE = Action(
    "ticket-policies",
    NEW,
    tickets.change,
    input=TicketPolicyInputSerializer,
    by=person,
    done=_("Saved. The settings are in force."),
)
