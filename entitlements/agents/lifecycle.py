"""What ends by itself: ephemeral agents at their end, unused clients step by step; and the allowed kinds of agent.

A client counts as used while a token of its lives or lived. One that is hidden comes back by being used; one that is
closed gets no token, and a person has to start it; one that is put away stays so, and its row stays as well.
"""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.agents.models import Agent, AgentTypeRule
from entitlements.clients.models import Client
from entitlements.errors import DomainError, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock

from . import agents


class UnknownKind(DomainError):
    """There is no such agent type."""

    code, status = "agent_kind_unknown", HTTPStatus.UNPROCESSABLE_ENTITY


@transaction.atomic
def set_kind_rule(kind: str, *, allowed: bool, by: Principal, reason: str) -> AgentTypeRule | None:
    """Set whether agents of a kind may be registered; those that exist go on. Twice changes and records nothing.

    Returns the rule, or None where the kind never had one. Raises UnknownKind, ReasonRequired.
    """
    if kind not in Agent.Kind.values:
        raise UnknownKind(kind=kind)
    if not reason.strip():
        raise ReasonRequired
    locks.exclusive((Lock.KEY, f"kind {kind}"))
    before = AgentTypeRule.objects.filter(kind=kind).first()
    if allowed == (before is None or before.allowed):
        return before
    values = {"allowed": allowed, "reason": reason, "changed_by": str(by), "changed_at": clock.now()}
    rule, _ = AgentTypeRule.objects.update_or_create(kind=kind, defaults=values)
    log.record(Action.AGENT_KIND_RULED, by=by, reason=reason, detail={"kind": kind, "allowed": allowed})
    return rule


def kind_rules() -> dict[str, AgentTypeRule | None]:
    """Return every kind with its rule; None where there is no rule, which allows the kind."""
    ruled = {rule.kind: rule for rule in AgentTypeRule.objects.all()}
    return {kind: ruled.get(kind) for kind in Agent.Kind.values}


def allowed_kinds() -> frozenset[str]:
    """Return the kinds of which agents may be registered."""
    return frozenset(kind for kind, rule in kind_rules().items() if rule is None or rule.allowed)


def retire_ephemeral(limit: int = 100) -> int:
    """Retire up to `limit` agents whose end has passed; says how many. Until then every decision refused them."""
    over = Agent.objects.filter(ends_at__lte=clock.now()).exclude(status=Agent.Status.RETIRED)
    due = list(over.order_by("ends_at")[:limit])
    for agent in due:
        with suppress(agents.WrongState):  # another worker came first
            agents.retire(agent, by=SYSTEM, reason="Its time is over.")
    return len(due)


_USED: Final = """
greatest(c.created, CASE WHEN c.idle = '' THEN c.idle_since END,
         (SELECT max(t.expires_at) FROM entitlements_issuedtoken t WHERE t.client_id = c.id AND t.revoked_at IS NULL))
"""

_NEXT: Final = f"""
CASE WHEN c.idle = 'hidden' AND {_USED} > %(now)s - %(hide)s THEN ''
     WHEN c.idle = '' AND c.status = 'active' AND {_USED} <= %(now)s - %(hide)s THEN 'hidden'
     WHEN c.idle = 'hidden' AND c.status = 'active' AND {_USED} <= %(now)s - %(close)s
          AND c.idle_since <= %(now)s - (%(close)s - %(hide)s) THEN 'closed'
     WHEN c.idle = 'closed' AND c.idle_since <= %(now)s - (%(delete)s - %(close)s) THEN 'deleted'
     ELSE c.idle END
"""

_DUE: Final = f"SELECT c.id FROM entitlements_client c WHERE c.idle <> {_NEXT} ORDER BY c.id LIMIT %(limit)s"  # noqa: S608

_MOVE: Final = f"""
WITH due AS (SELECT c.id, {_NEXT} AS next FROM entitlements_client c WHERE c.id = ANY(%(chosen)s))
UPDATE entitlements_client c SET idle = due.next, idle_since = %(now)s,
       status = CASE WHEN due.next IN ('closed', 'deleted') THEN 'disabled' ELSE c.status END
FROM due LEFT JOIN entitlements_agent a ON a.id = (SELECT agent_id FROM entitlements_client x WHERE x.id = due.id)
WHERE c.id = due.id AND c.idle <> due.next
RETURNING c.id, c.identifier, due.next, c.agent_id, a.slug
"""  # noqa: S608 - made of constants

_EVENTS: Final = {
    "": Action.CLIENT_RETURNED,
    Client.Idle.HIDDEN: Action.CLIENT_HIDDEN,
    Client.Idle.CLOSED: Action.CLIENT_CLOSED,
    Client.Idle.DELETED: Action.CLIENT_DELETED,
}


@transaction.atomic
def advance_idle_clients(limit: int = 500) -> int:
    """Take the step that is due for up to `limit` clients; says for how many. N rows, N events.

    Each step waits for its distance to the one before, so that a warning comes before every closing. The locks
    keep issuers away, and use is checked again under them.
    """
    values: dict[str, Any] = {"now": clock.now(), "limit": limit, **settings.CLIENT_IDLE_AFTER}
    with connection.cursor() as cursor:
        cursor.execute(_DUE, values)
        chosen = [key for (key,) in cursor.fetchall()]
        locks.exclusive(*((Lock.CLIENT, key) for key in chosen))
        cursor.execute(_MOVE, {**values, "chosen": chosen})
        moved = cursor.fetchall()
    for step, action in _EVENTS.items():
        taking_step = [(client, slug) for _pk, client, taken, _agent, slug in moved if taken == step]
        rows = [
            log.Row(about=(f"client:{client}", *((f"agent:{slug}",) if slug else ()))) for client, slug in taking_step
        ]
        log.record_many(action, rows, by=SYSTEM)
    for pk, agent in [(pk, agent) for pk, _client, taken, agent, _slug in moved if taken == Client.Idle.CLOSED]:
        changes.note(subjects.client(pk), of=[] if agent is None else [subjects.agent(agent)])
    return len(moved)
