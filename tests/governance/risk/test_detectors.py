"""Our own detectors find what the audit log tells of risk, each once; a review is opened where the policy says so."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.models import Event
from entitlements.catalog.models import Tool
from entitlements.risk.models import RiskSignal
from entitlements.risk.subject import RiskSubject
from governance.reviews.event_triggered import triggers
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.usage.models import UsageDay
from governance.risk import detectors
from tests import make
from tests.audit.make import Archive
from tests.entitlements.risk.worlds import answered
from tests.governance.reviews import worlds
from tests.governance.risk.test_pages import signal

BOT = Principal("agent", "research-bot")


@pytest.fixture
def archive(transactional_db: None, tmp_path: Path) -> Archive:  # noqa: ARG001
    return Archive(tmp_path, Ed25519PrivateKey.generate())


def call(tool: str = "now", action: Action = Action.CALL_ALLOWED, times: int = 1) -> None:
    outcome = "success" if action is Action.CALL_ALLOWED else "refused"
    row = log.Row(about=[f"tool:clock/{tool}"], outcome=outcome, detail={"tool": tool})
    with transaction.atomic():
        log.record_many(action, [row] * times, by=BOT)


def record(action: Action, *about: str, **detail: object) -> None:
    with transaction.atomic():
        log.record(action, by=SYSTEM, about=about, detail=detail)


def found(archive: Archive) -> list[tuple[str, str, str]]:
    """Seal, listen, and return what was noted since the last time."""
    before = set(RiskSignal.objects.values_list("pk", flat=True))
    archive.seal()
    while detectors.listen():
        pass
    rows = RiskSignal.objects.exclude(pk__in=before).select_related("agent", "person")
    return sorted((row.kind, row.about, row.level) for row in rows)


def test_what_the_audit_log_tells_of_is_noted_once(archive: Archive) -> None:
    company, _grant = worlds.found()
    wipe = make.tool(company.system, "wipe-all")
    Tool.objects.filter(pk=wipe.pk).update(action="delete")
    known = make.tool(company.system, "drop")
    Tool.objects.filter(pk=known.pk).update(action="execute")
    day = clock.now().date() - timedelta(days=3)
    UsageDay.objects.create(
        agent=company.bot, tool=known, day=day, calls=1, denied=0, last_at=clock.now() - timedelta(days=3)
    )
    bystander = make.agent("bystander")
    assert found(archive) == [], "it begins with what comes from now"

    call("wipe-all", times=2)
    call("drop")
    call("now")
    record(Action.TOKEN_FAMILY_REUSED, "person:alice", "token_family:x")
    record(Action.TOOL_CHANGED, "tool:clock/now", change="description")
    record(Action.TOOL_CHANGED, "tool:clock/now", change="cosmetic")
    call("now", Action.CALL_DENIED, detectors.BURST - 1)
    assert found(archive) == [
        ("definition_drift", "agent:research-bot", "low"),
        ("irreversible_use", "agent:research-bot", "low"),
        ("refresh_reuse", "person:alice", "medium"),
    ]
    call("now", Action.CALL_DENIED)
    assert found(archive) == [("denied_call_burst", "agent:research-bot", "medium")]
    call("wipe-all")
    call("now", Action.CALL_DENIED, detectors.BURST)
    assert found(archive) == [], "none is reported twice within the hour"
    assert not RiskSignal.objects.filter(agent=bystander).exists()
    company.bot.refresh_from_db()
    assert company.bot.risk_level == "medium"
    assert {row.outcome for row in RiskSignal.objects.all()} == {"observed"}
    assert not ReviewTrigger.objects.filter(kind="risk_signal").exists()


@pytest.mark.django_db
def test_a_review_is_opened_where_two_people_agreed_on_it() -> None:
    company, _grant = worlds.found()
    signal(RiskSubject(agent=company.bot), "observed")
    answered("refresh_reuse", "review")
    signal(RiskSubject(agent=company.bot), "enforced")
    for event in Event.objects.filter(action=Action.RISK_SIGNALLED).order_by("at", "sequence"):
        triggers.note_event(event)
    [trigger] = ReviewTrigger.objects.filter(kind="risk_signal")
    assert (trigger.agent, len(trigger.facts)) == (company.bot, 1)
    assert trigger.facts[0]["signal"] == "refresh reuse"
    signal(RiskSubject(person=company.alice), "person")
    triggers.note_event(Event.objects.filter(action=Action.RISK_SIGNALLED).latest("at", "sequence"))
    trigger.refresh_from_db()
    assert len(trigger.facts) == 2, "the agents that act for the person are reviewed"
