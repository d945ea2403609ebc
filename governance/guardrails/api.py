"""Guardrails over REST: proposed by one, replayed over recorded calls, confirmed by another."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Final

from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer, duration
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.guardrails.models import GuardrailVersion
from entitlements.permissions.matrix import Matrix
from entitlements.proposals.api import TwoPersonSerializer
from governance.api.matrix import MATRIX
from governance.guardrails import actions, queries
from governance.guardrails.models import GuardrailProposal


class GuardrailSerializer(TwoPersonSerializer):
    """One version of a guardrail: as it was proposed, what its replay found, and what became of it."""

    name = serializers.CharField()
    effect = serializers.ChoiceField(choices=GuardrailVersion.Effect.choices)
    mode = serializers.ChoiceField(choices=GuardrailVersion.Mode.choices)
    when = serializers.JSONField(source="conditions")
    max_age = serializers.SerializerMethodField()
    acr = serializers.ListField(
        child=serializers.CharField(), help_text="The contexts of which a step-up asks for one."
    )
    version = serializers.IntegerField(allow_null=True, help_text="Of the set of all guardrails.")
    replay = serializers.SerializerMethodField()

    def get_max_age(self, row: GuardrailProposal) -> str | None:
        """Return how old a sign-in may be, as ISO 8601 writes it; null for the usual five minutes."""
        return None if row.max_age is None else duration(timedelta(seconds=row.max_age))

    def get_replay(self, row: GuardrailProposal) -> dict[str, Any]:
        """Return how far the replay is, over how many days, and what it counts, as the what-if of that id says it."""
        if (found := row.what_if) is None:
            return {"state": "none"}
        state = "running" if found.finished_at is None else found.state
        about = {"what_if": str(found.pk), "state": state, "percent": found.percent, "days": found.days}
        return {**about, **queries.figures(found)}


class GuardrailFilter(filters.FilterSet):
    """Filters of the list."""

    name = filters.CharFilter()
    state = filters.ChoiceFilter(choices=GuardrailProposal.State.choices)
    mode = filters.ChoiceFilter(choices=GuardrailVersion.Mode.choices)

    class Meta:
        model = GuardrailProposal
        fields: ClassVar[list[str]] = []


class _Guardrails(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = GuardrailSerializer
    subject = actions.GUARDRAIL


class Guardrails(_Guardrails, Listing, CreateEndpoint):
    """List guardrails, and propose one.

    get: List the versions of guardrails: proposed, in force, replaced and withdrawn.
    post: Propose a guardrail. A guardrail checks calls, not prompts or answers. It counts once another person has
    confirmed it.
    """

    action = actions.PROPOSE
    filterset_class = GuardrailFilter
    ordering = ("-proposed_at", "-id")


class GuardrailDetail(_Guardrails, Detail):
    """Show a version of a guardrail, and its replay."""


class ConfirmGuardrail(_Guardrails, ActionEndpoint):
    """Confirm a proposed guardrail. The person who proposed it cannot confirm it.

    One that is to be enforced was replayed before, unless a reason says why not.
    """

    action = actions.CONFIRM


class ReplayGuardrail(_Guardrails, ActionEndpoint):
    """Replay a proposed guardrail over the calls of the last days. Read the guardrail again for the result."""

    action = actions.REPLAY


class WithdrawGuardrail(_Guardrails, ActionEndpoint):
    """Withdraw a proposed guardrail."""

    action = actions.WITHDRAW


class EndGuardrail(_Guardrails, ActionEndpoint):
    """Propose that a guardrail ends; another person confirms that too."""

    action = actions.END
    shows_result: ClassVar[bool] = True


_ONE: Final = "guardrails/<uuid:key>"
ADDRESSES: Final = (
    ("guardrails", Guardrails, "guardrails"),
    (_ONE, GuardrailDetail, "guardrail"),
    (f"{_ONE}/confirm", ConfirmGuardrail, "guardrail-confirm"),
    (f"{_ONE}/replay", ReplayGuardrail, "guardrail-replay"),
    (f"{_ONE}/withdraw", WithdrawGuardrail, "guardrail-withdraw"),
    (f"{_ONE}/end", EndGuardrail, "guardrail-end"),
)
"""Address, view and name of each, as the API mounts them."""
