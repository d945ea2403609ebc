"""Webhooks: add an endpoint, send it a test, give it another secret, stop it, and try a message again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from entitlements.errors import DomainError, Malformed
from governance.console import doors, form_fields, paging
from governance.webhooks import delivery, webhooks
from governance.webhooks.models import Webhook

_FIELDS: Final = {"webhook_taken": "slug", "forbidden_address": "url", "unknown_event": "events"}


class AddForm(forms.Form):
    """A new endpoint."""

    slug = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,63}\Z",
        label=gettext_lazy("Short name"),
        max_length=64,
        help_text=gettext_lazy("Its name in the record, so it never changes."),
    )
    form = forms.ChoiceField(
        label=gettext_lazy("Who listens"),
        choices=[
            (Webhook.Form.STANDARD, gettext_lazy("A program, by Standard Webhooks")),
            (Webhook.Form.SLACK, gettext_lazy("A channel in Slack")),
            (Webhook.Form.TEAMS, gettext_lazy("A channel in Microsoft Teams")),
        ],
    )
    url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=2000,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}),
        help_text=gettext_lazy("Starts with https://. It is kept sealed and shown to nobody again, only its host."),
    )
    events = forms.MultipleChoiceField(
        label=gettext_lazy("Tell it that"),
        choices=[(str(event), said) for event, said in webhooks.EVENTS.items()],
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("It is told this sentence and a link to a page here; no name and no reason."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List the endpoints, and add one; its secret is shown this once."""
    form = AddForm(request.POST) if request.method == "POST" else AddForm()
    if request.method == "POST":
        by = doors.person(request).principal
        made = form_fields.submit(
            request, form, lambda given: webhooks.make(given.pop("slug"), **given, by=by), _FIELDS
        )
        if made is not None:
            return _show(request, made[0], fresh=made[1])
    told = {"page": paging.page(request, Webhook.objects.all(), ("slug", "id"))}
    return form_fields.show(request, "console/webhooks/webhooks.html", form, told)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def one(request: HttpRequest, webhook: str) -> HttpResponse:
    """Show an endpoint and what left for it; or act on it."""
    found = doors.find(Webhook.objects.all(), slug=webhook)
    if request.method != "POST":
        return _show(request, found)
    doors.about(request, f"webhook:{found.slug}")
    try:
        return _act(request, found)
    except DomainError as refusal:
        doors.record(request, refusal)
        return _show(request, found, problem=refusal)


_ACTS: Final = {
    **{verb: f"webhook-{verb}" for verb in ("rotate", "test", "stop", "start")},
    "replay": "webhook-message-replay",
}
"""What each button is called by the API."""


def _act(request: HttpRequest, found: Webhook) -> HttpResponse:
    verb, by, reason = request.POST.get("verb", ""), doors.person(request).principal, doors.reason(request)
    if (act := _ACTS.get(verb)) is None:
        raise Malformed
    doors.require_reauthentication(request, act)
    if verb == "rotate":
        return _show(request, found, fresh=webhooks.rotate(found, by=by))
    if verb == "test":
        webhooks.say_test(found, by=by)
        doors.done(request, _("A test leaves within seconds. How it went is said below."))
    elif verb == "stop":
        webhooks.stop(found, by=by, reason=reason)
        doors.done(request, _("It is told nothing more."))
    elif verb == "start":
        webhooks.start(found, by=by, reason=reason)
        doors.done(request, _("It is told what happens from now on."))
    else:
        delivery.replay(_message(request, found), by=by)
        doors.done(request, _("It is tried again within seconds."))
    return redirect(reverse("webhook-page", args=[found.slug]))


def _message(request: HttpRequest, found: Webhook) -> UUID:
    try:
        asked = UUID(request.POST.get("message", ""))
    except ValueError as why:
        raise Malformed from why
    message: UUID = doors.find(found.messages.all(), pk=asked).pk
    return message


def _show(request: HttpRequest, found: Webhook, *, fresh: str = "", problem: DomainError | None = None) -> HttpResponse:
    found.refresh_from_db()
    rows = found.messages.select_related("webhook")
    told: dict[str, Any] = {
        "webhook": found,
        "events": [webhooks.EVENTS[event] for event in found.events if event in webhooks.EVENTS],
        "page": paging.page(request, rows, ("-made_at", "-id")),
        "words": {webhooks.TEST: _("A test"), **webhooks.EVENTS},
        "fresh": fresh if found.form == Webhook.Form.STANDARD else "",
        "problem": problem,
    }
    for message in told["page"].rows:
        message.says = told["words"].get(message.event, message.event)
    answer = render(request, "console/webhooks/webhook.html", told, status=problem.status if problem else HTTPStatus.OK)
    if fresh:
        answer["Cache-Control"] = "no-store"
    return answer
