"""Actions on many grants at once: each by one statement, with an event for each grant and a change for each agent."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.grants.models import Grant


@transaction.atomic
def suspend_all(ids: Collection[UUID], *, by: Principal, reason: str) -> dict[UUID, int]:
    """Stop those of some grants that are active, by one statement; returns the version that each has since.

    Each grant is locked: hand in some hundreds at a time.
    """
    locks.exclusive(*((Lock.GRANT, grant) for grant in ids))
    with connection.cursor() as cursor:
        cursor.execute(_SUSPEND, [list(ids)])
        rows = cursor.fetchall()
    events = [
        log.Row(about=(f"grant:{pk}", f"agent:{agent}", f"entitlement:{scope}", f"system:{system}"), reason=reason)
        for pk, _, _, agent, scope, system in rows
    ]
    log.record_many(Action.GRANT_SUSPENDED, events, by=by)
    _note((pk, agent_id) for pk, _, agent_id, *_ in rows)
    return {pk: version for pk, version, *_ in rows}


_SUSPEND: Final = """
UPDATE entitlements_grant g SET state = 'suspended', version = g.version + 1
FROM entitlements_agent a, entitlements_entitlement e, entitlements_system y
WHERE g.id = ANY(%s::uuid[]) AND g.state = 'active' AND g.ended_at IS NULL
    AND a.id = g.agent_id AND e.id = g.entitlement_id AND y.id = e.system_id
RETURNING g.id, g.version, g.agent_id, a.slug, e.scope, y.slug
"""


@transaction.atomic
def expire_due(limit: int = 1000) -> int:
    """End up to `limit` grants whose time has passed; returns how many.

    Skips those that another transaction is working on; a later sweep finds them.
    """
    over = Grant.objects.filter(ended_at=None, expires_at__lte=clock.now()).order_by("expires_at")
    due = list(over.values_list("pk", flat=True)[:limit])
    free = set(locks.try_exclusive((Lock.GRANT, pk) for pk in due))
    return _expire([pk for pk in due if (Lock.GRANT, pk) in free])


@transaction.atomic
def expire_conflicting(agent_pk: int, entitlement_pk: int, subjects_digest: str) -> int:
    """End the grant to the same agent, entitlement and people if its time has passed; returns how many.

    Waits for a sweep that is ending it, so that it ends once.
    """
    same = Grant.objects.filter(agent=agent_pk, entitlement=entitlement_pk, subjects_digest=subjects_digest)
    over = list(same.filter(ended_at=None, expires_at__lte=clock.now()).values_list("pk", flat=True))
    locks.exclusive(*((Lock.GRANT, pk) for pk in over))
    return _expire(over)


def _expire(ids: Collection[UUID]) -> int:
    """End those of some grants that are still due, by one statement; the caller has locked them."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRE, {"now": clock.now(), "ids": list(ids)})
        ended = cursor.fetchall()
    if ended:
        log.record_many(
            Action.GRANT_EXPIRED,
            [
                log.Row(about=(f"grant:{grant}", f"agent:{slug}", f"entitlement:{scope}"), reason="its time has passed")
                for grant, _, slug, scope in ended
            ],
            by=SYSTEM,
        )
        _note((grant, agent_id) for grant, agent_id, *_ in ended)
    return len(ended)


def _note(changed: Iterable[tuple[UUID, int]]) -> None:
    """Note that grants changed, by a row for each of their agents."""
    rows = list(changed)
    changes.note_many((subjects.grant(pk) for pk, _ in rows), of={subjects.agent(agent_id) for _, agent_id in rows})


_EXPIRE: Final = """
UPDATE entitlements_grant g SET state = 'expired', ended_at = %(now)s, end_reason = 'its time has passed',
       version = g.version + 1
FROM entitlements_agent a, entitlements_entitlement e
WHERE g.id = ANY(%(ids)s::uuid[]) AND g.ended_at IS NULL AND g.expires_at <= %(now)s
    AND a.id = g.agent_id AND e.id = g.entitlement_id
RETURNING g.id, g.agent_id, a.slug, e.scope
"""
