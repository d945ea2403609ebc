"""The code flow's second half at `/idp/token` (RFC 6749 section 4.1.3, RFC 7636): an ID token for who signed in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from audit import clock, context, draft
from audit.actions import Action
from audit.context import Principal
from audit.draft import Draft
from entitlements import addresses
from entitlements.clients.callers import Caller
from entitlements.codes import Code
from entitlements.decisions import guardrails
from entitlements.decisions.snapshot import Token
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.edge import door, refusals
from entitlements.edge.door import Attempt
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.keys import in_use, jws
from entitlements.people import sign_ins
from entitlements.tokens.issue import NotIssued
from entitlements.tokens.issue_token import Basis, Outcome, TokenRow

GRANT: Final = "authorization_code"
SECONDS: Final = 300
"""How long the ID token lives, and the access token beside it."""
_ATTEMPTS: Final = 4
COLUMNS: Final = r"""
c.expires, c.redirect_uri, c.scope, c.code_challenge, c.code_challenge_method, c.nonce, c.auth_time, c.created, p.id,
p.login, CASE WHEN trim(a.redirect_uris) !~ '\s' THEN trim(a.redirect_uris) ELSE '' END
"""
"""What `PendingCode` is made of."""
_CODE: Final = f"""
SELECT {COLUMNS}
FROM entitlements_authorizationcode c JOIN entitlements_person p ON p.id = c.user_id
JOIN entitlements_client a ON a.id = c.application_id
WHERE c.code = %s AND c.application_id = %s AND c.system_id IS NULL
"""  # noqa: S608 - the columns are constants


@dataclass(frozen=True, slots=True)
class PendingCode:
    """An authorization code as its page left it; `challenge` is that of PKCE, `usual_uri` the client's only address."""

    expires: datetime
    redirect_uri: str
    scope: str
    challenge: str
    method: str
    nonce: str
    auth_time: datetime | None
    created: datetime
    person: int
    login: str
    usual_uri: str


def digest(code: str) -> str:
    """Return what is stored of an authorization code: codes open doors, so they are kept like passwords."""
    return hashlib.sha256(code.encode()).hexdigest()


async def redeem(attempt: Attempt, caller: Caller) -> Mapping[str, Any]:
    """Answer a code request of an authenticated client with an ID token. Raises Refused, NotIssued."""
    code = digest(attempt.need("code"))
    verifier = attempt.need("code_verifier")
    key = await in_use.signer(attempt.reads, addresses.IDP)
    for _ in range(_ATTEMPTS):
        rows = await attempt.reads.rows(_CODE, [code, caller.pk])
        if not rows:
            raise refusals.invalid_grant(*refusals.CODE_UNKNOWN)
        pending = PendingCode(*rows[0])
        moment, signed_in_at = clock.now(), auth_time(pending)
        attempt.about = [*caller.links, f"person:{pending.login}"]
        await _check_rights(attempt, caller, code, pending, moment)
        if "openid" not in pending.scope.split():  # no page makes such a code
            raise refusals.invalid_grant("The code is refused.", "code_refused")
        check(pending, attempt.form, verifier)
        answer = await _write(attempt, caller, code, pending, signed_in_at, moment, key)
        if answer is not None:
            return answer
        attempt.read_again()
    raise NotIssued(Verdict(Effect.DENY, Code.FEED_UNKNOWN, ()), list(attempt.about))


def check(pending: PendingCode, form: Mapping[str, str], verifier: str) -> None:
    """Check what the client sends against what its code was made for; its end was checked with the rights. Pure.

    Raises Refused.
    """
    if not pending.challenge:
        raise refusals.invalid_grant("Challenge not found", "code_refused")
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    if pending.method != "S256" or not hmac.compare_digest(made, pending.challenge):
        raise refusals.invalid_grant("The code is refused.", "code_refused")
    if "redirect_uri" not in form and not pending.usual_uri:
        raise refusals.invalid_request("Missing redirect URI.", "code_refused")
    if form.get("redirect_uri", pending.usual_uri) != pending.redirect_uri:
        raise refusals.invalid_grant("Mismatching redirect URI.", "code_refused")


