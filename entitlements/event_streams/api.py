"""Streams of security events over REST: receivers of ours, their streams, and streams of trusted issuers."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar, Final

from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.event_streams import actions, profile
from entitlements.event_streams.models import EventReceiver, EventStream, SignalPoll


class EventReceiverSerializer(OutputSerializer):
    """A receiver of our security events. Its `id` is the client identifier with which it asks for access tokens."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    audience = serializers.CharField()
    push_host = serializers.CharField(help_text="The only host to which events are pushed. Empty: it polls.")
    subject_format = serializers.ChoiceField(choices=EventReceiver.SubjectFormat.choices)
    reason = serializers.CharField()
    registered_by = serializers.CharField(source="registered_by.login")
    registered_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()
    secret = serializers.SerializerMethodField(allow_null=True, help_text="In the answer to its registration alone.")

    def get_secret(self, _row: EventReceiver) -> str | None:
        """Return the secret that was made in this request."""
        secret: str | None = self.context.get("secret")
        return secret


class EventStreamSerializer(OutputSerializer):
    """A stream of a receiver, as it configured it, and how far it is behind."""

    id = serializers.UUIDField()
    receiver = serializers.CharField(source="receiver.name")
    method = serializers.ChoiceField(choices=EventStream.Method.choices)
    endpoint_url = serializers.CharField(help_text="Where it is pushed to; empty where it is polled.")
    events_delivered = serializers.SerializerMethodField()
    description = serializers.CharField()
    status = serializers.ChoiceField(choices=EventStream.Status.choices)
    status_reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    verified_at = serializers.DateTimeField(allow_null=True, help_text="When a verification was last asked for.")
    polled_at = serializers.DateTimeField(allow_null=True)
    waiting = serializers.IntegerField(help_text="Events that were not taken yet.")
    waiting_since = serializers.DateTimeField(allow_null=True, help_text="When the oldest of them came.")
    failures = serializers.IntegerField(help_text="Deliveries that failed in a row.")
    retry_at = serializers.DateTimeField(allow_null=True)
    problem = serializers.CharField()

    def get_events_delivered(self, row: EventStream) -> list[str]:
        """Return the types of the events that it carries."""
        return profile.delivered(row.events_requested)


class SignalPollSerializer(OutputSerializer):
    """A stream of a trusted issuer that is polled. What opens it is never shown."""

    id = serializers.UUIDField()
    issuer = serializers.CharField(source="issuer.issuer")
    endpoint_url = serializers.CharField()
    token_url = serializers.CharField()
    client_id = serializers.CharField()
    scope = serializers.CharField()
    reason = serializers.CharField()
    made_by = serializers.CharField(source="made_by.login")
    made_at = serializers.DateTimeField()
    polled_at = serializers.DateTimeField(allow_null=True)
    failures = serializers.IntegerField(help_text="Polls that failed in a row.")
    problem = serializers.CharField(help_text="Why the last poll failed.")
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()


class EventReceiverFilter(filters.FilterSet):
    """Filters of the list."""

    name = filters.CharFilter()
    ended = filters.BooleanFilter(field_name="ended_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = EventReceiver
        fields: ClassVar[list[str]] = []


class EventStreamFilter(filters.FilterSet):
    """Filters of the list."""

    receiver = filters.CharFilter(field_name="receiver__name")
    status = filters.ChoiceFilter(choices=EventStream.Status.choices)
    method = filters.ChoiceFilter(choices=EventStream.Method.choices)

    class Meta:
        model = EventStream
        fields: ClassVar[list[str]] = []


class SignalPollFilter(filters.FilterSet):
    """Filters of the list."""

    issuer = filters.CharFilter(field_name="issuer__issuer")
    ended = filters.BooleanFilter(field_name="ended_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = SignalPoll
        fields: ClassVar[list[str]] = []


class _Receivers(Resource):
    shown = EventReceiverSerializer
    subject = actions.RECEIVER


class EventReceivers(_Receivers, Listing, CreateEndpoint):
    """List receivers of our security events, and register one.

    get: List receivers. Those that ended are among them.
    post: Register a receiver. Its secret is shown in this answer alone; its streams it makes itself.
    """

    action = actions.REGISTER
    filterset_class = EventReceiverFilter
    ordering = ("-registered_at", "-id")
    shown_once = frozenset({"secret"})

    def answer(self, performed: Performed) -> Response:
        """Answer with the receiver and its secret."""
        made = performed.result
        context = {**self.get_serializer_context(), "secret": made.secret}
        return Response(EventReceiverSerializer(made.receiver, context=context).data, status=HTTPStatus.CREATED)


class EventReceiverDetail(_Receivers, Detail):
    """Show a receiver."""


class EndEventReceiver(_Receivers, ActionEndpoint):
    """End a receiver. Its secret and tokens open nothing any more, and its streams are deleted."""

    action = actions.END_RECEIVER


class _Streams(Resource):
    shown = EventStreamSerializer
    subject = actions.STREAM


class EventStreams(_Streams, Listing):
    """List the streams of receivers, the newest first."""

    filterset_class = EventStreamFilter
    ordering = ("-created_at", "-id")


class EventStreamDetail(_Streams, Detail):
    """Show a stream."""


class SetEventStreamStatus(_Streams, ActionEndpoint):
    """Enable, pause or disable a stream. The receiver is told by an event; a disabled stream drops what waits."""

    action = actions.SET_STATUS


class DeleteEventStream(_Streams, ActionEndpoint):
    """Delete a stream, with what waits in it. Its receiver may make another one until it is ended."""

    action = actions.DELETE
    answers = HTTPStatus.NO_CONTENT

    def answer(self, performed: Performed) -> Response:
        """Answer with nothing: there is nothing any more."""
        del performed
        return Response(status=HTTPStatus.NO_CONTENT)


class _Polls(Resource):
    shown = SignalPollSerializer
    subject = actions.POLL


class SignalPolls(_Polls, Listing, CreateEndpoint):
    """List the streams of trusted issuers that are polled, and set one.

    get: List the streams that are or were polled.
    post: Poll a stream of a trusted issuer from now on. What it brings is checked as what is pushed.
    """

    action = actions.SET_POLL
    filterset_class = SignalPollFilter
    ordering = ("-made_at", "-id")


class SignalPollDetail(_Polls, Detail):
    """Show a stream that is or was polled."""


class EndSignalPoll(_Polls, ActionEndpoint):
    """Poll a stream no more. Its secret is forgotten."""

    action = actions.END_POLL


ADDRESSES: Final = (
    ("event-receivers", EventReceivers, "event-receivers"),
    ("event-receivers/<uuid:key>", EventReceiverDetail, "event-receiver"),
    ("event-receivers/<uuid:key>/end", EndEventReceiver, "event-receiver-end"),
    ("event-streams", EventStreams, "event-streams"),
    ("event-streams/<uuid:key>", EventStreamDetail, "event-stream"),
    ("event-streams/<uuid:key>/status", SetEventStreamStatus, "event-stream-status"),
    ("event-streams/<uuid:key>/delete", DeleteEventStream, "event-stream-delete"),
    ("signal-polls", SignalPolls, "signal-polls"),
    ("signal-polls/<uuid:key>", SignalPollDetail, "signal-poll"),
    ("signal-polls/<uuid:key>/end", EndSignalPoll, "signal-poll-end"),
)
"""Address, view and name of each, as the API mounts them."""
