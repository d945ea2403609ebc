"""Records once that an anchor or a connector is away or that the backup is overdue, and once that it is back.

What was recorded last says what is known already, so that a look repeats nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from django.db import connection, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from entitlements.connectors import connectors
from entitlements.connectors.models import Connector
from governance.setup import readiness, setup
from governance.setup.readiness import Progress

CONNECTOR_AWAY: Final = timedelta(minutes=5)
"""How long no node may have a connection of a connector."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """One thing as it is now: its links, the events of both states, and what is wrong, if anything."""

    about: list[str]
    wrong: Action
    right: tuple[Action, ...]
    problem: str


@transaction.atomic
def look() -> None:
    """Compare each with what was recorded of it last. Two at once record once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('outages', 0))")
    for seen in (*_anchors(), *_connectors(), *_backup()):
        known = Event.objects.filter(links__contains=seen.about, action__in=[seen.wrong, *seen.right])
        last = known.order_by("-at").values_list("action", flat=True).first()
        if seen.problem and last != seen.wrong:
            detail = {"problem": seen.problem}
            log.record(seen.wrong, about=seen.about, by=SYSTEM, outcome="failure", detail=detail)
        elif not seen.problem and last == seen.wrong:
            log.record(seen.right[0], about=seen.about, by=SYSTEM)


def _anchors() -> Iterator[_Seen]:
    for name, state in readiness.anchors():
        problem = state.sentence if state.word == Progress.FAILED else ""
        yield _Seen([f"anchor:{quote(name)}"], Action.ANCHOR_UNREACHABLE, (Action.ANCHOR_REACHABLE,), problem)


def _connectors() -> Iterator[_Seen]:
    due = clock.now() - CONNECTOR_AWAY
    for row in Connector.objects.filter(state=Connector.State.ACTIVE).select_related("system"):
        seen_at = row.seen_at or row.enrolled_at
        problem = f"seen last at {seen_at}" if seen_at is None or seen_at <= due else ""
        yield _Seen(connectors.about(row), Action.CONNECTOR_UNREACHABLE, (Action.CONNECTOR_REACHABLE,), problem)


def _backup() -> Iterator[_Seen]:
    """Only one that is overdue: what ends that is recorded by who makes or attests the next."""
    state = setup.backup()
    if state.word == Progress.FAILED:
        right = (Action.BACKUP_MADE, Action.SETUP_BACKUP_ATTESTED)
        yield _Seen(["setup:backup"], Action.BACKUP_OVERDUE, right, state.sentence)
