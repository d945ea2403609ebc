"""Notices over REST: the caller's inbox and mail preferences; for administrators the list of mails, and retries."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import EmptyInputSerializer, InputSerializer, OutputSerializer, Text
from entitlements.api.matrix import Matrix
from entitlements.api.resources import Act, Listing, Resource
from entitlements.errors import Forbidden
from entitlements.people.models import Person
from governance.api.matrix import MATRIX
from governance.mail import outbox, preferences
from governance.notices import queue
from governance.notices.models import Delivery, Kind, Notice, NoticeSettings

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
    """The caller's mail preferences. Hours are in the time zone; without quiet hours both are null."""

    time_zone = Text(max_length=64)
    digest_hour = serializers.IntegerField(min_value=0, max_value=_LAST_HOUR)
    quiet_from = serializers.IntegerField(min_value=0, max_value=_LAST_HOUR, allow_null=True)
    quiet_until = serializers.IntegerField(min_value=0, max_value=_LAST_HOUR, allow_null=True)
    not_mailed = serializers.ListField(child=serializers.ChoiceField(choices=Kind.choices), max_length=50)


class SettingsSerializer(OutputSerializer):
    """The caller's mail preferences; `bad_address` is an address from which mail came back."""

    time_zone = serializers.CharField()
    digest_hour = serializers.IntegerField()
    quiet_from = serializers.IntegerField(allow_null=True)
    quiet_until = serializers.IntegerField(allow_null=True)
    not_mailed = serializers.ListField(child=serializers.CharField())
    bad_address = serializers.CharField()


class Read(OutputSerializer):
    """How many notices were unread before."""

    read = serializers.IntegerField()


class DeliverySerializer(OutputSerializer):
    """One mail: its recipient, its state, and the mail server's last response."""

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

    def rows(self) -> QuerySet[Notice]:
        return Notice.objects.filter(person=self.caller.human) if self.caller.human else Notice.objects.none()

    def links(self, found: Notice) -> list[str]:
        return [found.about]


class Notices(_NoticeResource, Listing):
    """GET /notices."""

    filterset_class = NoticeFilter
    ordering = ("-made_at", "-id")


class ReadOne(_NoticeResource):
    """POST /notices/{id}/read."""

    @extend_schema(request=None, responses=NoticeSerializer)
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - the framework's signature
        """Mark one notice as read; a second call changes nothing."""
        found = self.find_row()
        self.body(EmptyInputSerializer)
        queue.mark_read(self.person(), found.pk)
        return self.again(found)


class ReadAll(_OnesOwn):
    """POST /notices/read."""

    @extend_schema(request=None, responses=Read)
    def post(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Mark all notices as read."""
        self.body(EmptyInputSerializer)
        return Response({"read": queue.mark_read(self.person())})


class Settings(_OnesOwn):
    """GET and PUT /notice-settings."""

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
    """GET /deliveries."""

    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = DeliverySerializer
    filterset_class = DeliveryFilter
    ordering = ("-made_at", "-id")

    def rows(self) -> QuerySet[Delivery]:
        """Return all mails."""
        return Delivery.objects.select_related("person")


class Replay(Act):
    """POST /deliveries/{id}/replay."""

    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = DeliverySerializer

    def rows(self) -> QuerySet[Delivery]:
        """Return all mails."""
        return Delivery.objects.select_related("person")

    def links(self, found: Delivery) -> list[str]:
        """Return the links of the mail and of its recipient."""
        return [f"delivery:{found.pk}", f"person:{found.person.login}"]

    @staticmethod
    def verb(found: Delivery, **values: Any) -> Delivery:  # noqa: ANN401 - by and reason
        """Try the mail again."""
        return outbox.replay(found.pk, **values)


class Bounced(Act):
    """POST /people/{login}/bounced."""

    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = SettingsSerializer
    lookup = "login"
    verb: ClassVar[Callable[..., NoticeSettings]] = staticmethod(outbox.mark_bad)

    def rows(self) -> QuerySet[Person]:
        """Return all people."""
        return Person.objects.all()

    def links(self, found: Person) -> list[str]:
        """Return the link of the person."""
        return [f"person:{found.login}"]

    def again(self, row: Person, **kwargs: Any) -> Response:  # noqa: ANN401 - as the base's
        """Return the preferences after the change."""
        return Response(SettingsSerializer(preferences.for_person(row)).data, status=HTTPStatus.OK, **kwargs)
