"""The settings of chat services: connect one, show or hide names, send yourself a test, disconnect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from entitlements.api.actions import Action
from entitlements.errors import DomainError
from governance.chat import actions
from governance.chat.models import ChatConnection
from governance.console import doors, form_fields

_FIELDS: Final = {"wrong_chat_token": "bot_token"}
BUTTONS: Final = {"names": actions.NAMES, "test": actions.TEST, "disconnect": actions.DISCONNECT}


def _secret(label: Any, help_text: Any = "", *, required: bool = True) -> forms.CharField:  # noqa: ANN401 - later texts
    shown = forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    longest = actions.LONGEST_TOKEN
    return forms.CharField(label=label, max_length=longest, widget=shown, help_text=help_text, required=required)


class SlackForm(forms.Form):
    """The tokens of a Slack app."""

    bot_token = _secret(
        gettext_lazy("Bot token"),
        gettext_lazy("Begins with xoxb-. From OAuth & Permissions, after the app is installed."),
    )
    app_token = _secret(
        gettext_lazy("App-level token"),
        gettext_lazy(
            "Begins with xapp-, with the scope connections:write. For Socket Mode: /mandate and the app's home."
        ),
        required=False,
    )


class TeamsForm(forms.Form):
    """The bot of a Teams app."""

    app_id = forms.UUIDField(
        label=gettext_lazy("Application (client) ID"),
        help_text=gettext_lazy("Of the app registration in Microsoft Entra that the bot uses."),
    )
    tenant = forms.UUIDField(label=gettext_lazy("Directory (tenant) ID"))
    secret = _secret(gettext_lazy("Client secret"))


CONNECT: Final[Mapping[str, tuple[type[forms.Form], Action]]] = {
    ChatConnection.Service.SLACK: (SlackForm, actions.CONNECT_SLACK),
    ChatConnection.Service.TEAMS: (TeamsForm, actions.CONNECT_TEAMS),
}


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def settings(request: HttpRequest) -> HttpResponse:
    """Show the chat services, connect one, or act on one."""
    made = {service: form_class() for service, (form_class, _action) in CONNECT.items()}
    form, problem, verb = made[ChatConnection.Service.SLACK], None, request.POST.get("verb", "")
    if verb in CONNECT:
        form_class, connect = CONNECT[verb]
        made[verb] = form = form_class(request.POST)
        if form_fields.perform(request, form, connect, fields=_FIELDS):
            return redirect(reverse("chat-settings"))
    elif request.method == "POST":
        try:
            action = doors.pressed(request, BUTTONS)
            row = doors.find_subject(request, actions.CONNECTION, request.POST.get("service", ""))
            doors.perform(request, action, row)
            return redirect(reverse("chat-settings"))
        except DomainError as refusal:
            doors.record(request, refusal)
            problem = refusal
    connected = {each.service: each for each in ChatConnection.objects.all()}
    services = [
        {"service": service, "connection": connected.get(service), "form": made[service]}
        for service in ChatConnection.Service
    ]
    answer = form_fields.show(request, "console/chat/settings.html", form, {"services": services, "problem": problem})
    if problem is not None:
        answer.status_code = problem.status
    return answer
