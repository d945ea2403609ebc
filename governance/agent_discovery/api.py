"""Discovery sources over REST: connect one, read its runs and what it lists, run it now, disable it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.agent_discovery.models import DiscoveredEntry, DiscoveryRun, DiscoverySource
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.permissions.matrix import Matrix
from governance.agent_discovery import actions, queries
from governance.api.matrix import MATRIX


class RunErrorSerializer(OutputSerializer):
    """What kept a list from its end: `list` is empty where it is of the whole run."""

    list = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class DiscoveryRunSerializer(OutputSerializer):
    """One run: how far it came, what it counted, and its errors. Nothing of a partial list counts as gone."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=DiscoveryRun.State.choices)
    asked_by = serializers.CharField()
    attempts = serializers.IntegerField()
    pages = serializers.IntegerField()
    rows = serializers.IntegerField()
    counts = serializers.DictField(child=serializers.IntegerField())
    errors = RunErrorSerializer(many=True)  # type: ignore[assignment]  # a field's word
    made_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class DiscoverySourceSerializer(OutputSerializer):
    """One discovery source with its last run. Its credential is never shown."""

    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=DiscoverySource.Kind.choices)
    reads = serializers.ChoiceField(choices=DiscoverySource.Reads.choices)
    address = serializers.CharField()
    tenant = serializers.CharField()
    report = serializers.IntegerField(allow_null=True)
    client_id = serializers.CharField()
    credential_made_at = serializers.DateTimeField()
    every_hours = serializers.IntegerField()
    enabled = serializers.BooleanField()
    next_at = serializers.DateTimeField()
    made_at = serializers.DateTimeField()
    unmanaged = serializers.IntegerField()
    last_run = serializers.SerializerMethodField()

    @extend_schema_field(DiscoveryRunSerializer(allow_null=True))
    def get_last_run(self, source: DiscoverySource) -> dict[str, Any] | None:
        """Return the latest run."""
        last_runs: list[DiscoveryRun] = source.last_runs  # type: ignore[attr-defined]  # prefetched by queries
        return dict(DiscoveryRunSerializer(last_runs[0]).data) if last_runs else None


class DiscoveredEntrySerializer(OutputSerializer):
    """One row of a list of a source, and the unmanaged agent that it is. `vanished_at`: no longer listed since then."""

    listing = serializers.CharField()
    external_id = serializers.CharField()
    name = serializers.CharField(source="seen.name")
    client_id = serializers.CharField(source="seen.client_id")
    unmanaged_agent = serializers.IntegerField(source="seen.pk")
    state = serializers.CharField(source="seen.state")
    agent = serializers.CharField(source="seen.agent.slug", allow_null=True, default=None)
    owner = serializers.CharField(source="owner.login", allow_null=True, default=None)
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    vanished_at = serializers.DateTimeField(allow_null=True)


class DiscoverySourceFilter(filters.FilterSet):
    """Filters by kind, and by whether a source is read."""

    kind = filters.ChoiceFilter(choices=DiscoverySource.Kind.choices)
    enabled = filters.BooleanFilter()

    class Meta:
        model = DiscoverySource
        fields: ClassVar[list[str]] = []


class DiscoveryRunFilter(filters.FilterSet):
    """Filters by state."""

    state = filters.ChoiceFilter(choices=DiscoveryRun.State.choices)

    class Meta:
        model = DiscoveryRun
        fields: ClassVar[list[str]] = []


class DiscoveredEntryFilter(filters.FilterSet):
    """Filters by whether the list still has it."""

    gone = filters.BooleanFilter(field_name="vanished_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = DiscoveredEntry
        fields: ClassVar[list[str]] = []


class _DiscoveryResource(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    subject = actions.SOURCE
    shown: ClassVar[type[OutputSerializer]] = DiscoverySourceSerializer

    def rows(self) -> QuerySet[Any]:
        """Return the sources, each with its last run."""
        return queries.with_last_run(super().rows())


class DiscoverySources(_DiscoveryResource, Listing):
    """List discovery sources."""

    filterset_class = DiscoverySourceFilter
    ordering = ("slug",)


class DiscoverySourceDetail(_DiscoveryResource, Detail):
    """Show a discovery source."""


class _OfSource(Listing):
    matrix: ClassVar[Matrix] = MATRIX

    def get(self, request: Request, **_key: Any) -> Response:  # noqa: ANN401 - the framework's signature
        """Answer one page."""
        return super().get(request)

    def source(self) -> DiscoverySource:
        """Return the source that the address names. Raises NotFound."""
        found: DiscoverySource = self.find(DiscoverySource.objects.all(), slug=self.kwargs["key"])
        return found


class DiscoveryRuns(_OfSource):
    """List the runs of a discovery source, the latest first."""

    shown = DiscoveryRunSerializer
    filterset_class = DiscoveryRunFilter
    ordering = ("-made_at", "-id")

    def rows(self) -> QuerySet[Any]:
        """Return the runs of the source."""
        return DiscoveryRun.objects.filter(source=self.source())


class DiscoveredEntries(_OfSource):
    """List what a discovery source lists, or listed."""

    shown = DiscoveredEntrySerializer
    filterset_class = DiscoveredEntryFilter
    ordering = ("pk",)

    def rows(self) -> QuerySet[Any]:
        """Return the entries of the source."""
        return queries.entries(self.source())


class ConnectOkta(_DiscoveryResource, CreateEndpoint):
    """Connect an Okta organization as discovery source. The credential is stored sealed, and never shown."""

    action = actions.CONNECT_OKTA


class ConnectEntra(_DiscoveryResource, CreateEndpoint):
    """Connect a tenant of Microsoft Entra ID as discovery source. The secret is stored sealed, and never shown."""

    action = actions.CONNECT_ENTRA


class ConnectFleet(_DiscoveryResource, CreateEndpoint):
    """Connect a report of a Fleet server as discovery source. The token is stored sealed, and never shown."""

    action = actions.CONNECT_FLEET


class ReplaceCredential(_DiscoveryResource, ActionEndpoint):
    """Replace the credential of a discovery source."""

    action = actions.CREDENTIAL


class ChangeSource(_DiscoveryResource, ActionEndpoint):
    """Change how often a discovery source is read, and which of its lists."""

    action = actions.CHANGE


class DisableSource(_DiscoveryResource, ActionEndpoint):
    """Disable a discovery source. What it found stays."""

    action = actions.DISABLE


class EnableSource(_DiscoveryResource, ActionEndpoint):
    """Enable a discovery source."""

    action = actions.ENABLE


class RunSource(_DiscoveryResource, ActionEndpoint):
    """Run a discovery source now."""

    action = actions.RUN
    shows_result = True
    shown = DiscoveryRunSerializer
