"""What people do about guardrails: each action declared once, for API and console."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, Lasts, Text
from entitlements.guardrails.models import GuardrailVersion
from entitlements.guardrails.terms import MOST_CONTEXTS
from governance.guardrails import proposals
from governance.guardrails.models import GuardrailProposal

MODES = [(mode.value, mode.label) for mode in GuardrailVersion.Mode if mode != GuardrailVersion.Mode.OFF]
MOST_DAYS = 90


class GuardrailInputSerializer(InputSerializer):
    """A guardrail: which calls it is about, and what becomes of them. A known name changes that guardrail."""

    name = Text(max_length=80)
    effect = serializers.ChoiceField(choices=GuardrailVersion.Effect.choices)
    mode = serializers.ChoiceField(choices=MODES)
    when = serializers.JSONField(help_text="All that is named must match.")
    max_age = Lasts(required=False, allow_null=True, default=None)
    acr = serializers.ListField(
        child=Text(max_length=255),
        default=list,
        max_length=MOST_CONTEXTS,
        help_text="Of a step-up: one of these contexts.",
    )
    reason = Text(max_length=500, default="", allow_blank=True)

    def validate_when(self, value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Refuse what is no object. Raises the framework's ValidationError."""
        if not isinstance(value, dict):
            raise serializers.ValidationError("Write an object.")
        return value


class GuardrailConfirmInputSerializer(InputSerializer):
    """Why it is confirmed; needed where it is enforced without a replay."""

    reason = Text(max_length=500, default="", allow_blank=True)


class GuardrailReplayInputSerializer(InputSerializer):
    """Over the calls of how many days."""

    days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, default=7)


GUARDRAIL = Subject(
    lambda _caller: GuardrailProposal.objects.select_related("proposed_by", "confirmed_by", "what_if"),
    proposals.about,
    by=person,
    by_key=True,
)
PROPOSE = Action(
    "guardrails",
    NEW,
    proposals.propose,
    input=GuardrailInputSerializer,
    by=person,
    done=_("Proposed. Replay it over recorded calls; another person confirms it."),
)
CONFIRM = Action(
    "guardrail-confirm",
    GUARDRAIL,
    proposals.KIND.confirm,
    input=GuardrailConfirmInputSerializer,
    reason_in_form=False,
    done=_("Confirmed. Every node asks it within two seconds."),
)
REPLAY = Action(
    "guardrail-replay",
    GUARDRAIL,
    proposals.ask_replay,
    input=GuardrailReplayInputSerializer,
    reason_in_form=False,
    done=_("The replay begins within seconds."),
)
WITHDRAW = Action("guardrail-withdraw", GUARDRAIL, proposals.KIND.withdraw, done=_("Withdrawn."))
END = Action(
    "guardrail-end", GUARDRAIL, proposals.propose_end, done=_("Its end is proposed. Another person confirms it.")
)
