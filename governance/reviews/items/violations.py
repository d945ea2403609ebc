"""Open SoD violations of what a review asks about: which items have one.

An item takes part in a violation when one of its tools stands on a side of a policy that the agent, or an agent that
may call it, violates. An exception that another person gave covers it while it lasts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from django.db import connection

from entitlements.words import Risk
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.sod import check as check_actions
from governance.sod import facts as sod_facts
from governance.sod import rules as sod_rules
from governance.sod.check import PolicyViolation

LEVEL: Final = Risk.CRITICAL
"""The risk level of every open violation (decision 0053)."""
SUBJECTS: Final = (ReviewItem.Subject.ACCESS, ReviewItem.Subject.DELEGATION)
"""The items whose tools an agent holds: to keep one is to certify what the agent does with them."""

type Lines = Mapping[UUID, Collection[int]]

_IN_CAMPAIGN: Final = """
SELECT DISTINCT i.id FROM governance_reviewitem i JOIN governance_reviewline l ON l.item_id = i.id
WHERE i.campaign_id = %(campaign)s AND i.state = 'in_review' AND i.subject_kind = ANY(%(kinds)s)
  AND (i.agent_id, l.tool_id) IN (SELECT * FROM unnest(%(agents)s::bigint[], %(tools)s::bigint[]))"""


def of_items(items: Iterable[ReviewItem], kept: Lines, cut: Collection[int] = ()) -> dict[UUID, list[PolicyViolation]]:
    """Return the violations that the kept lines of each item take part in now, with or without an exception.

    `cut` names lines of items that count as taken away.
    """
    of_agent = {item.pk: item.agent_id for item in items if item.subject_kind in SUBJECTS and item.agent_id}
    line_ids = {line for pk in of_agent for line in kept.get(pk, ())}
    if not line_ids:
        return {}
    gone = ReviewLine.objects.filter(pk__in=cut, grant__isnull=False).values_list("grant", "tool") if cut else ()
    broken = check_actions.violations({agent for agent in of_agent.values() if agent}, cut=list(gone))
    if not broken:
        return {}
    lines = ReviewLine.objects.filter(pk__in=line_ids).select_related("tool__system")
    held = {line.pk: sod_facts.held_tool(line.tool) for line in lines}
    result = dict[UUID, list[PolicyViolation]]()
    for pk, agent in of_agent.items():
        tools = [held[line] for line in kept.get(pk, ()) if line in held]
        if touched := [each for each in broken.get(agent or 0, ()) if _takes_part(each, tools)]:
            result[pk] = touched
    return result


def _takes_part(violation: PolicyViolation, tools: Sequence[sod_rules.HeldTool]) -> bool:
    return sod_rules.touches(sod_rules.read(violation.rule.sides), tools)


def is_open(violations: Iterable[PolicyViolation]) -> bool:
    """Whether one of them has no exception."""
    return any(each.exception is None for each in violations)


def level(item: ReviewItem, violations: Iterable[PolicyViolation]) -> Risk:
    """Return the risk level of an item: of its tools when it was staged, or of a violation that is open now."""
    frozen = Risk(item.risk)
    return max(frozen, LEVEL, key=lambda risk: risk.rank) if is_open(violations) else frozen


def pairs() -> dict[str, list[int]]:
    """Return each agent and tool that takes part in an open violation, as the statements of staging take them."""
    open_pairs = check_actions.open_pairs()
    return {"open_agents": [agent for agent, _tool in open_pairs], "open_tools": [tool for _agent, tool in open_pairs]}


def in_campaign(campaign: Campaign) -> list[UUID]:
    """Return the items of a campaign that wait for an answer and have an open violation now."""
    if not (open_pairs := check_actions.open_pairs()):
        return []
    values: dict[str, Any] = {"campaign": campaign.pk, "kinds": list(SUBJECTS)}
    values |= {"agents": [agent for agent, _tool in open_pairs], "tools": [tool for _agent, tool in open_pairs]}
    with connection.cursor() as cursor:
        cursor.execute(_IN_CAMPAIGN, values)
        return [item for (item,) in cursor.fetchall()]


def link(item: ReviewItem) -> str:
    """Return the address that says who gives an exception for an item, and where they give it."""
    return f"/reviews/{item.campaign.slug}/items/{item.pk}/#exception"
