"""The code flow's second half at `/idp/token` (RFC 6749 section 4.1.3, RFC 7636): an ID token for who signed in.

With the scope `offline_access` the sign-in lasts (OpenID Connect Core 11): the code begins a token family.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from audit import clock
from entitlements import addresses, authentication
from entitlements.clients.callers import Caller
from entitlements.codes import Code
from entitlements.connections import connected_agent
from entitlements.decisions.snapshot import Token
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.edge import door, possession, refusals
from entitlements.edge.delegation import agents
from entitlements.edge.door import Attempt
from entitlements.edge.sign_in import families, sign_in_traces
from entitlements.keys import in_use
from entitlements.token_families import rules
from entitlements.tokens.issue import NotIssued
from entitlements.tokens.issue_family_token import FamilyStep, NewFamily
from entitlements.words import Flow

from . import id_token
from .id_token import Grant

GRANT: Final = "authorization_code"
OFFLINE: Final = "offline_access"
_ATTEMPTS: Final = 4
_LONGEST_RESOURCE: Final = 500
COLUMNS: Final = r"""
c.expires, c.redirect_uri, c.scope, c.code_challenge, c.code_challenge_method, c.nonce, c.auth_time, c.acr, c.amr,
c.created, coalesce(c.resource ->> 0, ''), c.jkt, p.id, p.login,
CASE WHEN trim(a.redirect_uris) !~ '\s' THEN trim(a.redirect_uris) ELSE '' END
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
    """An authorization code as its page left it; `challenge` is that of PKCE, `usual_uri` the client's only address.

    `jkt` is the thumbprint of the key with which it must be redeemed, empty for any (RFC 9449 section 10).
    """

    expires: datetime
    redirect_uri: str
    scope: str
    challenge: str
    method: str
    nonce: str
    auth_time: datetime | None
    acr: str
    amr: str
    created: datetime
    resource: str
    jkt: str
    person: int
    login: str
    usual_uri: str

    @property
    def signed_in(self) -> dict[str, Any]:
        """What the tokens of this code say of the sign-in."""
        return authentication.claims(auth_time(self), self.acr, self.amr)


def digest(code: str) -> str:
    """Return what is stored of an authorization code: codes open doors, so they are kept like passwords."""
    return hashlib.sha256(code.encode()).hexdigest()


async def redeem(attempt: Attempt, caller: Caller) -> Mapping[str, Any]:
    """Answer a code request of an authenticated client with an ID token. Raises Refused, NotIssued, AlreadyRefused."""
    code = digest(attempt.need("code"))
    verifier = attempt.need("code_verifier")
    key = await in_use.signer(attempt.reads, addresses.IDP)
    for _ in range(_ATTEMPTS):
        rows = await attempt.reads.rows(_CODE, [code, caller.pk])
        if not rows:
            if not attempt.reads.is_from_memory:  # else the same request begins again on facts of now
                await families.end_what_came_of(attempt, caller, code)
            raise refusals.invalid_grant(*refusals.CODE_UNKNOWN)
        pending, moment = PendingCode(*rows[0]), clock.now()
        agents.count(attempt, caller, pending.person)
        caller = await connected_agent.for_person(attempt.reads, caller, pending.person)
        attempt.by = caller.principal
        grant = _grant(attempt, caller, pending)
        attempt.about = [*caller.links, f"person:{pending.login}"]
        attempt.traced.join(sign_in_traces.at_our_pages(pending.login, auth_time(pending), caller.client_id))
        await id_token.check_rights(attempt, caller, grant, _redeemed(code, pending), moment)
        if "openid" not in pending.scope.split():  # no page makes such a code
            raise refusals.invalid_grant("The code is refused.", "code_refused")
        check(pending, attempt.form, verifier)
        possession.check_key(attempt, pending.jkt)
        attempt.code = code
        try:
            answer = await id_token.write(attempt, caller, grant, moment, key)
        except door.AlreadyRefused:
            await families.end_what_came_of(attempt, caller, code)
            raise
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
    if pending.auth_time is None:
        raise refusals.invalid_grant("The code does not say when the person signed in. Begin again.", "code_refused")
    return pending.auth_time


def _redeemed(code: str, pending: PendingCode) -> Token:
    held = frozenset(pending.scope.split())
    return Token(code[:16], pending.created.timestamp(), pending.expires.timestamp(), held)


def _grant(attempt: Attempt, caller: Caller, pending: PendingCode) -> Grant:
    """Return what a code is for. Raises Refused where it does not say when the person signed in."""
    return Grant(
        Flow.AUTHORIZATION_CODE,
        pending.person,
        pending.login,
        pending.scope,
        pending.signed_in,
        pending.nonce,
        _begins(attempt, caller, pending) if OFFLINE in pending.scope.split() else None,
    )


def _begins(attempt: Attempt, caller: Caller, pending: PendingCode) -> FamilyStep:
    if len(pending.resource) > _LONGEST_RESOURCE:
        raise refusals.invalid_target("The resource is too long.")
    signed_in_at = auth_time(pending)
    digest = families.sign_in_digest(pending.login, signed_in_at, caller.agent or "")
    expires = rules.ends(pending.created, is_proven=families.is_proven(caller))
    begins = NewFamily(pending.resource, pending.scope, digest, signed_in_at, expires)
    return FamilyStep(uuid4(), begins=begins, source=attempt.source)
