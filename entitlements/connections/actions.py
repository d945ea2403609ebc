"""What people and programs do with connections: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.api.actions import Action, Subject
from entitlements.api.fields import StopInputSerializer
from entitlements.connections import connections

CONNECTION = Subject(
    visibility.connections,
    lambda connection: [f"connection:{connection.pk}", f"agent:{connection.agent.slug}"],
    by_key=True,
)

END = Action(
    "connection-end",
    CONNECTION,
    connections.end,
    input=StopInputSerializer,
    stops="connection",
    done=_("The connection and its sign-ins have ended."),
)
