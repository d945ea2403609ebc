"""The session that an exchange continues: known here, or begun by the write unless another node has begun it."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from entitlements.decisions.reads import FeedSubject, Rows
from entitlements.decisions.snapshot import SessionFacts
from entitlements.tokens.issue import SignIn, TokenRequest
from entitlements.tokens.issue_token import BegunSession

from .door import Attempt

_LATEST: Final = """
SELECT id FROM entitlements_session WHERE client_id = %s AND sign_in_sha256 = %s ORDER BY started_at DESC LIMIT 1
"""


async def find(attempt: Attempt, token_request: TokenRequest) -> UUID | None:
    """Return the session that is named, or the latest of this sign-in, ended or not; None where one would begin.

    A sign-in that is not known here is taken for a new one: the write begins a session only where there is none, and
    otherwise says which there is.
    """
    if token_request.session is not None or token_request.sign_in is None:
        return token_request.session
    asked = _asked(token_request, token_request.sign_in)
    rows = attempt.reads.known(_LATEST, asked)
    if rows is None and not attempt.reads.may_assume():
        rows = await attempt.reads.kept(_LATEST, asked, lambda found: _about(token_request, found))
    return rows[0][0] if rows else None


def learn(
    attempt: Attempt, token_request: TokenRequest, session: UUID, begun: BegunSession, position: int, moment: datetime
) -> None:
    """Know the session that was begun at this moment, on facts of this position of the feed, when it is named again."""
    caller, subject = token_request.caller, token_request.subject
    authenticated = begun.auth_time or moment
    facts = SessionFacts(
        subject.login if subject else None,
        moment.timestamp() + begun.idle_seconds,
        begun.expires.timestamp(),
        authenticated.timestamp(),
    )
    attempt.reads.learn_session(caller.agent or "", str(session), facts)
    if token_request.sign_in is not None:
        asked = _asked(token_request, token_request.sign_in)
        attempt.reads.learn(_LATEST, asked, [(session,)], lambda found: _about(token_request, found), position)


def _asked(token_request: TokenRequest, sign_in: SignIn) -> list[object]:
    return [token_request.caller.pk, sign_in.digest]


def _about(token_request: TokenRequest, found: Rows) -> list[FeedSubject]:
    caller = token_request.caller
    return [("client_id", caller.pk), ("agent_id", caller.agent_pk), ("session_id", found[0][0])]