def auth_time(pending: PendingCode) -> datetime:
    """Return when the person signed in. Raises Refused where the code does not say."""
    if pending.auth_time is None:  # made by the release before, within the last minute
        raise refusals.invalid_grant("The code does not say when the person signed in. Begin again.", "code_refused")
    return pending.auth_time


async def _check_rights(attempt: Attempt, caller: Caller, code: str, pending: PendingCode, moment: datetime) -> None:
    held = frozenset(pending.scope.split())
    token = Token(code[:16], pending.created.timestamp(), pending.expires.timestamp(), held)
    verdict = await sign_ins.may_sign_in(attempt.reads, caller, pending.person, token, moment.timestamp())
    if verdict.issue is None:
        raise NotIssued(verdict, list(attempt.about))


async def _write(
    attempt: Attempt,
    caller: Caller,
    code: str,
    pending: PendingCode,
    signed_in_at: datetime,
    moment: datetime,
    key: jws.Key,
) -> Mapping[str, Any] | None:
    """Use the code up and write what it becomes; None when what was decided on is no longer so."""
    opaque, ends, jti = secrets.token_urlsafe(24)[:30], moment + timedelta(seconds=SECONDS), uuid4()
    row = TokenRow(
        jti=jti,
        kind="id_token",
        scope=pending.scope,
        expires=ends,
        person=pending.person,
        opaque_sha256=hashlib.sha256(opaque.encode()).hexdigest(),
        opaque_expires=ends,
    )
    attempt.code = code
    event = _event(attempt, caller, pending, str(jti))
    claims = door.claims_of(attempt, [])
    written = await attempt.outside.mint(_basis(attempt, caller, pending, moment, key), row, event, claims)
    if written.outcome is not Outcome.ISSUED:
        door.check_used(attempt, written.outcome)
        return None
    said = {
        "iss": addresses.issuer(addresses.IDP),
        "sub": pending.login,
        "aud": caller.client_id,
        "iat": int(moment.timestamp()),
        "exp": int(moment.timestamp()) + SECONDS,
        "auth_time": int(signed_in_at.timestamp()),
        "jti": str(jti),
        **({"nonce": pending.nonce} if pending.nonce else {}),
    }
    return {
        "access_token": opaque,
        "expires_in": SECONDS,
        "token_type": "Bearer",
        "scope": pending.scope,
        "id_token": jws.sign({**said, "at_hash": _half(opaque)}, key, "JWT"),
    }


def _half(token: str) -> str:
    """Return the `at_hash` of an access token (OpenID Connect Core 3.1.3.6)."""
    whole = hashlib.sha256(token.encode()).digest()
    return base64.urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=").decode()


def _event(attempt: Attempt, caller: Caller, pending: PendingCode, jti: str) -> Draft:
    with context.acting(on_behalf_of=Principal("person", pending.login)):
        detail = {"kind": "id_token", "flow": GRANT, "scope": pending.scope}
        links = [*attempt.about, f"token:{jti}"]
        return draft.draft(Action.TOKEN_ISSUED, by=caller.principal, about=links, detail=detail)


def _basis(attempt: Attempt, caller: Caller, pending: PendingCode, moment: datetime, key: jws.Key) -> Basis:
    keys: list[locks.Key] = [(Lock.EVERYTHING, guardrails.EVERYTHING), (Lock.CLIENT, caller.pk)]
    keys.append((Lock.PERSON, pending.person))
    people = {pending.person}
    if caller.agent_pk is not None:
        keys += [(Lock.AGENT, caller.agent_pk), (Lock.PERSON, caller.sponsor_pk)]
        people |= {pk for pk in (caller.sponsor_pk, caller.owner_pk) if pk is not None}
    return Basis(
        decided=moment,
        position=attempt.position,
        locks=locks.numbers(keys),
        client=caller.pk,
        agent=caller.agent_pk,
        people=sorted(people),
        signing_key=key.kid,
    )
