"""Agents compared with what is seen elsewhere, over REST."""

from __future__ import annotations

from typing import ClassVar, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import OutputSerializer
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.coverage_map import reconciliation

MOST: Final = 500


class ComparedAgentSerializer(OutputSerializer):
    """One agent, known here and there, here alone, or there alone, with source and dates."""

    known = serializers.ChoiceField(choices=[(name, name) for name in ("both", "here", "there")])
    agent = serializers.CharField()
    seen_as = serializers.CharField()
    state = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # a field's word
    first_seen_at = serializers.DateTimeField(allow_null=True)
    last_seen_at = serializers.DateTimeField(allow_null=True)
    last_call_at = serializers.DateTimeField(allow_null=True)


class ComparisonSerializer(OutputSerializer):
    """How many agents are known where, and the first 500 of each."""

    counts = serializers.DictField(child=serializers.IntegerField())
    there = ComparedAgentSerializer(many=True)
    both = ComparedAgentSerializer(many=True)
    here = ComparedAgentSerializer(many=True)


class AgentsCompared(Endpoint):
    """Compare agents with the files of other sources. Which agents are in both, and which are in one alone."""

    matrix: ClassVar[Matrix] = MATRIX

    @extend_schema(responses=ComparisonSerializer)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Compare the agents of Mandate with what files of other sources named."""
        sides = {name: reconciliation.listed(name, MOST) for name in ("there", "both", "here")}
        return Response(ComparisonSerializer({"counts": reconciliation.counts(), **sides}).data)
