"""Three ways in: a personal token, an access token of /as/mandate for this API, the console's session with CSRF.

Each says who calls *now*: a person, agent, client, session or token that was stopped is a stranger from that moment.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from audit import clock
from entitlements import addresses
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.credential_policy import age
from entitlements.credential_policy.age import CredentialTooOld
from entitlements.credential_policy.rules import Kind
from entitlements.dpop import claims, nonces, proofs
from entitlements.errors import DomainError
from entitlements.people import people
from entitlements.people.models import ApiToken, Person
from entitlements.secrets.seal import RootKey
from entitlements.tokens import assertions, presented
from entitlements.traces.trace_context import is_trace

from . import caller as callers
from .caller import Caller

PERSONAL_PREFIX: Final = "mdt_"
_BEARER: Final = "bearer"
_DPOP: Final = "dpop"
_LONGEST: Final = 8192


class Bearer(BaseAuthentication):
    """Reads `Authorization: Bearer`; subclasses say which tokens are theirs."""

    def authenticate(self, request: Request) -> tuple[Person | Caller, Caller] | None:
        """Return the person (or caller) and the caller, None when the header is not for us."""
        found = token_of(request)
        if found is None or not self.is_ours(found[1]):
            return None
        try:
            caller = self.caller(request, *found)
        except CredentialTooOld as old:
            raise exceptions.AuthenticationFailed from old
        if caller is None:
            raise exceptions.AuthenticationFailed
        return caller.human or caller, caller

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - the framework's signature
        """Name the scheme, which makes strangers get 401."""
        return 'Bearer realm="mandate"'

    def is_ours(self, token: str) -> bool:
        """Whether the token has the form that this class reads."""
        raise NotImplementedError

    def caller(self, request: Request, scheme: str, token: str) -> Caller | None:
        """Return whose token it is, None when it belongs to no caller any longer."""
        raise NotImplementedError


def token_of(request: Request) -> tuple[str, str] | None:
    """Return scheme and token of a request, None without one. Raises AuthenticationFailed for any other scheme."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    scheme = scheme.lower()
    if scheme not in (_BEARER, _DPOP) or not token or " " in token or len(token) > _LONGEST:
        raise exceptions.AuthenticationFailed
    return scheme, token


class PersonalToken(Bearer):
    """A person's own token for scripts, shown to them once."""

    def is_ours(self, token: str) -> bool:
        """Personal tokens have a prefix."""
        return token.startswith(PERSONAL_PREFIX)

    def caller(self, request: Request, scheme: str, token: str) -> Caller | None:
        """Find the live token by its digest. It is bound to no key. Raises CredentialTooOld."""
        del request
        if scheme != _BEARER:
            return None
        row = (
            ApiToken.objects.select_related("person")
            .filter(digest=people.api_token_digest(token), revoked_at=None, expires_at__gt=clock.now())
            .filter(person__is_active=True)
            .first()
        )
        if row is None:
            return None
        age.check(Kind.PERSONAL_TOKEN, row.created_at, row.person.principal)
        return callers.of(row.person)


class AccessToken(Bearer):
    """An access token (RFC 9068) that /as/mandate issued for exactly this API, and whose rights still stand."""

    def is_ours(self, token: str) -> bool:
        """Whatever is not a personal token."""
        return not token.startswith(PERSONAL_PREFIX)

    def caller(self, request: Request, scheme: str, token: str) -> Caller | None:
        """Check the token as every verifier of ours does, then name who comes with it."""
        try:
            live = presented.access_token(token, addresses.MANDATE, _resource())
            _check_possession(request, scheme, token, proofs.key_of(live.claims))
        except proofs.NonceNeeded as needed:
            raise exceptions.AuthenticationFailed from needed
        except DomainError:
            return None
        client = Client.objects.get(client_id=live.caller.client_id)
        agents = Agent.objects.select_related("sponsor")
        person = Person.objects.get(login=live.person) if live.person else None
        return Caller(
            live.caller.principal,
            person=person,
            agent=None if live.caller.agent_pk is None else agents.get(pk=live.caller.agent_pk),
            client=client,
            scopes=frozenset(live.scopes),
            on_behalf_of=person.principal if person else None,
            session=str(live.claims.get("sid", "")),
            trace=str(txn) if is_trace(txn := live.claims.get("txn")) else "",
        )


def _check_possession(request: Request, scheme: str, token: str, jkt: str) -> None:
    """Check the proof for a token that is bound to a key, and use it up (RFC 9449 section 7).

    Raises BadProof, also for a bound token as a bearer one, a bearer one as a bound one, and any bearer one where each
    token must be bound; NonceNeeded for a nonce that is not fresh, which need not be there; AlreadyUsed.
    """
    if bool(jkt) is not (scheme == _DPOP):
        raise proofs.BadProof
    if not jkt:
        if settings.DPOP_REQUIRED == "all":
            raise proofs.BadProof
        return
    proof = proofs.read(request.headers.get("DPoP", ""))
    body = request.body if "content_digest" in proof.claims else None
    address = f"{settings.CONSOLE_URL}{request.get_full_path()}"
    expected = proofs.Expected(str(request.method), address, token, body, thumbprint=jkt)
    now = clock.now().timestamp()
    proofs.check(proof, expected, now)
    if proof.nonce is not None and not nonces.is_fresh(proof.nonce, now, RootKey.SIGNING):
        raise proofs.NonceNeeded
    assertions.claim(claims.name_of(proof), proof.jti, proof.until.timestamp())


def _resource() -> str:
    return addresses.resources(System(slug=addresses.MANDATE, kind=System.Kind.BUILTIN))[0]


class ConsoleSession(SessionAuthentication):
    """The console's own session, for the browser; every change needs the CSRF token."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the signed-in person as a caller, None for a stranger. Raises PermissionDenied without CSRF token."""
        session = super().authenticate(request)
        if session is None or not isinstance(session[0], Person):
            return None
        caller = callers.of(session[0])
        return caller.human or caller, caller


AUTHENTICATION: Final = [PersonalToken, AccessToken, ConsoleSession]
