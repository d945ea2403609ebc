"""Step-up authentication: the weightiest actions need an authentication at most five minutes old.

A person with a second factor uses it; others use their password, or the company's sign-in, which must then ask for
credentials again and return the time.
"""

from __future__ import annotations

from allauth.account.internal.flows import reauthentication
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.httpkit import deserialize_request, serialize_request
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import resolve
from django.utils.http import urlencode

from entitlements.access.fresh_proof import SignInAgain, has_second_factor, is_fresh
from entitlements.people import sign_ins
from entitlements.people.sign_ins import COMPANY

__all__ = ("COMPANY", "SignInAgain", "demand", "go_on", "has_second_factor", "is_fresh")
_ASIDE = reauthentication.STATE_SESSION_KEY


def demand(request: HttpRequest) -> None:
    """Demand a fresh authentication; else hold the request, let the person re-authenticate, and send it again.

    Raises ImmediateHttpResponse, which leads there, and SignInAgain for a person who has no way to re-authenticate.
    """
    if is_fresh(request):
        return
    where, path = sign_ins.where_to_prove(request), request.get_full_path()
    if where is None:
        raise SignInAgain
    request.session.pop(_ASIDE, None)
    if request.method == "POST":
        request.session[_ASIDE], path = {"request": serialize_request(request)}, request.path
    raise ImmediateHttpResponse(redirect(f"{where}?{urlencode({'next': path})}"))


def go_on(request: HttpRequest, onward: str) -> HttpResponse:
    """Send the held request again after the re-authentication; without any, redirect."""
    aside = request.session.pop(_ASIDE, None)
    if not aside or "request" not in aside:
        return redirect(onward)
    kept = deserialize_request(aside["request"], request)
    match = resolve(kept.path)
    answer: HttpResponse = match.func(kept, *match.args, **match.kwargs)
    return answer
