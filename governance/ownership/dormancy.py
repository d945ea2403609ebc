"""Agents that nobody uses: warned of after a month, asked about after six weeks, stopped after three months.

An agent counts as used while a token of its lives or lived: no call is made without one, and none is older than five
minutes. What was never used counts from its registration, which is the grace of a new one. The steps follow each other
at their distance, so that nothing is stopped that nobody was asked about first.
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
    """The agent is in use, so nobody needs to say that it is still needed."""

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
    """Take the step that is due for up to `limit` agents; says for how many. N rows, N events. Two at once share it."""
    after = settings.DORMANT_AFTER
    told: dict[str, Any] = {"now": clock.now(), "warn": after["warn"], "ask": after["ask"], "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(_STEPS, told)
        moved = cursor.fetchall()
    for step, action in _EVENTS.items():
        rows = [log.Row(about=(f"agent:{slug}", f"person:{login}")) for slug, login, taken in moved if taken == step]
        log.record_many(action, rows, by=SYSTEM)
    return len(moved)


@transaction.atomic
def suspend_unneeded(limit: int = 100) -> int:
    """Stop up to `limit` agents that nobody used and nobody kept in all the time since they were asked about."""
    waited = settings.DORMANT_AFTER["suspend"] - settings.DORMANT_AFTER["ask"]
    unneeded = Agent.objects.filter(dormancy__step=Step.ASKED, dormancy__since__lte=clock.now() - waited)
    stopped = agents.suspend_all(unneeded, by=SYSTEM, reason="Nobody used it, and nobody kept it.", limit=limit)
    # Whoever starts one again gives it another time of grace.
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
    found = Dormancy.objects.filter(agent=agent, step__gt=Step.IN_USE, agent__status=Agent.Status.ACTIVE).first()
    if found is None:
        raise NotDormant
    found.step, found.since = Step.IN_USE, clock.now()
    found.kept_at, found.kept_by, found.kept_because = found.since, by, reason
    found.save()
    log.record(Action.AGENT_KEPT, about=[f"agent:{agent.slug}"], by=by.principal, reason=reason)
    return found
