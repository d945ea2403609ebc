"""Leg 1: the identity side exchanges a person's subject token for an ID-JAG (RFC 8693, ID-JAG draft -04).

An ID token is checked here; whether the sign-in behind it still counts, and a refresh token, at
`entitlements/edge/sign_in/subject_tokens.py`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from audit import clock, context
from entitlements import addresses, authentication
from entitlements.authorization_details import details
from entitlements.clients.callers import Caller, Target
from entitlements.decisions import scopes
from entitlements.decisions.snapshot import Chain
from entitlements.edge import issue, possession, refusals
from entitlements.edge.delegation import actor_tokens, agents, chains
from entitlements.edge.door import Attempt
from entitlements.keys import in_use, jws
from entitlements.people import sign_ins
from entitlements.session_policies.rules import SignedIn
from entitlements.sessions import sessions
from entitlements.tokens import id_tokens, tokens
from entitlements.tokens.issue import RedeemedToken, SignIn, Subject, TokenRequest
from entitlements.tokens.issue_family_token import FamilyStep
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers import issuers
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.words import Flow

from . import audience

GRANT: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_JAG: Final = "urn:ietf:params:oauth:token-type:id-jag"
ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - a name
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
REFRESH_TOKEN: Final = "urn:ietf:params:oauth:token-type:refresh_token"  # noqa: S105 - a name
_OWN_TYP: Final = "jwt"
_PERSON: Final = "SELECT id, login, is_active, sign_ins_valid_after FROM entitlements_person WHERE login = %s"


@dataclass(frozen=True, slots=True)
class Assertion:
    """A checked identity assertion: who signed in, where and when."""

    issuer: str
    subject: str
    person: Subject
    claims: Mapping[str, Any]
    signed_in: id_tokens.SignedIn

    @property
    def family(self) -> str:
        """The token family that an ID token of ours came of; empty for every other."""
        return str(self.claims.get("sid") or "") if self.issuer == addresses.issuer(addresses.IDP) else ""

    def sign_in(self, agent: str) -> SignIn:
        """Name the sign-in behind it. Without `auth_time` each ID token is one of its own, at its `iat`."""
        return sign_in_of(self.issuer, self.subject, self.signed_in, agent, self.claims)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in, by a subject token: the person, what is passed on of the sign-in, and its session or beginning.

    Of a sign-in that lasts there are also its place in the family, and the life of that as `redeemed`; of any other the
    `assertion` that names it. Of an access token there are its `claims`, the agents `behind` its own, and its end as
    `until`.
    """

    person: Subject
    signed_in: Mapping[str, Any]
    session: UUID | None = None
    sign_in: SignIn | None = None
    successor: SignIn | None = None
    family: FamilyStep | None = None
    redeemed: RedeemedToken | None = None
    resource: str = ""
    assertion: Assertion | None = None
    behind: Chain = ()
    until: float | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)

    def sign_in_with(self, agent: str) -> SignIn | None:
        """Name the sign-in that begins a session of an agent; None where its session is known."""
        return self.assertion.sign_in(agent) if self.assertion is not None else self.sign_in


type Identify = Callable[[Attempt, Caller], Awaitable[Identity]]
"""Checks the subject token of a client. Raises Refused."""


