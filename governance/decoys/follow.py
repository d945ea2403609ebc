"""What follows a touch: a risk signal about the agent, at once. The audit log is the queue; each event counts once.

A worker is told of events as they are committed, since nothing may wait for their seal. A worker that was away follows
what came meanwhile.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef

from audit import clock
from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.decoys import decoys
from entitlements.decoys.models import Decoy, DecoyTouch
from entitlements.risk import risk
from entitlements.risk.models import RiskSignal
from entitlements.risk.risk import NewSignal
from entitlements.risk.rules import Kind
from entitlements.risk.subject import RiskSubject, hold
from entitlements.words import Risk

AT_ONCE: Final = 200
LOOKS_BACK: Final = timedelta(days=30)
"""How long a touch may wait for a worker."""
AGAIN_AFTER: Final = timedelta(hours=1)
"""For so long further touches of one decoy by one agent are kept, and signal nothing more while its level is high."""

logger = logging.getLogger(__name__)


def follow_touches(limit: int = AT_ONCE) -> int:
    """Follow some touches that none followed yet, each in its own transaction; says how many it followed."""
    rows = Event.objects.filter(action=Action.DECOY_TOUCHED, at__gt=clock.now() - LOOKS_BACK)
    followed = DecoyTouch.objects.filter(event=OuterRef("uuid"))
    waiting = list(rows.exclude(Exists(followed)).order_by("at", "sequence")[:limit])
    return sum(map(_followed, waiting))


def end_taken() -> int:
    """End decoys whose name a tool of their system has by now; says how many."""
    same = Tool.objects.filter(system=OuterRef("system"), name=OuterRef("name"))
    keys = list(Decoy.objects.filter(ended_at=None).filter(Exists(same)).values_list("pk", flat=True))
    for key in keys:
        decoys.end_taken(key)
    return len(keys)


def _followed(event: Event) -> bool:
    try:
        _follow(event)
    except Exception:
        logger.exception("touch %s of a decoy could not be followed", event.uuid)
        return False
    return True


@transaction.atomic
def _follow(event: Event) -> None:
    decoy = Decoy.objects.select_related("system").filter(pk=event.key_uuid("decoy")).first()
    kind, _, name = event.actor.partition(":")
    agent = Agent.objects.filter(slug=name).first() if kind == "agent" else None
    if decoy is None or agent is None:
        return
    held = hold(RiskSubject(agent=agent))
    if DecoyTouch.objects.filter(pk=event.uuid).exists():
        return
    source, signal = f"decoy:{decoy.pk}", None
    if not _is_known(held, source):
        said = NewSignal(
            Kind.DECOY_TOUCHED,
            Risk.HIGH,
            source,
            f"It called {decoy.system.slug}/{decoy.name}, which is a decoy.",
            event.at,
            f"event:{event.uuid}",
            confidential=True,
        )
        signal = risk.note(held, said)
    DecoyTouch.objects.create(event=event.uuid, decoy=decoy, agent=agent, signal=signal, at=event.at)


def _is_known(subject: RiskSubject, source: str) -> bool:
    """Whether a signal of this decoy counts still, so that another one would say nothing new."""
    lately = RiskSignal.objects.filter(
        agent=subject.agent, source=source, decision=None, noted_at__gt=clock.now() - AGAIN_AFTER
    )
    return subject.level == Risk.HIGH and lately.exists()
