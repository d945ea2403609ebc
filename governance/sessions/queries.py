"""What the pages of sessions read: the list, and one session with its risk, its sign-in and its end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.risk.models import RiskSignal
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session, the names of the systems that its tokens are for, and whether it is open."""

    session: Session
    systems: tuple[str, ...]
    now: datetime

    @property
    def state(self) -> str:
        """`active` while the session is open, else `ended`."""
        return "active" if self.session.is_open(self.now) else "ended"

    @property
    def system_names(self) -> str:
        """The names of the systems in one text."""
        return ", ".join(self.systems)


def listed(caller: Caller) -> QuerySet[Session]:
    """Return the sessions that a caller sees. What they name is read for a page, and not joined."""
    rows = visibility.sessions(caller).select_related(None)
    return rows.prefetch_related("agent__sponsor", "agent__owner", "agent__backup", "person__sourced", "client")


def at_system(rows: QuerySet[Session], system: str) -> QuerySet[Session]:
    """Return those of some sessions that have tokens for a system, by its slug."""
    return rows.filter(pk__in=IssuedToken.objects.filter(system__slug=system).exclude(session=None).values("session"))


def described(rows: Sequence[Session], now: datetime) -> list[SessionRow]:
    """Return some sessions with their systems, in their order."""
    systems: dict[UUID, list[str]] = defaultdict(list)
    tokens = IssuedToken.objects.filter(session__in=[row.pk for row in rows]).order_by("system__name")
    for session, name in tokens.values_list("session", "system__name").distinct():
        systems[session].append(name)
    return [SessionRow(row, tuple(systems[row.pk]), now) for row in rows]


def risk_signals(caller: Caller, session: Session) -> QuerySet[RiskSignal]:
    """Return the signals about a session, its agent and its person that a caller sees, the newest first."""
    about = Q(session=session) | Q(agent=session.agent_id)
    if session.person_id is not None:
        about |= Q(person=session.person_id)
    rows = visibility.risk_signals(caller).filter(about)
    return rows.order_by("-noted_at", "-id")


def systems(session: Session) -> list[str]:
    """Return the systems that the tokens of a session are for, by slug."""
    rows = IssuedToken.objects.filter(session=session, system__isnull=False).order_by("system__slug")
    return list(rows.values_list("system__slug", flat=True).distinct())
