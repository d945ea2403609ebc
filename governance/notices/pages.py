"""The inbox, the mail preferences, and for administrators the list of mails."""

from __future__ import annotations

from typing import Any, Final, cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from governance.chat.models import ChatConnection
from governance.console import doors, form_fields, paging
from governance.mail import outbox, preferences
from governance.notices import actions
from governance.notices.models import Delivery, Kind, Notice, NoticeSettings

_FIELDS: Final = {
    "unknown_time_zone": "time_zone",
    "bad_hours": "quiet_from",
    "cannot_be_switched_off": "not_mailed",
}
_LABELS: Final = {
    Kind.REQUEST_DECIDED: gettext_lazy("A request of mine was decided or narrowed"),
    Kind.GRANT_REVOKED: gettext_lazy("Access was revoked"),
    Kind.AGENT_STOPPED: gettext_lazy("An agent of mine was suspended"),
    Kind.TOOL_QUARANTINED: gettext_lazy("A tool changed and was quarantined"),
    Kind.OFFICE_PROPOSED: gettext_lazy("Ownership of an agent is proposed to me"),
    Kind.DELEGATED: gettext_lazy("Out-of-office delegates"),
    Kind.EMERGENCY: gettext_lazy("Break-glass access was given"),
    Kind.REVIEW_WAITING: gettext_lazy("An access review waits for me"),
}
"""The words of the console for kinds whose stored label is older than the vocabulary."""
_HOURS: Final = [(hour, f"{hour:02}:00") for hour in range(24)]


class SettingsForm(forms.Form):
    """A person's mail preferences."""

    time_zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        max_length=64,
        widget=forms.TextInput(attrs={"list": "zones", "autocapitalize": "none", "spellcheck": "false"}),
    )
    digest_hour = forms.TypedChoiceField(label=gettext_lazy("Mail of the day at"), choices=_HOURS, coerce=int)
    quiet_from = forms.TypedChoiceField(
        label=gettext_lazy("Quiet from"),
        choices=[("", gettext_lazy("never")), *_HOURS],
        coerce=int,
        empty_value=None,
        required=False,
        help_text=gettext_lazy("Urgent mail waits for the end of quiet hours, unless it is about safety."),
    )
    quiet_until = forms.TypedChoiceField(
        label=gettext_lazy("Quiet until"),
        choices=[("", gettext_lazy("never")), *_HOURS],
        coerce=int,
        empty_value=None,
        required=False,
    )
    not_mailed = forms.MultipleChoiceField(
        label=gettext_lazy("Do not mail me these notices"),
        choices=[(kind.value, _LABELS.get(kind, kind.label)) for kind in Kind if kind not in preferences.SAFETY],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=gettext_lazy("All notices are in your inbox. Safety notices are always mailed."),
    )
    chat_off = forms.MultipleChoiceField(
        label=gettext_lazy("Do not message me in"),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=gettext_lazy("What waits for your decision is messaged to you here as well."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's signature
        super().__init__(*args, **kwargs)
        connected = [(each.service, each.get_service_display()) for each in ChatConnection.objects.order_by("service")]
        cast("forms.MultipleChoiceField", self.fields["chat_off"]).choices = connected
        if not connected:
            del self.fields["chat_off"]


@require_safe
@doors.page
def inbox(request: HttpRequest) -> HttpResponse:
    """List the person's notices, the newest first. Opening the page changes nothing."""
    rows = Notice.objects.filter(person=doors.person(request))
    unread = request.GET.get("show") == "unread"
    if unread:
        rows = rows.filter(read_at=None)
    context = {"page": paging.page(request, rows, ("-made_at", "-id")), "unread": unread, "all": not unread}
    return render(request, "console/notices/list.html", context)


@require_safe
@doors.page
def open_notice(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Go to the page of one of the person's notices. Messages link here, since a page's address may hold a name."""
    return redirect(doors.find(Notice.objects.filter(person=doors.person(request)), pk=pk).url)


read = doors.post(actions.READ, lambda _notice: "/inbox/")


@require_POST
@doors.page
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark all notices as read."""
    doors.perform(request, actions.READ_ALL, None)
    return redirect("/inbox/")


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def settings(request: HttpRequest) -> HttpResponse:
    """Show and change the person's mail preferences."""
    person = doors.person(request)
    chosen = preferences.for_person(person)
    form = SettingsForm(request.POST) if request.method == "POST" else SettingsForm(initial=_initial(chosen))
    if request.method == "POST":
        changed = form_fields.submit(
            request, form, lambda values: preferences.change(person, **values, by=person.principal), _FIELDS
        )
        if changed is not None:
            messages.success(request, _("Saved."))
            return redirect("/settings/notices/")
    context = {
        "person": person,
        "came_back": bool(chosen.bad_address) and chosen.bad_address == person.email,
        "is_mailed": outbox.is_on(),
        "zones": sorted(preferences.zones()),
    }
    return form_fields.show(request, "console/notices/settings.html", form, context)


def _initial(chosen: NoticeSettings) -> dict[str, Any]:
    return {name: getattr(chosen, name) for name in SettingsForm.base_fields}


@require_safe
@doors.page
def deliveries(request: HttpRequest) -> HttpResponse:
    """List mails, the newest first."""
    rows = Delivery.objects.select_related("person")
    state = request.GET.get("state", "")
    if state in Delivery.State.values:
        rows = rows.filter(state=state)
    context = {
        "page": paging.page(request, rows, ("-made_at", "-id")),
        "states": Delivery.State.choices,
        "state": state,
        "is_mailed": outbox.is_on(),
    }
    return render(request, "console/notices/deliveries.html", context)


replay = doors.post(actions.REPLAY, lambda _delivery: "/settings/deliveries/")
