"""Leavers who own agents: a new owner is proposed, and after a week the agents are suspended."""

from __future__ import annotations

import logging
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from audit import clock
from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.errors import DomainError
from entitlements.people.models import Person
from governance.ownership.models import OwnershipProposal

from . import ownership

logger = logging.getLogger(__name__)
_OFFICES: Final = ("sponsor", "owner")
"""The roles that need a new owner; a backup who leaves is only shown, since nothing depends on them yet."""
_ORPHANED: Final = "Its owner left a week ago, and no one took over."


def orphaned(office: str) -> QuerySet[Agent]:
    """Return the agents, not retired, whose sponsor or owner has left."""
    rows = Agent.objects.exclude(status=Agent.Status.RETIRED).filter(**{f"{office}__is_active": False})
    return rows.select_related("sponsor__manager", "owner__manager", "backup")


def propose_new_owners(limit: int = 200) -> int:
    """Propose new owners for up to `limit` roles whose holder left; returns how many. No person is asked twice.

    The candidate is the backup owner, or else the leaver's manager. A person who declined is skipped.
    """
    count = 0
    for office in _OFFICES:
        for agent in _without_candidate(office)[:limit]:
            count += _ask(agent, office)
    return count


def _without_candidate(office: str) -> QuerySet[Agent]:
    """Return the agents with a candidate who can be asked now, and is not."""
    since = OwnershipProposal.objects.filter(agent=OuterRef("pk"), office=office)
    answered = since.filter(proposed_at__gte=OuterRef(f"{office}__disabled_at"))
    manager = f"{office}__manager"
    possible = (Q(backup__is_active=True) & ~Exists(answered.filter(person=OuterRef("backup")))) | (
        Q(**{f"{manager}__is_active": True}) & ~Exists(answered.filter(person=OuterRef(manager)))
    )
    rows = orphaned(office).filter(possible).exclude(Exists(since.filter(state=OwnershipProposal.State.WAITING)))
    if office == "sponsor":  # a personal agent goes with its user
        rows = rows.exclude(kind=Agent.Kind.PERSONAL)
    return rows.order_by("pk")


def _ask(agent: Agent, office: str) -> bool:
    left: Person = getattr(agent, office)
    before = OwnershipProposal.objects.filter(agent=agent, office=office, proposed_at__gte=left.disabled_at)
    passed = set(before.values_list("person", flat=True))
    candidates = [
        candidate
        for candidate in (agent.backup, left.manager)
        if candidate and candidate.is_active and candidate.pk not in passed
    ]
    try:
        for candidate in candidates[:1]:
            ownership.propose(agent, office, candidate, by=SYSTEM, reason=f"{left.login} has left.")
    except DomainError as refusal:  # it changed since it was read; the next round looks again
        logger.info("no new owner asked", extra={"agent": agent.slug, "code": str(refusal.code)})
        return False
    return bool(candidates)


def suspend_orphans(limit: int = 100) -> int:
    """Suspend up to `limit` agents whose sponsor or owner left a week ago without a new owner; returns how many.

    Decisions deny such an agent already, by themselves; this makes it visible, and its people get a notice.
    """
    before = clock.now() - ownership.TO_ANSWER
    gone = Q(sponsor__disabled_at__lte=before) | Q(owner__disabled_at__lte=before)
    return len(agents.suspend_all(Agent.objects.filter(gone), by=SYSTEM, reason=_ORPHANED, limit=limit))
