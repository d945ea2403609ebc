"""Step-up: what weighs most is done only by somebody who proved at most five minutes ago who they are.

Whoever has a second factor proves it with that; others with their password, or at the company's sign-in, which must
then ask anew and say when it did.
"""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows import reauthentication
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.httpkit import deserialize_request, serialize_request
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import resolve, reverse
from django.utils.http import urlencode

from entitlements.api.proving import COMPANY, SignInAgain, has_second_factor, is_fresh

__all__ = ("COMPANY", "SignInAgain", "demand", "go_on", "has_second_factor", "is_fresh")
_ASIDE = reauthentication.STATE_SESSION_KEY


def demand(request: HttpRequest) -> None:
    """Go on only with a fresh proof; else what was sent is put aside, the person proves it, and it is sent again.

    Raises ImmediateHttpResponse, which leads there, and SignInAgain for a person who has no way to prove it.
    """
    if is_fresh(request):
        return
    ways = get_adapter().get_reauthentication_methods(request.user)
    if not ways and not settings.OIDC_ISSUER:
        raise SignInAgain
    where, path = (ways[0]["url"] if ways else reverse("company_again")), request.get_full_path()
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
