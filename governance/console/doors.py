"""The door of every page: who is there, may she, and each refusal recorded once after its transaction is gone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Concatenate, Final

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import resolve
from django.utils.http import url_has_allowed_host_and_scheme

from audit.draft import BadEvent
from audit.redaction import Unrepresentable
from entitlements import strict
from entitlements.access import caller as callers
from entitlements.access import reauthentication
from entitlements.access.caller import Caller
from entitlements.api import permissions, problems
from entitlements.api.matrix import Row
from entitlements.errors import DomainError, Forbidden, Malformed, NotFound
from entitlements.people.models import Person

from . import matrix

type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
"""A view; `page` makes doors of them."""

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
    """Ask the page's row, and for a fresh proof where all that it does asks for one. Raises Forbidden."""
    row = matrix.find(*_named(request)).row
    if not permissions.lets_in(row, caller(request)):
        raise Forbidden
    if row.needs_proof():
        reauthentication.demand(request)


def _named(request: HttpRequest) -> tuple[str, str]:
    """Name the page by its address: a form that goes on after a fresh proof has the match of whoever asked for that."""
    return resolve(request.path_info).view_name, str(request.method)


def _check_text(request: HttpRequest, *parts: object) -> None:
    """Refuse what the database cannot hold, in what was sent, its names and the names of files. Raises Malformed."""
    files = [file.name for _name, sent in request.FILES.lists() for file in sent]
    if not strict.is_storable([*request.GET.lists(), *request.POST.lists(), *files, *parts]):
        raise Malformed


def person(request: HttpRequest) -> Person:
    """Return the person who is signed in. Raises Forbidden for a stranger, whom the middleware lets nowhere near."""
    if not isinstance(request.user, Person):
        raise Forbidden
    return request.user


def caller(request: HttpRequest) -> Caller:
    """Return the person as the API's rules see her, with the roles of this moment; read once a request."""
    found: Caller | None = getattr(request, "_caller", None)
    if found is None:
        found = callers.of(person(request))
        request._caller = found  # type: ignore[attr-defined]  # noqa: SLF001 - our own note on the request
    return found


def about(request: HttpRequest, *links: str) -> None:
    """Remember what a refusal of this request would be about; what can be nobody's name finds nothing."""
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
    told = {"problem": refusal, "code": refusal.code, "back": back(request)}
    return render(request, template, told, status=refusal.status)


def back(request: HttpRequest, otherwise: str = "/") -> str:
    """Return where to go after this: a path of ours that the form named, else `otherwise`."""
    named = request.POST.get("next", "") or request.GET.get("next", "")
    safe = named.startswith("/") and url_has_allowed_host_and_scheme(named, allowed_hosts=None)
    return named if safe else otherwise


def find[M: Model](rows: QuerySet[M], **key: object) -> M:
    """Find one of the rows that somebody may see. Raises NotFound: what is not yours is not there."""
    found = rows.filter(**key).first()
    if found is None:
        raise NotFound
    return found


def row(name: str, method: str = "POST") -> Row:
    """Return the API's row for a change: the console asks the same matrix."""
    return matrix.API[name, method]


def may(who: Caller, name: str, thing: object, method: str = "POST") -> bool:
    """Whether somebody may do this to a thing; for showing a button or leaving it out."""
    try:
        permissions.permit(who, row(name, method), thing)
    except Forbidden:
        return False
    return True


def permit(request: HttpRequest, name: str, thing: object, method: str = "POST") -> None:
    """Go on only when the API would let the person do this to the thing. Raises Forbidden.

    Only rows that the page names in the console's matrix can be asked: else NotDeclared, which closes the page.
    """
    permissions.permit(caller(request), matrix.asked(*_named(request), (name, method)), thing)


def prove(request: HttpRequest, name: str, method: str = "POST", *, weighs: bool = False) -> None:
    """Ask for a fresh proof where the API's row of this act does. Raises as reauthentication.demand."""
    if matrix.asked(*_named(request), (name, method)).needs_proof(weighs=weighs):
        reauthentication.demand(request)


def reason(request: HttpRequest) -> str:
    """Return the reason that a form gives, cut to what a row holds."""
    return request.POST.get("reason", "").strip()[:500]


def number(text: str, digits: int = 18) -> int:
    """Return the whole number that a form sent; -1 where it is none, or none that a row holds."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else -1


def done(request: HttpRequest, sentence: Any) -> None:  # noqa: ANN401 - a lazy translation
    """Say on the next page what happened."""
    messages.success(request, sentence)
