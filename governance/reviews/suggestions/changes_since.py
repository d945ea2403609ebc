"""What changed since a reviewer last kept the same access: lines, definitions, limits, people, owners.

Both sides are frozen: the lines and the population of this review, and those of the review in which it was kept. The
agent's version is the one reported when it was kept, and the one reported now (or when this item was decided).
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
    """Return which items hold exactly the lines that a reviewer kept in the last decision about them."""
    if not items:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_UNCHANGED, [list(items)])
        return {pk for (pk,) in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class ToolChange:
    """One tool before and now; `before` or `now` is None where only one side has it. Definitions are raw."""

    tool: str
    before: Mapping[str, Any] | None
    now: Mapping[str, Any] | None
    limits_before: Mapping[str, Any]
    limits_now: Mapping[str, Any]

    @property
    def is_redefined(self) -> bool:
        """Whether the server describes the tool differently now."""
        return self.before is not None and self.now is not None and self.before != self.now

    @property
    def has_new_limits(self) -> bool:
        """Whether its limits differ."""
        return self.before is not None and self.now is not None and self.limits_before != self.limits_now


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since a decision; a part without changes is empty."""

    decision: ReviewDecision
    at: datetime
    added: tuple[ToolChange, ...]
    removed: tuple[ToolChange, ...]
    changed: tuple[ToolChange, ...]
    facts: tuple[tuple[str, str, str], ...]


def earlier(item: ReviewItem) -> QuerySet[ReviewItem]:
    """Return the items about the same subject in other reviews, the latest first."""
    rows = ReviewItem.objects.filter(agent=item.agent_id, system=item.system_id, subjects_digest=item.subjects_digest)
    rows = rows.filter(subject_kind=item.subject_kind, subject_key=item.subject_key)
    return rows.exclude(pk=item.pk).order_by("-campaign__snapshot_at", "-pk")


def compare(item: ReviewItem) -> Changes | None:
    """Compare an item with how it was when a reviewer last kept all or some of it; None where it was never kept.

    People are part of an item's identity, so access for other people is another item. `facts` names changes of the
    owners and of the agent's version.
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
    decision = last.current_decision
    before, now = _lines(last, decision), _lines(item, None)
    both = [_pair(name, before.get(name), now.get(name)) for name in sorted({*before, *now})]
    return Changes(
        decision,
        decision.decided_at,
        added=tuple(change for change in both if change.before is None),
        removed=tuple(change for change in both if change.now is None),
        changed=tuple(change for change in both if change.is_redefined or change.has_new_limits),
        facts=(*_facts(last, item), *_running(item, decision.decided_at)),
    )


def _lines(item: ReviewItem, decision: ReviewDecision | None) -> dict[str, ReviewLine]:
    """Return an item's lines by tool; with a decision only those that it kept, with the limits that it set."""
    rows = ReviewLine.objects.filter(item=item).select_related("tool", "tool_version")
    rows = rows.filter(pk__in=decision.kept_lines) if decision else rows
    lines = {}
    for row in rows.order_by("pk"):
        if decision and (tighter := decision.limits.get(str(row.pk))) is not None:
            row.limits = tighter
        lines[row.tool.name] = row
    return lines


def _pair(name: str, before: ReviewLine | None, now: ReviewLine | None) -> ToolChange:
    return ToolChange(name, _definition(before), _definition(now), _limits(before), _limits(now))


def _definition(line: ReviewLine | None) -> Mapping[str, Any] | None:
    if line is None:
        return None
    definition: Mapping[str, Any] = line.tool_version.definition if line.tool_version else {}
    return definition


def _limits(line: ReviewLine | None) -> Mapping[str, Any]:
    return line.limits if line else {}


def _facts(last: ReviewItem, item: ReviewItem) -> list[tuple[str, str, str]]:
    """Return the owners and people that differ between the frozen rows."""
    before, now = _frozen(last), _frozen(item)
    return [(name, before[name], now[name]) for name in before if before[name] != now[name]]


def _running(item: ReviewItem, then: datetime) -> list[tuple[str, str, str]]:
    """Return what differs in the agent's version: its model, its prompt, and the metadata of its client."""
    now = item.current_decision.decided_at if item.current_decision else clock.now()
    versions = AgentVersion.objects.filter(agent=item.agent_id).order_by("-reported_at", "-pk")
    before, after = (versions.filter(reported_at__lte=at).first() for at in (then, now))
    facts = [(name, *(getattr(side, field, "") for side in (before, after))) for name, field in _RUNS.items()]
    return [(name, was, runs) for name, was, runs in facts if was != runs]


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
