"""Commands that local servers are started by: the list, a proposal, and its confirmation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import visibility
from entitlements.people.models import Person
from entitlements.stdio_commands import actions
from entitlements.stdio_commands.models import StdioCommand
from governance.console import doors, form_fields
from governance.stdio_commands import queries
from governance.stdio_commands.pages import forms

_MOST_SHOWN: Final = 100
_FIELDS: Final = {
    "stdio_command_proposed_already": "name",
    "stdio_command_unchanged": "digest",
    "stdio_command_files_refused": "folder",
    "stdio_command_sandbox_needs_admins": "without",
}


@dataclass(frozen=True, slots=True)
class ShownCommand:
    """A command, its terms in words, and what the person at the page may do."""

    row: StdioCommand
    terms: list[queries.ShownTerm]
    may_confirm: bool = False
    may_withdraw: bool = False
    may_end: bool = False


@dataclass(frozen=True, slots=True)
class CommandsPage:
    """What the list shows."""

    proposed: list[ShownCommand]
    in_force: list[ShownCommand]
    may_propose: bool
    nodes: list[queries.Held]


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """Show which commands are in force, and what waits for a second person."""
    caller, me = doors.caller(request), doors.person(request)
    rows = visibility.stdio_commands(caller)
    current = {row.name: row for row in queries.in_force(rows)[:_MOST_SHOWN]}
    shown = CommandsPage(
        proposed=[
            _proposed(request, row, current.get(row.name), me) for row in queries.open_proposals(rows)[:_MOST_SHOWN]
        ],
        in_force=[
            ShownCommand(row, queries.shown_terms(row), may_end=doors.may(caller, "stdio-command-end", row))
            for row in current.values()
        ],
        may_propose=doors.may(caller, "stdio-commands", None),
        nodes=queries.nodes(),
    )
    return render(request, "console/stdio_commands/commands.html", {"shown": shown})


def _proposed(request: HttpRequest, row: StdioCommand, current: StdioCommand | None, me: Person) -> ShownCommand:
    caller = doors.caller(request)
    return ShownCommand(
        row,
        queries.shown_terms(row, current),
        may_confirm=row.proposed_by != me and doors.may(caller, "stdio-command-confirm", row),
        may_withdraw=doors.may(caller, "stdio-command-withdraw", row),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def propose(request: HttpRequest) -> HttpResponse:
    """Propose a command, or with `of` other terms for one in force; another person confirms it."""
    initial: dict[str, Any] | None = None
    if of := request.GET.get("of"):
        found = visibility.stdio_commands(doors.caller(request)).filter(name=of)
        initial = forms.initial(of, row.terms) if (row := queries.in_force(found).first()) else {"name": of}
    form = forms.CommandForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form_fields.perform(request, form, actions.PROPOSE, fields=_FIELDS):
        return redirect("stdio-commands-page")
    return form_fields.show(request, "console/stdio_commands/propose.html", form, {"of": of})


BUTTONS: Final = {"confirm": actions.CONFIRM, "withdraw": actions.WITHDRAW, "end": actions.END}


@require_POST
@doors.page
def decide(request: HttpRequest, command: UUID) -> HttpResponse:
    """Confirm or withdraw a proposal, or end a command."""
    found = doors.find_subject(request, actions.COMMAND, command)
    doors.perform(request, doors.pressed(request, BUTTONS), found)
    return redirect("stdio-commands-page")
