"""What people do about risk: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, Text
from entitlements.risk import response_policy, risk
from entitlements.risk.rules import Kind, Mode, Response


class SignalResponseInputSerializer(InputSerializer):
    """How signals of one kind are answered, and whether that is carried out or only shown."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    response = serializers.ChoiceField(choices=[response.value for response in Response])
    mode = serializers.ChoiceField(choices=[mode.value for mode in Mode])
    reason = Text(max_length=500)


SIGNAL = Subject(visibility.risk_signals, risk.about, by=person, by_key=True)
RESPONSE = Subject(visibility.signal_responses, response_policy.KIND.about, by=person, by_key=True)

CONFIRM_COMPROMISED = Action(
    "risk-confirm", SIGNAL, risk.confirm_compromised, done=_("Confirmed. What the policy answers that with was done.")
)
CONFIRM_SAFE = Action(
    "risk-confirm-safe", SIGNAL, risk.confirm_safe, done=_("Confirmed safe. No signal until now counts any more.")
)
DISMISS = Action("risk-dismiss", SIGNAL, risk.dismiss, done=_("Dismissed. This signal counts no more."))
PROPOSE = Action(
    "signal-responses",
    NEW,
    response_policy.propose,
    input=SignalResponseInputSerializer,
    by=person,
    done=_("Proposed. Another person, who is platform admin or security approver, confirms it."),
)
CONFIRM = Action(
    "signal-response-confirm", RESPONSE, response_policy.KIND.confirm, input=None, done=_("Confirmed. It is in force.")
)
WITHDRAW = Action("signal-response-withdraw", RESPONSE, response_policy.KIND.withdraw, done=_("Withdrawn."))
