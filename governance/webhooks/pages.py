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
from governance.webhooks import actions, webhooks
from governance.webhooks.models import Webhook, WebhookMessage
from governance.webhooks.trackers import NO_TRACKER, Tracker

_FIELDS: Final = {
    "webhook_taken": "slug",
    "forbidden_address": "url",
    "unknown_event": "events",
    "tracker_unusable": "credential",
}


class AddForm(forms.Form):
    """A new endpoint."""

    slug = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,63}\Z",
        label=gettext_lazy("Short name"),
        max_length=64,
        help_text=gettext_lazy("Its name in the audit log, so it never changes."),
    )
    form = forms.ChoiceField(
        label=gettext_lazy("Who listens"),
        choices=[
            (Webhook.Form.STANDARD, gettext_lazy("A program, by Standard Webhooks")),
            (Webhook.Form.SLACK, gettext_lazy("A channel in Slack")),
            (Webhook.Form.TEAMS, gettext_lazy("A channel in Microsoft Teams")),
            (Webhook.Form.SERVICENOW, gettext_lazy("ServiceNow: an incident for each event")),
            (Webhook.Form.JIRA, gettext_lazy("Jira: an issue for each event")),
        ],
    )
    url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=2000,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}),
        help_text=gettext_lazy("Starts with https://. It is stored sealed, and only its host is shown again."),
    )
    user = forms.CharField(
        label=gettext_lazy("User at the tracker"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}),
        help_text=gettext_lazy("For ServiceNow and Jira. Leave it empty for a bearer token."),
    )
    credential = forms.CharField(
        label=gettext_lazy("Password or token at the tracker"),
        max_length=2000,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("For ServiceNow and Jira. It is stored sealed and never shown."),
    )
    project = forms.CharField(label=gettext_lazy("Project key in Jira"), max_length=32, required=False)
    issue_type = forms.CharField(label=gettext_lazy("Issue type in Jira"), max_length=60, required=False)
    events = forms.MultipleChoiceField(
        label=gettext_lazy("Events"),
        choices=[(str(event), sentence) for event, sentence in webhooks.EVENTS.items()],
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("It receives this sentence and a link to a page here, without a name or a reason."),
    )


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the action takes; without any field of a tracker, none."""
    tracker = Tracker(**{name: given.pop(name) for name in ("user", "credential", "project", "issue_type")})
    return {**given, "tracker": tracker} if tracker != NO_TRACKER else given


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List the endpoints, and add one; its secret is shown only now."""
    form = AddForm(request.POST) if request.method == "POST" else AddForm()
    if request.method == "POST" and (
        added := form_fields.perform(request, form, actions.ADD, fields=_FIELDS, values=_values)
    ):
        endpoint, secret = added.result
        return _show(request, endpoint, fresh=secret)
    context = {"page": paging.page(request, Webhook.objects.all(), ("slug", "id"))}
    return form_fields.show(request, "console/webhooks/webhooks.html", form, context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def endpoint_page(request: HttpRequest, webhook: str) -> HttpResponse:
    """Show an endpoint and its messages, or act on it."""
    endpoint = doors.find_subject(request, actions.WEBHOOK, webhook)
    if request.method != "POST":
        return _show(request, endpoint)
    try:
        return _act(request, endpoint)
    except DomainError as refusal:
        doors.record(request, refusal)
        return _show(request, endpoint, problem=refusal)


BUTTONS: Final = {
    "rotate": actions.ROTATE,
    "test": actions.TEST,
    "stop": actions.STOP,
    "start": actions.START,
    "replay": actions.REPLAY,
}


def _act(request: HttpRequest, endpoint: Webhook) -> HttpResponse:
    action = doors.pressed(request, BUTTONS)
    row = _message(request, endpoint) if action is actions.REPLAY else endpoint
    performed = doors.perform(request, action, row)
    if action is actions.ROTATE:
        return _show(request, endpoint, fresh=performed.result)
    return redirect(reverse("webhook-page", args=[endpoint.slug]))


def _message(request: HttpRequest, endpoint: Webhook) -> WebhookMessage:
    try:
        key = UUID(request.POST.get("message", ""))
    except ValueError as why:
        raise Malformed from why
    return doors.find(endpoint.messages.select_related("webhook"), pk=key)


def _show(
    request: HttpRequest, endpoint: Webhook, *, fresh: str = "", problem: DomainError | None = None
) -> HttpResponse:
    endpoint.refresh_from_db()
    rows = endpoint.messages.select_related("webhook")
    context: dict[str, Any] = {
        "webhook": endpoint,
        "events": [webhooks.EVENTS[event] for event in endpoint.events if event in webhooks.EVENTS],
        "page": paging.page(request, rows, ("-made_at", "-id")),
        "words": {webhooks.TEST: _("A test"), **webhooks.EVENTS},
        "fresh": fresh if endpoint.form == Webhook.Form.STANDARD else "",
        "problem": problem,
    }
    for message in context["page"].rows:
        message.says = context["words"].get(message.event, message.event)
    answer = render(
        request, "console/webhooks/webhook.html", context, status=problem.status if problem else HTTPStatus.OK
    )
    if fresh:
        answer["Cache-Control"] = "no-store"
    return answer
