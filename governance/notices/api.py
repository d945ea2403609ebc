"""Notices over REST: the caller's inbox and mail preferences; for administrators the list of mails, and retries."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Listing, Resource
from entitlements.errors import Forbidden
from entitlements.people.models import Person
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.chat.models import ChatConnection
from governance.mail import preferences
from governance.notices import actions
from governance.notices.models import Delivery, Kind, Notice

_LAST_HOUR = 23


class NoticeSerializer(OutputSerializer):
    """One notice to the caller; `url` is a path of the console."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    about = serializers.CharField()
    sentence = serializers.CharField()
    url = serializers.CharField()
    urgent = serializers.BooleanField()
    made_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)


class NoticeFilter(filters.FilterSet):
    """Filters by kind, and by whether it was read."""

    kind = filters.ChoiceFilter(choices=Kind.choices)
    unread = filters.BooleanFilter(field_name="read_at", lookup_expr="isnull")

    class Meta:
        model = Notice
        fields: ClassVar[list[str]] = []


class SettingsInputSerializer(InputSerializer):
    """The caller's mail preferences. Hours are in the time zone; without quiet hours both are null.

    `chat_off` names the chat services in which the caller wants no messages; left out, it stays as it is.
    """

    time_zone = Text(max_length=64)
    digest_hour = serializers.IntegerField(min_value=0, max_value=_LAST_HOUR)
    quiet_from = serializers.IntegerField(min_value=0, max_value=_LAST_HOUR, allow_null=True)
    quiet_until = serializers.IntegerField(min_value=0, max_value=_LAST_HOUR, allow_null=True)
    not_mailed = serializers.ListField(child=serializers.ChoiceField(choices=Kind.choices), max_length=50)
    chat_off = serializers.ListField(
        child=serializers.ChoiceField(choices=ChatConnection.Service.choices), max_length=10, required=False
    )


class SettingsSerializer(OutputSerializer):
    """The caller's mail preferences; `bad_address` is an address from which mail came back."""

    time_zone = serializers.CharField()
    digest_hour = serializers.IntegerField()
    quiet_from = serializers.IntegerField(allow_null=True)
    quiet_until = serializers.IntegerField(allow_null=True)
    not_mailed = serializers.ListField(child=serializers.CharField())
    chat_off = serializers.ListField(child=serializers.CharField())
    bad_address = serializers.CharField()


class Read(OutputSerializer):
    """How many notices were unread before."""

    read = serializers.IntegerField()


class DeliverySerializer(OutputSerializer):
    """One mail or chat message: its recipient, its state, and the last response of the other side."""

    id = serializers.UUIDField()
    channel = serializers.ChoiceField(choices=Delivery.Channel.choices)
    person = serializers.CharField(source="person.login")
    state = serializers.ChoiceField(choices=Delivery.State.choices)
    attempts = serializers.IntegerField()
    next_at = serializers.DateTimeField()
    answer = serializers.CharField()
    made_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)


class DeliveryFilter(filters.FilterSet):
    """Filters by person, channel and state."""

    person = filters.CharFilter(field_name="person__login")
    channel = filters.ChoiceFilter(choices=Delivery.Channel.choices)
    state = filters.ChoiceFilter(choices=Delivery.State.choices)

    class Meta:
        model = Delivery
        fields: ClassVar[list[str]] = []


class _OnesOwn(Endpoint):
    matrix: ClassVar[Matrix] = MATRIX

    def person(self) -> Person:
        """Return the person whose inbox it is. Raises Forbidden where the caller is not a person."""
        if self.caller.human is None:
            raise Forbidden
        return self.caller.human


class _NoticeResource(_OnesOwn, Resource):
    shown: ClassVar[type[OutputSerializer]] = NoticeSerializer

    subject = actions.NOTICE


class Notices(_NoticeResource, Listing):
    """List your notices, the newest first."""

    filterset_class = NoticeFilter
    ordering = ("-made_at", "-id")


@extend_schema(request=None)
class ReadOne(_NoticeResource, ActionEndpoint):
    """Mark a notice as read."""

    action = actions.READ


@extend_schema(request=None, responses=Read)
class ReadAll(_OnesOwn, CreateEndpoint):
    """Mark all your notices as read."""

    action = actions.READ_ALL

    def answer(self, performed: Performed) -> Response:
        """Answer with how many were unread."""
        return Response({"read": performed.result})


class Settings(_OnesOwn):
    """Show your mail preferences, and change them.

    get: Show your mail preferences.
    put: Change your mail preferences. Mail about safety cannot be switched off.
    """

    @extend_schema(responses=SettingsSerializer)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Show the caller's mail preferences."""
        return Response(SettingsSerializer(preferences.for_person(self.person())).data)

    @extend_schema(request=SettingsInputSerializer, responses=SettingsSerializer)
    def put(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Change the caller's mail preferences. Mail about safety cannot be switched off."""
        person = self.person()
        changed = preferences.change(person, **self.body(SettingsInputSerializer), by=self.principal)
        return Response(SettingsSerializer(changed).data)


class Deliveries(Listing):
    """List deliveries of notices, the newest first."""

    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = DeliverySerializer
    filterset_class = DeliveryFilter
    ordering = ("-made_at", "-id")

    def rows(self) -> QuerySet[Delivery]:
        """Return all mails."""
        return Delivery.objects.select_related("person")


class Replay(ActionEndpoint):
    """Send a failed delivery again."""

    action = actions.REPLAY
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = DeliverySerializer


class Bounced(ActionEndpoint):
    """Report that mail to a person bounced.

    Nothing is mailed to their current address any more; a new address is mailed again.
    """

    action = actions.BOUNCED
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = SettingsSerializer

    def answer(self, performed: Performed) -> Response:
        """Answer with the preferences after the change."""
        return Response(SettingsSerializer(preferences.for_person(performed.row)).data)
