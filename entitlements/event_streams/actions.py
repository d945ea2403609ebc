"""What people do about streams of security events: each action declared once, for API and console."""

from __future__ import annotations

from django.db.models import Count, Min, Q, QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access.caller import Caller
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, ReasonInputSerializer, Slug, Text
from entitlements.event_streams import poll_settings, receivers, streams
from entitlements.event_streams.models import EventReceiver, EventStream, SignalPoll


class EventReceiverInputSerializer(InputSerializer):
    """A receiver: the audience of what is sent to it, the one host to which events are pushed, how people are named."""

    name = Slug()
    audience = Text(max_length=500)
    push_host = Text(max_length=300, allow_blank=True, default="", help_text="`host` or `host:port`. Empty: it polls.")
    subject_format = serializers.ChoiceField(
        choices=EventReceiver.SubjectFormat.choices, default=EventReceiver.SubjectFormat.ISS_SUB
    )
    reason = Text(max_length=500)


class EventStreamStatusInputSerializer(InputSerializer):
    """The status of a stream, and why; the receiver is told the status alone."""

    status = serializers.ChoiceField(choices=EventStream.Status.choices)
    reason = Text(max_length=500)


class SignalPollInputSerializer(InputSerializer):
    """Where a trusted issuer's stream is polled, and what opens it.

    `secret` is the bearer token of the stream; with `token_url` it is the secret of `client_id` there.
    """

    issuer = Text(max_length=300)
    endpoint_url = Text(max_length=1000)
    token_url = Text(max_length=1000, allow_blank=True, default="")
    client_id = Text(max_length=255, allow_blank=True, default="")
    scope = Text(max_length=255, allow_blank=True, default="")
    secret = Text(max_length=8000, write_only=True, trim_whitespace=False)
    reason = Text(max_length=500)


def _receivers(caller: Caller) -> QuerySet[EventReceiver]:
    rows = EventReceiver.objects.select_related("registered_by")
    return rows if caller.sees_everything else rows.none()


def _streams(caller: Caller) -> QuerySet[EventStream]:
    waits = Q(stream_events__state="waiting")
    rows = EventStream.objects.select_related("receiver").annotate(
        waiting=Count("stream_events", filter=waits), waiting_since=Min("stream_events__made_at", filter=waits)
    )
    return rows if caller.sees_everything else rows.none()


def _polls(caller: Caller) -> QuerySet[SignalPoll]:
    rows = SignalPoll.objects.select_related("issuer", "made_by")
    return rows if caller.sees_everything else rows.none()


RECEIVER = Subject(_receivers, receivers.about, by=person, by_key=True)
STREAM = Subject(_streams, streams.about, by=person, by_key=True)
POLL = Subject(_polls, poll_settings.about, by=person, by_key=True)

REGISTER = Action(
    "event-receivers",
    NEW,
    receivers.register,
    input=EventReceiverInputSerializer,
    by=person,
    done=_("Registered. Its secret is shown now and never again."),
)
END_RECEIVER = Action(
    "event-receiver-end",
    RECEIVER,
    receivers.end,
    done=_("Ended. Its secret opens nothing, and its streams are deleted."),
)
SET_STATUS = Action(
    "event-stream-status",
    STREAM,
    streams.set_status_by_person,
    input=EventStreamStatusInputSerializer,
    done=_("Done. Its receiver is told by an event."),
)
DELETE = Action(
    "event-stream-delete",
    STREAM,
    streams.delete_by_person,
    input=ReasonInputSerializer,
    done=_("Deleted, with what waited in it."),
)
SET_POLL = Action(
    "signal-polls",
    NEW,
    poll_settings.set_poll,
    input=SignalPollInputSerializer,
    by=person,
    done=_("Set. It is polled within seconds."),
)
END_POLL = Action("signal-poll-end", POLL, poll_settings.end, done=_("Ended. Its secret is forgotten."))
