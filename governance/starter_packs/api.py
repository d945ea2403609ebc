"""Starter packs over REST: the list, a pack with its preview, and proposing parts of it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import CreateEndpoint, Resource
from entitlements.permissions.matrix import Matrix
from entitlements.words import Risk
from governance.api.matrix import MATRIX
from governance.reviews.staging.preview import Preview
from governance.sod.api.policies import HolderSerializer
from governance.starter_packs import actions, starter_packs
from governance.starter_packs.approval_parts import Routing
from governance.starter_packs.packs import Kind, Pack
from governance.starter_packs.planned import Standing
from governance.starter_packs.starter_packs import Outcome


class SourceSerializer(OutputSerializer):
    """A control that a pack supports, and what of it."""

    control = serializers.CharField()
    supports = serializers.CharField()


class StarterPackSerializer(OutputSerializer):
    """A shipped pack: for whom it is, and the controls that it supports."""

    slug = serializers.CharField()
    title = serializers.CharField()
    audience = serializers.CharField()
    version = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    sources = SourceSerializer(many=True)


class StarterPacksSerializer(OutputSerializer):
    """Every pack that the caller may read; there is no next page."""

    results = StarterPackSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class PackDifferenceSerializer(OutputSerializer):
    """A setting that differs: what is there, and what the pack has."""

    name = serializers.CharField()
    now = serializers.CharField(allow_null=True)
    pack = serializers.CharField(allow_null=True)


class PackViolationsSerializer(OutputSerializer):
    """How many agents would violate the policy today, the first of them, and how many tools stand on each side."""

    count = serializers.IntegerField()
    agents = HolderSerializer(many=True, source="first")
    tools = serializers.ListField(child=serializers.IntegerField())


class RiskRoutingSerializer(OutputSerializer):
    """Who approves at one risk level now and under the pack, and for how many entitlements that differs or not."""

    risk = serializers.ChoiceField(choices=[risk.value for risk in Risk])
    now = serializers.CharField()
    pack = serializers.CharField()
    entitlements = serializers.IntegerField()
    differs = serializers.BooleanField()


class RoutingSerializer(OutputSerializer):
    """What an approval policy would route differently: entitlements by their highest risk, requests of 90 days."""

    entitlements = serializers.IntegerField()
    requests = serializers.IntegerField()
    security = serializers.SerializerMethodField()
    by_risk = RiskRoutingSerializer(many=True)

    def get_security(self, routing: Routing) -> list[str]:
        """Return the logins of the security approvers."""
        return [person.login for person in routing.security]


class ReviewSizeSerializer(OutputSerializer):
    """A review from a template as if it began today: items, how many have no reviewer, and how many reviewers."""

    items = serializers.IntegerField()
    unassigned = serializers.IntegerField(source="unresolved")
    reviewers = serializers.SerializerMethodField()

    @extend_schema_field(serializers.IntegerField())
    def get_reviewers(self, seen: Preview) -> int:
        """Count the people who would get items."""
        return sum(bool(load.login) for load in seen.loads)


class PackPartSerializer(OutputSerializer):
    """A part of a pack, how it stands to what is there, and what it would do today; numbers that do not apply are null.

    `standing`: `new`, `changed` (there under the same name, with differences), `proposed` (waits for a second person),
    `in_place`, or `blocked` by another proposal or a retired template. `size` is the population of a review.
    """

    key = serializers.CharField(source="planned.key")
    title = serializers.CharField(source="planned.title")
    standing = serializers.ChoiceField(source="planned.standing", choices=[each.value for each in Standing])
    differences = PackDifferenceSerializer(many=True, source="planned.differences")
    missing = serializers.ListField(child=serializers.CharField(), source="planned.missing")
    violations = PackViolationsSerializer(allow_null=True)
    routing = RoutingSerializer(allow_null=True)
    matching_requests = serializers.IntegerField(allow_null=True)
    size = serializers.IntegerField(allow_null=True)
    review = ReviewSizeSerializer(allow_null=True)


class StarterPackPreviewSerializer(StarterPackSerializer):
    """A pack with what each of its parts would do here today, and what this installation lacks for others."""

    missing = serializers.ListField(child=serializers.CharField())
    parts = PackPartSerializer(many=True)


class PackOutcomeSerializer(OutputSerializer):
    """What became of a part: `made` is false where it was there already. `id` names the proposal or the template."""

    key = serializers.CharField(source="planned.key")
    made = serializers.BooleanField(source="is_new")
    id = serializers.SerializerMethodField()

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_id(self, outcome: Outcome) -> str | None:
        """Return the key by which the API names the row."""
        row = outcome.result
        return None if row is None else str(getattr(row, "slug", row.pk))


class PackOutcomesSerializer(OutputSerializer):
    """What became of each part, in the order of the pack."""

    results = PackOutcomeSerializer(many=True)


class _PackResource(Resource):
    matrix: ClassVar[Matrix] = MATRIX

    def find_pack(self) -> Pack:
        """Return the pack that the address names. Raises NotFound."""
        return actions.find(self.caller, self.kwargs["key"])


class StarterPacks(_PackResource):
    """List the starter packs that you may read."""

    shown = StarterPacksSerializer

    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """List them."""
        return Response(StarterPacksSerializer({"results": actions.readable(self.caller), "next": None}).data)


class StarterPackDetail(_PackResource):
    """Show a starter pack with its preview. What each part would do here today; nothing is stored."""

    shown = StarterPackPreviewSerializer

    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Show it."""
        pack = self.find_pack()
        parts = starter_packs.preview(starter_packs.plan(pack), by=self.caller.human)
        shown = {
            **{name: getattr(pack, name) for name in ("slug", "title", "audience", "version", "kind", "sources")},
            "missing": starter_packs.missing(pack),
            "parts": parts,
        }
        return Response(StarterPackPreviewSerializer(shown).data)


class Apply(_PackResource, CreateEndpoint):
    """Propose parts of a starter pack. All or nothing, each as by hand.

    An SoD policy, an approval policy and an auto-approval rule count once another person has put them in force. A part
    that is there already stays.
    """

    action = actions.APPLY
    shown = PackOutcomesSerializer

    def read(self) -> dict[str, Any]:
        """Read which parts."""
        return {"pack": self.find_pack(), **super().read()}

    def answer(self, performed: Performed) -> Response:
        """Answer with what became of each part."""
        data = PackOutcomesSerializer({"results": performed.result}).data
        return Response(data, status=HTTPStatus.CREATED)
