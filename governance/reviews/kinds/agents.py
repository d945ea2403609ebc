"""Agents themselves: still wanted? A removal suspends the agent at once, and retires it when it is final.

A sponsor who says that an agent is not hers starts a succession; the next in the chain is asked meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.errors import DomainError
from governance.ownership import ownership
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import holds
from governance.reviews.items.models import ReviewItem

from . import token_requests
from .kind import Cut, Kind

logger = logging.getLogger(__name__)


def _there(keys: Collection[str]) -> set[str]:
    rows = Agent.objects.filter(slug__in=keys).exclude(status=Agent.Status.RETIRED)
    return set(rows.values_list("slug", flat=True))


def _of(item: ReviewItem) -> Agent:
    return Agent.objects.get(slug=item.subject_key)


def _cut(item: ReviewItem, cut: Cut) -> dict[str, Any]:
    agent = _of(item)
    if agent.status in (Agent.Status.SUSPENDED, Agent.Status.RETIRED):
        return {"was": agent.status}
    agents.suspend(agent, by=cut.by, reason=cut.reason)
    return {"was": agent.status}


def _undo(item: ReviewItem, before: dict[str, Any], cut: Cut) -> bool:
    agent = _of(item)
    if agent.status != Agent.Status.SUSPENDED or before["was"] == Agent.Status.SUSPENDED:
        return False
    if agents.suspended_by(agent.slug) - {str(cut.undoes)} or holds.is_subject_held(
        ReviewItem.Subject.AGENT, agent.slug
    ):
        return False
    agents.restore(agent, by=cut.by, reason=cut.reason)
    return True


def _finish(item: ReviewItem, cut: Cut) -> None:
    with suppress(agents.WrongState):  # somebody retired it already
        agents.retire(_of(item), by=cut.by, reason=cut.reason)


def _probe(item: ReviewItem, cut: Cut) -> list[dict[str, Any]]:  # noqa: ARG001 - each kind is asked alike
    agent = _of(item)
    clients = list(agent.clients.order_by("client_id").values_list("client_id", flat=True))
    stands = agent.status in (Agent.Status.SUSPENDED, Agent.Status.RETIRED)
    told = {"ask": "agent", "allowed": not stands, "code": agent.status, "holds": stands}
    return [told, *token_requests.tokens(agent, clients or [""])]


def pass_on(decision: ReviewDecision) -> None:
    """Ask an heir to answer for an agent that its sponsor said is not hers: the backup, or else her manager."""
    agent = decision.item.agent
    if agent is None or decision.decided_by_id != agent.sponsor_id:
        return
    for heir in (agent.backup, agent.sponsor.manager):
        if heir is not None and heir.is_active and heir.pk != agent.sponsor_id:
            said = f"{agent.sponsor.login} says in the review {decision.item.campaign.slug} that it is not theirs."
            try:
                ownership.propose(agent, "sponsor", heir, by=SYSTEM, reason=said)
            except DomainError as refusal:  # a personal agent goes with its user
                logger.info("no heir asked", extra={"agent": agent.slug, "code": str(refusal.code)})
            return


KIND = Kind(_there, _cut, _probe, _undo, _finish, is_stopped_by_silence=True)
