"""Access given in an emergency, over REST: declare one with a fresh proof, look at it, review it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api.fields import InputSerializer, Lasts, OutputSerializer, Slug, Text, Ticket
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.people.models import Group, Person
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.break_glass import actions
from governance.break_glass.models import BreakGlassGrant
from governance.eligibility import eligibility
from governance.requests.api.bodies import Limits, Names
from governance.requests.api.requests import named


class BreakGlassGrantInputSerializer(InputSerializer):
    """What to give at once, to whom, for how long, why.

    `combinations` names rules that it completes and `before_setup` says that the set-up lacks something: nothing else
    is exceeded.
    """

    agent = Slug()
    entitlement = Text(max_length=128)
    people = Names(required=False, default=list)
    groups = Names(required=False, default=list)
    tools = Names(required=False, allow_null=True, default=None)
    limits = Limits(required=False, default=dict)
    lasts = Lasts(required=False, default=timedelta(hours=1))
    combinations = Names(required=False, default=list)
    before_setup = serializers.BooleanField(required=False, default=False)
    reason = Text(max_length=500)
    ticket = Ticket()


class BreakGlassGrantSerializer(OutputSerializer):
    """Break-glass access that one person gave, and the finding of its review."""

    id = serializers.UUIDField()
    grant = serializers.UUIDField(source="grant_id")
    agent = serializers.CharField(source="grant.agent.slug")
    entitlement = serializers.CharField(source="grant.entitlement.scope")
    given_by = serializers.CharField(source="given_by.login")
    given_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField()
    ticket = serializers.CharField()
    exceeded = serializers.ListField(child=serializers.CharField())
    review_by = serializers.DateTimeField(allow_null=True)
    verdict = serializers.CharField()
    reviewed_by = serializers.CharField(source="reviewed_by.login", default=None, allow_null=True)
    reviewed_at = serializers.DateTimeField(allow_null=True)
    finding = serializers.CharField()


class BreakGlassGrantFilter(filters.FilterSet):
    """Filters by names, never by row numbers."""

    agent = filters.CharFilter(field_name="grant__agent__slug")
    ticket = filters.CharFilter()
    open = filters.BooleanFilter(method="not_reviewed")

    class Meta:
        model = BreakGlassGrant
        fields: ClassVar[list[str]] = []

    def not_reviewed(self, rows: QuerySet[BreakGlassGrant], _name: str, wanted: bool) -> QuerySet[BreakGlassGrant]:  # noqa: FBT001 - the framework's signature
        """Keep what is not reviewed yet, or only what is."""
        return rows.filter(verdict="") if wanted else rows.exclude(verdict="")


class _BreakGlassGrants(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = BreakGlassGrantSerializer
    subject = actions.EMERGENCY


class BreakGlassGrants(_BreakGlassGrants, Listing, CreateEndpoint):
    """List break-glass grants, and take break-glass access.

    get: List break-glass grants.
    post: Take break-glass access. It begins at once, within an entitlement and without an approval, and is reviewed
        when it is over. It needs a second factor.
    """

    action = actions.GIVE
    asked = BreakGlassGrantInputSerializer
    filterset_class = BreakGlassGrantFilter
    ordering = ("-given_at", "-id")

    def read(self) -> dict[str, Any]:
        """Read what is to be given at once, and to whom."""
        body = super().read()
        agent = self.find(visibility.agents(self.caller), slug=body["agent"])
        entitlement = self.find(visibility.entitlements(self.caller), scope=body["entitlement"])
        self.about = [f"agent:{agent.slug}", f"entitlement:{entitlement.scope}"]
        ask = eligibility.RequestTerms(
            lasts=body["lasts"],
            reason=body["reason"],
            people=tuple(_each(Person.objects.all(), "people", "login", body)),
            groups=tuple(_each(Group.objects.all(), "groups", "slug", body)),
            tools=None if body["tools"] is None else frozenset(body["tools"]),
            limits=body["limits"],
            ticket=body["ticket"],
        )
        options = {name: body[name] for name in ("combinations", "before_setup")}
        return {"agent": agent, "entitlement": entitlement, "ask": ask, **options}


class BreakGlassGrantDetail(_BreakGlassGrants, Detail):
    """Show a break-glass grant."""


class ReviewBreakGlass(_BreakGlassGrants, ActionEndpoint):
    """Review break-glass access that is over.

    A security approver who has no part in it says whether it was justified.
    """

    action = actions.REVIEW


def _each[M: Model](rows: QuerySet[M], field: str, key: str, body: dict[str, Any]) -> list[M]:
    return named(rows, field, key, body[field])
