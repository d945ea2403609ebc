"""Issuers whose signed assertions are accepted: the list with their keys, a proposal, and its confirmation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import visibility
from entitlements.people.models import Person
from entitlements.trusted_issuers import actions
from entitlements.trusted_issuers.models import IssuerProposal
from governance.console import doors, form_fields
from governance.trusted_issuers import forms, queries

_MOST_SHOWN: Final = 100
_FIELDS: Final = {
    "issuer_malformed": "issuer",
    "issuer_taken": "purpose",
    "issuer_proposed_already": "issuer",
    "issuer_not_discovered": "jwks_uri",
    "issuer_named_otherwise": "issuer",
    "bad_key": "jwks",
    "private_key_given": "jwks",
}


@dataclass(frozen=True, slots=True)
class ShownIssuer:
    """An issuer, its terms or what a proposal changes, its keys, and what the person at the page may do."""

    row: IssuerProposal
    terms: list[queries.ShownTerm]
    keys: queries.ShownKeys | None
    may_confirm: bool
    may_withdraw: bool
    may_end: bool
    may_edit: bool


@dataclass(frozen=True, slots=True)
class IssuersPage:
    """What the list shows."""

    proposed: list[ShownIssuer]
    trusted: list[ShownIssuer]
    may_propose: bool


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """Show who is trusted and on which terms, and what waits for a second person."""
    caller, me = doors.caller(request), doors.person(request)
    rows = visibility.issuer_proposals(caller)
    trusted = list(queries.in_force(rows)[:_MOST_SHOWN])
    keys = queries.keys_of(trusted)
    shown = IssuersPage(
        proposed=[_proposed(request, row, me) for row in queries.open_proposals(rows)[:_MOST_SHOWN]],
        trusted=[_trusted(request, row, keys.get(row.issuer)) for row in trusted],
        may_propose=doors.may(caller, "trusted-issuers", None),
    )
    return render(request, "console/trusted_issuers/issuers.html", {"shown": shown})


def _proposed(request: HttpRequest, row: IssuerProposal, me: Person) -> ShownIssuer:
    caller = doors.caller(request)
    return ShownIssuer(
        row,
        queries.shown_changes(row),
        None,
        may_confirm=row.proposed_by != me and doors.may(caller, "trusted-issuer-confirm", row),
        may_withdraw=doors.may(caller, "trusted-issuer-withdraw", row),
        may_end=False,
        may_edit=False,
    )


def _trusted(request: HttpRequest, row: IssuerProposal, keys: queries.ShownKeys | None) -> ShownIssuer:
    caller = doors.caller(request)
    return ShownIssuer(
        row,
        queries.shown_terms(row),
        keys,
        may_confirm=False,
        may_withdraw=False,
        may_end=doors.may(caller, "trusted-issuer-end", row),
        may_edit=doors.may(caller, "trusted-issuers", None),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def propose(request: HttpRequest) -> HttpResponse:
    """Propose an issuer, or with `of` other terms for one that is trusted; another person confirms it."""
    initial: dict[str, Any] | None = None
    if of := request.GET.get("of"):
        found = visibility.issuer_proposals(doors.caller(request)).filter(issuer=of)
        initial = forms.initial(of, row.terms) if (row := queries.in_force(found).first()) else {"issuer": of}
    form = forms.IssuerForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form_fields.perform(request, form, actions.PROPOSE, fields=_FIELDS):
        return redirect("trusted-issuers-page")
    return form_fields.show(request, "console/trusted_issuers/propose.html", form, {"of": of})


BUTTONS: Final = {"confirm": actions.CONFIRM, "withdraw": actions.WITHDRAW, "end": actions.END}


@require_POST
@doors.page
def decide(request: HttpRequest, issuer: UUID) -> HttpResponse:
    """Confirm or withdraw a proposal, or end an issuer."""
    found = doors.find_subject(request, actions.ISSUER, issuer)
    doors.perform(request, doors.pressed(request, BUTTONS), found)
    return redirect("trusted-issuers-page")
