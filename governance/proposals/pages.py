"""Changes that need two people: what waits for the second, and how it is confirmed or withdrawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from entitlements.access import visibility
from entitlements.catalog import class_proposals
from entitlements.catalog.models import Tool
from entitlements.definitions import tool_class
from entitlements.errors import DomainError
from entitlements.people.models import Person
from entitlements.proposals import actions, proposals
from entitlements.proposals.models import Proposal
from governance.console import doors
from governance.sod.check import ClassingCompletes
from governance.sod.queries import LABELS as FLOWS

_MOST: Final = 100
_OVER: Final = 20
BUTTONS: Final = {"confirm": actions.CONFIRM, "withdraw": actions.WITHDRAW}
_LABELS: Final = {
    "action": gettext_lazy("Action"),
    "risk": gettext_lazy("Risk level"),
    "data_class": gettext_lazy("Data class"),
    **FLOWS,
}
_WORDS: Final[dict[object, Any]] = {
    None: gettext_lazy("undecided"),
    True: gettext_lazy("yes"),
    False: gettext_lazy("no"),
}


@dataclass(frozen=True, slots=True)
class ShownProposal:
    """A proposal with what it is about, what it changes in words, and what the person at the page may do."""

    row: Proposal
    label: Any
    name: str
    address: str
    terms: list[tuple[Any, str, str]]
    may_confirm: bool = False
    may_withdraw: bool = False
    is_own: bool = False
    problem: DomainError | None = None


def shown(request: HttpRequest, rows: Iterable[Proposal], problem: DomainError | None = None) -> list[ShownProposal]:
    """Return proposals as a page shows them; `problem` is why the one that was answered was refused."""
    caller, me, rows = doors.caller(request), doors.person(request), list(rows)
    logins = [row.subject.removeprefix("person:") for row in rows]
    people = dict(Person.objects.filter(login__in=logins).values_list("login", "name"))
    result = []
    for row in rows:
        kind, _colon, name = row.subject.partition(":")
        waits, own = row.state == Proposal.State.PROPOSED, proposals.is_own(row, me)
        result.append(
            ShownProposal(
                row,
                proposals.KINDS[row.kind].label,
                people.get(name, name) if kind == "person" else name,
                reverse(f"{kind}-page", args=name.split("/", 1)),
                _terms(row),
                may_confirm=waits and not own and doors.may(caller, "change-proposal-confirm", row),
                may_withdraw=waits and doors.may(caller, "change-proposal-withdraw", row),
                is_own=own,
                problem=problem,
            )
        )
    return result


def about_tools(request: HttpRequest, tools: Iterable[Tool]) -> list[ShownProposal]:
    """Return what waits for a second person about these tools."""
    return about(request, [class_proposals.subject(tool) for tool in tools])


def about(request: HttpRequest, subjects: Iterable[str]) -> list[ShownProposal]:
    """Return what waits for a second person about these subjects, named as in the audit log."""
    rows = visibility.proposals(doors.caller(request)).filter(state=Proposal.State.PROPOSED, subject__in=subjects)
    return shown(request, rows.order_by("proposed_at", "id"))


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """Show what waits for a second person, the oldest first, and what was answered lately."""
    rows = visibility.proposals(doors.caller(request))
    waits = rows.filter(state=Proposal.State.PROPOSED).order_by("proposed_at", "id")
    over = rows.exclude(state=Proposal.State.PROPOSED).order_by("-ended_at", "-id")
    found = {"proposals": shown(request, waits[:_MOST]), "over": shown(request, over[:_OVER])}
    return render(request, "console/proposals/proposals.html", found)


@require_POST
@doors.page
def decide(request: HttpRequest, proposal: UUID) -> HttpResponse:
    """Confirm or withdraw; what follows from it and is not accepted yet is shown first."""
    row = doors.find_subject(request, actions.PROPOSAL, proposal)
    action = doors.pressed(request, BUTTONS)
    values = {"accept": request.POST.get("combinations", "")} if action is actions.CONFIRM else None
    try:
        doors.perform(request, action, row, values)
    except ClassingCompletes as refusal:
        doors.record(request, refusal)
        found = {"proposals": shown(request, [row], refusal), "over": []}
        return render(request, "console/proposals/proposals.html", found, status=HTTPStatus.CONFLICT)
    return redirect(doors.back(request, reverse("change-proposal-list")))


def _terms(row: Proposal) -> list[tuple[Any, str, str]]:
    """Return each field that changes: its label, its value before, and after."""
    before, after = row.terms.get("from", {}), row.terms.get("to", {})
    changed = [name for name in tool_class.FIELDS if before.get(name) != after.get(name)]
    return [(_LABELS[name], _word(before[name]), _word(after[name])) for name in changed]


def _word(value: object) -> str:
    return value if isinstance(value, str) else str(_WORDS[value])
