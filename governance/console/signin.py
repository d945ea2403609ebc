"""Signing in by django-allauth: local accounts by login name, second factors, the company's OpenID Connect provider.

Nobody registers themselves. The company's subject becomes a person by an Identity row of the trusted issuer with the
same address, never by e-mail.
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from audit import log, refusals
from audit.actions import Action
from entitlements import ratelimits, sealing
from entitlements.models import Identity, Person
from governance.models import Invitation

from . import middleware

_SECOND_FACTOR = "second-factor"


class Door(DefaultAccountAdapter):
    """Local accounts: no sign-up, no mail, each sign-in recorded, each failure counted."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - allauth's signature
        """Nobody registers themselves."""
        return False

    def is_safe_url(self, url: str) -> bool:
        """Lead on to our own pages only."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None) and url.startswith("/")

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Sign in, and record it."""
        super().login(request, user)
        if isinstance(user, Person):
            with transaction.atomic():
                log.record(Action.PERSON_SIGNED_IN, about=[f"person:{user.login}"], by=user.principal)
            if Invitation.objects.filter(person=user).exists() and not Authenticator.objects.filter(user=user).exists():
                request.session[middleware.FACTOR_DUE] = True

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:  # noqa: ANN401 - as above
        """Refuse whoever tries too often: with one login, or from one address."""
        source = str(request.META.get("REMOTE_ADDR", ""))
        try:
            ratelimits.check(ratelimits.SIGN_IN, str(credentials.get("username", "")).lower())
            ratelimits.check(ratelimits.SOURCES, source)
        except ratelimits.TooMany as refusal:
            refusals.count_stranger(refusal.code, source)
            raise self.validation_error("too_many_login_attempts") from refusal
        super().pre_authenticate(request, **credentials)

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:  # noqa: ANN401 - as above
        """Count the failure by source and minute."""
        del credentials
        refusals.count_stranger("sign_in_failed", str(request.META.get("REMOTE_ADDR", "")))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send nothing: what concerns a person's security is in the record."""

    def add_message(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as above
        """Say nothing about signing in and out; the page says it."""


class SecondFactor(DefaultMFAAdapter):
    """Seals the secrets of second factors at rest."""

    def encrypt(self, text: str) -> str:
        """Seal a secret."""
        return base64.b64encode(sealing.seal(text.encode(), _SECOND_FACTOR)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Open a sealed secret."""
        return sealing.unseal(base64.b64decode(encrypted_text), _SECOND_FACTOR).decode()

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Name ourselves by the public address, never by a Host header."""
        return {"id": str(urlsplit(settings.CONSOLE_URL).hostname), "name": "Mandate"}


class CompanyDoor(DefaultSocialAccountAdapter):
    """The company's sign-in: its subject must be known as somebody's identity."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:  # noqa: ANN401, ARG002 - as above
        """Nobody registers themselves."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:  # noqa: ANN401 - as above
        """Find the person of the issuer's subject, each time anew. Ends in a page when there is none."""
        known = Identity.objects.select_related("person").filter(
            issuer__issuer=settings.OIDC_ISSUER, issuer__enabled=True, subject=sociallogin.account.uid
        )
        identity = known.first()
        if identity is None or not identity.person.is_active:
            refusals.count_stranger("identity_unknown", str(request.META.get("REMOTE_ADDR", "")))
            raise ImmediateHttpResponse(_nobody(request))
        if not sociallogin.is_existing:
            sociallogin.connect(request, identity.person)
        elif sociallogin.user.pk != identity.person.pk:
            raise ImmediateHttpResponse(_nobody(request))


def _nobody(request: HttpRequest) -> HttpResponse:
    return render(request, "console/errors/identity_unknown.html", {"code": "identity_unknown"}, status=403)
