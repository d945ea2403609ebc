"""Step-up: what weighs most is done only by somebody who proved at most five minutes ago who they are.

Whoever has a second factor proves it with that; others with their password, or at the company's sign-in, which must
then ask anew and say when it did.
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
    """Go on only with a fresh proof; else what was sent is put aside, the person proves it, and it is sent again.

    Raises ImmediateHttpResponse, which leads there, and SignInAgain for a person who has no way to prove it.
    """
    if is_fresh(request):
        return
    where, path = sign_ins.reauthentication_url(request), request.get_full_path()
    if where is None:
        raise SignInAgain
    request.session.pop(_ASIDE, None)
    if request.method == "POST":
        request.session[_ASIDE], path = {"request": serialize_request(request)}, request.path
    raise ImmediateHttpResponse(redirect(f"{where}?{urlencode({'next': path})}"))


def go_on(request: HttpRequest, onward: str) -> HttpResponse:
    """Send again what was put aside, now that the proof is there; without any, lead on."""
    aside = request.session.pop(_ASIDE, None)
    if not aside or "request" not in aside:
        return redirect(onward)
    kept = deserialize_request(aside["request"], request)
    found = resolve(kept.path)
    answer: HttpResponse = found.func(kept, *found.args, **found.kwargs)
    return answer
