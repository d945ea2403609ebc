"""Every request to the web process: the audit log gets the actor and the source, and sessions end in time."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from audit import client_address, clock
from entitlements.definitions import impressions
from entitlements.traces import trace_context
from entitlements.traces.request_trace import RequestTrace
from governance.front import SIGNED_IN

BEGAN, SEEN, FACTOR_DUE = "visit_began", "visit_seen", "second_factor_due"
PROOFS: Final = "account_authentication_methods"
"""Where django-allauth keeps when and how a person proved who they are."""
_ALLOWED: Final = ("/settings/sign-in/", "/login/", "/logout/", "/static/")
_PERHAPS_HIDDEN: Final = re.compile(
    r"[^\t\n\r -~\u00a0-\u00ac\u00ae-\u02ff\u0370-\u0600\u2010-\u2027\u2030-\u205f\u2190-\u21ff\u4e00-\u9fff]"
)
"""Finds characters that may be invisible; text without them needs no further check."""
_NOTE_AGAIN: Final = 60
"""Seconds after which the time of the last request is stored again; each write costs a statement."""


class ClientAddressMiddleware:
    """Sets REMOTE_ADDR to the address of the client, in place of the nearest proxy's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        request.META["REMOTE_ADDR"] = client_address.resolve(
            str(request.META.get("REMOTE_ADDR", "")), request.headers.get(client_address.HEADER, "")
        )
        return self.get_response(request)


class VisitMiddleware:
    """Sets actor and source, applies the idle and absolute limits of a session, and forbids caching of private pages.

    A session gets a new key at each authentication, not only at sign-in (OWASP ASVS 7.2.4).
    A disabled person is signed out from the next request on: the sign-in backend reads their row each time.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        known = request.user.is_authenticated
        if known:
            _limit(request)
        proofs = [*request.session.get(PROOFS, ())] if known else []
        traced = RequestTrace.of(request.headers.get(trace_context.TRACEPARENT, ""))
        source = str(request.META.get("REMOTE_ADDR", ""))
        with traced.acting(uuid.uuid4().hex, source):
            response = self.get_response(request)
        request.META.setdefault(SIGNED_IN, str(request.user.principal) if request.user.is_authenticated else "")
        if known and request.user.is_authenticated and request.session.get(PROOFS, []) != proofs:
            request.session.cycle_key()  # a session key from before the authentication is of no use
        if "HX-Request" in request.headers and not request.user.is_authenticated and response.has_header("Location"):
            return HttpResponse(headers={"HX-Refresh": "true"})  # the whole page leads to the sign-in, not a part of it
        if request.user.is_authenticated and "Cache-Control" not in response:
            response["Cache-Control"] = "no-store"
        return response


def _limit(request: HttpRequest) -> None:
    """Sign out after too long a pause or session. Requests that a page polls by itself are no activity."""
    now = int(clock.now().timestamp())
    began = request.session.setdefault(BEGAN, now)
    seen = request.session.get(SEEN, now)
    if now - began > settings.SESSION_COOKIE_AGE or now - seen > settings.SESSION_IDLE_SECONDS:
        logout(request)
    elif (now - seen >= _NOTE_AGAIN and "HX-Polled" not in request.headers) or SEEN not in request.session:
        request.session[SEEN] = now


class VisibleCharactersMiddleware:
    r"""Writes characters that hide or reorder text as `\u{...}` in every page.

    Our pages contain none, so each comes from a name, a reason or an upstream. No template can forget to escape them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        response = self.get_response(request)
        if not response.streaming and response.get("Content-Type", "").startswith("text/html"):
            text = response.content.decode()
            if _PERHAPS_HIDDEN.search(text):
                response.content = impressions.visible(text).encode()
        return response


class SecondFactorMiddleware:
    """Keeps a person who signed in by an invitation at the second-factor pages until they have a second factor."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request, or lead to where the second factor is added."""
        if request.user.is_authenticated and request.session.get(FACTOR_DUE):
            if Authenticator.objects.filter(user_id=request.user.pk).exists():
                del request.session[FACTOR_DUE]
            elif not request.path.startswith(_ALLOWED):
                return redirect("mfa_activate_totp")
        return self.get_response(request)
