"""The pages of connected accounts: connect one's own, come back from the vendor, and see all those at a system."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from entitlements.access import visibility
from entitlements.catalog.actions import SYSTEM
from entitlements.catalog.models import System
from entitlements.connected_accounts import accounts, actions, connect, rules
from entitlements.connected_accounts.errors import AccountsNotUsed
from entitlements.connected_accounts.models import ConnectedAccount
from entitlements.errors import Malformed, NotFound
from entitlements.people.models import Person
from governance.connected_accounts import queries
from governance.console import doors


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def own(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a person's own account at a system, and which agents may use it; connect one, or change who may."""
    person, system = doors.person(request), _system(request, slug)
    doors.about(request, f"system:{system.slug}", f"person:{person.login}")
    shown = queries.latest(system, person)
    if request.method != "POST":
        return _own_page(request, shown, person)
    chosen = [_pair(each) for each in request.POST.getlist("client")]
    match request.POST.get("verb"):
        case "connect":
            address = connect.begin(system, chosen, by=person, browser=_browser(request))
            context = {"system": system, "address": address, "host": urlsplit(address).netloc}
            return render(request, "console/connected_accounts/leave.html", context)
        case "save" if shown.account is not None:
            accounts.choose_clients(shown.account.pk, chosen, by=person)
            messages.success(request, _("Saved. Other agents cannot use your account."))
            return redirect("connected-account-page", system.slug)
    raise Malformed


@require_GET
@doors.page
def callback(request: HttpRequest, slug: str, token: str) -> HttpResponse:  # noqa: ARG001 - both are in the path
    """Take the answer that the browser brings from a system's authorization server; it is used up whatever it says."""
    person = doors.person(request)
    doors.about(request, f"person:{person.login}")
    query = {name: request.GET.getlist(name) for name in request.GET}
    account = connect.finish(rules.read_answer(query, request.path, _browser(request), person.pk), by=person)
    messages.success(request, _("Your account at %(system)s is connected.") % {"system": account.system.name})
    return redirect("connected-account-page", account.system.slug)


@require_safe
@doors.page
def at_system(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the accounts that people have connected at a system, to its owner and to who sees everything."""
    system, caller = doors.find_subject(request, SYSTEM, slug), doors.caller(request)
    if not caller.sees_everything and system.owner_id != doors.person(request).pk:
        raise NotFound
    rows, named = visibility.connected_accounts(caller), request.GET.get("q", "").strip()[:100]
    found = queries.open_at(rows, system, named)
    context: dict[str, Any] = {
        "system": system,
        "accounts": list(found[: queries.MOST_SHOWN]),
        "count": found.count(),
        "named": named,
        "ended": queries.ended_at(rows, system),
        "may_end": doors.may(caller, actions.END.address, system),
    }
    return render(request, "console/connected_accounts/at_system.html", context)


def _after(account: ConnectedAccount) -> str:
    return f"/connected-accounts/{account.system.slug}/"


end = doors.post(actions.END, _after)


def _own_page(request: HttpRequest, shown: queries.SystemAccount, person: Person) -> HttpResponse:
    chosen = [(each.client_id, each.agent_id) for each in shown.consents]
    context: dict[str, Any] = {
        "system": shown.system,
        "shown": shown,
        "account": shown.account,
        "offered": queries.offered(shown.system, person, chosen),
    }
    return render(request, "console/connected_accounts/own.html", context)


def _system(request: HttpRequest, slug: str) -> System:
    """Return a system at which the person may have an account, or has one. Raises NotFound, AccountsNotUsed."""
    person = doors.person(request)
    seen = {each.system.slug: each.system for each in queries.of_person(person)}
    if slug in seen:
        return seen[slug]
    if visibility.systems(doors.caller(request)).filter(slug=slug).exists():
        raise AccountsNotUsed(_("No agent with access to this system acts for you, or it is called without accounts."))
    raise NotFound


def _browser(request: HttpRequest) -> str:
    """Return the secret name of the browser's session."""
    return str(request.session.session_key or "")


def _pair(text: str) -> tuple[int, int]:
    client, _colon, agent = text.partition(":")
    return doors.number(client), doors.number(agent)
