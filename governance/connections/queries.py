"""What is connected as a person, by client and agent: sign-ins at systems, and sessions by the company's sign-in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from audit import clock
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.token_families import person_sign_ins
from entitlements.token_families.models import TokenFamily
from entitlements.token_families.rules import IDLE
from entitlements.tokens.models import IssuedToken

IDENTITY: Final = _("Your identity")
"""What stands for the system of a sign-in at `/idp`: its client knows who the person is."""
_SHOWN_FOR: Final = timedelta(days=7)
_MOST_ENDED: Final = 10


@dataclass(frozen=True, slots=True)
class Connection:
    """One sign-in or session: `kind` and `pk` name what a revocation ends, `ends_at` is where it ends unused."""

    kind: str
    pk: UUID
    systems: list[str]
    since: datetime
    last_used: datetime
    last_used_from: str
    ends_at: datetime

    @property
    def key(self) -> str:
        """How its button names it."""
        return f"{self.kind}:{self.pk}"

    @property
    def is_session(self) -> bool:
        """Whether it came by the company's sign-in, without a sign-in at a system."""
        return self.kind == "session"


@dataclass(slots=True)
class ConnectedClient:
    """A client that acts for the person through one agent, with what is connected there, the last used first."""

    client: Client
    agent: Agent | None
    connections: list[Connection] = field(default_factory=list)

    @property
    def is_claimed(self) -> bool:
        """Whether the client's name is only its own word."""
        return self.client.auth == Client.Auth.NONE


def connected_as(person: Person) -> list[ConnectedClient]:
    """Return what is connected as a person now, the client that was used last first."""
    now = clock.now()
    families = person_sign_ins.open_families(TokenFamily.objects.filter(person=person), now)
    sessions = list(person_sign_ins.open_sessions(Session.objects.filter(person=person), now).select_related(*_NAMES))
    systems = _systems_of(sessions)
    groups: dict[tuple[int, int | None], ConnectedClient] = {}
    rows: list[tuple[TokenFamily | Session, Connection]] = [
        *((family, _signed_in(family)) for family in families.select_related(*_NAMES, "system")),
        *((session, _session(session, systems[session.pk])) for session in sessions),
    ]
    for row, connection in sorted(rows, key=lambda pair: pair[1].last_used, reverse=True):
        group = groups.setdefault((row.client_id, row.agent_id), ConnectedClient(row.client, row.agent))
        group.connections.append(connection)
    return list(groups.values())


def latest_ended(person: Person) -> list[TokenFamily]:
    """Return the sign-ins that were ended in the last days, the latest first."""
    since = clock.now() - _SHOWN_FOR
    rows = TokenFamily.objects.filter(person=person, ended_at__gt=since).select_related("client", "system")
    return list(rows.order_by("-ended_at")[:_MOST_ENDED])


_NAMES: Final = ("client", "agent")


def _signed_in(family: TokenFamily) -> Connection:
    return Connection(
        "token_family",
        family.pk,
        [family.system.name if family.system else str(IDENTITY)],
        family.started_at,
        family.last_used_at,
        family.last_used_from,
        min(family.expires_at, family.last_used_at + IDLE),
    )


def _session(session: Session, systems: list[str]) -> Connection:
    idle_at = session.last_used_at + timedelta(seconds=session.idle_seconds)
    ends_at = min(session.expires_at, idle_at)
    return Connection("session", session.pk, systems, session.started_at, session.last_used_at, "", ends_at)


def _systems_of(sessions: Iterable[Session]) -> dict[UUID, list[str]]:
    """Return the names of the systems that a session has had a token for, by session."""
    names = defaultdict[UUID, list[str]](list)
    tokens = IssuedToken.objects.filter(session__in=[session.pk for session in sessions])
    for session, name in tokens.order_by("system__name").values_list("session", "system__name").distinct():
        names[session].append(name)
    return names
