"""Risk over REST: the signals about an agent, a person or a session, decisions about them, and how each is answered."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.errors import NotFound
from entitlements.proposals.api import TwoPersonSerializer
from entitlements.risk import actions
from entitlements.risk.models import RiskSignal, SignalResponse
from entitlements.risk.rules import Kind, Mode, Response, Verdict
from entitlements.risk.subject import named

_LEVELS: Final = ["low", "medium", "high"]


class RiskDecisionSerializer(OutputSerializer):
    """What a person decided about a signal."""

    verdict = serializers.ChoiceField(choices=[verdict.value for verdict in Verdict])
    by = serializers.CharField(source="by.login")
    at = serializers.DateTimeField()
    reason = serializers.CharField()
    level = serializers.ChoiceField(choices=_LEVELS, source="subject_level", help_text="Of the subject, with it.")


class RiskSignalSerializer(OutputSerializer):
    """One signal: whom it is about, what it says, and what followed. `outcome` `observed` was only shown."""

    id = serializers.UUIDField()
    about = serializers.CharField()
    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    level = serializers.ChoiceField(choices=_LEVELS, help_text="What the signal says by itself.")
    subject_level = serializers.ChoiceField(choices=_LEVELS, help_text="The level of its subject, with it.")
    source = serializers.CharField()  # type: ignore[assignment]  # a field, whatever the base calls so
    reason = serializers.CharField()
    at = serializers.DateTimeField()
    noted_at = serializers.DateTimeField()
    response = serializers.ChoiceField(choices=[response.value for response in Response])
    mode = serializers.ChoiceField(choices=[mode.value for mode in Mode])
    outcome = serializers.ChoiceField(choices=RiskSignal.Outcome.choices)
    state = serializers.ChoiceField(choices=["open", *(verdict.value for verdict in Verdict)])
    decision = RiskDecisionSerializer(allow_null=True, default=None)


class RiskFilter(filters.FilterSet):
    """Filters of the list."""

    about = filters.CharFilter(method="of_subject", help_text="agent:<slug>, person:<login> or session:<id>.")
    kind = filters.ChoiceFilter(choices=[(kind.value, kind.value) for kind in Kind])
    open = filters.BooleanFilter(field_name="decision", lookup_expr="isnull")

    class Meta:
        model = RiskSignal
        fields: ClassVar[list[str]] = []

    def of_subject(self, rows: QuerySet[RiskSignal], _name: str, link: str) -> QuerySet[RiskSignal]:
        """Keep the signals about one subject; of one that is not known, none."""
        try:
            columns = named(link).columns
        except NotFound:
            return rows.none()
        return rows.filter(**{name: row for name, row in columns.items() if row is not None})


class _Signals(Resource):
    shown = RiskSignalSerializer
    subject = actions.SIGNAL


class Risk(_Signals, Listing):
    """List risk signals.

    About an agent, a person or a session, the newest first.
    """

    filterset_class = RiskFilter
    ordering = ("-noted_at", "-id")


class SignalDetail(_Signals, Detail):
    """Show a risk signal."""


class ConfirmCompromised(_Signals, ActionEndpoint):
    """Confirm that whom a signal is about is compromised.

    The level is high, and the answer to a confirmed compromise is carried out: by default it suspends.
    """

    action = actions.CONFIRM_COMPROMISED


class ConfirmSafe(_Signals, ActionEndpoint):
    """Confirm that whom a signal is about is safe. No signal until now counts any more."""

    action = actions.CONFIRM_SAFE


class Dismiss(_Signals, ActionEndpoint):
    """Dismiss a signal. It counts no more, and the others do."""

    action = actions.DISMISS


class SignalResponseSerializer(TwoPersonSerializer):
    """How signals of one kind are answered: who proposed it, and who confirmed it."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    response = serializers.ChoiceField(choices=[response.value for response in Response])
    mode = serializers.ChoiceField(choices=[mode.value for mode in Mode])


class SignalResponseFilter(filters.FilterSet):
    """Filters of the list."""

    kind = filters.ChoiceFilter(choices=[(kind.value, kind.value) for kind in Kind])
    state = filters.ChoiceFilter(choices=SignalResponse.State.choices)

    class Meta:
        model = SignalResponse
        fields: ClassVar[list[str]] = []


class _Responses(Resource):
    shown = SignalResponseSerializer
    subject = actions.RESPONSE


class SignalResponses(_Responses, Listing, CreateEndpoint):
    """List how signals are answered, and propose an answer.

    get: List what is agreed on and proposed. A kind without a row in force is answered as the documentation says.
    post: Propose how one kind of signal is answered. It counts once another person has confirmed it.
    """

    action = actions.PROPOSE
    filterset_class = SignalResponseFilter
    ordering = ("-proposed_at", "-id")


class SignalResponseDetail(_Responses, Detail):
    """Show how one kind of signal is or was answered."""


class ConfirmSignalResponse(_Responses, ActionEndpoint):
    """Confirm how one kind of signal is answered. The person who proposed it cannot confirm it."""

    action = actions.CONFIRM


class WithdrawSignalResponse(_Responses, ActionEndpoint):
    """Withdraw a proposed answer."""

    action = actions.WITHDRAW


ADDRESSES: Final = (
    ("risk", Risk, "risk"),
    ("risk/<uuid:key>", SignalDetail, "risk-signal"),
    ("risk/<uuid:key>/confirm", ConfirmCompromised, "risk-confirm"),
    ("risk/<uuid:key>/confirm-safe", ConfirmSafe, "risk-confirm-safe"),
    ("risk/<uuid:key>/dismiss", Dismiss, "risk-dismiss"),
    ("signal-responses", SignalResponses, "signal-responses"),
    ("signal-responses/<uuid:key>", SignalResponseDetail, "signal-response"),
    ("signal-responses/<uuid:key>/confirm", ConfirmSignalResponse, "signal-response-confirm"),
    ("signal-responses/<uuid:key>/withdraw", WithdrawSignalResponse, "signal-response-withdraw"),
)
"""Address, view and name of each, as the API mounts them."""
