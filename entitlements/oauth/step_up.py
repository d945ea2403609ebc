"""The sign-in that a client asks for by `acr_values` (OpenID Connect Core 3.1.2.1, RFC 9470), and the way to it.

A sign-in that meets one of the values will do. Where it meets none the person is asked for more on the page that leads
there, and where no page does the client gets an error (OpenID Connect: unmet_authentication_requirements).
"""

from __future__ import annotations

from typing import Final

from allauth.account.adapter import get_adapter
from django.http import HttpRequest
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error

from entitlements.authentication import MULTI_FACTOR, PASSWORD, PHISHING_RESISTANT, Authentication
from entitlements.people import sign_ins

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


def address(request: HttpRequest) -> str | None:
    """Return the page on which this person meets a context that is asked for; None when they cannot."""
    ways = get_adapter().get_reauthentication_methods(request.user)
    for context in requested(request):
        for way in ways:
            if way["id"] in _LEADS_TO and _LEADS_TO[way["id"]].covers(context):
                return str(way["url"])
    return None


def refusal(state: str | None) -> CustomOAuth2Error:
    """Return the error of a person who cannot sign in in any way that is asked for."""
    description = "The person cannot sign in in a way that acr_values names."
    return CustomOAuth2Error("unmet_authentication_requirements", description=description, state=state)


def kept(request: HttpRequest) -> dict[str, str]:
    """Return what the code keeps of how the person signed in: `acr`, and the methods between spaces as `amr`."""
    signed_in = sign_ins.authentication_of(request)
    methods = [method for method in signed_in.methods if method and " " not in method]
    return {"acr": signed_in.answer(requested(request)), "amr": " ".join(methods)}
