"""Leg 2: a system's authorization server takes an ID-JAG for an access token (RFC 7523, ID-JAG draft -04)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from audit import clock, context
from entitlements import addresses, strict
from entitlements.authorization_details import details
from entitlements.clients.callers import Caller, Target
from entitlements.connections import connected_agent
from entitlements.decisions import scopes
from entitlements.decisions.snapshot import Chain
from entitlements.edge import issue, possession, refusals
from entitlements.edge.delegation import agents, chains
from entitlements.edge.door import Attempt
from entitlements.edge.sign_in import sign_in_traces
from entitlements.keys import act_claim, in_use, jws
from entitlements.people import sign_ins
from entitlements.tokens import id_tokens, tokens
from entitlements.tokens.issue import NewToken, RedeemedToken, SignIn, Subject, TokenRequest
from entitlements.tokens.issue_token import Claim
from entitlements.tokens.models import IssuedToken
from entitlements.traces import trace_context
from entitlements.trusted_issuers import issuers
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.trusted_issuers.rules import USUAL
from entitlements.words import Flow

from . import exchange

GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_PURPOSE: Final = TrustedIssuer.Purpose.ID_JAG.value
_MOST_ACTORS: Final = 10
_LONGEST_ACTOR: Final = 200
_LONGEST: Final = 300.0
"""Seconds between `iat` and `exp` of an ID-JAG, ours or a trusted issuer's (EMA-I-13)."""
_ID_JAG: Final = """
SELECT extract(epoch FROM t.issued_at)::float8, extract(epoch FROM t.expires_at)::float8, t.scope, t.session_id,
       coalesce(nullif(n.trace, ''), t.trace), p.id, p.login, p.is_active
FROM entitlements_issuedtoken t JOIN entitlements_person p ON p.id = t.person_id
JOIN entitlements_session n ON n.id = t.session_id
WHERE t.jti = %s AND t.client_id = %s AND t.kind = 'id_jag' AND t.session_id IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class CheckedAssertion:
    """An ID-JAG whose signature, times and client were checked: what is redeemed, for whom, in which session."""

    claims: Mapping[str, Any]
    redeemed: RedeemedToken
    subject: Subject
    session: UUID | None = None
    sign_in: SignIn | None = None
    is_used_once: bool = True

    @property
    def behind(self) -> Chain:
        """The agents behind the one that acts, as we wrote them; another issuer names none of ours. Raises BadToken."""
        act = act_claim.read(self.claims) if self.session is not None else None
        return act.behind if act is not None else ()


async def redeem(attempt: Attempt, caller: Caller, target: Target, name: str) -> Mapping[str, Any]:
    """Answer a jwt-bearer request of a client whose identifier here is `name`. Raises Refused, NotIssued."""
    attempt.need("assertion")
    agents.check_agent(caller)
    requested = frozenset(scopes.parse(attempt.form.get("scope"))) or None
    try:
        checked = await _check(attempt, caller, target, name)
    except jws.BadToken as error:
        raise refusals.invalid_grant(error.message, str(error.code)) from error
    attempt.about.append(f"person:{checked.subject.login}")
    caller = await agents.for_person(attempt, caller, checked.subject.pk, target.slug)
    resource = _resource(attempt, target, checked.claims)
    ceiling = checked.redeemed.scopes
    if requested is not None and ceiling is not None and not requested & ceiling:
        raise refusals.Refused("invalid_scope", "scope_missing", "The assertion allows none of the requested scopes.")
    token_request = TokenRequest(
        Flow.JWT_BEARER,
        IssuedToken.Kind.ACCESS_TOKEN,
        caller,
        target,
        checked.subject,
        requested,
        target.token_seconds,
        session=checked.session,
        sign_in=checked.sign_in,
        redeemed=checked.redeemed,
        chain=await chains.behind_of(attempt, checked.behind, checked.subject.pk),
        until=chains.until(checked.claims) if checked.session is not None else None,
        details=details.asked(attempt.form, resource, checked.claims),
        detail={
            "resource": resource,
            "assertion": {"iss": checked.claims["iss"], "jti": checked.redeemed.jti},
            **_foreign_actors(checked),
        },
    )
    if checked.is_used_once:
        expires = datetime.fromtimestamp(checked.redeemed.expires, UTC)
        attempt.assertion = Claim(str(checked.claims["iss"]), checked.redeemed.jti, expires)
    with context.acting(trace=attempt.traced.trace):
        signed_in = exchange.sign_in_claims(checked.claims)
        token, minted = await issue.access_token(attempt, token_request, resource, signed_in)
    answer = access_token_answer(attempt, token, minted, resource)
    return {**answer, **issue.granted(minted, target)}


def _foreign_actors(checked: CheckedAssertion) -> dict[str, object]:
    """Return what the event says of another issuer's chain of actors: the token names our agent alone."""
    actors = list[str]()
    act = checked.claims.get("act") if checked.session is None else None
    while isinstance(act, Mapping) and len(actors) < _MOST_ACTORS:
        actors.append(str(act.get("sub", ""))[:_LONGEST_ACTOR])
        act = act.get("act")
    return {"actors": actors} if actors else {}


def access_token_answer(attempt: Attempt, token: str, minted: NewToken, resource: str) -> dict[str, Any]:
    """Return the members of a token answer (RFC 6749 section 5.1) with the granted resource (EMA-R-9)."""
    return {
        "access_token": token,
        "token_type": "DPoP" if attempt.jkt else "Bearer",
        "expires_in": minted.expires - minted.issued,
        "scope": scopes.join(minted.scopes),
        "resource": resource,
    }


