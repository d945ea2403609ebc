"""Unused agents: a warning after a month, a question after six weeks, suspension after three months.

An agent counts as used while a token of its lives or lived: no call is made without one, and none is older than five
minutes. What was never used counts from its registration, which is the grace of a new one. The steps follow each other
at their distance, so that no agent is suspended before its sponsor was asked.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from governance.ownership.models import Dormancy

Step = Dormancy.Step


class NotDormant(DomainError):
    """The agent is in use, so it needs no confirmation."""

    code, status = "agent_not_dormant", HTTPStatus.CONFLICT


_LAST_USED: Final = """
greatest(a.created_at, d.kept_at, (SELECT max(t.expires_at) FROM entitlements_issuedtoken t
                                    WHERE t.agent_id = a.id AND t.revoked_at IS NULL))
"""

_STEPS: Final = f"""
WITH seen AS (
    SELECT a.id, a.status, coalesce(d.step, 0) AS step, d.since, {_LAST_USED} AS used
    FROM entitlements_agent a LEFT JOIN governance_dormancy d ON d.agent_id = a.id
    WHERE a.status = 'active' OR d.step > 0
), due AS (
    SELECT id, step, CASE
        WHEN status <> 'active' OR used > %(now)s - %(warn)s THEN 0
        WHEN step = 0 THEN 1
        WHEN step = 1 AND used <= %(now)s - %(ask)s AND since <= %(now)s - (%(ask)s - %(warn)s) THEN 2
        ELSE step END AS next
    FROM seen
), moved AS (
    INSERT INTO governance_dormancy AS d (agent_id, step, since, kept_because)
    SELECT id, next, %(now)s, '' FROM due WHERE next <> step ORDER BY id LIMIT %(limit)s
    ON CONFLICT (agent_id) DO UPDATE SET step = excluded.step, since = excluded.since WHERE d.step <> excluded.step
    RETURNING d.agent_id, d.step
)
SELECT a.slug, p.login, m.step FROM moved m JOIN entitlements_agent a ON a.id = m.agent_id
JOIN entitlements_person p ON p.id = a.sponsor_id ORDER BY a.id
"""  # noqa: S608 - made of a constant

_EVENTS: Final = {Step.WARNED: Action.AGENT_DORMANT, Step.ASKED: Action.AGENT_NEED_ASKED}


@transaction.atomic
def take_steps(limit: int = 1000) -> int:
    """Take the due step for up to `limit` agents; returns how many. N rows, N events. Parallel runs share the work."""
    after = settings.DORMANT_AFTER
    values: dict[str, Any] = {"now": clock.now(), "warn": after["warn"], "ask": after["ask"], "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(_STEPS, values)
        moved = cursor.fetchall()
    for step, action in _EVENTS.items():
        rows = [log.Row(about=(f"agent:{slug}", f"person:{login}")) for slug, login, taken in moved if taken == step]
        log.record_many(action, rows, by=SYSTEM)
    return len(moved)


@transaction.atomic
def suspend_unneeded(limit: int = 100) -> int:
    """Suspend up to `limit` agents that were neither used nor kept since their sponsor was asked."""
    waited = settings.DORMANT_AFTER["suspend"] - settings.DORMANT_AFTER["ask"]
    unneeded = Agent.objects.filter(dormancy__step=Step.ASKED, dormancy__since__lte=clock.now() - waited)
    stopped = agents.suspend_all(unneeded, by=SYSTEM, reason="It was not used, and no one kept it.", limit=limit)
    # A restored agent starts its idle time again.
    Dormancy.objects.filter(agent__in=stopped).update(step=Step.IN_USE, since=clock.now())
    return len(stopped)


@transaction.atomic
def keep(agent: Agent, *, by: Person, reason: str) -> Dormancy:
    """Say that an unused agent is still needed, which counts as a use. Raises ReasonRequired, NotFound, NotDormant."""
    if not reason.strip():
        raise ReasonRequired
    locks.exclusive((Lock.AGENT, agent.pk))
    if not Agent.objects.filter(pk=agent.pk).exists():
        raise NotFound
    dormancy = Dormancy.objects.filter(agent=agent, step__gt=Step.IN_USE, agent__status=Agent.Status.ACTIVE).first()
    if dormancy is None:
        raise NotDormant
    dormancy.step, dormancy.since = Step.IN_USE, clock.now()
    dormancy.kept_at, dormancy.kept_by, dormancy.kept_because = dormancy.since, by, reason
    dormancy.save()
    log.record(Action.AGENT_KEPT, about=[f"agent:{agent.slug}"], by=by.principal, reason=reason)
    return dormancy
