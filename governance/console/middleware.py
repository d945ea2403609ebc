"""Every visit to the web process: who comes from where goes into the record, and a session ends when it should."""

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

from audit import client_address, clock, context
from entitlements.definitions import impressions
from governance.front import SIGNED_IN

BEGAN, SEEN, FACTOR_DUE = "visit_began", "visit_seen", "second_factor_due"
PROOFS: Final = "account_authentication_methods"
"""Where django-allauth keeps when and how a person proved who they are."""
_ALLOWED: Final = ("/settings/sign-in/", "/login/", "/logout/", "/static/")
_PERHAPS_HIDDEN: Final = re.compile(
    r"[^\t\n\r -~\u00a0-\u00ac\u00ae-\u02ff\u0370-\u0600\u2010-\u2027\u2030-\u205f\u2190-\u21ff\u4e00-\u9fff]"
)
"""What is certainly shown is passed over quickly; the rest is looked at one by one."""
_NOTE_AGAIN: Final = 60
"""Seconds after which a visit is written down again; each note costs a statement."""


class ClientAddress:
    """Puts the address of the client where every reader looks for it, in place of the nearest proxy's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        request.META["REMOTE_ADDR"] = client_address.resolve(
            str(request.META.get("REMOTE_ADDR", "")), request.headers.get(client_address.HEADER, "")
        )
        return self.get_response(request)


class Visit:
    """Says who acts from where, keeps the idle and the absolute limit of a session, and lets no private page be stored.

    A session gets another name with each proof of who it is, not at sign-in alone (OWASP ASVS 7.2.4).
    A person who was disabled is a stranger from the next request on: the sign-in backend reads her anew each time.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        known = request.user.is_authenticated
        if known:
            _limit(request)
        proofs = [*request.session.get(PROOFS, ())] if known else []
        trace = uuid.uuid4().hex
        source = str(request.META.get("REMOTE_ADDR", ""))
        with context.acting(trace=trace, request_id=trace, source=source):
            response = self.get_response(request)
        request.META[SIGNED_IN] = request.META.get(SIGNED_IN) or bool(request.user.is_authenticated)
        if known and request.user.is_authenticated and request.session.get(PROOFS, []) != proofs:
            request.session.cycle_key()  # whoever knew its name before the proof knows it no longer
        if request.user.is_authenticated and "Cache-Control" not in response:
            response["Cache-Control"] = "no-store"
        return response


def _limit(request: HttpRequest) -> None:
    """Sign out whoever was away or here for too long. What a page asks by itself does not count as being here."""
    now = int(clock.now().timestamp())
    began = request.session.setdefault(BEGAN, now)
    seen = request.session.get(SEEN, now)
    if now - began > settings.SESSION_COOKIE_AGE or now - seen > settings.SESSION_IDLE_SECONDS:
        logout(request)
    elif (now - seen >= _NOTE_AGAIN and "HX-Polled" not in request.headers) or SEEN not in request.session:
        request.session[SEEN] = now


class NothingHidden:
    r"""Writes characters that hide or reorder text out as `\u{...}` in every page, whoever wrote them.

    No page of ours has any, so each comes from a name, a reason or an upstream: where it stands does not matter, and no
    template can forget it.
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


class SecondFactorFirst:
    """Keeps whoever came in by an invitation at the pages of second factors until there is one."""

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