async def exchange(attempt: Attempt, caller: Caller, identify: Identify) -> Mapping[str, Any]:
    """Answer a token exchange of an authenticated client. Raises Refused and what issuing raises.

    The token endpoint lets a public client in for this only with a proof, and then for what is bound to it (EMA-I-5).
    """
    _check_form(attempt)
    agents.check_agent(caller)
    target, name_there = await audience.find(attempt, caller)
    resource = resource_of(attempt, target)
    requested = target.own_scopes(scopes.parse(attempt.form.get("scope")))
    by_access_token = attempt.form["subject_token_type"] == ACCESS_TOKEN
    identity = await (
        _delegated_to(attempt, caller, target, resource) if by_access_token else identify(attempt, caller)
    )
    if identity.resource and identity.resource != resource:
        raise refusals.invalid_target("The resource is not the one that the sign-in is for.")
    attempt.about.append(f"person:{identity.person.login}")
    caller = await agents.for_person(attempt, caller, identity.person.pk, target.slug)
    target = await audience.with_claims(attempt, target, identity.person)
    sign_in = identity.sign_in_with(caller.agent or "")
    delegated = await _delegated(attempt, caller, identity, target, name_there)
    token_request = TokenRequest(
        Flow.TOKEN_EXCHANGE,
        IssuedToken.Kind.ID_JAG,
        delegated.caller,
        target,
        identity.person,
        frozenset(requested) if requested else None,
        tokens.ID_JAG_SECONDS,
        session=identity.session,
        sign_in=sign_in,
        successor=identity.successor,
        redeemed=identity.redeemed,
        family=identity.family,
        detail={"resource": resource, "audience": target.issuer},
        chain=delegated.chain,
        jkt=delegated.jkt,
        until=identity.until,
        details=details.asked(attempt.form, resource, identity.claims),
    )
    with context.acting(trace=attempt.traced.trace):
        token, minted = await issue.id_jag(attempt, token_request, delegated.name, resource, identity.signed_in)
    return {
        "issued_token_type": ID_JAG,
        "access_token": token,
        "token_type": "N_A",
        "expires_in": minted.expires - minted.issued,
        "scope": scopes.join(target.server_scopes(minted.scopes)),
        **issue.granted(minted, target),
    }


def _check_form(attempt: Attempt) -> None:
    for name in ("requested_token_type", "audience", "subject_token", "subject_token_type"):
        attempt.need(name)
    actor_tokens.check_form(attempt.form)
    if attempt.form["requested_token_type"] != ID_JAG:
        raise refusals.invalid_request("Only ID-JAGs are issued here.", "requested_token_type_not_supported")
    delegates = "actor_token" in attempt.form
    if attempt.form["subject_token_type"] not in (ID_TOKEN, REFRESH_TOKEN, *((ACCESS_TOKEN,) if delegates else ())):
        message = "ID tokens and refresh tokens are exchanged here, and access tokens with an actor token."
        raise refusals.invalid_request(message, "subject_token_type_not_supported")


async def _delegated(
    attempt: Attempt, caller: Caller, identity: Identity, target: Target, name: str
) -> chains.Delegated:
    """Return who is to act. An access token is for another agent: what is behind it would be lost. Raises Refused."""
    delegated = await chains.joined(attempt, caller, identity.person.pk, target, name, identity.behind)
    if attempt.form["subject_token_type"] == ACCESS_TOKEN and not delegated.chain:
        message = "An access token is delegated on to another agent, not to the one that it is for."
        raise refusals.invalid_request(message, "delegation_cycle")
    return delegated


async def _delegated_to(attempt: Attempt, caller: Caller, target: Target, resource: str) -> Identity:
    """Identify the person by an access token of the caller's, which it delegates on. Raises Refused."""
    token = await chains.subject_access_token(attempt, caller, target, resource)
    signed_in, until = sign_in_claims(token.claims), token.redeemed.expires
    return Identity(
        token.person,
        signed_in,
        token.session,
        redeemed=token.redeemed,
        behind=token.behind,
        until=until,
        claims=token.claims,
    )


def resource_of(attempt: Attempt, target: Target) -> str:
    """Return the resource that is asked for, or the only one there is (EMA-I-6). Raises Refused."""
    resource, known = attempt.form.get("resource"), target.resources
    if resource is None and len(known) == 1:
        return known[0]
    if resource is None or resource not in known:
        raise refusals.invalid_target("The resource is not registered with this audience.")
    return resource


async def assertion(attempt: Attempt, caller: Caller) -> Assertion:
    """Check the subject token, an ID token of ours or of a trusted issuer, and find its person. Raises Refused.

    How old a sign-in may be that lasts, its family says.
    """
    try:
        return await _check(attempt, jws.recall(attempt.form["subject_token"]), caller)
    except jws.BadToken as error:
        raise refusals.invalid_grant(error.message, str(error.code)) from error


