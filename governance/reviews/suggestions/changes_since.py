"""What became different since a person last kept the same access: lines, definitions, limits, people, who answers.

Both sides are frozen: the lines and the population of this review, and those of the one in which it was kept. What the
agent runs is what was reported when it was kept, and what is reported now (of what is answered: when it was).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from audit import clock
from entitlements.agents.models import AgentVersion
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population.models import PopulationRow

_UNCHANGED: Final = """
WITH now AS (
    SELECT i.id, i.agent_id, i.system_id, i.subjects_digest FROM governance_reviewitem i WHERE i.id = ANY(%s::uuid[])
), before AS (
    SELECT DISTINCT ON (n.id) n.id, o.id AS old FROM now n
    JOIN governance_reviewitem o USING (agent_id, system_id, subjects_digest)
    JOIN governance_reviewdecision d ON d.id = o.current_decision_id
    WHERE o.id <> n.id AND d.verb = 'certify' ORDER BY n.id, d.decided_at DESC
)
SELECT b.id FROM before b WHERE NOT EXISTS (
    (SELECT grant_id, tool_id, tool_version_id, limits FROM governance_reviewline WHERE item_id = b.id
     EXCEPT SELECT grant_id, tool_id, tool_version_id, limits FROM governance_reviewline WHERE item_id = b.old)
    UNION ALL
    (SELECT grant_id, tool_id, tool_version_id, limits FROM governance_reviewline WHERE item_id = b.old
     EXCEPT SELECT grant_id, tool_id, tool_version_id, limits FROM governance_reviewline WHERE item_id = b.id))
"""


def unchanged(items: Collection[UUID]) -> set[UUID]:
    """Say which items hold exactly the lines that a person kept when she last looked at them."""
    if not items:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_UNCHANGED, [list(items)])
        return {pk for (pk,) in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class Line:
    """One tool on both sides; `before` or `now` is None where it is on one side alone. Definitions are raw."""

    tool: str
    before: Mapping[str, Any] | None
    now: Mapping[str, Any] | None
    limits_before: Mapping[str, Any]
    limits_now: Mapping[str, Any]

    @property
    def is_redefined(self) -> bool:
        """Whether the server says something else of it now."""
        return self.before is not None and self.now is not None and self.before != self.now

    @property
    def is_limited_anew(self) -> bool:
        """Whether other limits hold."""
        return self.before is not None and self.now is not None and self.limits_before != self.limits_now


@dataclass(frozen=True, slots=True)
class Since:
    """What is different since a decision; every part is empty where nothing is."""

    decision: ReviewDecision
    at: datetime
    added: tuple[Line, ...]
    removed: tuple[Line, ...]
    changed: tuple[Line, ...]
    facts: tuple[tuple[str, str, str], ...]


def earlier(item: ReviewItem) -> QuerySet[ReviewItem]:
    """Return the same access, or other thing, in other reviews, the last one first."""
    rows = ReviewItem.objects.filter(agent=item.agent_id, system=item.system_id, subjects_digest=item.subjects_digest)
    rows = rows.filter(subject_kind=item.subject_kind, subject_key=item.subject_key)
    return rows.exclude(pk=item.pk).order_by("-campaign__snapshot_at", "-pk")


def since(item: ReviewItem) -> Since | None:
    """Compare an item with how it was when a person last kept all or some of it; None where nobody ever did.

    The people are part of what an item is, so an access for other people is another one; `facts` name who answers for
    the agent and what it runs.
    """
    same_agent = ReviewItem.objects.filter(agent=item.agent_id, system=item.system_id).exclude(pk=item.pk)
    same_agent = same_agent.filter(subject_kind=item.subject_kind)
    kept = same_agent.filter(current_decision__verb__in=["certify", "reduce"])
    last = (
        kept.filter(subjects_digest=item.subjects_digest).order_by("-current_decision__decided_at").first()
        or kept.order_by("-current_decision__decided_at").first()
    )
    if last is None or last.current_decision is None:
        return None
    said = last.current_decision
    before, now = _lines(last, said), _lines(item, None)
    both = [_pair(name, before.get(name), now.get(name)) for name in sorted({*before, *now})]
    return Since(
        said,
        said.decided_at,
        added=tuple(each for each in both if each.before is None),
        removed=tuple(each for each in both if each.now is None),
        changed=tuple(each for each in both if each.is_redefined or each.is_limited_anew),
        facts=(*_facts(last, item), *_running(item, said.decided_at)),
    )


def _lines(item: ReviewItem, said: ReviewDecision | None) -> dict[str, ReviewLine]:
    """Return the lines by tool; of a decision those that it left, with the limits that it set."""
    rows = ReviewLine.objects.filter(item=item).select_related("tool", "tool_version")
    rows = rows.filter(pk__in=said.kept_lines) if said else rows
    found = {}
    for row in rows.order_by("pk"):
        if said and (tighter := said.limits.get(str(row.pk))) is not None:
            row.limits = tighter
        found[row.tool.name] = row
    return found


def _pair(name: str, before: ReviewLine | None, now: ReviewLine | None) -> Line:
    return Line(name, _definition(before), _definition(now), _limits(before), _limits(now))


def _definition(line: ReviewLine | None) -> Mapping[str, Any] | None:
    if line is None:
        return None
    told: Mapping[str, Any] = line.tool_version.definition if line.tool_version else {}
    return told


def _limits(line: ReviewLine | None) -> Mapping[str, Any]:
    return line.limits if line else {}


def _facts(last: ReviewItem, item: ReviewItem) -> list[tuple[str, str, str]]:
    """Name what the frozen rows say differently of who answers for the agent, for whom it acts and how long."""
    before, now = _frozen(last), _frozen(item)
    return [(name, before[name], now[name]) for name in before if before[name] != now[name]]


def _running(item: ReviewItem, then: datetime) -> list[tuple[str, str, str]]:
    """Name what the agent runs otherwise than then: its model, what it is told, and the metadata of its client."""
    now = item.current_decision.decided_at if item.current_decision else clock.now()
    said = AgentVersion.objects.filter(agent=item.agent_id).order_by("-reported_at", "-pk")
    before, after = (said.filter(reported_at__lte=at).first() for at in (then, now))
    told = [(name, *(getattr(side, field, "") for side in (before, after))) for name, field in _RUNS.items()]
    return [(name, was, runs) for name, was, runs in told if was != runs]


_RUNS: Final = {"model": "model", "prompt": "prompt_sha256", "metadata": "client_metadata_sha256"}


def _frozen(item: ReviewItem) -> dict[str, str]:
    texts = PopulationRow.objects.filter(item=item).order_by("seq").values_list("payload", flat=True)
    rows = [json.loads(text) for text in texts]
    return {
        "sponsor": _all(rows, "sponsor"),
        "owner": _all(rows, "owner"),
        "people": ", ".join(sorted({name.partition(":")[2] for name in item.subjects})),
    }


def _all(rows: list[dict[str, Any]], name: str) -> str:
    return ", ".join(sorted({str(row[name]) for row in rows if row.get(name)}))
