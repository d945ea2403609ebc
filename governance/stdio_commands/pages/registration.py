"""Registering a system that is started by a command of the allow-list."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from entitlements.access import visibility
from entitlements.catalog import actions as catalog
from entitlements.catalog.models import System
from governance.console import doors, form_fields
from governance.stdio_commands import queries
from governance.trusted_issuers.pages.forms import Lines

SHARING: Final = (
    ("", gettext_lazy("As the command says")),
    ("own", gettext_lazy("One process for each agent and person")),
    ("shared", gettext_lazy("One process for all callers, where the command allows it")),
)
_RESERVED: Final = frozenset({"add", "import"})
_FIELDS: Final = {
    "system_slug_taken": "slug",
    "system_malformed": "slug",
    "stdio_command_unknown": "command",
    "stdio_command_malformed": "args",
    "unknown_person": "owner",
    "self_appointment": "owner",
}


class LocalServerForm(forms.Form):
    """A new system, and what it is started by."""

    command = forms.ChoiceField(
        label=gettext_lazy("Command"),
        help_text=gettext_lazy("One that is in force. It runs in a sandbox on the machines of the gateway."),
    )
    args = Lines(
        label=gettext_lazy("Arguments"),
        help_text=gettext_lazy("One a line. They follow the command's own."),
    )
    sharing = forms.ChoiceField(
        label=gettext_lazy("Sharing"),
        choices=SHARING,
        required=False,
        widget=forms.RadioSelect,
        help_text=gettext_lazy("Callers who share a process share what it keeps in memory and in its scratch folder."),
    )
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    slug = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,62}\Z",
        label=gettext_lazy("Short name"),
        max_length=63,
        required=False,
        help_text=gettext_lazy("Part of its address, so it cannot change. Leave it empty to make it from the name."),
    )
    owner = form_fields.PersonField(
        label=gettext_lazy("Owner"), help_text=gettext_lazy("The person who approves access to it.")
    )

    def __init__(self, *args: Any, commands: list[str], **kwargs: Any) -> None:  # noqa: ANN401 - the framework's
        super().__init__(*args, **kwargs)
        self.fields["command"] = forms.ChoiceField(
            label=self.fields["command"].label,
            help_text=self.fields["command"].help_text,
            choices=[(name, name) for name in commands],
        )

    def clean(self) -> dict[str, Any]:
        """Make the short name, and say of sharing what the action takes."""
        data = super().clean() or {}
        slug = data.get("slug") or slugify(data.get("name", ""))[:63].strip("-")
        if not {"slug", "name"} & self.errors.keys() and (not slug or slug in _RESERVED):
            self.add_error("slug", forms.ValidationError(_("Choose another short name."), "system_malformed"))
        shared = {"own": False, "shared": True}.get(data.pop("sharing", ""))
        return {**data, "slug": slug, "shared": shared, "kind": System.Kind.STDIO}


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest) -> HttpResponse:
    """Register a local server; what it offers is asked for on its own page."""
    caller = doors.caller(request)
    doors.permit(request, "systems", None)
    commands = [row.name for row in queries.in_force(visibility.stdio_commands(caller))]
    form = LocalServerForm(
        request.POST if request.method == "POST" else None,
        commands=commands,
        initial={"owner": doors.person(request).login, "sharing": ""},
    )
    if request.method == "POST":
        created = form_fields.perform(request, form, catalog.REGISTER, fields=_FIELDS)
        if created is not None:
            return redirect(f"/systems/{created.result.slug}/")
    return form_fields.show(request, "console/stdio_commands/system_add.html", form, {"commands": commands})
