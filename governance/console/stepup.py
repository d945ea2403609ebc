"""Step-up: what weighs most is done only by somebody who proved at most five minutes ago who they are.

Whoever has a second factor proves it with that; others with their password, or at the company's sign-in, which must
then ask anew and say when it did.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows import login, reauthentication
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.httpkit import deserialize_request, serialize_request
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import resolve, reverse
from django.utils.http import urlencode

from entitlements.errors import DomainError

COMPANY = "socialaccount"
"""What allauth calls a sign-in at the company."""
_ASIDE = reauthentication.STATE_SESSION_KEY


class SignInAgain(DomainError):
    """Your sign-in is too old for this; sign out, and in again."""

    code, status = "step_up_required", HTTPStatus.FORBIDDEN


def has_second_factor(person: Any) -> bool:  # noqa: ANN401 - a person, or a stranger
    """Whether somebody has an authenticator app or a passkey; recovery codes alone are none."""
    types = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    return bool(Authenticator.objects.filter(user_id=person.pk, type__in=types).exists())


def is_fresh(request: HttpRequest) -> bool:
    """Whether the person proved who they are within the last five minutes, by the strongest means they have."""
    strong = has_second_factor(request.user)
    proofs = [proof for proof in login.get_authentication_records(request, request.user) if _counts(proof, strong)]
    newest = max((float(proof["at"]) for proof in proofs), default=0.0)
    return time.time() - newest < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def _counts(proof: Mapping[str, Any], strong: bool) -> bool:  # noqa: FBT001 - two lines below its use
    """Whether a proof is good enough. The company's session may be hours old: only a sign-in asked for anew counts."""
    if strong:
        return bool(proof["method"] == "mfa")
    return proof["method"] != COMPANY or bool(proof.get("reauthenticated"))


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
