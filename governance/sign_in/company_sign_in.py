"""Signing in at the company, by its OpenID Connect provider.

The company's subject becomes a person by an Identity row of the trusted issuer with the same address, never by e-mail.
Each visit to the provider carries a state, a PKCE challenge and a nonce of its own.
"""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
import requests
from allauth.account.internal.decorators import login_not_required
from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from audit.refusals import refusals
from entitlements import authentication
from entitlements.access import reauthentication
from entitlements.keys import jws
from entitlements.people import people, role_maps, sign_ins
from entitlements.people.models import Identity, Person
from entitlements.tokens import id_tokens
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.trusted_issuers.rules import USUAL
from entitlements.upstream import egress, shares
from governance.console import middleware

AGAIN: Final = "again"
"""The `process` in the address of a re-authentication at the company."""
_LINK: Final = "company_account_to_link"
_LINK_SECONDS: Final = 300
_CLAIM: Final = "claim"
_CLOCKS_DIFFER: Final = 30
"""Seconds by which the company's clock may be behind ours."""


class CompanyProvider(OpenIDConnectProvider):
    """The company's provider: we set its parameters; those in the address are ignored."""

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: object = None, **extra: object
    ) -> HttpResponse:
        """Redirect to the company's sign-in, which must ask for credentials again in a re-authentication."""
        del extra, data
        again, nonce = process == AGAIN and request.user.is_authenticated, secrets.token_urlsafe(24)
        # With `max_age` the provider must say in `auth_time` when the person signed in (OpenID Connect Core 2).
        usual = {"max_age": str(int(sign_ins.max_age()))}
        contexts, _ = request.session.get(sign_ins.CONTEXTS) or ([], 0.0)
        stronger = {"acr_values": " ".join(contexts)} if again and contexts else {}
        wanted = {"nonce": nonce} | ({"prompt": "login", "max_age": "0", **stronger} if again else usual)
        answer: HttpResponse = super().redirect(
            request,
            AuthProcess.LOGIN,
            next_url,
            auth_params=wanted,
            nonce=nonce,
            again=again,
            asked_at=int(time.time()),
        )
        return answer

    def extract_uid(self, data: Mapping[str, Any]) -> str:
        """Return the subject as the terms of the trusted issuer read it: `sub`, or at Entra `oid` with its tenant.

        Raises OAuth2Error where the ID token lacks it.
        """
        issuer = TrustedIssuer.objects.filter(issuer=settings.OIDC_ISSUER, enabled=True).first()
        rules = issuer.rules if issuer is not None else USUAL
        if (rules.subject_claim, rules.tenant_claim) == (USUAL.subject_claim, USUAL.tenant_claim):
            return str(super().extract_uid(data))
        try:
            return rules.subject(data.get("id_token") or {})
        except jws.BadToken as error:
            raise OAuth2Error(error.message) from error


class CompanyCallbackAdapter(OpenIDConnectOAuth2Adapter):
    """What comes back from the company's provider: its ID token must be one, recent enough, of a recent sign-in."""

    def _decode_id_token(self, app: SocialApp, id_token: str) -> dict[str, Any]:
        """Return the claims. Raises OAuth2Error for what is no ID token; a sign-in that is too old ends in a page."""
        claims: dict[str, Any] = super()._decode_id_token(app, id_token)
        typ = jwt.get_unverified_header(id_token).get("typ")
        try:
            id_tokens.check(jws.type_of(typ), claims, time.time(), sign_ins.max_age())
        except id_tokens.SignInTooOld as error:
            raise ImmediateHttpResponse(_too_old(self.request, error)) from error
        except jws.BadToken as error:
            refusals.count_stranger(str(error.code), str(self.request.META.get("REMOTE_ADDR", "")))
            raise OAuth2Error(error.message) from error
        return claims


