"""The door of every page: it checks who calls and what they may do, and records each refusal after the rollback."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Concatenate, Final
from uuid import UUID

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import resolve
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST
from rest_framework.fields import BooleanField, ChoiceField

from audit.draft import BadEvent
from audit.redaction import Unrepresentable
from entitlements import ratelimits, strict
from entitlements.access import caller as callers
from entitlements.access import reauthentication
from entitlements.access.caller import Caller
from entitlements.api import permissions, problems
from entitlements.api.actions import Action, Performed, Subject
from entitlements.errors import DomainError, Forbidden, Malformed, NotFound, ReasonRequired
from entitlements.people.models import Person, Role
from entitlements.permissions.matrix import Row

from . import matrix, matrix_rows

type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
"""A view; `page` makes doors of them."""

MOST_NAMED: Final = 5
"""How many platform administrators a page names."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def page[**P](view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Make a view a door: a refusal that the view lets through is recorded and shown, with its code."""

    def door(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            _check_text(request, *args, *kwargs.values())
            _come_in(request)
            return view(request, *args, **kwargs)
        except (DomainError, BadEvent, Unrepresentable) as error:
            refusal, _status = problems.translate(error)
            record(request, refusal)
            return refused(request, refusal)

    functools.update_wrapper(door, view)
    return door


def _come_in(request: HttpRequest) -> None:
    """Check the page's row, and demand step-up authentication where its row always does. Raises Forbidden, TooMany."""
    ratelimits.check(ratelimits.PAGES, str(caller(request).principal))
    row = matrix.find(*_named(request)).row
    if not permissions.lets_in(row, caller(request)):
        raise Forbidden
    if row.needs_proof():
        reauthentication.demand(request)


def _named(request: HttpRequest) -> tuple[str, str]:
    """Return the page's name and method. Resolved again: after a step-up, the request has the step-up page's match."""
    return resolve(request.path_info).view_name, str(request.method)


def _check_text(request: HttpRequest, *parts: object) -> None:
    """Refuse text that the database cannot hold, in values, field names and file names. Raises Malformed."""
    files = [file.name for _name, sent in request.FILES.lists() for file in sent]
    if not strict.is_storable([*request.GET.lists(), *request.POST.lists(), *files, *parts]):
        raise Malformed


def person(request: HttpRequest) -> Person:
    """Return the person who is signed in. Raises Forbidden where no person is."""
    if not isinstance(request.user, Person):
        raise Forbidden
    return request.user


def caller(request: HttpRequest) -> Caller:
    """Return the person as the API's rules see them, with their current admin roles; read once a request."""
    known: Caller | None = getattr(request, "_caller", None)
    if known is None:
        known = callers.of(person(request))
        request._caller = known  # type: ignore[attr-defined]  # noqa: SLF001 - our own note on the request
    return known


def about(request: HttpRequest, *links: str) -> None:
    """Remember what a refusal of this request would be about. Links of an impossible form are left out."""
    request._about = [link for link in links if problems.LINK.fullmatch(link)]  # type: ignore[attr-defined]  # noqa: SLF001 - our own note on the request


def record(request: HttpRequest, refusal: DomainError, links: Iterable[str] = ()) -> None:
    """Record a refusal, as the API would. Must run outside the transaction that it ended."""
    about_it = list(links) or list(getattr(request, "_about", ()))
    changes = request.method not in _SAFE
    problems.record(refusal, refusal.status, by=person(request).principal, about=about_it, changes=changes)


def refused(request: HttpRequest, refusal: DomainError) -> HttpResponse:
    """Show a refusal as a page of its own, with its code."""
    known = {HTTPStatus.NOT_FOUND: "404", HTTPStatus.FORBIDDEN: "403"}
    template = f"console/errors/{known.get(refusal.status, 'refused')}.html"
    context = {"problem": refusal, "code": refusal.code, "back": back(request)}
    if isinstance(refusal, Forbidden):
        context |= _missing(request)
    response = render(request, template, context, status=refusal.status)
    if isinstance(refusal, ratelimits.TooMany):
        response["Retry-After"] = str(refusal.wait)
    return response


def _missing(request: HttpRequest) -> dict[str, Any]:
    """Return the admin roles of the page where the person has none of them, and who assigns roles."""
    try:
        page = matrix.find(*_named(request))
    except matrix.NotDeclared:
        return {}
    roles = page.row.roles.union(*(matrix_rows.API[key].roles for key in page.asks))
    if not roles or roles & caller(request).roles:
        return {}
    return {
        "missing_roles": [role.label for role in Role if role in roles],
        "owners_may": bool(page.row.related or page.row.anybody),
        "administrators": list(Person.objects.holding(Role.ADMIN).order_by("name")[:MOST_NAMED]),
    }


def back(request: HttpRequest, otherwise: str = "/") -> str:
    """Return where to go after this: a path of ours that the form named, else `otherwise`."""
    named = request.POST.get("next", "") or request.GET.get("next", "")
    safe = named.startswith("/") and url_has_allowed_host_and_scheme(named, allowed_hosts=None)
    return named if safe else otherwise


def find[M: Model](rows: QuerySet[M], **key: object) -> M:
    """Return one of the rows that the caller may see. Raises NotFound for all others."""
    match = rows.filter(**key).first()
    if match is None:
        raise NotFound
    return match


def row(name: str, method: str = "POST") -> Row:
    """Return the API's row for a change: the console asks the same matrix."""
    return matrix_rows.API[name, method]


def may(who: Caller, name: str, thing: object, method: str = "POST") -> bool:
    """Whether the caller may do this to a thing; decides whether a page shows a button."""
    try:
        permissions.permit(who, row(name, method), thing)
    except Forbidden:
        return False
    return True


def permit(request: HttpRequest, name: str, thing: object, method: str = "POST") -> None:
    """Check that the API would let the person do this to the thing. Raises Forbidden.

    Raises NotDeclared for a row that the page does not name in the console's matrix.
    """
    permissions.permit(caller(request), matrix.api_row(*_named(request), (name, method)), thing)


def require_reauthentication(request: HttpRequest, name: str, method: str = "POST", *, weighs: bool = False) -> None:
    """Ask for a fresh proof where the API's row of this act does. Raises as reauthentication.demand."""
    if matrix.api_row(*_named(request), (name, method)).needs_proof(weighs=weighs):
        reauthentication.demand(request)


def reason(request: HttpRequest) -> str:
    """Return the reason in a form, cut to the length of a column."""
    return request.POST.get("reason", "").strip()[:500]


def ticket(request: HttpRequest) -> str:
    """Return the ticket reference in a form, cut to a little over the length of its column: what is longer fails."""
    return request.POST.get("ticket", "").strip()[:100]


def number(text: str, digits: int = 18) -> int:
    """Return a whole number from a form; -1 where the text is none, or too long for a column."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else -1


def uuid_of(text: str) -> UUID | None:
    """Read an identifier; None where it is none."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def find_subject(request: HttpRequest, subject: Subject, *key: object) -> Any:  # noqa: ANN401 - a row
    """Return the row that an address names, and remember it for a refusal. Raises NotFound where it is not seen."""
    found = find(subject.rows(caller(request)), **subject.key(*key))
    about(request, *subject.about(found))
    return found


def perform(
    request: HttpRequest,
    action: Action,
    row: Any,  # noqa: ANN401 - a row, or None where the action makes one
    values: dict[str, Any] | None = None,
    *,
    say: bool = True,
) -> Performed:
    """Do what a button says to a row, with the values of its form or those given, and `say` so on the next page.

    Raises Forbidden, what re-authentication and `read` raise, and what the action itself refuses.
    """
    if row is not None:
        about(request, *action.subject.about(row))
    permit(request, action.address, action.subject.permitted_on(row), action.method)
    if values is None:
        values = read(request, action)
    require_reauthentication(request, action.address, action.method, weighs=row is not None and action.weighs(row))
    performed = action.perform(row, caller(request), values)
    if say and action.done:
        messages.success(request, performed.sentence)
    return performed


def read(request: HttpRequest, action: Action) -> dict[str, Any]:
    """Read the fields of an action from a form. Text is trimmed and cut to the length of its column.

    Raises ReasonRequired, and Malformed for a choice that is not offered.
    """
    values: dict[str, Any] = {}
    for name, field in (action.input().fields if action.input else {}).items():
        text = request.POST.get(name, "").strip()
        if isinstance(field, BooleanField):
            values[name] = bool(text)
            continue
        if isinstance(field, ChoiceField) and text not in field.choices:
            raise Malformed
        if name == "reason" and not text and field.required and action.reason_in_form:
            raise ReasonRequired
        values[name] = ticket(request) if name == "ticket" else text[: getattr(field, "max_length", None)]
    return values


def pressed(request: HttpRequest, buttons: Mapping[str, Action], name: str = "verb") -> Action:
    """Return the action of the button that was pressed. Raises Malformed where the page has no such button."""
    if (action := buttons.get(request.POST.get(name, ""))) is None:
        raise Malformed
    return action


def post(action: Action, then: Callable[[Any], str]) -> Callable[..., HttpResponseBase]:
    """Make the view of a button: it does the action to the row that the address names, and goes on to `then(row)`."""

    @require_POST
    @page
    def view(request: HttpRequest, /, **key: object) -> HttpResponse:
        row = find_subject(request, action.subject, *key.values())
        perform(request, action, row)
        return redirect(back(request, then(row)))

    view.action = action  # type: ignore[attr-defined]  # what a test reads
    return view
