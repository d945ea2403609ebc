"""Session policies over REST: what is proposed, in force and over, whom each would ask, and the actions of both."""

from __future__ import annotations

from typing import ClassVar, Final

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit import clock
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.permissions.matrix import Matrix
from entitlements.proposals.api import TwoPersonSerializer
from entitlements.session_policies import actions, preview, rules
from entitlements.session_policies.models import SessionPolicy
from governance.api.matrix import MATRIX

MOST_SHOWN: Final = 100


class AppliedToSerializer(OutputSerializer):
    """To whom a policy applies; null matches all."""

    agent_kind = serializers.SerializerMethodField()
    system = serializers.CharField(source="system.slug", default=None, allow_null=True)
    risk = serializers.SerializerMethodField()

    def get_agent_kind(self, row: SessionPolicy) -> str | None:
        """Return the agent type."""
        return row.agent_kind or None

    def get_risk(self, row: SessionPolicy) -> str | None:
        """Return the lowest risk level."""
        return row.risk or None


class SessionPolicySerializer(TwoPersonSerializer):
    """A session policy: to whom it applies, its terms, who proposed it and who confirmed it."""

    name = serializers.CharField()
    applies_to = AppliedToSerializer(source="*")
    idle = serializers.SerializerMethodField(help_text="An ISO 8601 duration.")
    absolute = serializers.SerializerMethodField(help_text="An ISO 8601 duration.")
    max_age = serializers.SerializerMethodField(help_text="An ISO 8601 duration.")
    acr = serializers.ListField(child=serializers.CharField())
    amr = serializers.ListField(child=serializers.CharField())
    renews_without_sign_in = serializers.BooleanField()
    on_drift = serializers.SerializerMethodField(help_text="`step_up`, `suspend`, or null.")

    def get_idle(self, row: SessionPolicy) -> str:
        """Return how long a session may be idle."""
        return rules.length(row.idle_seconds)

    def get_absolute(self, row: SessionPolicy) -> str:
        """Return how long a session lasts at most."""
        return rules.length(row.absolute_seconds)

    def get_max_age(self, row: SessionPolicy) -> str | None:
        """Return how old a sign-in may be."""
        return None if row.max_age_seconds is None else rules.length(row.max_age_seconds)

    def get_on_drift(self, row: SessionPolicy) -> str | None:
        """Return what follows drift at least."""
        return row.on_drift or None


class AskedSessionSerializer(OutputSerializer):
    """An open session whose person would have to sign in again."""

    id = serializers.UUIDField()
    agent = serializers.CharField(source="agent.slug")
    person = serializers.CharField(source="person.login")
    began_at = serializers.DateTimeField(source="started_at")
    last_used_at = serializers.DateTimeField()
    auth_time = serializers.DateTimeField(source="signed_in_at", allow_null=True)
    acr = serializers.CharField()


class SessionPolicyPreviewSerializer(OutputSerializer):
    """Whom a policy would ask to sign in again at the next use, if it came into force now.

    `sign_ins` are those that last without an open session. The lists hold 100 each at most.
    """

    sessions = serializers.IntegerField()
    sign_ins = serializers.IntegerField()
    people = serializers.IntegerField()
    results = AskedSessionSerializer(many=True)
    logins = serializers.ListField(child=serializers.CharField())


class SessionPolicyFilter(filters.FilterSet):
    """Filters of the list."""

    name = filters.CharFilter()
    state = filters.ChoiceFilter(choices=SessionPolicy.State.choices)

    class Meta:
        model = SessionPolicy
        fields: ClassVar[list[str]] = []


class _Policies(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown = SessionPolicySerializer
    subject = actions.POLICY


class SessionPolicies(_Policies, Listing, CreateEndpoint):
    """List session policies, and propose one.

    get: List session policies that are proposed, in force or over.
    post: Propose a session policy, or other terms for one. It counts once another person has confirmed it.
    """

    action = actions.PROPOSE
    filterset_class = SessionPolicyFilter
    ordering = ("-proposed_at", "-id")


class SessionPolicyDetail(_Policies, Detail):
    """Show a session policy."""


class SessionPolicyPreview(_Policies):
    """Show whom a session policy would ask to sign in again now."""

    @extend_schema(responses=SessionPolicyPreviewSerializer)
    def get(self, request: Request, **_address: object) -> Response:
        """Show whom a session policy would ask to sign in again now."""
        del request
        asked = preview.of(self.find_row(), clock.now())
        sessions = asked.sessions.select_related("agent", "person").order_by("-last_used_at", "id")
        people = asked.people.order_by("login")
        data = {
            "sessions": asked.sessions.count(),
            "sign_ins": asked.sign_ins.count(),
            "people": people.count(),
            "results": sessions[:MOST_SHOWN],
            "logins": people.values_list("login", flat=True)[:MOST_SHOWN],
        }
        return Response(SessionPolicyPreviewSerializer(data).data)


class ConfirmSessionPolicy(_Policies, ActionEndpoint):
    """Confirm a proposed session policy.

    Another person than the one who proposed it confirms: a platform admin or security approver. Living sessions are
    held to it within two seconds.
    """

    action = actions.CONFIRM


class WithdrawSessionPolicy(_Policies, ActionEndpoint):
    """Withdraw a proposed session policy."""

    action = actions.WITHDRAW


class EndSessionPolicy(_Policies, ActionEndpoint):
    """End a session policy. Another person than the one who proposed it ends it."""

    action = actions.END


ADDRESSES: Final = (
    ("session-policies", SessionPolicies, "session-policies"),
    ("session-policies/<uuid:key>", SessionPolicyDetail, "session-policy"),
    ("session-policies/<uuid:key>/preview", SessionPolicyPreview, "session-policy-preview"),
    ("session-policies/<uuid:key>/confirm", ConfirmSessionPolicy, "session-policy-confirm"),
    ("session-policies/<uuid:key>/withdraw", WithdrawSessionPolicy, "session-policy-withdraw"),
    ("session-policies/<uuid:key>/end", EndSessionPolicy, "session-policy-end"),
)
"""Address, view and name of each, as the API mounts them."""
