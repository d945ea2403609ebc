"""The rotation endpoint: a client gets another secret, or registers other keys, with a credential that works.

Nothing is widened: who proves to hold the accepted credential gets another one for the same client, agent, scopes and
addresses (decision 88). Two work until the overlap ends, and never three.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from audit import clock, draft
from audit.actions import Action
from entitlements import addresses, strict
from entitlements.client_documents import rules as documents
from entitlements.clients import clients, key_history
from entitlements.clients.callers import Caller
from entitlements.clients.models import Client
from entitlements.codes import Code
from entitlements.credential_policy import policy
from entitlements.credential_policy.rules import Kind, Policy
from entitlements.edge import client_authentication, door, refusals
from entitlements.edge.door import Attempt
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.keys import public_keys
from entitlements.node.refusals import Closed
from entitlements.tokens.issue_token import Outcome

from . import held
from .held import Held
from .write import Rotation

RETRY_WITHIN: Final = timedelta(minutes=10)
"""For how long the previous credential gets another one: the answer that held the newest may have been lost."""
_ATTEMPTS: Final = 4
_LARGEST: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class _New:
    """The credential that comes: a secret, or keys with the text that the client's row will hold."""

    secret: str | None
    jwks: dict[str, Any]


async def rotate(attempt: Attempt) -> Mapping[str, Any]:
    """Give the calling client another credential; a secret stands in this answer alone.

    Raises Refused, BadKey, PrivateKeyGiven; Closed when the client keeps changing.
    """
    for _ in range(_ATTEMPTS):
        caller = await client_authentication.caller(attempt, addresses.IDP)
        in_force = await policy.read(attempt.reads)
        now, used = clock.now(), _used(attempt, caller)
        new = _new(attempt, caller)
        if used.is_previous and new.secret is None and _is_there(caller, new):
            attempt.use_up_here()  # its answer was lost, and a key that is asked for again is there
            return _answer(caller, new, in_force, caller.made, caller.previous_ends or now)
        await _check_is_new(attempt, caller, new)
        await _check_may_replace(attempt, caller, used, now)
        ends = caller.previous_ends if used.is_previous and caller.previous_ends else now + in_force.overlap
        if await _is_written(attempt, caller, used, new, now, ends):
            return _answer(caller, new, in_force, now, ends)
        attempt.read_again()
    raise Closed(Code.FEED_UNKNOWN)


def _used(attempt: Attempt, caller: Caller) -> Held:
    if attempt.held is None or documents.is_address(caller.client_id):
        raise refusals.invalid_request(
            "The keys of this client stand in its document. Replace them there.", "keys_in_document"
        )
    return attempt.held


def _new(attempt: Attempt, caller: Caller) -> _New:
    given = attempt.form.get("jwks")
    if (caller.auth == Client.Auth.PRIVATE_KEY_JWT) != bool(given):
        raise refusals.invalid_request(
            "Send new public keys as jwks for private_key_jwt, and nothing for a shared secret.", "jwks_mismatch"
        )
    if not given:
        return _New(secrets.token_urlsafe(32), {})
    try:
        jwks = strict.loads(given.encode(), largest=_LARGEST)
    except strict.NotStrictJson as error:
        raise refusals.invalid_request("The keys are not a JSON Web Key Set (RFC 7517).", "bad_key") from error
    public_keys.check_registered(jwks)
    return _New(None, {"keys": jwks["keys"]})


def _text(jwks: Mapping[str, Any]) -> str:
    return msgspec.json.encode(jwks).decode()


def _is_there(caller: Caller, new: _New) -> bool:
    return held.thumbprints(_text(new.jwks)) == held.thumbprints(caller.jwks)


async def _check_is_new(attempt: Attempt, caller: Caller, new: _New) -> None:
    """Refuse a key that the client has or had: by a rotation to it none would ever age. Raises Refused."""
    if new.secret is None and await key_history.has_had(attempt.reads, caller.client_id, new.jwks["keys"]):
        raise refusals.invalid_request("The client has this key, or had it before. Make a new one.", "key_is_not_new")


async def _check_may_replace(attempt: Attempt, caller: Caller, used: Held, now: datetime) -> None:
    """Refuse what the previous credential asks for late, or where a person gave the newest. Raises Refused.

    Who stole the previous one must not push out the newest.
    """
    if not used.is_previous:
        return
    is_late = now >= caller.made + RETRY_WITHIN
    if is_late or not await key_history.was_rotated(attempt.reads, caller.client_id, caller.made):
        raise refusals.invalid_request(
            "The client has a newer credential, which alone can be rotated. If it was lost, a person who manages the "
            "client revokes the rotation.",
            "rotated_before",
        )


async def _is_written(
    attempt: Attempt, caller: Caller, used: Held, new: _New, now: datetime, previous_ends: datetime
) -> bool:
    detail = {
        "auth": caller.auth,
        "replaces_newest": used.is_previous,
        "previous_ends_at": previous_ends.isoformat(),
        "thumbprints": sorted(held.thumbprints(_text(new.jwks))) if new.secret is None else [],
    }
    event = draft.draft(Action.CLIENT_CREDENTIAL_ROTATED, by=caller.principal, about=caller.links, detail=detail)
    rotation = Rotation(
        caller.pk,
        None if caller.agent_pk is None else locks.number(Lock.AGENT, caller.agent_pk),
        locks_of(caller),
        caller.made,
        caller.previous_made,
        used.is_previous,
        new.jwks,
        now,
        previous_ends,
        str(caller.principal),
        clients.secret_digest(new.secret) if new.secret else "",
    )
    proof = None if attempt.is_used_up else attempt.proof
    answer = await attempt.outside.rotate(rotation, event, proof)
    door.check_used(attempt, answer)
    if attempt.proof is not None and answer.outcome is Outcome.REVOKED:
        attempt.outside.claim_here(attempt.proof)
    return answer.outcome is not Outcome.BEHIND


def locks_of(caller: Caller) -> list[int]:
    """Return the numbers of the locks on identifier and client, in the order in which `clients.hold_alone` takes them.

    In the order of the keys a digit would come first, and the two would wait on each other in a ring.
    """
    return [locks.number(Lock.CLIENT, key) for key in (f"credential:{caller.client_id}", caller.pk)]


def _answer(caller: Caller, new: _New, in_force: Policy, made: datetime, previous_ends: datetime) -> dict[str, Any]:
    """Answer in the words of RFC 7591 section 3.2.1, with the end of the previous credential in epoch seconds."""
    kind = Kind.CLIENT_SECRET if new.secret else Kind.CLIENT_KEY
    ends = int(in_force.ends_at(kind, made).timestamp())
    answer = {"client_id": caller.client_id, "previous_expires_at": int(previous_ends.timestamp())}
    if new.secret:
        return {**answer, "client_secret": new.secret, "client_secret_expires_at": ends}
    return {**answer, "jwks": new.jwks, "jwks_expires_at": ends}
