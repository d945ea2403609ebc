"""Sessions and tokens: list, look, end, revoke. A token itself is never shown, only what it was."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Final

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from audit import clock
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, Detail, Listing, Resource
from entitlements.session_policies.rules import Term
from entitlements.sessions import actions, ends
from entitlements.sessions import models as sessions
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from entitlements.words import Risk

STATES: Final = (("open", "Open"), ("ended", "Ended"))
_TERMS: Final = [Term.ABSOLUTE.value, Term.IDLE.value, Term.MAX_AGE.value]


class SessionFilter(filters.FilterSet):
    """Filters of the list."""

    agent = filters.CharFilter(field_name="agent__slug")
    person = filters.CharFilter(field_name="person__login")
    client = filters.CharFilter(field_name="client__client_id")
    open = filters.BooleanFilter(field_name="ended_at", lookup_expr="isnull")
    state = filters.ChoiceFilter(choices=STATES, method="in_state")

    class Meta:
        model = Session
        fields: ClassVar[list[str]] = []

    def in_state(self, rows: QuerySet[Session], _name: str, value: str) -> QuerySet[Session]:
        """Return the sessions that are open now, or those that are over by an act or by their own limits."""
        is_open = sessions.is_open(clock.now())
        return rows.filter(is_open) if value == "open" else rows.exclude(is_open)


class SessionSerializer(OutputSerializer):
    """One agent's run for one person across systems.

    `auth_time` is null where the sign-in does not say when it was.
    """

    id = serializers.UUIDField()
    agent = serializers.CharField(source="agent.slug")
    client = serializers.CharField(source="client.client_id")
    person = serializers.CharField(source="person.login", allow_null=True, default=None)
    systems = serializers.ListField(child=serializers.CharField(), source="at_systems")
    state = serializers.SerializerMethodField()
    began_at = serializers.DateTimeField(source="started_at")
    started_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()
    auth_time = serializers.DateTimeField(source="signed_in_at", allow_null=True)
    acr = serializers.CharField()
    amr = serializers.SerializerMethodField()
    risk = serializers.CharField()
    held_by_risk = serializers.BooleanField(help_text="A risk signal about the session holds its calls.")
    labels = serializers.ListField(child=serializers.CharField())
    trace = serializers.CharField(help_text="What the session does goes on in it where its client names none.")

    def get_state(self, row: Session) -> str:
        """Return `open` or `ended`."""
        return "open" if row.is_open(clock.now()) else "ended"

    def get_amr(self, row: Session) -> list[str]:
        """Return the methods of the sign-in."""
        return row.amr.split()


class AppliedPolicySerializer(OutputSerializer):
    """A session policy that can apply to the session. `risk` is null where it applies to every call."""

    name = serializers.CharField(source="row.name")
    system = serializers.CharField(source="row.system.slug", allow_null=True, default=None)
    risk = serializers.ChoiceField(choices=[risk.value for risk in Risk], allow_null=True, help_text="Of the tool.")
    ends_at = serializers.DateTimeField(source="ending.at")
    ends_by = serializers.ChoiceField(choices=_TERMS, source="ending.term")
    asks = serializers.CharField(help_text="What the session falls short of; empty where it meets the policy.")


class OneSessionSerializer(SessionSerializer):
    """One session, with what ends it. `risk_level` is the highest of the session, its agent and its person."""

    risk_level = serializers.SerializerMethodField()
    ends_at = serializers.SerializerMethodField()
    ends_by = serializers.SerializerMethodField()
    policies = serializers.SerializerMethodField()

    def get_risk_level(self, row: Session) -> str:
        """Return the level that policies and guardrails look at."""
        return ends.level(row).value

    @extend_schema_field(serializers.DateTimeField())
    def get_ends_at(self, row: Session) -> datetime:
        """Return when the session ends, if it is not used or signed in to again."""
        return self._ending(row).at

    @extend_schema_field(serializers.ChoiceField(choices=_TERMS))
    def get_ends_by(self, row: Session) -> str:
        """Return the term by which it ends."""
        return self._ending(row).term.value

    @extend_schema_field(AppliedPolicySerializer(many=True))
    def get_policies(self, row: Session) -> list[dict[str, Any]]:
        """Return the policies that can apply, those for every call first."""
        return [dict(AppliedPolicySerializer(each).data) for each in self._applied(row)]

    def _ending(self, row: Session) -> ends.Ending:
        return ends.first(row, self._applied(row))

    def _applied(self, row: Session) -> list[ends.AppliedPolicy]:
        systems = getattr(row, "at_systems", [])
        return ends.applied(row, systems, clock.now())


class _Sessions(Resource):
    shown = SessionSerializer
    subject = actions.SESSION

    def rows(self) -> QuerySet[Session]:
        """Return the sessions that the caller sees, with the systems that their tokens are for."""
        names = IssuedToken.objects.filter(session=OuterRef("pk")).order_by("system__slug").values("system__slug")
        rows: QuerySet[Session] = super().rows().annotate(at_systems=ArraySubquery(names.distinct()))
        return rows


class Sessions(_Sessions, Listing):
    """List sessions, the newest first. Filters: agent, person, client, and the state."""

    filterset_class = SessionFilter
    ordering = ("-started_at", "-id")


class SessionDetail(_Sessions, Detail):
    """Show a session.

    With the policies that can apply to it, when it ends and by which term.
    """

    shown = OneSessionSerializer


class End(_Sessions, ActionEndpoint):
    """End a session. Every token that names it is refused at once."""

    action = actions.END


class TokenFilter(filters.FilterSet):
    """Filters of the list."""

    agent = filters.CharFilter(field_name="agent__slug")
    person = filters.CharFilter(field_name="person__login")
    system = filters.CharFilter(field_name="system__slug")
    client = filters.CharFilter(field_name="client__client_id")
    session = filters.UUIDFilter(field_name="session")
    family = filters.UUIDFilter(field_name="family")
    kind = filters.ChoiceFilter(choices=IssuedToken.Kind.choices)
    revoked = filters.BooleanFilter(field_name="revoked_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = IssuedToken
        fields: ClassVar[list[str]] = []


class TokenSerializer(OutputSerializer):
    """A token or assertion that Mandate issued under this identifier."""

    jti = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=IssuedToken.Kind.choices)
    system = serializers.CharField(source="system.slug")
    client = serializers.CharField(source="client.client_id")
    agent = serializers.CharField(source="agent.slug", allow_null=True, default=None)
    person = serializers.CharField(source="person.login", allow_null=True, default=None)
    session = serializers.UUIDField(source="session_id", allow_null=True)
    scope = serializers.CharField()
    parent = serializers.UUIDField(allow_null=True)  # type: ignore[assignment]  # a field, whatever the base calls so
    family = serializers.UUIDField(allow_null=True)
    issued_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoke_reason = serializers.CharField()
    trace = serializers.CharField()


class _Tokens(Resource):
    shown = TokenSerializer
    subject = actions.TOKEN


class Tokens(_Tokens, Listing):
    """List issued tokens, the newest first."""

    filterset_class = TokenFilter
    ordering = ("-issued_at", "-jti")


class TokenDetail(_Tokens, Detail):
    """Show an issued token. The token itself is never shown."""


class Revoke(_Tokens, ActionEndpoint):
    """Revoke a token at once. With all that was issued for it."""

    action = actions.REVOKE_TOKEN