@login_not_required
def answer(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Take the company's answer, as allauth's own view does, with our checks of the ID token."""
    try:
        view = OAuth2CallbackView.adapter_view(CompanyCallbackAdapter(request, provider_id))
        response: HttpResponse = view(request)
    except SocialApp.DoesNotExist as error:
        raise Http404 from error
    return response


class CompanyAccountAdapter(DefaultSocialAccountAdapter):
    """The company's sign-in: its subject must be a known identity of a person."""

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> CompanyProvider:
        """Return the one provider there is."""
        return CompanyProvider(request, app=self.get_app(request, provider=provider, client_id=client_id))

    def list_providers(self, request: HttpRequest) -> list[CompanyProvider]:
        """Return it for the sign-in page."""
        return [CompanyProvider(request, app=app) for app in self.list_apps(request)]

    def get_requests_session(self) -> requests.Session:
        """Return a session that waits for the company aside, in the share that is everybody's."""
        session: requests.Session = super().get_requests_session()
        session.request = functools.partial(_ask, session.request)  # type: ignore[method-assign]
        return session

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:  # noqa: ANN401, ARG002 - as above
        """Return False: there is no sign-up."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:  # noqa: ANN401 - as above
        """Find the person of the issuer's subject at each sign-in. Ends in a page when there is none."""
        claims: Mapping[str, Any] = sociallogin.account.extra_data.get("id_token", {})
        state: Mapping[str, Any] = sociallogin.state
        known = Identity.objects.select_related("person", "issuer").filter(
            issuer__issuer=settings.OIDC_ISSUER, issuer__enabled=True, subject=sociallogin.account.uid
        )
        identity = known.first()
        if identity is None and _answers(claims, state):
            identity = _linked(request, sociallogin.account.uid)
        if not _answers(claims, state) or identity is None or not identity.person.is_active:
            raise ImmediateHttpResponse(_unknown_identity(request))
        role_maps.apply(identity.person, identity.issuer, claims)
        if state.get("again"):
            raise ImmediateHttpResponse(_proven(request, identity.person, claims, state))
        if not sociallogin.is_existing:
            sociallogin.connect(request, identity.person)
        elif sociallogin.user.pk != identity.person.pk:
            raise ImmediateHttpResponse(_unknown_identity(request))


def _ask(ask: Callable[..., requests.Response], method: str, url: str, **how: Any) -> requests.Response:  # noqa: ANN401
    with egress.asking(urlsplit(url).hostname or "", shares.SIGN_INS) as note_failed:
        try:
            return ask(method, url, **how)
        except requests.RequestException:
            note_failed(True)  # noqa: FBT003 - yes, the host
            raise


def allow_link(request: HttpRequest) -> None:
    """Allow linking: the next company sign-in within five minutes links its account to this person."""
    request.session[_LINK] = {"person": request.user.pk, "until": time.time() + _LINK_SECONDS}


def may_link(request: HttpRequest) -> bool:
    """Whether that was allowed a moment ago, to the person who is signed in."""
    allowed = request.session.get(_LINK) or {}
    return allowed.get("person") == request.user.pk and time.time() < allowed.get("until", 0)


def _linked(request: HttpRequest, subject: str) -> Identity | None:
    """Link the subject to the person who asked for it, once, if its issuer is trusted."""
    issuer = TrustedIssuer.objects.filter(
        issuer=settings.OIDC_ISSUER, enabled=True, purpose=TrustedIssuer.Purpose.IDENTITY
    ).first()
    if issuer is None or not may_link(request) or not isinstance(request.user, Person):
        return None
    del request.session[_LINK]
    return people.link_identity(request.user, issuer, subject, by=request.user.principal)


def _answers(claims: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Whether an ID token is the answer to what we asked (OpenID Connect Core 3.1.3.7): our issuer, our nonce."""
    return (
        claims.get("iss") == settings.OIDC_ISSUER
        and bool(claims.get("nonce"))
        and claims["nonce"] == state.get("nonce")
    )


def _proven(request: HttpRequest, person: Person, claims: Mapping[str, Any], state: Mapping[str, Any]) -> HttpResponse:
    """Record the re-authentication and resume the held request; the same person must have signed in after we asked."""
    at = claims.get("auth_time")
    if request.user.pk != person.pk or not isinstance(at, int) or at < state["asked_at"] - _CLOCKS_DIFFER:
        return _unknown_identity(request)
    known = {sign_ins.SIGNED_IN_AT: at, authentication.COMPANY_CLAIMS: authentication.company_claims(claims)}
    record_authentication(request, person, authentication.COMPANY, reauthenticated=True, **known)
    return reauthentication.resume(request, str(state.get("next", "/")))


def keep_time(request: HttpRequest, claims: Mapping[str, Any]) -> None:
    """Write into the session's newest record, which is the company's, when and how the person signed in there."""
    proofs = request.session.get(middleware.PROOFS) or []
    if proofs and proofs[-1].get("method") == authentication.COMPANY:
        signed_in = id_tokens.signed_in(claims, time.time(), sign_ins.max_age())
        proofs[-1] |= {sign_ins.SIGNED_IN_AT: signed_in.at, _CLAIM: signed_in.claim}
        proofs[-1] |= {authentication.COMPANY_CLAIMS: authentication.company_claims(claims)}
        request.session[middleware.PROOFS] = proofs


def company_time(request: HttpRequest, person: Person) -> dict[str, object]:
    """Return for the audit log when the person signed in at the company; nothing after a sign-in here."""
    records = get_authentication_records(request, person)
    newest: dict[str, Any] = next(
        (record for record in reversed(records) if record.get("method") == authentication.COMPANY), {}
    )
    known = {"at": newest.get(sign_ins.SIGNED_IN_AT), "claim": newest.get(_CLAIM)}
    return {"sign_in": known} if known["claim"] else {}


def _too_old(request: HttpRequest, error: id_tokens.SignInTooOld) -> HttpResponse:
    refusals.count_stranger(str(error.code), source(request))
    context = {"code": str(error.code), "hours": round(sign_ins.max_age() / 3600, 1)}
    return render(request, "console/errors/sign_in_too_old.html", context, status=403)


def _unknown_identity(request: HttpRequest) -> HttpResponse:
    refusals.count_stranger("identity_unknown", source(request))
    return render(request, "console/errors/identity_unknown.html", {"code": "identity_unknown"}, status=403)


def source(request: HttpRequest) -> str:
    """Return the address that a request came from."""
    return str(request.META.get("REMOTE_ADDR", ""))
