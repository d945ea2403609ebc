"""What must be done once after a restore: every earlier key, token and session becomes invalid."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.contrib.sessions.models import Session as SignIn
from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.errors import ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.feed.models import GatewayNode
from entitlements.keys.models import SigningKey
from entitlements.people.models import ApiToken
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from governance.setup.models import Invitation


@dataclass(frozen=True, slots=True)
class EndedCounts:
    """How many of each were ended."""

    keys: int
    tokens: int
    sessions: int
    personal_tokens: int
    sign_ins: int


@transaction.atomic
def after_restore(*, by: Principal, reason: str) -> EndedCounts:
    """End every key, token, session and sign-in that the backup brought back. Grants stay as the backup has them.

    Revocations after the backup are unknown here: that is why everything starts from new keys and
    new sign-ins. New keys are made on first use. Raises ReasonRequired.
    """
    if not reason.strip():
        raise ReasonRequired
    locks.exclusive((Lock.EVERYTHING, subjects.EVERYTHING))
    now, why = clock.now(), f"restored from a backup: {reason}"[:500]
    sign_ins, _ = SignIn.objects.all().delete()
    Invitation.objects.filter(used_at=None, expires_at__gt=now).update(expires_at=now)
    GatewayNode.objects.all().delete()
    Agent.objects.update(tokens_valid_after=now)
    Client.objects.update(tokens_valid_after=now)
    TokenFamily.objects.filter(ended_at=None).update(ended_at=now, end_reason=why)
    ended = EndedCounts(
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
    log.record(Action.AUDIT_LOG_RESTORED, by=by, reason=reason, detail=asdict(ended))
    changes.note(subjects.ALL)
    return ended
