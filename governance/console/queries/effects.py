"""What a stop would reach, counted before anybody presses the button."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Q

from audit import clock
from entitlements.models import Agent, Grant, IssuedToken, Session


def of(kind: str, thing: Any) -> dict[str, int]:  # noqa: ANN401 - any row that can be stopped
    """Count what a stop of this thing takes away now: agents, live grants, open sessions, live tokens, people."""
    grants, sessions, tokens = _grants(kind, thing), _sessions(kind, thing), _tokens(kind, thing)
    now = clock.now()
    live = Grant.objects.filter(grants, ended_at=None, expires_at__gt=now).distinct()
    running = Session.objects.filter(sessions, ended_at=None, expires_at__gt=now).distinct()
    people = {login for login in live.values_list("subjects__person__login", flat=True) if login}
    people |= {login for login in live.values_list("subjects__group__people__login", flat=True) if login}
    people |= {login for login in running.values_list("person__login", flat=True) if login}
    alive = IssuedToken.objects.filter(tokens, revoked_at=None, expires_at__gt=now).distinct()
    agents = set(live.values_list("agent", flat=True)) | set(running.values_list("agent", flat=True))
    return {
        "agents": Agent.objects.count() if kind == "everything" else len(agents),
        "grants": live.count(),
        "sessions": running.count(),
        "tokens": alive.count(),
        "people": len(people),
    }


def _grants(kind: str, thing: Any) -> Q:  # noqa: ANN401 - as above
    found: dict[str, Callable[[], Q]] = {
        "grant": lambda: Q(pk=thing.pk),
        "agent": lambda: Q(agent=thing),
        "client": lambda: Q(agent=thing.agent) if thing.agent else Q(pk=None),
        "person": lambda: Q(subjects__person=thing) | Q(agent__sponsor=thing),
        "session": lambda: Q(pk__in=thing.tokens.values("draws_on__grant")),
        "token": lambda: Q(pk__in=thing.draws_on.values("grant")),
        "system": lambda: Q(entitlement__system=thing),
        "tool": lambda: Q(lines__tool=thing),
        "everything": lambda: Q(pk__isnull=False),
    }
    return found[kind]()


def _sessions(kind: str, thing: Any) -> Q:  # noqa: ANN401 - as above
    found: dict[str, Callable[[], Q]] = {
        "grant": lambda: Q(tokens__draws_on__grant=thing),
        "agent": lambda: Q(agent=thing),
        "client": lambda: Q(client=thing),
        "person": lambda: Q(person=thing) | Q(agent__sponsor=thing),
        "session": lambda: Q(pk=thing.pk),
        "token": lambda: Q(pk=thing.session_id),
        "system": lambda: Q(tokens__system=thing),
        "tool": lambda: Q(tokens__draws_on__grant__lines__tool=thing),
        "everything": lambda: Q(pk__isnull=False),
    }
    return found[kind]()


def _tokens(kind: str, thing: Any) -> Q:  # noqa: ANN401 - as above
    found: dict[str, Callable[[], Q]] = {
        "grant": lambda: Q(draws_on__grant=thing),
        "agent": lambda: Q(agent=thing),
        "client": lambda: Q(client=thing),
        "person": lambda: Q(person=thing) | Q(agent__sponsor=thing),
        "session": lambda: Q(session=thing),
        "token": lambda: Q(pk=thing.pk),
        "system": lambda: Q(system=thing),
        "tool": lambda: Q(draws_on__grant__lines__tool=thing),
        "everything": lambda: Q(pk__isnull=False),
    }
    return found[kind]()
