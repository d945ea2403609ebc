"""Streams of security events: receivers and their streams, one stream with what waits in it, and what we poll."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements import addresses
from entitlements.event_streams import actions, transmit
from entitlements.event_streams.models import EventReceiver
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.console import doors, form_fields, paging
from governance.event_streams import words

MOST_SHOWN: Final = 100
RECEIVER_BUTTONS: Final = {"end": actions.END_RECEIVER}
POLL_BUTTONS: Final = {"end": actions.END_POLL}
STREAM_BUTTONS: Final = {"set": actions.SET_STATUS, "delete": actions.DELETE}
_PLAIN: Final = {"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}
_RECEIVER_FIELDS: Final = {"event_receiver_taken": "name", "event_receiver_bad_host": "push_host"}
_POLL_FIELDS: Final = {
    "signal_poll_set_already": "issuer",
    "signal_poll_issuer_unknown": "issuer",
    "signal_poll_bad_secret": "secret",
    "forbidden_address": "endpoint_url",
}


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """Show who takes our events, through which streams, and which streams of others are polled."""
    caller = doors.caller(request)
    streams = actions.STREAM.rows(caller).order_by("receiver__name", "-created_at", "pk")
    receivers = actions.RECEIVER.rows(caller).filter(ended_at=None).order_by("name")
    polls = actions.POLL.rows(caller).filter(ended_at=None).order_by("issuer__issuer")
    context = {
        "receivers": receivers[:MOST_SHOWN],
        "streams": [_Shown(row) for row in streams[:MOST_SHOWN]],
        "polls": polls[:MOST_SHOWN],
        "unread": transmit.lag(),
        "configuration": f"{addresses.issuer(addresses.SIGNALS)}".replace("/ssf", "/.well-known/ssf-configuration/ssf"),
        "may_register": doors.may(caller, "event-receivers", None),
        "may_end": doors.may(caller, "event-receiver-end", None),
        "may_poll": doors.may(caller, "signal-polls", None),
        "may_end_poll": doors.may(caller, "signal-poll-end", None),
    }
    return render(request, "console/event_streams/streams.html", context)


class _Shown:
    """A stream, and what it carries in words."""

    def __init__(self, row: Any) -> None:  # noqa: ANN401 - a stream with its counts
        self.row, self.carries = row, words.named(row.events_requested)


class ReceiverForm(forms.Form):
    """A new receiver."""

    name = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,63}\Z",
        label=gettext_lazy("Short name"),
        max_length=64,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=gettext_lazy("Its name in the audit log, so it never changes."),
    )
    audience = forms.CharField(
        label=gettext_lazy("Audience"),
        max_length=500,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=gettext_lazy("What each event names as its receiver (aud), as they gave it to you."),
    )
    push_host = forms.CharField(
        label=gettext_lazy("Host for pushes"),
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=gettext_lazy(
            "The only host that events are pushed to, for example events.example.com. Empty: it polls."
        ),
    )
    subject_format = forms.ChoiceField(
        label=gettext_lazy("How people are named"), choices=EventReceiver.SubjectFormat.choices
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add_receiver(request: HttpRequest) -> HttpResponse:
    """Register a receiver; its secret is shown only now."""
    form = ReceiverForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and (
        added := form_fields.perform(request, form, actions.REGISTER, fields=_RECEIVER_FIELDS)
    ):
        context = {"receiver": added.result.receiver, "fresh": added.result.secret}
        answer = render(request, "console/event_streams/registered.html", context)
        answer["Cache-Control"] = "no-store"
        return answer
    return form_fields.show(request, "console/event_streams/add.html", form, {"is_receiver": True})


@require_POST
@doors.page
def decide_receiver(request: HttpRequest, receiver: UUID) -> HttpResponse:
    """End a receiver."""
    found = doors.find_subject(request, actions.RECEIVER, receiver)
    doors.perform(request, doors.pressed(request, RECEIVER_BUTTONS), found)
    return redirect("event-streams-page")


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def stream_page(request: HttpRequest, stream: UUID) -> HttpResponse:
    """Show a stream and what waits or was taken, or act on it."""
    found = doors.find_subject(request, actions.STREAM, stream)
    if request.method == "POST":
        action = doors.pressed(request, STREAM_BUTTONS)
        doors.perform(request, action, found)
        gone = action is actions.DELETE
        return redirect("event-streams-page") if gone else redirect("event-stream-page", stream)
    caller = doors.caller(request)
    page = paging.page(request, found.stream_events.all(), ("-made_at", "-id"))
    for each in page.rows:
        each.says = words.TYPES.get(each.type, each.type)
    context = {
        "stream": found,
        "carries": words.named(found.events_requested),
        "page": page,
        "unread": transmit.lag(),
        "others": [(value, label) for value, label in found.Status.choices if value != found.status],
        "may_set": doors.may(caller, "event-stream-status", found),
        "may_delete": doors.may(caller, "event-stream-delete", found),
    }
    return render(request, "console/event_streams/stream.html", context)


class PollForm(forms.Form):
    """A stream of a trusted issuer that is to be polled."""

    issuer = forms.ChoiceField(label=gettext_lazy("Trusted issuer"))
    endpoint_url = forms.CharField(
        label=gettext_lazy("Address of the stream"),
        max_length=1000,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=gettext_lazy("Where they answer polls (RFC 8936). Starts with https://."),
    )
    token_url = forms.CharField(
        label=gettext_lazy("Token endpoint"),
        max_length=1000,
        required=False,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=gettext_lazy("Where an access token is fetched for a client. Empty: the secret is the token itself."),
    )
    client_id = forms.CharField(
        label=gettext_lazy("Client there"), max_length=255, required=False, widget=forms.TextInput(attrs=_PLAIN)
    )
    scope = forms.CharField(
        label=gettext_lazy("Scope"), max_length=255, required=False, widget=forms.TextInput(attrs=_PLAIN)
    )
    secret = forms.CharField(
        label=gettext_lazy("Token, or secret of the client"),
        max_length=8000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("It is stored sealed and never shown."),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as Django's
        super().__init__(*args, **kwargs)
        rows = TrustedIssuer.objects.filter(enabled=True, sends_signals=True).order_by("issuer")
        issuers = rows.values_list("issuer", flat=True)
        field = self.fields["issuer"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [(name, name) for name in issuers]


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add_poll(request: HttpRequest) -> HttpResponse:
    """Have a stream of a trusted issuer polled."""
    form = PollForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form_fields.perform(request, form, actions.SET_POLL, fields=_POLL_FIELDS):
        return redirect("event-streams-page")
    return form_fields.show(request, "console/event_streams/add.html", form, {"is_receiver": False})


@require_POST
@doors.page
def decide_poll(request: HttpRequest, poll: UUID) -> HttpResponse:
    """Poll a stream no more."""
    found = doors.find_subject(request, actions.POLL, poll)
    doors.perform(request, doors.pressed(request, POLL_BUTTONS), found)
    return redirect("event-streams-page")
