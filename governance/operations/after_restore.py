"""What must be done once after a restore: end every earlier key, token and session, and stop again what was stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.sessions.models import Session as SignIn
from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.models import Checkpoint
from audit.seals import anchors, seal_key, stops
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.decisions import guardrails
from entitlements.errors import ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.feed.models import GatewayNode
from entitlements.keys.models import SigningKey
from entitlements.people.models import ApiToken
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from governance.operations import stops_since_backup
from governance.setup.models import Invitation

_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class EndedCounts:
    """How many of each were ended."""

    keys: int
    tokens: int
    sessions: int
    personal_tokens: int
    sign_ins: int
    stops: int
    """Stops since the backup, applied again."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore ended, which stops nobody can apply here, and which systems wait for two people."""

    ended: EndedCounts
    unknown: list[dict[str, Any]]
    closed: list[str]
    is_whole: bool


def close(problem: str) -> None:
    """Stop everything, because a sealer found a restored backup; `after_restore` lifts it."""
    guardrails.stop_everything(by=SYSTEM, reason=problem, restored=True)


def after_restore(*, by: Principal, reason: str, notes: Path | None = None) -> Restored:
    """End every key, token, session and sign-in that the backup brought back, and stop again what was stopped since.

    Stops come from the copies beside the anchors, and from `notes`, a file that the receiver of a webhook wrote. A
    system of which they do not tell all stays closed, until two people open it. New keys are made on first use. Raises
    ReasonRequired.
    """
    if not reason.strip():
        raise ReasonRequired
    return _after_restore(_outside(notes), by=by, reason=reason)


@transaction.atomic
def _after_restore(outside: stops.Outside, *, by: Principal, reason: str) -> Restored:
    locks.exclusive((Lock.EVERYTHING, subjects.EVERYTHING))
    now, why = clock.now(), f"restored from a backup: {reason}"[:500]
    sign_ins, _ = SignIn.objects.all().delete()
    Invitation.objects.filter(used_at=None, expires_at__gt=now).update(expires_at=now)
    GatewayNode.objects.all().delete()
    Agent.objects.update(tokens_valid_after=now)
    Client.objects.update(tokens_valid_after=now)
    TokenFamily.objects.filter(ended_at=None).update(ended_at=now, end_reason=why)
    if guardrails.is_stopped_by_restore():
        guardrails.restart_everything(by=SYSTEM, reason=why)
    again = stops_since_backup.apply(outside)
    ended = EndedCounts(
        stops=len(again.applied),
        keys=SigningKey.objects.exclude(state=SigningKey.State.WITHDRAWN).update(
            state=SigningKey.State.WITHDRAWN, sealed_private=b"", withdrawn_at=now
        ),
        tokens=IssuedToken.objects.filter(revoked_at=None, expires_at__gt=now).update(
            revoked_at=now, revoke_reason=why
        ),
        sessions=Session.objects.filter(ended_at=None).update(ended_at=now, end_reason=why),
        personal_tokens=ApiToken.objects.filter(revoked_at=None).update(revoked_at=now),
        sign_ins=sign_ins,
    )
    detail = {
        **asdict(ended),
        "is_whole": outside.is_whole,
        "until": outside.until,
        "applied_stops": again.applied[:_SHOWN],
        "unknown": len(again.unknown),
        "unknown_stops": again.unknown[:_SHOWN],
        "closed": again.closed,
    }
    log.record(Action.AUDIT_LOG_RESTORED, by=by, reason=reason, detail=detail)
    changes.note(subjects.ALL)
    return Restored(ended, again.unknown, again.closed, is_whole=outside.is_whole)


def _outside(notes: Path | None) -> stops.Outside:
    """Read what is kept outside of the time after the backup; without the sealer's files nothing is known of it."""
    if not settings.SEAL_KEY_FILE or not settings.ANCHOR_FILE:
        return stops.Outside()
    head = Checkpoint.objects.order_by("-size").first()
    origin, size = (head.note.partition("\n")[0], head.size) if head else ("", 0)
    try:
        key = seal_key.load(Path(settings.SEAL_KEY_FILE)).public_key()
    except seal_key.BadSealKey:
        return stops.Outside()
    places = anchors.places(settings.ANCHOR_FILE)
    return stops.since([*places, *([anchors.File(notes)] if notes else [])], key, origin, size)
