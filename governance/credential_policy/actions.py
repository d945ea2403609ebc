"""What people do about the age of credentials: each action declared once, for API and console."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, Text
from entitlements.credential_policy.rules import (
    LONGEST_DAYS,
    LONGEST_OVERLAP_HOURS,
    SHORTEST_DAYS,
    SHORTEST_OVERLAP_HOURS,
    Kind,
)
from governance.credential_policy import policy_proposals
from governance.credential_policy.models import CredentialPolicyProposal


def _days() -> serializers.IntegerField:
    return serializers.IntegerField(min_value=SHORTEST_DAYS, max_value=LONGEST_DAYS)


class DaysInputSerializer(InputSerializer):
    """The longest age of each kind of credential, in days."""

    client_secret = _days()
    client_key = _days()
    personal_token = _days()
    scim_token = _days()
    upstream_secret = _days()


class CredentialPolicyInputSerializer(InputSerializer):
    """The next policy; another person confirms it."""

    days = DaysInputSerializer()
    overlap_hours = serializers.IntegerField(min_value=SHORTEST_OVERLAP_HOURS, max_value=LONGEST_OVERLAP_HOURS)
    stops_upstream_secrets = serializers.BooleanField(default=False)
    reason = Text(max_length=500)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Give the days as a plain mapping."""
        return {**attrs, "days": {kind.value: attrs["days"][kind.value] for kind in Kind}}


PROPOSAL = Subject(
    lambda _caller: CredentialPolicyProposal.objects.select_related("proposed_by", "confirmed_by"),
    policy_proposals.KIND.about,
    by=person,
    by_key=True,
)
PROPOSE = Action(
    "credential-policy-proposals",
    NEW,
    lambda *, days, **given: policy_proposals.propose(days, **given),
    input=CredentialPolicyInputSerializer,
    by=person,
    done=_("Proposed. Another person confirms it."),
)
CONFIRM = Action(
    "credential-policy-proposal-confirm",
    PROPOSAL,
    policy_proposals.KIND.confirm,
    done=_("In force. What works now goes on for 30 days at least."),
)
WITHDRAW = Action("credential-policy-proposal-withdraw", PROPOSAL, policy_proposals.KIND.withdraw, done=_("Withdrawn."))