async def _check(attempt: Attempt, unverified: jws.Unverified, caller: Caller) -> Assertion:
    ours = unverified.claims.get("iss") == addresses.issuer(addresses.IDP)
    issuer = None if ours else await _issuer(attempt, unverified)
    claims = await _verified(attempt, unverified, issuer)
    client = jws.sole_audience(claims) if issuer is None else issuer.rules.client_of_id_token(claims)
    if client != caller.client_id:
        raise refusals.invalid_grant("The ID token is for another client.", "audience_mismatch")
    possession.check_confirmation(attempt, claims)
    oldest = math.inf if ours and "sid" in claims else sign_ins.max_age()
    signed_in = id_tokens.check(unverified.typ, claims, clock.now().timestamp(), oldest)
    if issuer is None:
        subject, person = jws.text(claims, "sub"), await _own_person(attempt, claims)
        return Assertion(addresses.issuer(addresses.IDP), subject, person, claims, signed_in)
    subject = issuer.rules.subject(claims)
    person = await person_of(attempt, issuer, subject, claims)
    return Assertion(issuer.issuer, subject, person, issuer.rules.signed_in(claims), signed_in)


async def _issuer(attempt: Attempt, unverified: jws.Unverified) -> issuers.ActiveIssuer:
    """Find the trusted issuer that a token claims to be from, before any key is asked for."""
    issuer = await issuers.trusted(attempt.reads, unverified.claims.get("iss"), TrustedIssuer.Purpose.IDENTITY)
    if issuer is None:
        raise refusals.invalid_grant("The ID token's issuer is not trusted here.", "issuer_not_trusted")
    return issuer


async def _verified(
    attempt: Attempt, unverified: jws.Unverified, issuer: issuers.ActiveIssuer | None
) -> Mapping[str, Any]:
    """Return the claims that the issuer signed; without an issuer, that we signed."""
    if issuer is not None:
        return await issuers.check(unverified, issuer, attempt.outside.document)
    return await in_use.verify_read(attempt.reads, unverified, addresses.IDP, _OWN_TYP)


async def _own_person(attempt: Attempt, claims: Mapping[str, Any]) -> Subject:
    """Find the person that one of our own ID tokens is about."""
    found = await person_of_login(attempt, jws.text(claims, "sub"))
    if found is None:
        raise refusals.invalid_grant("No person is known under this subject.", "person_unknown")
    subject, valid_after = found
    _check_after(claims, subject, valid_after)
    return subject


async def person_of_login(attempt: Attempt, login: str) -> tuple[Subject, datetime | None] | None:
    """Find the person who has a login now, and after which moment their sign-ins count."""
    rows = await attempt.reads.kept(_PERSON, [login], lambda rows: [("person_id", rows[0][0])])
    return (Subject(*rows[0][:3]), rows[0][3]) if rows else None


async def person_of(attempt: Attempt, issuer: issuers.ActiveIssuer, key: str, claims: Mapping[str, Any]) -> Subject:
    """Find the person behind an issuer's subject: by both, never by the subject or an e-mail alone (EMA-R-15).

    `key` is the subject as the issuer's rules read it.
    """
    row = await issuers.person(attempt.reads, issuer, key)
    if row is None:
        raise refusals.invalid_grant("No person is known under this issuer's subject.", "person_unknown")
    pk, login, is_active, valid_after, link = row
    attempt.trusted_issuer, attempt.identity_link = issuer.pk, link
    subject = Subject(pk, login, is_active)
    _check_after(claims, subject, valid_after)
    return subject


def _check_after(claims: Mapping[str, Any], subject: Subject, valid_after: datetime | None) -> None:
    """Refuse what an issuer signed before the person was last disabled and is active again, in whole seconds.

    Whether the person is disabled now is left to the decision.
    """
    if (
        valid_after is not None
        and subject.is_active
        and not (jws.moment(claims, "iat") or 0.0) >= int(valid_after.timestamp())
    ):
        raise refusals.invalid_grant(
            "The person was disabled after this sign-in. They must sign in again.", "token_revoked"
        )


def sign_in_of(
    issuer: str, subject: str, signed_in: id_tokens.SignedIn, agent: str, claims: Mapping[str, Any]
) -> SignIn:
    """Name one sign-in of one person with one agent, so that the same sign-in continues its session."""
    digest = sessions.sign_in_digest(issuer, subject, signed_in.at, agent)
    stated = SignedIn.of_claims(sign_in_claims(claims))
    return SignIn(digest, datetime.fromtimestamp(signed_in.at, UTC), signed_in.claim, stated)


def sign_in_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is passed on about the sign-in, each only in its proper form."""
    moment = jws.moment(claims, "auth_time")
    auth_time = {"auth_time": int(moment)} if moment is not None else {}
    return {**auth_time, **authentication.company_claims(claims)}
