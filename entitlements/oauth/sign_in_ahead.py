"""A sign-in at our pages that leads on to a client: it belongs to the trace of what the client does with it.

The browser session keeps the trace of its newest sign-in, so that a client to which the person agrees later is linked.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, urlsplit

from django.http import HttpRequest
from django.urls import Resolver404, resolve

from entitlements.edge.sign_in import sign_in_traces
from entitlements.people import sign_ins
from entitlements.people.models import Person
from entitlements.traces import trace_context

_KEPT: Final = "sign_in_trace"


def trace(request: HttpRequest, person: Person, onward: str) -> str:
    """Return the trace of a sign-in that leads to an authorization page, as that page names it; empty for another.

    `onward` is the address to which the browser is led.
    """
    address = urlsplit(onward)
    try:
        view = resolve(address.path).func
    except Resolver404:
        return ""
    clients = parse_qs(address.query).get("client_id", [])
    is_of_client = getattr(getattr(view, "view_class", None), "is_of_client", False)
    return at_client(request, person, clients[0]) if is_of_client and len(clients) == 1 else ""


def at_client(request: HttpRequest, person: Person, client_id: str) -> str:
    """Return the trace of a person's newest sign-in in this browser session at a client; empty without one."""
    at = sign_ins.signed_in_at(request)
    return "" if at is None or not client_id else sign_in_traces.at_our_pages(person.login, at, client_id)


def keep(request: HttpRequest, of_sign_in: str) -> None:
    """Let the browser session know the trace of its newest sign-in."""
    request.session[_KEPT] = of_sign_in


def kept(request: HttpRequest) -> str:
    """Return the trace of the newest sign-in of a browser session; empty where it is not known."""
    found = request.session.get(_KEPT, "")
    return str(found) if trace_context.is_trace(found) else ""
