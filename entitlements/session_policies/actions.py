"""What people do about session policies: each action declared once, for API and console."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.agents.models import Agent
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, Slug, Text
from entitlements.session_policies import proposals, rules
from entitlements.session_policies.models import SessionPolicy
from entitlements.words import Risk


class AppliesToSerializer(InputSerializer):
    """To whom a policy applies. What is left out matches all."""

    agent_kind = serializers.ChoiceField(choices=Agent.Kind.choices, required=False)
    system = Slug(required=False)
    risk = serializers.ChoiceField(
        choices=[level.value for level in Risk], required=False, help_text="This risk level and those above."
    )


class SessionPolicyInputSerializer(InputSerializer):
    """A session policy; another person confirms it. Lengths of time are ISO 8601 durations."""

    name = Slug()
    applies_to = AppliesToSerializer(required=False)
    idle = serializers.DurationField(default=timedelta(seconds=rules.IDLE), help_text="From PT5M to PT1H.")
    absolute = serializers.DurationField(default=timedelta(seconds=rules.ABSOLUTE), help_text="At most PT12H.")
    max_age = serializers.DurationField(required=False, allow_null=True, help_text="From PT5M to P30D.")
    acr = serializers.ListField(child=Text(max_length=255), default=list)
    amr = serializers.ListField(child=Text(max_length=64), default=list)
    renews_without_sign_in = serializers.BooleanField(
        default=False, help_text="Whether a session that is over may begin anew without a fresh sign-in."
    )
    on_drift = serializers.ChoiceField(
        choices=SessionPolicy.OnDrift.choices,
        required=False,
        help_text="What follows drift at least, where its detector is switched on.",
    )
    reason = Text(max_length=500)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Give what it applies to beside the rest."""
        return {**attrs.pop("applies_to", {}), **attrs}


POLICY = Subject(visibility.session_policies, proposals.KIND.about, by=person, by_key=True)

PROPOSE = Action(
    "session-policies",
    NEW,
    proposals.propose,
    input=SessionPolicyInputSerializer,
    by=person,
    done=_("Proposed. Another person, who is platform admin or security approver, confirms it."),
)
CONFIRM = Action(
    "session-policy-confirm",
    POLICY,
    proposals.KIND.confirm,
    input=None,
    done=_("Confirmed. Sessions are held to %(name)s from now on."),
)
WITHDRAW = Action("session-policy-withdraw", POLICY, proposals.KIND.withdraw, done=_("Withdrawn."))
END = Action("session-policy-end", POLICY, proposals.KIND.end, done=_("Ended. %(name)s is not in force any more."))
