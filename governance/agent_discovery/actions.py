"""What administrators do with discovery sources: each action declared once, for API and console."""

from __future__ import annotations

from functools import partial

from django.db import transaction
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from audit.context import Principal
from entitlements import tasks
from entitlements.agent_discovery import runs, sources
from entitlements.agent_discovery.models import DiscoveryRun, DiscoverySource
from entitlements.api.actions import NEW, Action, Subject
from entitlements.api.fields import EmptyInputSerializer, InputSerializer, Slug, Text


class _SourceInputSerializer(InputSerializer):
    slug = Slug()
    name = Text(max_length=200)
    credential = Text(max_length=sources.LONGEST_CREDENTIAL)


class OktaInputSerializer(_SourceInputSerializer):
    """An Okta organization. `credential` is an API token, or with `client_id` the private key (JWK) of that client."""

    address = Text(max_length=300)
    client_id = Text(max_length=255, required=False, allow_blank=True)
    reads = serializers.ChoiceField(choices=DiscoverySource.Reads.choices, default=DiscoverySource.Reads.ALL)


class EntraInputSerializer(_SourceInputSerializer):
    """A tenant of Microsoft Entra ID. `credential` is a client secret of the app registration `app_id`."""

    tenant = serializers.UUIDField()
    app_id = serializers.UUIDField()
    reads = serializers.ChoiceField(choices=DiscoverySource.Reads.choices, default=DiscoverySource.Reads.ALL)


class FleetInputSerializer(_SourceInputSerializer):
    """A report of a Fleet server. `credential` is an API token; `report` is the number of the query."""

    address = Text(max_length=300)
    report = serializers.IntegerField(min_value=1, max_value=2**53)


class CredentialInputSerializer(InputSerializer):
    """The new credential, of the same kind as the one before."""

    credential = Text(max_length=sources.LONGEST_CREDENTIAL)


class ScheduleInputSerializer(InputSerializer):
    """How often a source is read, and which of its lists."""

    every_hours = serializers.IntegerField(min_value=sources.SHORTEST_HOURS, max_value=sources.LONGEST_HOURS)
    reads = serializers.ChoiceField(choices=DiscoverySource.Reads.choices)


def _run(source: DiscoverySource, *, by: Principal) -> DiscoveryRun:
    """Queue a run, and have a worker do it; a message that is lost is made up for by the sweep."""
    run = runs.ask(source, by=by)
    transaction.on_commit(partial(tasks.discover_agents.delay, str(run.pk)), robust=True)
    return run


SOURCE = Subject(lambda _caller: DiscoverySource.objects.all(), sources.about, ("slug",))

_CONNECTED = _("Connected. The first run begins within a minute.")
CONNECT_OKTA = Action("discovery-source-okta", NEW, sources.connect_okta, input=OktaInputSerializer, done=_CONNECTED)
CONNECT_ENTRA = Action(
    "discovery-source-entra", NEW, sources.connect_entra, input=EntraInputSerializer, done=_CONNECTED
)
CONNECT_FLEET = Action(
    "discovery-source-fleet", NEW, sources.connect_fleet, input=FleetInputSerializer, done=_CONNECTED
)
CREDENTIAL = Action(
    "discovery-source-credential",
    SOURCE,
    sources.replace_credential,
    input=CredentialInputSerializer,
    done=_("The credential is replaced. The next run uses it."),
)
CHANGE = Action(
    "discovery-source-change", SOURCE, sources.change, input=ScheduleInputSerializer, done=_("The schedule is saved.")
)
DISABLE = Action(
    "discovery-source-disable",
    SOURCE,
    sources.disable,
    done=_("%(name)s is disabled. What it found stays."),
)
ENABLE = Action(
    "discovery-source-enable",
    SOURCE,
    sources.enable,
    done=_("%(name)s is enabled. The next run begins within a minute."),
)
RUN = Action("discovery-source-run", SOURCE, _run, input=EmptyInputSerializer, done=_("The run is queued."))
