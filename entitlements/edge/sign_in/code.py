"""The code flow's second half at a system (RFC 6749 section 4.1.3): an access token, and the family that it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from entitlements.clients.callers import Caller, Target
from entitlements.decisions import scopes
from entitlements.edge import door, issue, possession, refusals
from entitlements.edge.delegation import agents
from entitlements.edge.door import Attempt
from entitlements.edge.grant_types import authorization_code, jwt_bearer
from entitlements.edge.grant_types.authorization_code import PendingCode
from entitlements.token_families import refresh_tokens, rules
from entitlements.tokens.issue import RedeemedToken, Subject, TokenRequest
from entitlements.tokens.issue_family_token import FamilyStep, NewFamily
from entitlements.tokens.models import IssuedToken
from entitlements.words import Flow

from . import families

_CODE: Final = f"""
SELECT {authorization_code.COLUMNS}, p.is_active, p.sign_ins_valid_after
FROM entitlements_authorizationcode c JOIN entitlements_person p ON p.id = c.user_id
JOIN entitlements_client a ON a.id = c.application_id
WHERE c.code = %s AND c.application_id = %s AND c.system_id = %s
"""  # noqa: S608 - the columns are constants


@dataclass(frozen=True, slots=True)
class CodeAtSystem:
    """A code as the page of a system left it; `auth_time` is when the person signed in."""

    pending: PendingCode
    resource: str
    subject: Subject
    auth_time: datetime

    @property
    def requested(self) -> frozenset[str] | None:
        """The scopes that the person agreed to; None for whatever the agent holds."""
        return frozenset(scopes.parse(self.pending.scope)) or None


async def redeem(attempt: Attempt, caller: Caller, target: Target) -> Mapping[str, Any]:
    """Answer a code request of a client at a system. Raises Refused, NotIssued, AlreadyRefused."""
    digest = authorization_code.digest(attempt.need("code"))
    verifier = attempt.need("code_verifier")
    agents.check_agent(caller)
    code = await _read(attempt, caller, target, digest)
    caller = await agents.for_person(attempt, caller, code.subject.pk, target.slug)
    authorization_code.check(code.pending, attempt.form, verifier)
    possession.check_key(attempt, code.pending.jkt)
    if attempt.form.get("resource", code.resource) != code.resource:
        raise refusals.invalid_target("The resource is not the one that the code is for.")
    attempt.code = digest
    token_request = await _token_request(attempt, caller, target, code)
    try:
        token, minted = await issue.access_token(attempt, token_request, code.resource, code.pending.signed_in)
    except door.AlreadyRefused:
        await families.end_what_came_of(attempt, caller, digest)
        raise
    answer = jwt_bearer.access_token_answer(attempt, token, minted, code.resource)
    return {**answer, "refresh_token": refresh_token(token_request, target)}


def refresh_token(token_request: TokenRequest, target: Target) -> str:
    """Return the refresh token that comes with a token of a family."""
    if token_request.family is None:
        raise ValueError("The token belongs to no family.")
    step = token_request.family
    return refresh_tokens.make(step.family, step.next_generation, target.issuer_path)


async def _read(attempt: Attempt, caller: Caller, target: Target, digest: str) -> CodeAtSystem:
    rows = await attempt.reads.rows(_CODE, [digest, caller.pk, target.pk])
    if not rows:
        if not attempt.reads.is_from_memory:  # else the same request begins again on facts of now
            await families.end_what_came_of(attempt, caller, digest)
        raise refusals.invalid_grant(*refusals.CODE_UNKNOWN)
    *columns, is_active, valid_after = rows[0]
    pending = PendingCode(*columns)
    subject = Subject(pending.person, pending.login, is_active)
    attempt.about.append(f"person:{pending.login}")
    families.check_person(subject, valid_after, pending.created)
    return CodeAtSystem(pending, pending.resource, subject, authorization_code.auth_time(pending))


async def _token_request(attempt: Attempt, caller: Caller, target: Target, code: CodeAtSystem) -> TokenRequest:
    pending, family, subject = code.pending, uuid4(), code.subject
    digest = families.sign_in_digest(subject.login, code.auth_time, caller.agent or "")
    known = await families.session_of(attempt, caller, subject, digest, code.auth_time, pending.signed_in)
    expires = rules.ends(pending.created, is_proven=families.is_proven(caller))
    begins = NewFamily(code.resource, pending.scope, digest, code.auth_time, expires)
    name = str(attempt.code)[:16]
    return TokenRequest(
        Flow.AUTHORIZATION_CODE,
        IssuedToken.Kind.ACCESS_TOKEN,
        caller,
        target,
        subject,
        code.requested,
        target.token_seconds,
        session=known.session,
        sign_in=known.begins,
        successor=known.successor,
        redeemed=RedeemedToken(name, pending.created.timestamp(), pending.expires.timestamp(), code.requested),
        family=FamilyStep(family, begins=begins, source=attempt.source),
        detail={"resource": code.resource},
    )
