"""What people do about issuers whose signed assertions are accepted: each action declared once, for API and console."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, Text
from entitlements.trusted_issuers import proposals, rules, terms
from entitlements.trusted_issuers.models import TrustedIssuer


def _texts() -> serializers.ListField:
    return serializers.ListField(child=Text(max_length=terms.LONGEST), max_length=terms.MOST, default=list)


def _map() -> serializers.DictField:
    return serializers.DictField(child=Text(max_length=terms.LONGEST), default=dict)


class TrustedIssuerInputSerializer(InputSerializer):
    """An issuer and the terms on which its tokens are taken; without keys and address, these are discovered."""

    issuer = Text(max_length=300)
    purpose = serializers.ChoiceField(choices=TrustedIssuer.Purpose.choices)
    issues_id_jags = serializers.BooleanField(default=False)
    jwks_uri = Text(max_length=500, default="", allow_blank=True)
    jwks = serializers.DictField(default=None, allow_null=True)
    algorithms = _texts()
    single_use = serializers.BooleanField(default=True)
    clients = _map()
    other_audiences = _texts()
    subject_claim = Text(max_length=64, default=rules.SUBJECT)
    tenant_claim = Text(max_length=64, default="", allow_blank=True)
    tenants = _texts()
    contexts = _map()
    sends_signals = serializers.BooleanField(default=False)
    signal_audience = Text(max_length=500, default="", allow_blank=True)
    signal_events = _texts()
    reason = Text(max_length=500, default="", allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Name the switch as the row does."""
        return {**{k: v for k, v in attrs.items() if k != "single_use"}, "strict_single_use": attrs["single_use"]}


ISSUER = Subject(visibility.issuer_proposals, proposals.KIND.about, by=person, by_key=True)

PROPOSE = Action(
    "trusted-issuers",
    NEW,
    proposals.propose,
    input=TrustedIssuerInputSerializer,
    by=person,
    done=_("Proposed. Another person, who is platform admin or security approver, confirms it."),
)
CONFIRM = Action(
    "trusted-issuer-confirm",
    ISSUER,
    proposals.KIND.confirm,
    input=None,
    done=_("Confirmed. Tokens of %(issuer)s are accepted on these terms."),
)
WITHDRAW = Action("trusted-issuer-withdraw", ISSUER, proposals.KIND.withdraw, done=_("Withdrawn."))
END = Action(
    "trusted-issuer-end", ISSUER, proposals.KIND.end, done=_("Ended. Tokens of %(issuer)s are no longer accepted.")
)
