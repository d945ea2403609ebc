"""Actions on sessions: an agent's run for one person, begun by the first exchange after a sign-in."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from http import HTTPStatus
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.errors import DomainError, NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.feed.subjects import Subject
from entitlements.sessions.models import Session

IDLE = timedelta(hours=1)
ABSOLUTE = timedelta(hours=12)


class SessionEnded(DomainError):
    """The session has already ended. The person must sign in again."""

    code, status = "session_ended", HTTPStatus.CONFLICT


def sign_in_digest(issuer: str, subject: str, auth_time: int, agent: str) -> str:
    """Return the name of one sign-in of one person with one agent: the same ID token again continues the session."""
    return hashlib.sha256(f"{issuer}\n{subject}\n{auth_time}\n{agent}".encode()).hexdigest()


@transaction.atomic
def end(session_id: UUID, *, by: Principal, reason: str) -> Session:
    """End a session and with it every token that names it. Raises NotFound and SessionEnded."""
    locks.exclusive((Lock.SESSION, session_id))
    try:
        session = Session.objects.select_related("agent", "person", "client").get(pk=session_id)
    except Session.DoesNotExist as error:
        raise NotFound from error
    if session.ended_at is not None:
        raise SessionEnded
    session.ended_at, session.end_reason = clock.now(), reason
    session.save(update_fields=["ended_at", "end_reason"])
    person = session.person.login if session.person else None
    links = _about(session.pk, session.agent.slug, client=session.client.client_id, person=person)
    log.record(Action.SESSION_ENDED, about=links, by=by, reason=reason)
    changes.note(subjects.session(session.pk), of=[subjects.agent(session.agent_id)])
    return session


def end_all_of(which: QuerySet[Session], changed: Subject, *, by: Principal, reason: str) -> int:
    """End the open ones of some sessions, in the running transaction; returns how many.

    `changed` is whose sessions they were: a client or a person, whose lock the caller holds, as issuers share it.
    """
    rows = list(
        which.filter(ended_at=None)
        .select_for_update(of=("self",))
        .values_list("pk", "agent__slug", "client__client_id", "person__login", "agent_id")
    )
    Session.objects.filter(pk__in=[row[0] for row in rows]).update(ended_at=clock.now(), end_reason=reason)
    events = [
        log.Row(about=_about(pk, agent, client=client, person=person), reason=reason)
        for pk, agent, client, person, _ in rows
    ]
    log.record_many(Action.SESSION_ENDED, events, by=by)
    changes.note_many([changed], of={subjects.agent(row[-1]) for row in rows})
    return len(rows)


def _about(pk: UUID, agent: str, *, client: str, person: str | None) -> list[str]:
    """Return how the events of a session are found again."""
    links = [f"session:{pk}", f"agent:{agent}", f"client:{client}"]
    return [*links, f"person:{person}"] if person else links
