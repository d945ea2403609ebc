"""Actions on many grants at once: each by one statement, with an event for each grant and a change for each agent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.feed import changes, locks
from entitlements.feed.locks import Lock


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
    changes.note_many(changes.Kind.GRANT, {agent_id for _, _, agent_id, *_ in rows}, "grant:suspended")
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
    return _expire("TRUE", "LIMIT %(limit)s FOR UPDATE SKIP LOCKED", {"limit": limit})


@transaction.atomic
def expire_conflicting(agent_pk: int, entitlement_pk: int, subjects_digest: str) -> int:
    """End the grant to the same agent, entitlement and people if its time has passed; returns how many.

    Waits for a sweep that is ending it, so that it ends once.
    """
    same = "agent_id = %(agent)s AND entitlement_id = %(entitlement)s AND subjects_digest = %(subjects)s"
    values: dict[str, int | str] = {"agent": agent_pk, "entitlement": entitlement_pk, "subjects": subjects_digest}
    return _expire(same, "FOR UPDATE", values)


def _expire(which: str, how: str, values: Mapping[str, int | str]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRE.format(which=which, how=how), {"now": clock.now(), **values})
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
        changes.note_many(changes.Kind.GRANT, {agent_id for _, agent_id, _, _ in ended}, "grant:expired")
    return len(ended)


_EXPIRE: Final = """
WITH due AS (
    SELECT id FROM entitlements_grant WHERE ended_at IS NULL AND expires_at <= %(now)s AND {which}
    ORDER BY expires_at {how}
)
UPDATE entitlements_grant g SET state = 'expired', ended_at = %(now)s, end_reason = 'its time has passed',
       version = g.version + 1
FROM due, entitlements_agent a, entitlements_entitlement e
WHERE g.id = due.id AND a.id = g.agent_id AND e.id = g.entitlement_id
RETURNING g.id, g.agent_id, a.slug, e.scope
"""
