"""My connections, and the same about another person for those who see everything."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from entitlements.access import visibility
from entitlements.errors import Malformed, NotFound
from entitlements.people.models import Person
from entitlements.revocation import api as revocation_api
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.revocation import Target
from entitlements.token_families.person_sign_ins import PersonClient
from governance.connected_accounts import queries as accounts
from governance.connections import queries
from governance.console import doors

_ONE: Final = frozenset({"token_family", "session"})


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def mine(request: HttpRequest) -> HttpResponse:
    """Show what is connected as the person who looks; end one of it, all at one client, or everything."""
    person = doors.person(request)
    if request.method == "POST":
        ended = _end(request, person)
        return redirect(f"/connections/?ended={ended.pk}#ended")
    return _show(request, person, is_own=True)


@require_safe
@doors.page
def of_person(request: HttpRequest, login: str) -> HttpResponse:
    """Show what is connected as another person; each is ended on the page of its revocation, with a reason."""
    person = doors.find(visibility.people(doors.caller(request)), login=login)
    return _show(request, person, is_own=person == doors.person(request))


def _show(request: HttpRequest, person: Person, *, is_own: bool) -> HttpResponse:
    connected = queries.connected_as(person)
    kind = revocation_api.KINDS[revocation.SIGN_INS]
    context: dict[str, Any] = {
        "person": person,
        "is_own": is_own,
        "clients": connected,
        "count": sum(len(each.connections) for each in connected),
        "may_end": is_own or bool(kind.row.roles & doors.caller(request).roles),
        "ended": _just_ended(request) if is_own else None,
        "accounts": accounts.of_person(person),
        "latest_ended": queries.latest_ended(person),
    }
    return render(request, "console/connections/connections.html", context)


def _end(request: HttpRequest, person: Person) -> Revocation:
    """End what the pressed button names, wait for the nodes, and return the receipt.

    Raises Malformed, NotFound for what is not the person's own, and as `revocation.revoke`.
    """
    kind, _colon, key = request.POST.get("end", "").partition(":")
    if kind in _ONE:
        target = Target(kind, key)
    elif kind == "client" and key:
        target = Target(revocation.SIGN_INS, str(PersonClient(person.login, key)))
    elif kind == "everything":
        target = Target(revocation.SIGN_INS, person.login)
    else:
        raise Malformed
    doors.about(request, f"{kind}:{key}" if kind in _ONE else f"person:{person.login}")
    thing = revocation_api.permitted(doors.caller(request), target)
    if kind in _ONE and thing.person_id != person.pk:
        raise NotFound  # the page of another person's connections asks for a reason
    reason = doors.reason(request) or _("Ended by the person themselves, in My connections.")
    return revocation.revoke(target, by=person.principal, reason=reason, ticket=None)


def _just_ended(request: HttpRequest) -> Revocation | None:
    try:
        pk = UUID(request.GET.get("ended", ""))
    except ValueError:
        return None
    return Revocation.objects.filter(pk=pk, by=str(doors.person(request).principal)).first()
