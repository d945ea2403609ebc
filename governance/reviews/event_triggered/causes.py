"""Noting a cause for an event-triggered review: one per kind and subject, however often the event happens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from audit import clock
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from governance.reviews.event_triggered.models import ReviewTrigger

Kind = ReviewTrigger.Kind
_MOST_FACTS: Final = 20


@dataclass(frozen=True, slots=True)
class KindRules:
    """How a kind of cause is reviewed: how soon it may be reviewed again, and the reason preselected for a removal."""

    again_after: timedelta
    drop: str


_WEEK, _MONTH, _QUARTER = timedelta(days=7), timedelta(days=30), timedelta(days=90)
KIND_RULES: Final[Mapping[str, KindRules]] = {
    Kind.COMBINATION: KindRules(_WEEK, "risk"),
    Kind.RISK_SIGNAL: KindRules(_WEEK, "risk"),
    Kind.TOOL_CHANGED: KindRules(_WEEK, "drifted"),
    Kind.IRREVERSIBLE_USE: KindRules(_WEEK, "risk"),
    Kind.LEAVER: KindRules(_WEEK, "owner_gone"),
    Kind.DELEGATE_LEFT: KindRules(_WEEK, "owner_gone"),
    Kind.DORMANT: KindRules(_MONTH, "unused"),
    Kind.BY_RULE: KindRules(_MONTH, "not_appropriate"),
    Kind.AGENT_CHANGED: KindRules(_MONTH, "drifted"),
    Kind.REACH_GREW: KindRules(_MONTH, "risk"),
    Kind.DENIALS: KindRules(_MONTH, "wrong_scope"),
    Kind.NEW_OFFICE: KindRules(_QUARTER, "not_appropriate"),
    Kind.MOVED: KindRules(_QUARTER, "not_appropriate"),
    Kind.ENDS_SOON: KindRules(_QUARTER, "project_ended"),
    Kind.SPOT_CHECK: KindRules(timedelta(), "not_appropriate"),
}
"""In the order in which the reviews begin where many causes wait."""


@transaction.atomic
def note(
    kind: str, agent: Agent, fact: Mapping[str, Any], *, grants: Iterable[UUID] = (), at: datetime | None = None
) -> ReviewTrigger:
    """Note what happened to an agent; with `grants` the cause is about those alone.

    A waiting cause of the same kind and subject gets the fact added. After a review of the same cause a new one waits
    until its interval is over.
    """
    grant_ids = sorted(set(grants))
    subject = f"grant:{grant_ids[0]}" if kind in (Kind.BY_RULE, Kind.ENDS_SOON) and grant_ids else f"agent:{agent.slug}"
    dated_fact = {**fact, "at": (at or clock.now()).isoformat()}
    with connection.cursor() as cursor:  # two who note the same at once: the second sees what the first wrote
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"review trigger {kind} {subject}"])
    same = ReviewTrigger.objects.filter(kind=kind, subject=subject)
    waiting = same.select_for_update().filter(state=ReviewTrigger.State.WAITING).first()  # not while it is being opened
    if waiting is not None:
        if len(waiting.facts) < _MOST_FACTS:
            waiting.facts = [*waiting.facts, dated_fact]
        waiting.grants = sorted({*waiting.grants, *grant_ids}) if waiting.grants and grant_ids else []
        waiting.save(update_fields=["facts", "grants"])
        return waiting
    before = same.filter(state=ReviewTrigger.State.OPENED)
    last = before.order_by("-opened_at").values_list("opened_at", flat=True).first()
    now = clock.now()
    return ReviewTrigger.objects.create(
        kind=kind,
        agent=agent,
        subject=subject,
        grants=grant_ids,
        facts=[dated_fact],
        happened_at=at or now,
        open_from=max(now, last + KIND_RULES[kind].again_after) if last else now,
    )


def known(kind: str, agent: Agent, **fact: object) -> bool:
    """Whether a cause of this kind with this fact was ever noted for an agent."""
    return ReviewTrigger.objects.filter(kind=kind, agent=agent, facts__contains=[fact]).exists()


def in_force(agent: Agent) -> bool:
    """Whether an agent holds access that a review could ask about."""
    return Grant.objects.filter(agent=agent, ended_at=None, expires_at__gt=clock.now()).exists()
