"""Known devices: browsers in which a person signed in before, so that strangers cannot keep them from doing it again.

A signed cookie for each person, kept for a year. It opens nothing: it only lets the browser's attempts count by
themselves (`entitlements/people/attempts.py`). It ends for good when the person is disabled, and when their password
changes; also when Django strengthens the hash of the password, until the next sign-in in that browser.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import constant_time_compare, salted_hmac

from entitlements.people.models import Person

LASTS: Final = 365 * 24 * 60 * 60
"""Seconds; browsers keep no cookie longer than 400 days."""
_SALT: Final = "governance.sign_in.devices"


def remember(response: HttpResponseBase, person: Person) -> None:
    """Make the browser that gets this response a known device of the person, who has just proved who they are."""
    value = signing.dumps({"device": secrets.token_urlsafe(12), "of": _fingerprint(person)}, salt=_SALT)
    response.set_cookie(
        _name(person.login),
        value,
        max_age=LASTS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def known(request: HttpRequest, login: str) -> str | None:
    """Return a name of the browser when the person of this login signed in with it before, else None."""
    cookie = request.COOKIES.get(_name(login))
    if not cookie:
        return None
    try:
        held: Any = signing.loads(cookie, salt=_SALT, max_age=LASTS)
    except signing.BadSignature:
        return None
    person = Person.objects.filter(login__iexact=login, is_active=True).first()
    if person is None or not constant_time_compare(held["of"], _fingerprint(person)):
        return None
    return str(held["device"])


def _name(login: str) -> str:
    """Return the cookie's name, which does not reveal the login."""
    prefix = "__Host-" if settings.IS_HTTPS else ""
    return f"{prefix}device-{salted_hmac(_SALT, login.lower(), algorithm='sha256').hexdigest()[:16]}"


def _fingerprint(person: Person) -> str:
    parts = (str(person.pk), person.password, str(person.sign_ins_valid_after))
    return salted_hmac(_SALT, "\0".join(parts), algorithm="sha256").hexdigest()
