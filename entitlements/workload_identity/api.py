"""Workload rules over REST: list, look, ask for one, end one."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.api.actions import Performed
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.clients import clients
from entitlements.clients.api.credentials import CredentialSerializer
from entitlements.workload_identity import actions
from entitlements.workload_identity.models import WorkloadRule

_WAITS: Final[Mapping[int, type[serializers.BaseSerializer[Any]]]] = {HTTPStatus.ACCEPTED: CredentialSerializer}
"""The other answer where a rule is made: it waits for acceptance."""


class WorkloadRuleFilter(filters.FilterSet):
    """Filters of the list."""

    agent = filters.CharFilter(field_name="client__agent__slug")
    client_id = filters.CharFilter(field_name="client__client_id")
    issuer = filters.CharFilter(field_name="issuer__issuer")
    platform = filters.ChoiceFilter(choices=WorkloadRule.Platform.choices)
    ended = filters.BooleanFilter(method="of_end")

    class Meta:
        model = WorkloadRule
        fields: ClassVar[list[str]] = []

    def of_end(self, rows: QuerySet[WorkloadRule], _name: str, value: bool) -> QuerySet[WorkloadRule]:  # noqa: FBT001
        """Keep the rules that ended, or those that work."""
        return rows.filter(ended_at__isnull=not value)


class WorkloadRuleSerializer(OutputSerializer):
    """A workload rule: which tokens are for which client, who asked for it, who accepted it, and its end.

    `issuer_trusted` says whether the issuer is trusted now; while it is not, the rule lets no workload in.
    """

    id = serializers.UUIDField()
    client_id = serializers.CharField(source="client.client_id")
    agent = serializers.CharField(source="client.agent.slug")
    issuer = serializers.CharField(source="issuer.issuer")
    issuer_trusted = serializers.BooleanField(source="issuer.enabled")
    platform = serializers.ChoiceField(choices=WorkloadRule.Platform.choices)
    claims = serializers.DictField(child=serializers.CharField())
    made_at = serializers.DateTimeField()
    asked_by = serializers.CharField(source="credential.asked_by")
    accepted_by = serializers.CharField(source="credential.answered_by")
    reason = serializers.CharField(source="credential.reason")
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_by = serializers.CharField()
    end_reason = serializers.CharField()


class _Rules(Resource):
    shown = WorkloadRuleSerializer
    subject = actions.RULE


class Rules(_Rules, Listing, CreateEndpoint):
    """List workload rules, and add one.

    get: List workload rules.
    post: Add a workload rule. Unless the sponsor or an owner of the client's agent adds it, it waits for acceptance
        (202).
    """

    filterset_class = WorkloadRuleFilter
    ordering = ("-made_at", "-id")
    action = actions.PROPOSE
    answers_also: ClassVar = _WAITS

    def read(self) -> dict[str, Any]:
        """Read the rule, and find its client, to which the caller must have a right."""
        values = super().read()
        client = self.find(visibility.clients(self.caller), client_id=values["client"])
        self.permit(client, *clients.about(client))
        return {**values, "client": client}

    def answer(self, performed: Performed) -> Response:
        """Answer with the rule, or with the credential that waits."""
        made, context = performed.result, self.get_serializer_context()
        if made.waiting is not None:
            return Response(CredentialSerializer(made.waiting, context=context).data, status=HTTPStatus.ACCEPTED)
        return Response(WorkloadRuleSerializer(made.rule, context=context).data, status=HTTPStatus.CREATED)


class One(_Rules, Detail):
    """Show a workload rule."""


class End(_Rules, ActionEndpoint):
    """End a workload rule for good. All that its client was issued until now is refused."""

    action = actions.END


ADDRESSES: Final = (
    ("workload-rules", Rules, "workload-rules"),
    ("workload-rules/<uuid:key>", One, "workload-rule"),
    ("workload-rules/<uuid:key>/end", End, "workload-rule-end"),
)
"""Address, view and name of each, as the API mounts them."""
