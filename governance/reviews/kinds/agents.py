"""Agents in reviews: a removal suspends the agent at once, and retires it when it is final.

A sponsor who answers that an agent is not theirs starts a transfer of ownership to the backup owner or their manager.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.connections import connections
from entitlements.errors import DomainError
from governance.ownership import ownership
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import holds
from governance.reviews.items.models import ReviewItem

from . import token_requests
from .kind import Cut, Kind

logger = logging.getLogger(__name__)


def _existing(keys: Collection[str]) -> set[str]:
    rows = Agent.objects.filter(slug__in=keys).exclude(status=Agent.Status.RETIRED)
    return set(rows.values_list("slug", flat=True))


def _agent(item: ReviewItem) -> Agent:
    return Agent.objects.get(slug=item.subject_key)


def _cut(item: ReviewItem, cut: Cut) -> dict[str, Any]:
    agent = _agent(item)
    if agent.status in (Agent.Status.SUSPENDED, Agent.Status.RETIRED):
        return {"was": agent.status}
    agents.suspend(agent, by=cut.by, reason=cut.reason)
    return {"was": agent.status}


def _undo(item: ReviewItem, before: dict[str, Any], cut: Cut) -> bool:
    agent = _agent(item)
    if agent.status != Agent.Status.SUSPENDED or before["was"] == Agent.Status.SUSPENDED:
        return False
    if agents.suspended_by(agent.slug) - {str(cut.undoes)} or holds.is_subject_held(
        ReviewItem.Subject.AGENT, agent.slug
    ):
        return False
    agents.restore(agent, by=cut.by, reason=cut.reason)
    return True


def _finish(item: ReviewItem, cut: Cut) -> None:
    with suppress(agents.WrongState):  # it is retired already
        agents.retire(_agent(item), by=cut.by, reason=cut.reason)


def _probe(item: ReviewItem, cut: Cut) -> list[dict[str, Any]]:  # noqa: ARG001 - all kinds have one signature
    agent = _agent(item)
    clients = list(connections.clients_of(agent).order_by("client_id").values_list("client_id", flat=True))
    is_stopped = agent.status in (Agent.Status.SUSPENDED, Agent.Status.RETIRED)
    answer = {"ask": "agent", "allowed": not is_stopped, "code": agent.status, "holds": is_stopped}
    return [answer, *token_requests.tokens(agent, clients or [""])]


def propose_successor(decision: ReviewDecision) -> None:
    """Propose a new sponsor for an agent whose sponsor answered that it is not theirs: the backup, or their manager."""
    agent = decision.item.agent
    if agent is None or decision.decided_by_id != agent.sponsor_id:
        return
    for successor in (agent.backup, agent.sponsor.manager):
        if successor is not None and successor.is_active and successor.pk != agent.sponsor_id:
            reason = f"{agent.sponsor.login} says in the review {decision.item.campaign.slug} that it is not theirs."
            try:
                ownership.propose(agent, "sponsor", successor, by=SYSTEM, reason=reason)
            except DomainError as refusal:  # a personal agent belongs to its user
                logger.info("no successor proposed", extra={"agent": agent.slug, "code": str(refusal.code)})
            return


KIND = Kind(_existing, _cut, _probe, _undo, _finish, is_stopped_by_silence=True)
