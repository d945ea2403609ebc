"""Access given in an emergency, over REST: declare one with a fresh proof, look at it, review it."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.api.fields import InputSerializer, Lasts, OutputSerializer, Slug, Text
from entitlements.api.matrix import Matrix
from entitlements.api.resources import Detail, Listing, Resource
from entitlements.errors import Forbidden
from entitlements.people.models import Group, Person
from governance.api.matrix import MATRIX
from governance.break_glass import break_glass
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


class VerdictInputSerializer(InputSerializer):
    """Whether an emergency was justified, and why one thinks so."""

    verdict = serializers.ChoiceField(choices=BreakGlassGrant.Verdict.choices)
    reason = Text(max_length=500)


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
    exceeded = serializers.ListField(child=serializers.CharField())
    review_by = serializers.DateTimeField(allow_null=True)
    verdict = serializers.CharField()
    reviewed_by = serializers.CharField(source="reviewed_by.login", default=None, allow_null=True)
    reviewed_at = serializers.DateTimeField(allow_null=True)
    finding = serializers.CharField()


class BreakGlassGrantFilter(filters.FilterSet):
    """Filters by names, never by row numbers."""

    agent = filters.CharFilter(field_name="grant__agent__slug")
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

    def rows(self) -> QuerySet[BreakGlassGrant]:
        """Return what the caller sees."""
        if self.caller.human is None:
            return break_glass.all_of_them() if self.caller.is_script else BreakGlassGrant.objects.none()
        return break_glass.visible_to(self.caller.human)

    def links(self, found: Any) -> list[str]:  # noqa: ANN401 - a row
        """Return the links of an emergency."""
        return break_glass.about(found)

    def who(self) -> Person:
        """Return the person at first hand: no machine declares or reviews an emergency. Raises Forbidden."""
        if self.caller.human is None:
            raise Forbidden
        return self.caller.human


class BreakGlassGrants(_BreakGlassGrants, Listing):
    """List emergencies, or declare one."""

    filterset_class = BreakGlassGrantFilter
    ordering = ("-given_at", "-id")
    asked = BreakGlassGrantInputSerializer
    answers = HTTPStatus.CREATED

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Give access at once."""
        body, by = self.body(BreakGlassGrantInputSerializer), self.who()
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
        )
        options = {name: body[name] for name in ("combinations", "before_setup")}
        made = break_glass.give(agent, entitlement, ask, by=by, **options)
        return self.again(made, status=HTTPStatus.CREATED)


class BreakGlassGrantDetail(_BreakGlassGrants, Detail):
    """Show one emergency."""


class ReviewBreakGlass(_BreakGlassGrants):
    """Say whether break-glass access that is over was justified, as a person of security who has no part in it."""

    asked = VerdictInputSerializer

    def post(self, request: Request, **_key: Any) -> Response:  # noqa: ANN401, ARG002 - as above
        """Review it."""
        found, by = self.find_row(), self.who()
        self.about = self.links(found)
        return self.again(break_glass.review(found.pk, by=by, **self.body(VerdictInputSerializer)))


def _each[M: Model](rows: QuerySet[M], field: str, key: str, body: dict[str, Any]) -> list[M]:
    return named(rows, field, key, body[field])
