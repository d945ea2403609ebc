"""Sessions of agents, begun as the first exchange after a sign-in begins them."""

from __future__ import annotations

from datetime import datetime

from audit import log
from audit.actions import Action
from entitlements.clients.models import Client
from entitlements.people.models import Person
from entitlements.sessions import sessions
from entitlements.sessions.models import Session


def begin(
    client: Client, person: Person, sign_in: str, *, auth_time: datetime | None, now: datetime
) -> tuple[Session, bool]:
    """Find the open session of this sign-in and touch it, or begin one; returns it and whether it is new."""
    agent = client.agent
    assert agent is not None
    latest = Session.objects.filter(client=client, sign_in_sha256=sign_in).order_by("-started_at").first()
    if latest is not None:
        assert latest.ended_at is None
        Session.objects.filter(pk=latest.pk).update(last_used_at=now)
        return latest, False
    session, created = Session.objects.get_or_create(
        client=client,
        sign_in_sha256=sign_in,
        ended_at=None,
        defaults={
            "agent": agent,
            "person": person,
            "started_at": now,
            "last_used_at": now,
            "idle_seconds": int(sessions.IDLE.total_seconds()),
            "expires_at": now + sessions.ABSOLUTE,
            "auth_time": auth_time,
        },
    )
    if created:
        log.record(
            Action.SESSION_BEGUN,
            about=[
                *(f"session:{session.pk}", f"agent:{agent.slug}"),
                *(f"client:{client.client_id}", f"person:{person.login}"),
            ],
            by=agent.principal,
        )
    return session, created
