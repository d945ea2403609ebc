"""What administrators do with chat services: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import EmptyInputSerializer, InputSerializer, Text
from governance.chat import connections
from governance.chat.models import ChatConnection

LONGEST_TOKEN = 500


class SlackInputSerializer(InputSerializer):
    """The tokens of a Slack app; `app_token` is needed for Socket Mode alone."""

    bot_token = Text(max_length=LONGEST_TOKEN, trim_whitespace=True)
    app_token = Text(max_length=LONGEST_TOKEN, required=False, allow_blank=True)


class TeamsInputSerializer(InputSerializer):
    """The bot of a Teams app: the id of its app registration, the tenant, and a client secret."""

    app_id = serializers.UUIDField()
    tenant = serializers.UUIDField()
    secret = Text(max_length=LONGEST_TOKEN)


class NamesInputSerializer(InputSerializer):
    """Whether messages name agents, people, entitlements and reviews."""

    names_shown = serializers.BooleanField()


CONNECTION = Subject(
    lambda _caller: ChatConnection.objects.all(), lambda connection: [f"chat:{connection.service}"], ("service",)
)

CONNECT_SLACK = Action(
    "chat-connection-slack",
    NEW,
    connections.connect_slack,
    input=SlackInputSerializer,
    done=_("Slack is connected. Send yourself a test."),
)
CONNECT_TEAMS = Action(
    "chat-connection-teams",
    NEW,
    connections.connect_teams,
    input=TeamsInputSerializer,
    done=_("Microsoft Teams is connected. Send yourself a test."),
)
NAMES = Action(
    "chat-connection-names",
    CONNECTION,
    connections.show_names,
    input=NamesInputSerializer,
    done=_("Saved. It holds for the next message."),
)
TEST = Action(
    "chat-connection-test",
    CONNECTION,
    connections.queue_test,
    input=EmptyInputSerializer,
    by=person,
    done=_("A test leaves within seconds. Deliveries show what became of it."),
)
DISCONNECT = Action(
    "chat-connection-disconnect",
    CONNECTION,
    connections.disconnect,
    done=_("Disconnected. The tokens are deleted here; revoke them at the service as well."),
)