async def _check(attempt: Attempt, caller: Caller, target: Target, name: str) -> CheckedAssertion:
    unverified = jws.recall(attempt.form["assertion"])
    if unverified.typ != tokens.ID_JAG_TYP:  # before anything is verified: other types will be other doors (EMA-R-16)
        raise jws.BadToken("The assertion's typ is not that of an ID-JAG.")
    ours = unverified.claims.get("iss") == addresses.issuer(addresses.IDP)
    issuer = None if ours else await issuers.trusted(attempt.reads, unverified.claims.get("iss"), _PURPOSE)
    if issuer is not None:
        claims = await issuers.check(unverified, issuer, attempt.outside.document)
    elif ours:
        claims = await in_use.verify_read(attempt.reads, unverified, addresses.IDP, tokens.ID_JAG_TYP)
    else:
        raise refusals.invalid_grant("The assertion's issuer is not trusted here.", "issuer_not_trusted")
    now = clock.now().timestamp()
    jws.check_times(claims, now, leeway=0.0 if ours else id_tokens.LEEWAY, longest=_LONGEST)
    if jws.sole_audience(claims) != addresses.issuer(target.issuer_path):
        raise refusals.invalid_grant("The assertion is for another authorization server.", "audience_mismatch")
    rules = USUAL if issuer is None else issuer.rules
    if not rules.is_id_jag_for(claims, caller.client_id, name):
        raise refusals.invalid_grant("The assertion is for another client.", "client_mismatch")
    possession.check_confirmation(attempt, claims)
    if possession.is_public(caller) and (not ours or "cnf" not in claims):
        message = "A client that does not authenticate redeems an assertion of our own that is bound to its key."
        raise refusals.invalid_grant(message, "proof_invalid")
    lasts = ours and tokens.FAMILY in claims  # how old such a sign-in may get was asked when we issued it, a moment ago
    signed_in = id_tokens.signed_in(claims, now, math.inf if lasts else sign_ins.max_age())
    if issuer is None:
        return await _own(attempt, claims, caller)
    return await _foreign(attempt, claims, caller, issuer, signed_in)


async def _own(attempt: Attempt, claims: Mapping[str, Any], caller: Caller) -> CheckedAssertion:
    """Take up where leg 1 left off: the row of the ID-JAG names its client, person, session and trace.

    So do its claims, which we signed when we wrote the row; who has the names in them now, the write compares with it.
    """
    try:
        jti = UUID(jws.text(claims, "jti"))
    except ValueError as error:
        raise jws.BadToken from error
    if attempt.reads.may_trust() and (checked := await _as_signed(attempt, claims, jti)) is not None:
        return checked
    rows = await attempt.reads.rows(_ID_JAG, [jti, caller.pk])
    if not rows:
        raise jws.BadToken("The assertion is not one that we issued to this client.")
    issued, expires, scope, session, trace, *person = rows[0]
    if trace:
        attempt.traced.join(trace)
    attempt.about.append(f"token:{jti}")
    redeemed = RedeemedToken(str(jti), issued, expires, frozenset(scopes.parse(scope)), jti)
    return CheckedAssertion(claims, redeemed, Subject(*person), session=session)


async def _as_signed(attempt: Attempt, claims: Mapping[str, Any], jti: UUID) -> CheckedAssertion | None:
    """Take the claims for what the row says; None where one is missing."""
    session, trace = strict.known_uuid(str(claims.get("sid"))), claims.get("txn")
    person = await exchange.person_of_login(attempt, jws.text(claims, "sub"))
    if session is None or person is None or not trace_context.is_trace(trace):
        return None
    attempt.traced.join(str(trace))
    attempt.about.append(f"token:{jti}")
    issued, expires = jws.moment(claims, "iat"), jws.moment(claims, "exp")
    allowed = frozenset(scopes.parse(jws.text(claims, "scope", longest=jws.LARGEST)))
    redeemed = RedeemedToken(str(jti), issued or 0.0, expires or 0.0, allowed, jti)
    return CheckedAssertion(claims, redeemed, person[0], session=session)


async def _foreign(
    attempt: Attempt,
    claims: Mapping[str, Any],
    caller: Caller,
    issuer: issuers.ActiveIssuer,
    signed_in: id_tokens.SignedIn,
) -> CheckedAssertion:
    key = issuer.rules.subject_of_id_jag(claims)
    subject = await exchange.person_of(attempt, issuer, key, claims)
    scope = claims.get("scope")
    if scope is not None and not isinstance(scope, str):
        raise jws.BadToken("The assertion's scope is not a text.")
    issued = jws.moment(claims, "iat") or 0.0
    redeemed = RedeemedToken(
        jws.text(claims, "jti"),
        issued,
        jws.moment(claims, "exp") or 0.0,
        None if scope is None else frozenset(scopes.parse(scope)),
    )
    caller = await connected_agent.for_person(attempt.reads, caller, subject.pk)
    known = issuer.rules.signed_in(claims)
    attempt.traced.join(sign_in_traces.trace(issuer.issuer, key, signed_in.at, caller.client_id))
    sign_in = exchange.sign_in_of(issuer.issuer, key, signed_in, caller.agent or "", known)
    return CheckedAssertion(known, redeemed, subject, sign_in=sign_in, is_used_once=issuer.strict_single_use)


def _resource(attempt: Attempt, target: Target, claims: Mapping[str, Any]) -> str:
    """Return the assertion's resource, which must be ours and the one asked for, if one is (EMA-R-7)."""
    resource = claims.get("resource")
    if not isinstance(resource, str):
        raise refusals.invalid_grant("The assertion names no resource.", "resource_missing")
    if resource not in target.resources or attempt.form.get("resource", resource) != resource:
        raise refusals.invalid_target("The resource is not the one that the assertion is for.")
    return resource
