"""Signing in by django-allauth: local accounts by login name, and second factors. There is no sign-up."""

from __future__ import annotations

import base64
from typing import Any, ClassVar
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from allauth.core import context as current
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base.forms import AuthenticateForm, BaseAuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

from audit import client_address, context, log
from audit.actions import Action
from audit.refusals import refusals
from entitlements import ratelimits
from entitlements.access import reauthentication
from entitlements.oauth import sign_in_ahead
from entitlements.people import attempts
from entitlements.people.models import Person
from entitlements.secrets import seal
from governance.console import middleware
from governance.operations.key_rotation import SECOND_FACTOR
from governance.setup.models import Invitation

from . import company_sign_in, devices


def record_sign_in(request: HttpRequest, person: Person, onward: str) -> None:
    """Record a sign-in that leads to an address, in the trace of the client whose page that is.

    Of a sign-in at the company the event says also when that was, and which claim says so.
    """
    ahead = sign_in_ahead.trace(request, person, onward)
    with context.acting(trace=ahead or context.current().trace), transaction.atomic():
        detail = company_sign_in.company_time(request, person)
        log.record(Action.PERSON_SIGNED_IN, about=[f"person:{person.login}"], by=person.principal, detail=detail)
        sign_in_ahead.keep(request, context.current().trace)


class AccountAdapter(DefaultAccountAdapter):
    """Local accounts: no sign-up, no mail, each sign-in recorded, each failure counted."""

    error_messages: ClassVar = {
        **DefaultAccountAdapter.error_messages,
        "too_many_login_attempts": _(
            "Too many attempts failed. Wait %d seconds, then try again. A passkey works at once, as does a browser in "
            "which you signed in before."
        ),
    }
    _attempt = attempts.Attempt()

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - allauth's signature
        """Return False: there is no sign-up."""
        return False

    def is_safe_url(self, url: str) -> bool:
        """Lead on to our own pages only."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None) and url.startswith("/")

    def pre_login(self, request: HttpRequest, user: AbstractBaseUser, **known: Any) -> HttpResponse | None:  # noqa: ANN401 - as above
        """Keep when a sign-in at the company took place there: it may be hours old."""
        company = (known.get("signal_kwargs") or {}).get("sociallogin")
        if company is not None:
            company_sign_in.keep_time(request, company.account.extra_data.get("id_token", {}))
        answer: HttpResponse | None = super().pre_login(request, user, **known)
        return answer

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Sign in. A person who was invited is due to add a second factor."""
        super().login(request, user)
        is_invited = isinstance(user, Person) and Invitation.objects.filter(person=user).exists()
        if is_invited and not Authenticator.objects.filter(user=user).exists():
            request.session[middleware.FACTOR_DUE] = True

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **how: Any) -> HttpResponse:  # noqa: ANN401 - as above
        """Lead on, record the sign-in, and know this browser from now on. django-allauth calls this after `login`."""
        response: HttpResponse = super().post_login(request, user, **how)
        if isinstance(user, Person):
            record_sign_in(request, user, response.get("Location", ""))
            devices.remember(response, user)
        return response

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:  # noqa: ANN401 - as above
        """Count the attempt with a password, which refuses it for a while after too many failures.

        django-allauth's own limits are off: they count by address alone and by login alone.
        """
        login = str(credentials.get("username", ""))
        try:
            self._attempt = attempts.admit_password(
                login, client_address.counted_as(company_sign_in.source(request)), _device(request, login)
            )
        except ratelimits.TooMany as refusal:
            raise _wait(self, request, refusal) from refusal

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:  # noqa: ANN401 - as above
        """Return the person whose password it is; a correct password counts as no failure."""
        user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        if user is not None:
            self._attempt.succeeded()
        return user

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:  # noqa: ANN401 - as above
        """Count the failure by source and minute."""
        del credentials
        refusals.count_stranger("sign_in_failed", company_sign_in.source(request))

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - as above
        """Offer only the second factor to a person who has one: a password is weaker."""
        ways: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        if not reauthentication.has_second_factor(user):
            return ways
        return [way for way in ways if way["id"] != "reauthenticate"]

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send nothing: security events are in the audit log."""

    def add_message(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as above
        """Add no message about signing in and out; the page shows it."""


class _Counted(BaseAuthenticateForm):
    """A code of a second factor, each wrong one of which makes the next wait longer."""

    def clean_code(self) -> str:
        """Check the code. Raises ValidationError."""
        request, login = current.request, str(self.user.login)
        try:
            attempt = attempts.admit_code(login, _device(request, login))
        except ratelimits.TooMany as refusal:
            raise _wait(get_adapter(), request, refusal) from refusal
        code: str = super().clean_code()
        attempt.succeeded()
        return code


class CodeForm(_Counted, AuthenticateForm):
    """The code asked for while signing in."""


class CodeAgainForm(_Counted, ReauthenticateForm):
    """The code of a re-authentication."""


class SecondFactor(DefaultMFAAdapter):
    """Seals the secrets of second factors at rest."""

    def encrypt(self, text: str) -> str:
        """Seal a secret."""
        return base64.b64encode(seal.seal(text.encode(), SECOND_FACTOR)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Open a sealed secret."""
        return seal.unseal(base64.b64decode(encrypted_text), SECOND_FACTOR).decode()

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Name ourselves by the public address, never by a Host header."""
        return {"id": str(urlsplit(settings.CONSOLE_URL).hostname), "name": "Mandate"}


def _device(request: HttpRequest, login: str) -> str | None:
    """Return a name of the browser if this login's person is known in it: signed in now, or before."""
    person = request.user
    if isinstance(person, Person) and person.login.lower() == login.lower():
        return f"session {person.pk}"
    return devices.known(request, login)


def _wait(door: AccountAdapter, request: HttpRequest, refusal: ratelimits.TooMany) -> ValidationError:
    """Count the refusal, and return what the form says of it."""
    refusals.count_stranger(refusal.code, company_sign_in.source(request))
    error: ValidationError = door.validation_error("too_many_login_attempts", refusal.wait)
    return error
