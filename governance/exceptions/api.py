"""The exception register over REST."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.conf import settings
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from audit import clock
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import Listing
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.exceptions import queries
from governance.exceptions.models import RegisteredException

_FINDINGS: Final = tuple(queries.FINDINGS.items())


class RegisteredExceptionSerializer(OutputSerializer):
    """An exception: what it is from, who owns it, what makes up for it, and until when.

    `state` is `open`, `ended`, or `unexcepted`: a failed remediation without an exception, which has no `owner` and no
    `expires_at`; `since` is when the access was removed. `agent` and `system` are null where it has none. `beneath` is
    the SoD policy's short name, the entitlement's scope, or the name of the review. `findings` are `no_owner` (its
    owner's account is disabled) and `ends_soon` (within 14 days). `address` is its page in the console.
    """

    key = serializers.CharField()
    kind = serializers.ChoiceField(choices=RegisteredException.Kind.choices)
    state = serializers.SerializerMethodField()
    what = serializers.CharField()
    beneath = serializers.CharField()
    agent = serializers.CharField(source="agent.slug", allow_null=True, default=None)
    system = serializers.CharField(source="system.slug", allow_null=True, default=None)
    owner = serializers.CharField(source="owner.login", allow_null=True, default=None)
    control = serializers.SerializerMethodField()
    reason = serializers.CharField()
    ticket = serializers.CharField()
    since = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    findings = serializers.SerializerMethodField()
    address = serializers.SerializerMethodField()

    def get_state(self, row: RegisteredException) -> str:
        """Say whether it is in force, or is missing."""
        return queries.state(row, clock.now())

    def get_control(self, row: RegisteredException) -> str:
        """Say what makes up for it."""
        return queries.control(row)

    def get_findings(self, row: RegisteredException) -> list[str]:
        """Say what is wrong with it."""
        return queries.findings(row, clock.now())

    def get_address(self, row: RegisteredException) -> str:
        """Lead to its page."""
        return f"{settings.CONSOLE_URL}{row.address}"


class RegisteredExceptionFilter(filters.FilterSet):
    """Filters of the register, as in the console."""

    kind = filters.ChoiceFilter(choices=RegisteredException.Kind.choices)
    state = filters.ChoiceFilter(choices=queries.STATES, method="_in_state")
    finding = filters.ChoiceFilter(choices=_FINDINGS, method="_found")
    agent = filters.CharFilter(field_name="agent__slug")
    system = filters.CharFilter(field_name="system__slug")
    owner = filters.CharFilter(field_name="owner__login")
    ticket = filters.CharFilter()

    class Meta:
        model = RegisteredException
        fields: ClassVar[list[str]] = []

    def _in_state(self, rows: QuerySet[RegisteredException], _name: str, state: str) -> QuerySet[RegisteredException]:
        return rows.filter(queries.in_state(clock.now())[state])

    def _found(self, rows: QuerySet[RegisteredException], _name: str, finding: str) -> QuerySet[RegisteredException]:
        return rows.filter(queries.conditions(clock.now())[finding])


class ExceptionRegister(Listing):
    """List exceptions.

    From SoD policies, from approval policies by break-glass access, and from failed remediations, the latest first;
    with the failed remediations that have no exception.
    """

    matrix: ClassVar[Matrix] = MATRIX
    shown = RegisteredExceptionSerializer
    filterset_class = RegisteredExceptionFilter
    ordering = ("-since", "-key")

    def rows(self) -> QuerySet[Any]:
        """Return the exceptions that the caller sees."""
        return queries.visible_to(self.caller)
