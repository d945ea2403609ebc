"""Grants: list, look, revoke, suspend, restore. They begin only by an approved request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit import timeline
from audit.actions import Action
from audit.context import Principal
from entitlements import grants
from entitlements.errors import Forbidden
from entitlements.models import Grant

from . import visibility
from .endpoints import Endpoint, Listing, tagged
from .fields import Reason, Shown


class SamePerson(Forbidden):
    """Whoever stopped it cannot be the one who starts it again; ask a second person."""

    code = "second_person_required"


class GrantFilter(filters.FilterSet):
    """Filters by names, never by row numbers."""

    agent = filters.CharFilter(field_name="agent__slug")
    system = filters.CharFilter(field_name="entitlement__system__slug")
    entitlement = filters.CharFilter(field_name="entitlement__scope")
    person = filters.CharFilter(method="of_person")
    state = filters.ChoiceFilter(choices=Grant.State.choices)

    class Meta:
        model = Grant
        fields: ClassVar[list[str]] = []

    def of_person(self, rows: QuerySet[Grant], _name: str, login: str) -> QuerySet[Grant]:
        """Keep grants that name the person, or a group that she is in."""
        named = Grant.objects.filter(Q(subjects__person__login=login) | Q(subjects__group__people__login=login))
        return rows.filter(pk__in=named.values("pk"))


class LineShown(Shown):
    """One tool of a grant and its limits."""

    tool = serializers.CharField(source="tool.name")
    limits = serializers.JSONField()


class GrantShown(Shown):
    """A grant. `people` are named directly, `groups` bring theirs."""

    id = serializers.UUIDField()
    agent = serializers.CharField(source="agent.slug")
    entitlement = serializers.CharField(source="entitlement.scope")
    system = serializers.CharField(source="entitlement.system.slug")
    people = serializers.SerializerMethodField()
    groups = serializers.SerializerMethodField()
    lines = LineShown(many=True)
    state = serializers.ChoiceField(choices=Grant.State.choices)
    starts_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()
    request = serializers.UUIDField(source="request_id", allow_null=True)

    def get_people(self, grant: Grant) -> list[str]:
        """List the logins."""
        return sorted(each.person.login for each in grant.subjects.all() if each.person)

    def get_groups(self, grant: Grant) -> list[str]:
        """List the slugs."""
        return sorted(each.group.slug for each in grant.subjects.all() if each.group)


class Grants(Listing):
    """GET /grants: what the caller may see, newest first."""

    shown = GrantShown
    serializer_class = GrantShown
    filterset_class = GrantFilter
    ordering = ("-created_at", "-id")

    def rows(self) -> QuerySet[Grant]:
        """Return the visible grants."""
        return visibility.grants(self.caller)

    @extend_schema(responses=GrantShown(many=True))
    def get(self, request: Request) -> Response:
        """List grants by agent, person, system, entitlement and state."""
        return super().get(request)


class One(Endpoint):
    """GET /grants/{id}."""

    @extend_schema(responses=GrantShown)
    def get(self, request: Request, grant: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Show one grant."""
        return _answer(self, grant)


class _Change(Endpoint):
    verb: ClassVar[Callable[..., Grant]]

    @extend_schema(request=Reason, responses=GrantShown)
    def post(self, request: Request, grant: UUID) -> Response:  # noqa: ARG002 - as above
        """Change the grant, and say why."""
        found = self.find(visibility.grants(self.caller), pk=grant)
        self.permit(found, *grants.about(found))
        self.check(found)
        reason = self.body(Reason)["reason"]
        type(self).verb(grant, by=self.principal, reason=reason)
        return _answer(self, grant)

    def check(self, grant: Grant) -> None:
        """Check what else the change depends on."""


class Revoke(_Change):
    """POST /grants/{id}/revoke: end it at once."""

    verb = staticmethod(grants.revoke)


class Suspend(_Change):
    """POST /grants/{id}/suspend: stop it for the time being."""

    verb = staticmethod(grants.suspend)


class Restore(_Change):
    """POST /grants/{id}/restore: a second person puts it back in force."""

    verb = staticmethod(grants.restore)

    def check(self, grant: Grant) -> None:
        """Refuse whoever stopped it."""
        refuse_whoever_stopped("grant", grant.pk, Action.GRANT_SUSPENDED, self.principal)


def refuse_whoever_stopped(kind: str, key: object, stopped: Action, by: Principal) -> None:
    """Refuse to undo one's own stop: the record says who stopped the thing last. Raises SamePerson."""
    last = timeline.of(kind, key).filter(action=stopped).last()
    if last is not None and last.actor == str(by):
        raise SamePerson


def _answer(view: Endpoint, grant: UUID) -> Response:
    found: Grant = view.find(visibility.grants(view.caller), pk=grant)
    shown: Any = GrantShown(found).data
    return tagged(shown, found.version)
