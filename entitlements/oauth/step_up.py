"""The sign-in that a client asks for by `acr_values` (OpenID Connect Core 3.1.2.1, RFC 9470), and the way to it.

A sign-in that meets one of the values will do. Where it meets none the person is asked for more on the page that leads
there, and where no page does the client gets an error (OpenID Connect: unmet_authentication_requirements).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Final

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error

from entitlements.authentication import MULTI_FACTOR, PASSWORD, PHISHING_RESISTANT, Authentication
from entitlements.people import sign_ins
from entitlements.session_policies.rules import SignedIn

_LEADS_TO: Final = {
    "reauthenticate": Authentication(PASSWORD),
    "mfa_reauthenticate": Authentication(MULTI_FACTOR),
    "mfa_reauthenticate:webauthn": Authentication(PHISHING_RESISTANT),
}
"""What allauth calls each way to re-authenticate, and what a person who took it has met."""


def requested(request: HttpRequest) -> tuple[str, ...]:
    """Return the contexts that the client asks for, the one it likes best first; none where any will do."""
    return tuple(request.GET.get("acr_values", "").split())


def is_enough(request: HttpRequest) -> bool:
    """Whether this browser session's sign-in is one that the client asks for."""
    asked, signed_in = requested(request), sign_ins.authentication_of(request)
    return not asked or any(signed_in.covers(context) for context in asked)


def address(request: HttpRequest, contexts: Sequence[str]) -> str | None:
    """Return the page on which this person meets one of these contexts; None when they cannot."""
    ways = get_adapter().get_reauthentication_methods(request.user)
    for context in contexts:
        for way in ways:
            if way["id"] in _LEADS_TO and _LEADS_TO[way["id"]].covers(context):
                return str(way["url"])
    return None


def refusal(state: str | None) -> CustomOAuth2Error:
    """Return the error of a person who cannot sign in in any way that is asked for."""
    description = "The person cannot sign in in a way that acr_values names."
    return CustomOAuth2Error("unmet_authentication_requirements", description=description, state=state)


def at_company(request: HttpRequest, contexts: Sequence[str]) -> str | None:
    """Return the page that leads to the company's sign-in, which is then asked for these contexts, once.

    None where there is no such sign-in, or where it was asked and the sign-in since then is still of another context.
    """
    asked, at = request.session.get(sign_ins.CONTEXTS) or ([], 0.0)
    signed_in_at = sign_ins.signed_in_at(request)
    was_answered = asked == [*contexts] and signed_in_at is not None and signed_in_at.timestamp() >= at
    request.session.pop(sign_ins.CONTEXTS, None)
    if was_answered or not settings.OIDC_ISSUER or not contexts:
        return None
    request.session[sign_ins.CONTEXTS] = [[*contexts], float(int(time.time()))]
    return reverse("company_again")


def stated(request: HttpRequest) -> list[SignedIn]:
    """Return what a code may say of how and when the person signed in here, the usual answer first.

    They differ in the context alone: a person who met a strong one also met the weaker ones.
    """
    at, signed_in = sign_ins.signed_in_at(request), sign_ins.authentication_of(request)
    contexts = dict.fromkeys((signed_in.answer(requested(request)), signed_in.own, signed_in.company))
    moment = -math.inf if at is None else float(int(at.timestamp()))
    return [SignedIn(moment, context, frozenset(methods(request))) for context in contexts]


def methods(request: HttpRequest) -> list[str]:
    """Return by which methods the person signed in, as tokens say it."""
    return [method for method in sign_ins.authentication_of(request).methods if method and " " not in method]
