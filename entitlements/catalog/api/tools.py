"""Tools: list, look with what changed, approve what was read, quarantine, disable, enable."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from entitlements.access import visible_collisions
from entitlements.access.caller import Caller
from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.api.resources import ActionEndpoint, Detail, Listing, Resource
from entitlements.catalog import actions, class_proposals, discovery, tools
from entitlements.catalog.models import Tool, ToolVersion
from entitlements.definitions import classes, differences, impressions
from entitlements.name_collisions import collisions
from entitlements.proposals import proposals


class ToolFilter(filters.FilterSet):
    """Filters of the list."""

    system = filters.CharFilter(field_name="system__slug")
    primitive = filters.ChoiceFilter(choices=Tool.Primitive.choices)
    state = filters.ChoiceFilter(choices=Tool.State.choices)
    action = filters.ChoiceFilter(choices=Tool.Does.choices)
    risk = filters.ChoiceFilter(choices=Tool.Risk.choices)
    changed = filters.BooleanFilter(method="filter_changed")

    def filter_changed(self, rows: QuerySet[Tool], _name: str, value: bool) -> QuerySet[Tool]:  # noqa: FBT001 - the framework's signature
        """Leave the tools whose definition is no longer the approved one, or those whose definition still is."""
        return rows.filter(discovery.changed()) if value else rows.exclude(discovery.changed())

    class Meta:
        model = Tool
        fields: ClassVar[list[str]] = []


class VersionSerializer(OutputSerializer):
    """A pinned definition, without its text."""

    sha256 = serializers.CharField()
    seen_at = serializers.DateTimeField()
    approved_at = serializers.DateTimeField(allow_null=True)


class ToolSerializer(OutputSerializer):
    """A tool: what a person agreed to (`approved`), and what the server offers now (`seen`)."""

    system = serializers.CharField(source="system.slug")
    name = serializers.CharField(
        help_text="Of a tool as its server calls it. Of what is no tool it begins with `resources/`, "
        "`resources/templates/` or `prompts/`; in an address each character of that but letters, digits and `_.-` is "
        "percent-encoded, with `~` in place of `%`."
    )
    primitive = serializers.ChoiceField(choices=Tool.Primitive.choices)
    sentence = serializers.CharField()
    state = serializers.ChoiceField(choices=Tool.State.choices)
    action = serializers.ChoiceField(choices=Tool.Does.choices)
    risk = serializers.ChoiceField(choices=Tool.Risk.choices)
    data_class = serializers.CharField()
    reads_private = serializers.BooleanField(allow_null=True)
    ingests_untrusted = serializers.BooleanField(allow_null=True)
    egress_external = serializers.BooleanField(allow_null=True)
    approved = VersionSerializer(allow_null=True)
    seen = VersionSerializer(allow_null=True)


class ReasonSerializer(OutputSerializer):
    """Which rule fired, on which word of which field, and what follows."""

    rule = serializers.CharField()
    field = serializers.CharField()
    word = serializers.CharField()
    text = serializers.CharField()


class SuggestionShown(OutputSerializer):
    """What the rules suggest for the current definition; no person has confirmed it. A flow is null if unknown."""

    version = serializers.CharField()
    action = serializers.ChoiceField(choices=Tool.Does.choices)
    risk = serializers.ChoiceField(choices=Tool.Risk.choices)
    data_class = serializers.CharField()
    reads_private = serializers.BooleanField(allow_null=True)
    ingests_untrusted = serializers.BooleanField(allow_null=True)
    egress_external = serializers.BooleanField(allow_null=True)
    sentence = serializers.CharField()
    because = ReasonSerializer(many=True)


class CollisionSerializer(OutputSerializer):
    """Another tool with the same name, or one that looks like it; or one that the description names."""

    sign = serializers.ChoiceField(choices=[(sign.value, sign.value) for sign in collisions.Sign])
    system = serializers.CharField()
    tool = serializers.CharField()
    is_approved = serializers.BooleanField()


class ToolDetailSerializer(ToolSerializer):
    """A tool with its definitions, the difference in plain sentences, and what hides in its texts.

    Definitions and differences quote the server: they are data, to be escaped where they are shown.
    """

    approved_definition = serializers.SerializerMethodField()
    seen_definition = serializers.SerializerMethodField()
    suggestion = SuggestionShown(allow_null=True)
    proposed_class = serializers.SerializerMethodField(help_text="The lower class that waits for a second person.")
    difference = serializers.SerializerMethodField()
    findings = serializers.SerializerMethodField()
    collisions = serializers.SerializerMethodField()

    def get_approved_definition(self, tool: Tool) -> dict[str, Any] | None:
        """Return what agents are shown."""
        return _definition(tool.approved)

    def get_seen_definition(self, tool: Tool) -> dict[str, Any] | None:
        """Return what the server offers now."""
        return _definition(tool.seen)

    def get_proposed_class(self, tool: Tool) -> dict[str, Any] | None:
        """Return the class that another person has to confirm."""
        link = class_proposals.subject(tool)
        row = proposals.waiting(class_proposals.KIND, [link]).get(link)
        return {"proposal": str(row.pk), **row.terms["to"]} if row else None

    def get_difference(self, tool: Tool) -> list[str]:
        """Say in plain sentences what changed since the approval."""
        if tool.approved is None or tool.seen is None:
            return []
        return differences.difference(tool.approved.definition, tool.seen.definition)

    def get_findings(self, tool: Tool) -> list[dict[str, Any]]:
        """List what hides in the texts that the server offers now."""
        findings = impressions.inspect(tool.seen.definition) if tool.seen else []
        return [{"place": finding.place, "sign": finding.sign.value, "count": finding.count} for finding in findings]

    @extend_schema_field(CollisionSerializer(many=True))
    def get_collisions(self, tool: Tool) -> list[dict[str, Any]]:
        """List the tools elsewhere that it collides with: by its name, its title, or a name in its description."""
        caller: Caller = self.context["request"].auth
        return [dict(each.as_json()) for each in visible_collisions.find(caller, [tool]).get(tool.pk, ())]


def _definition(version: ToolVersion | None) -> dict[str, Any] | None:
    return dict(version.definition) if version else None


class ApprovalInputSerializer(InputSerializer):
    """A person's approval. `sha256` is of the definition that they read.

    If agents would then violate an SoD policy, `reclassification_violates_sod_policy` refuses it and names them in its
    facts; sent again with the `accept` of those facts it is approved.
    """

    sha256 = serializers.RegexField(r"^[0-9a-f]{64}$")
    sentence = Text(max_length=500)
    action = serializers.ChoiceField(choices=Tool.Does.choices)
    risk = serializers.ChoiceField(choices=Tool.Risk.choices)
    data_class = Text(max_length=32, default="", allow_blank=True)
    reads_private = serializers.BooleanField(required=False, allow_null=True)
    ingests_untrusted = serializers.BooleanField(required=False, allow_null=True)
    egress_external = serializers.BooleanField(required=False, allow_null=True)
    reason = Text(max_length=500, default="", allow_blank=True)
    accept = serializers.RegexField(r"^[0-9a-f]{64}$", default="", allow_blank=True)


def approval_of(tool: Tool, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of an approval as the action takes them."""
    reason, accepted = values.pop("reason"), values.pop("accept")
    flows: dict[str, bool | None] = {flow: values.pop(flow) for flow in classes.FLOWS if flow in values}
    return {"approval": tools.Approval(tool, **values, flows=flows), "accept": accepted, "reason": reason}


class _Tools(Resource):
    shown: ClassVar[Any] = ToolSerializer

    subject = actions.TOOL


class Tools(_Tools, Listing):
    """List tools. Filters: system, state, action and risk level."""

    filterset_class = ToolFilter
    ordering = ("system__slug", "name")


class One(_Tools, Detail):
    """Show a tool. With its definitions, and what changed between them."""

    shown = ToolDetailSerializer


class Approve(_Tools, ActionEndpoint):
    """Approve a tool. The definition that was read is pinned, and the gateway serves the tool."""

    action = actions.APPROVE_TOOL
    asked = ApprovalInputSerializer

    def read(self) -> dict[str, Any]:
        """Read the approval."""
        return approval_of(self.find_row(), super().read())


class Quarantine(_Tools, ActionEndpoint):
    """Quarantine a tool. No call of it is allowed until a person has approved its definition again."""

    action = actions.QUARANTINE_TOOL


class Disable(_Tools, ActionEndpoint):
    """Disable a tool. No call of it is allowed until it is enabled."""

    action = actions.DISABLE_TOOL


class Enable(_Tools, ActionEndpoint):
    """Enable a disabled tool. The person who disabled it cannot enable it."""

    action = actions.ENABLE_TOOL
