"""What people do about connectors: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.api.actions import Action, Subject, person
from entitlements.api.fields import InputSerializer, StopInputSerializer, Text
from entitlements.catalog.actions import SYSTEM
from entitlements.connectors import connectors
from entitlements.connectors.models import Connector


def _system(row: Connector) -> object:
    return row.system


class ConnectorInputSerializer(InputSerializer):
    """What a connector is called, where it runs for example, and why it is needed."""

    name = Text(max_length=100)
    reason = Text(max_length=500)


CONNECTOR = Subject(visibility.connectors, connectors.about, permitted_on=_system, by_key=True)

ADD = Action(
    "system-connector-add",
    SYSTEM,
    connectors.add,
    input=ConnectorInputSerializer,
    by=person,
    done=_("Made. It enrols itself within an hour, by the code that is shown now and never again."),
)
REVOKE = Action(
    "connector-revoke",
    CONNECTOR,
    connectors.revoke,
    input=StopInputSerializer,
    stops="connector",
    done=_("Revoked. Its connections are cut."),
)
