"""Noting that something happened which somebody should look at: once a kind and subject, however often it happens."""

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
class Manner:
    """How a kind is asked about: after how long the same may be asked again, and the reason a removal begins with."""

    again_after: timedelta
    drop: str


_WEEK, _MONTH, _QUARTER = timedelta(days=7), timedelta(days=30), timedelta(days=90)
MANNERS: Final[Mapping[str, Manner]] = {
    Kind.COMBINATION: Manner(_WEEK, "risk"),
    Kind.TOOL_CHANGED: Manner(_WEEK, "drifted"),
    Kind.IRREVERSIBLE_USE: Manner(_WEEK, "risk"),
    Kind.LEAVER: Manner(_WEEK, "owner_gone"),
    Kind.DELEGATE_LEFT: Manner(_WEEK, "owner_gone"),
    Kind.DORMANT: Manner(_MONTH, "unused"),
    Kind.BY_RULE: Manner(_MONTH, "not_appropriate"),
    Kind.AGENT_CHANGED: Manner(_MONTH, "drifted"),
    Kind.REACH_GREW: Manner(_MONTH, "risk"),
    Kind.DENIALS: Manner(_MONTH, "wrong_scope"),
    Kind.NEW_OFFICE: Manner(_QUARTER, "not_appropriate"),
    Kind.MOVED: Manner(_QUARTER, "not_appropriate"),
    Kind.ENDS_SOON: Manner(_QUARTER, "project_ended"),
    Kind.SPOT_CHECK: Manner(timedelta(), "not_appropriate"),
}
"""In the order in which they are asked about where many wait."""


@transaction.atomic
def note(
    kind: str, agent: Agent, fact: Mapping[str, Any], *, grants: Iterable[UUID] = (), at: datetime | None = None
) -> ReviewTrigger:
    """Note what happened to an agent; with `grants` it is about those alone.

    A cause of the kind that still waits is added to. One asked about before waits until its interval is over.
    """
    held = sorted(set(grants))
    subject = f"grant:{held[0]}" if kind in (Kind.BY_RULE, Kind.ENDS_SOON) and held else f"agent:{agent.slug}"
    told = {**fact, "at": (at or clock.now()).isoformat()}
    with connection.cursor() as cursor:  # two who note the same at once: the second sees what the first wrote
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"review trigger {kind} {subject}"])
    same = ReviewTrigger.objects.filter(kind=kind, subject=subject)
    waiting = same.select_for_update().filter(state=ReviewTrigger.State.WAITING).first()  # not while it is being opened
    if waiting is not None:
        if len(waiting.facts) < _MOST_FACTS:
            waiting.facts = [*waiting.facts, told]
        waiting.grants = sorted({*waiting.grants, *held}) if waiting.grants and held else []
        waiting.save(update_fields=["facts", "grants"])
        return waiting
    before = same.filter(state=ReviewTrigger.State.OPENED)
    last = before.order_by("-opened_at").values_list("opened_at", flat=True).first()
    now = clock.now()
    return ReviewTrigger.objects.create(
        kind=kind,
        agent=agent,
        subject=subject,
        grants=held,
        facts=[told],
        happened_at=at or now,
        open_from=max(now, last + MANNERS[kind].again_after) if last else now,
    )


def known(kind: str, agent: Agent, **fact: object) -> bool:
    """Whether an agent was noted for this before, whatever became of it."""
    return ReviewTrigger.objects.filter(kind=kind, agent=agent, facts__contains=[fact]).exists()


def in_force(agent: Agent) -> bool:
    """Whether an agent holds anything that could be asked about."""
    return Grant.objects.filter(agent=agent, ended_at=None, expires_at__gt=clock.now()).exists()
