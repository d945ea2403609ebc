"""What the code and the refresh token of one sign-in share: its session, its person, and the end of all it made.

A family without a system is a sign-in at `/idp`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from audit import clock, draft
from audit.actions import Action
from entitlements import addresses
from entitlements.clients.callers import Caller
from entitlements.clients.models import Client
from entitlements.connections import connected_agent
from entitlements.decisions.reads import Reads
from entitlements.edge import door, refusals
from entitlements.edge.door import Attempt
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.session_policies.rules import SignedIn
from entitlements.sessions import sessions
from entitlements.tokens.issue import SignIn, Subject
from entitlements.tokens.issue_token import Outcome
from entitlements.tokens.revoke_family import FamilyRevocation

from . import sign_in_traces

_SESSION: Final = """
SELECT n.id, n.ended_at IS NOT NULL, n.last_used_at + make_interval(secs => n.idle_seconds), n.expires_at, n.trace
FROM entitlements_session n WHERE n.id IN (
    SELECT s.id FROM entitlements_session s WHERE s.client_id = %s AND s.sign_in_sha256 = %s
    UNION ALL SELECT f.session_id FROM entitlements_tokenfamily f
    WHERE f.client_id = %s AND f.person_id = %s AND f.sign_in_sha256 = %s)
ORDER BY n.started_at DESC LIMIT 1
"""
_BEGUN: Final = """
SELECT f.id, p.id, p.login FROM entitlements_tokenfamily f JOIN entitlements_person p ON p.id = f.person_id
WHERE f.code_sha256 = %s
"""
REPLAYED: Final = "Its authorization code was used a second time."


def is_proven(caller: Caller) -> bool:
    """Whether a client proves who it is when it calls."""
    return caller.auth != Client.Auth.NONE


def sign_in_digest(login: str, auth_time: datetime, agent: str) -> str:
    """Name a person's sign-in at our pages with one agent: at each system it is the same."""
    return sessions.sign_in_digest(addresses.issuer(addresses.IDP), login, int(auth_time.timestamp()), agent)


async def latest_session(
    reads: Reads, client: int, person: int, sign_in: str
) -> tuple[UUID, bool, datetime, datetime, str] | None:
    """Return the last session of a sign-in at a client, its first or a successor; None where none has begun.

    Beside it stand whether it was ended, when it lapses without use, when it ends at the latest, and its trace.
    """
    rows = await reads.rows(_SESSION, [client, sign_in, client, person, sign_in])
    return cast("tuple[UUID, bool, datetime, datetime, str]", rows[0]) if rows else None


@dataclass(frozen=True, slots=True)
class SessionOfSignIn:
    """The open session of a sign-in, or what begins one; with `successor`, what begins the next one."""

    session: UUID | None = None
    begins: SignIn | None = None
    successor: SignIn | None = None


async def session_of(
    attempt: Attempt, caller: Caller, subject: Subject, sign_in: str, signed_in_at: datetime, claims: Mapping[str, Any]
) -> SessionOfSignIn:
    """Return the session in which a sign-in goes on, or the one that begins: all its systems share it, and its trace.

    One that lapsed with time has a successor, for a sign-in outlasts the sessions in which it is used; whether a
    session policy lets it begin, the decision says. One that was ended has none: it is returned, and the decision
    refuses it.
    `claims` are what the sign-in says of itself.
    """
    latest, stated = await latest_session(attempt.reads, caller.pk, subject.pk, sign_in), SignedIn.of_claims(claims)
    trace = sign_in_traces.at_our_pages(subject.login, signed_in_at, caller.client_id)
    if latest is None:
        attempt.traced.join(trace)
        return SessionOfSignIn(begins=SignIn(sign_in, signed_in_at, stated=stated))
    session, is_ended, idle_at, expires, carried = latest
    attempt.traced.join(carried or trace)
    if is_ended:
        return SessionOfSignIn(session)
    digest = hashlib.sha256(f"{sign_in}\n{session}".encode()).hexdigest()
    successor = SignIn(digest, signed_in_at, stated=stated)
    if clock.now() < min(idle_at, expires):
        return SessionOfSignIn(session, successor=successor)
    attempt.traced.join(sign_in_traces.at_our_pages(subject.login, signed_in_at, caller.client_id, session))
    return SessionOfSignIn(begins=successor)


def check_person(subject: Subject, valid_after: datetime | None, since: datetime) -> None:
    """Refuse what is from before the person was last disabled and is active again. Raises Refused.

    Whether the person is disabled now is left to the decision.
    """
    if valid_after is not None and subject.is_active and not since > valid_after:
        raise refusals.invalid_grant(
            "The person was disabled after this sign-in. They must sign in again.", "token_revoked"
        )


async def end_what_came_of(attempt: Attempt, caller: Caller, code: str) -> None:
    """End the family that a code began which is used again: the code, or its first use, was stolen (RFC 9700).

    `code` is its digest.
    """
    for family, person, login in await attempt.reads.rows(_BEGUN, [code]):
        caller = await connected_agent.for_person(attempt.reads, caller, person)
        attempt.about += [link for link in [f"person:{login}"] if link not in attempt.about]
        await end(attempt, caller, UUID(str(family)), Action.TOKEN_FAMILY_REUSED, REPLAYED)


async def end(attempt: Attempt, caller: Caller, family: UUID, action: Action, reason: str) -> bool:
    """End a family of the calling client, with every token of it; False when it had ended before."""
    links = [*caller.links, *attempt.about, *attempt.traced.links, f"token_family:{family}"]
    event = draft.draft(action, by=caller.principal, about=dict.fromkeys(links), reason=reason)
    ending = FamilyRevocation(clock.now(), caller.pk, reason, family, locks.number(Lock.TOKEN_FAMILY, family))
    proof = None if attempt.is_used_up else attempt.proof
    answer = await attempt.outside.end_family(ending, event, proof)
    door.check_used(attempt, answer)
    if proof is not None and answer.outcome is Outcome.REVOKED:
        attempt.outside.claim_here(proof)
        attempt.is_used_up = True  # by this write: the refusal that follows must not find it used
    return answer.outcome is Outcome.REVOKED
