"""Entitlements: list, make, look, edit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api.fields import InputSerializer, Lasts, LineInputSerializer, LineShown, OutputSerializer, Text
from entitlements.api.resources import CreateEndpoint, Detail, EditEndpoint, Listing, Resource
from entitlements.catalog import actions, search
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.errors import DomainError


class UnknownTool(DomainError):
    """The system has no tool with this name, or the tool is named twice."""

    code, status = "unknown_tool", HTTPStatus.UNPROCESSABLE_ENTITY


class EntitlementFilter(filters.FilterSet):
    """Filters of the list."""

    system = filters.CharFilter(field_name="system__slug")
    tool = filters.CharFilter(field_name="lines__tool__name", distinct=True)
    enabled = filters.BooleanFilter()
    q = filters.CharFilter(method="that_say")

    class Meta:
        model = Entitlement
        fields: ClassVar[list[str]] = []

    def that_say(self, rows: QuerySet[Entitlement], _name: str, text: str) -> QuerySet[Entitlement]:
        """Keep those in which each of some words stands."""
        return search.search(rows, text)


class RuleFields(InputSerializer):
    """Which approved tools fit: what they do, and how risky they may be."""

    actions = serializers.ListField(child=serializers.ChoiceField(choices=Tool.Does.choices), min_length=1)
    risk_at_most = serializers.ChoiceField(choices=Tool.Risk.choices)
    limits = serializers.DictField(required=False)


class EntitlementSerializer(OutputSerializer):
    """A bundle of tools of one system, and the limits that every grant starts from."""

    scope = serializers.CharField()
    system = serializers.CharField(source="system.slug")
    name = serializers.CharField()
    sentence = serializers.CharField()
    longest = Lasts()
    enabled = serializers.BooleanField()
    rule = RuleFields(allow_null=True, default=None)
    lines = LineShown(many=True)


class EntitlementInputSerializer(InputSerializer):
    """A new entitlement, with its tools or a rule for them. `scope` is `system:name`."""

    system = Text(max_length=64)
    scope = Text(max_length=128)
    name = Text(max_length=200)
    sentence = Text(max_length=500, default="", allow_blank=True)
    longest = Lasts(required=False)
    lines = serializers.ListField(child=LineInputSerializer(), max_length=500, required=False)
    rule = RuleFields(required=False)


class EntitlementChangesInputSerializer(InputSerializer):
    """What can be edited."""

    name = Text(max_length=200, required=False)
    sentence = Text(max_length=500, required=False, allow_blank=True)
    longest = Lasts(required=False)
    enabled = serializers.BooleanField(required=False)
    rule = RuleFields(required=False, allow_null=True)
    lines = serializers.ListField(child=LineInputSerializer(), required=False, max_length=500)


class _Entitlements(Resource):
    shown = EntitlementSerializer
    subject = actions.ENTITLEMENT


class Entitlements(_Entitlements, Listing, CreateEndpoint):
    """List entitlements, and make one.

    get: List the entitlement catalog.
    post: Add an entitlement to the catalog. An entitlement is a requestable bundle of one system's tools.
    """

    action = actions.MAKE_ENTITLEMENT
    asked = EntitlementInputSerializer
    filterset_class = EntitlementFilter
    ordering = ("scope",)

    def read(self) -> dict[str, Any]:
        """Read the entitlement, with its system and tools; the caller must have a right to the system."""
        values = super().read()
        system = self.find(visibility.systems(self.caller), slug=values["system"])
        self.permit(system, f"system:{system.slug}")
        lines = values.pop("lines", [])
        return {**values, "system": system, "tools": _tools(system, lines)}


class One(_Entitlements, Detail, EditEndpoint):
    """Show an entitlement, and edit it.

    get: Show an entitlement.
    patch: Edit an entitlement. Active grants of it keep the tools that they name.
    """

    action = actions.EDIT_ENTITLEMENT
    asked = EntitlementChangesInputSerializer

    def read(self) -> dict[str, Any]:
        """Read the changes, with the tools."""
        values = super().read()
        lines = values.pop("lines", None)
        tools = None if lines is None else _tools(self.find_row().system, lines)
        return {**values, "tools": tools}


def _tools(system: System, lines: Iterable[Mapping[str, Any]]) -> dict[Tool, Mapping[str, Any]]:
    """Return the tools that are named, with their limits. Raises UnknownTool."""
    known = {tool.name: tool for tool in system.tools.all()}
    named: dict[Tool, Mapping[str, Any]] = {}
    for line in lines:
        tool = known.get(line["tool"])
        if tool is None or tool in named:
            raise UnknownTool(tool=line["tool"])
        named[tool] = line["limits"]
    return named
