"""What agents and sessions did, written into the audit log as the product writes it, and read by the detectors."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.drift import detect
from entitlements.drift.models import AgentHour
from entitlements.risk.models import RiskSignal
from tests.audit.make import Archive

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def call(agent: Agent, tool: str, *, times: int = 1, session: str = "", source: str = "") -> None:
    """Record allowed calls of an agent."""
    row = log.Row(about=[f"tool:{tool}"], detail={"tool": tool.partition("/")[2]})
    with context.acting(session=session, source=source), transaction.atomic():
        log.record_many(Action.CALL_ALLOWED, [row] * times, by=Principal("agent", agent.slug))


def record(action: Action, *about: str, by: Principal = context.SYSTEM, **detail: Any) -> None:  # noqa: ANN401
    with transaction.atomic():
        log.record(action, by=by, about=about, detail=detail)


def past(agent: Agent, *, days: int = 20, calls: int = 10, tool_class: str = "read internal", at: int = -1) -> None:
    """Have an agent used on days before today, at the hour of now (or `at`), so often each day."""
    now = clock.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    hour = hour if at < 0 else hour.replace(hour=at)
    AgentHour.objects.bulk_create(
        AgentHour(agent=agent, hour=hour - n * DAY, tool_class=tool_class, calls=calls) for n in range(1, days + 1)
    )


def found(archive: Archive) -> list[tuple[str, str]]:
    """Seal, listen, and return what was noted since the last time, as kind and subject."""
    before = set(RiskSignal.objects.values_list("pk", flat=True))
    archive.seal()
    while detect.listen():
        pass
    rows = RiskSignal.objects.exclude(pk__in=before).select_related("agent", "person")
    return sorted((row.kind, row.about) for row in rows)


def began(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
