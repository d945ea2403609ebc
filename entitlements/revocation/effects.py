"""What a revocation would reach, counted before the button is pressed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.grants.models import Grant, GrantLine, GrantSubject
from entitlements.people.models import Membership, Person
from entitlements.revocation.revocation import SIGN_INS
from entitlements.sessions.models import Session
from entitlements.token_families.person_sign_ins import PersonClient
from entitlements.tokens.models import IssuedToken, TokenGrant


def count_effects(kind: str, thing: Any, key: str = "") -> dict[str, int]:  # noqa: ANN401 - any row that can be stopped
    """Count what a revocation of this target takes away: agents, live grants, open sessions, live tokens, people."""
    if kind in (SIGN_INS, "token_family"):
        return _count_connections(kind, thing, key)
    grants, sessions, tokens = _grants(kind, thing), _sessions(kind, thing), _tokens(kind, thing)
    now = clock.now()
    live = Grant.objects.filter(grants, ended_at=None, expires_at__gt=now)
    running = Session.objects.filter(sessions, ended_at=None, expires_at__gt=now)
    alive = IssuedToken.objects.filter(tokens, revoked_at=None, expires_at__gt=now)
    agents = live.values("agent").union(running.values("agent"))
    return {
        "agents": (Agent.objects if kind == "everything" else agents).count(),
        "grants": live.count(),
        "sessions": running.count(),
        "tokens": alive.count(),
        "people": _people(live, running, of_all=kind == "everything").count(),
    }


def _count_connections(kind: str, thing: Any, key: str) -> dict[str, int]:  # noqa: ANN401 - as above
    """Count what ends with sign-ins at clients: their access is kept, and their agents go on."""
    now, is_one = clock.now(), kind == "token_family"
    whose = Q(family=thing.pk) if is_one else PersonClient.named(key).condition
    running = Session.objects.none() if is_one else Session.objects.filter(whose, ended_at=None, expires_at__gt=now)
    alive = IssuedToken.objects.filter(whose, revoked_at=None, expires_at__gt=now)
    return {"agents": 0, "grants": 0, "sessions": running.count(), "tokens": alive.count(), "people": 1}


def _people(live: QuerySet[Grant], running: QuerySet[Session], *, of_all: bool) -> QuerySet[Any, Any]:
    """Find whom these grants and sessions serve. Where it is all of them, looking person by person is quicker."""
    if of_all:
        named = GrantSubject.objects.filter(grant__in=live)
        by_group = Membership.objects.filter(person=OuterRef("pk"), group__in=named.values("group"))
        served = Exists(named.filter(person=OuterRef("pk"))) | Exists(by_group)
        return Person.objects.filter(served | Exists(running.filter(person=OuterRef("pk"))))
    named = GrantSubject.objects.filter(grant__in=live.values("pk"))
    directly = named.filter(person__isnull=False).values("person")
    in_groups = Membership.objects.filter(group__in=named.values("group")).values("person")
    return directly.union(in_groups, running.filter(person__isnull=False).values("person"))


def _grants(kind: str, thing: Any) -> Q:  # noqa: ANN401 - as above
    conditions: dict[str, Callable[[], Q]] = {
        "grant": lambda: Q(pk=thing.pk),
        "agent": lambda: Q(agent=thing),
        "client": lambda: Q(pk__in=[]),  # its agent keeps its access, for its other clients
        "person": lambda: Q(
            pk__in=thing.grant_subjects.values("grant").union(Grant.objects.filter(agent__sponsor=thing).values("pk"))
        ),
        "session": lambda: Q(pk__in=thing.tokens.values("draws_on__grant")),
        "token": lambda: Q(pk__in=thing.draws_on.values("grant")),
        "system": lambda: Q(entitlement__system=thing),
        "tool": lambda: Q(pk__in=GrantLine.objects.filter(tool=thing).values("grant")),
        "everything": lambda: Q(pk__isnull=False),
    }
    return conditions[kind]()


def _sessions(kind: str, thing: Any) -> Q:  # noqa: ANN401 - as above
    conditions: dict[str, Callable[[], Q]] = {
        "grant": lambda: Q(pk__in=thing.tokens.values("token__session")),
        "agent": lambda: Q(agent=thing),
        "client": lambda: Q(client=thing),
        "person": lambda: Q(person=thing) | Q(agent__sponsor=thing),
        "session": lambda: Q(pk=thing.pk),
        "token": lambda: Q(pk=thing.session_id),
        "system": lambda: Q(pk__in=IssuedToken.objects.filter(system=thing).values("session")),
        "tool": lambda: Q(pk__in=_drawn(thing).values("token__session")),
        "everything": lambda: Q(pk__isnull=False),
    }
    return conditions[kind]()


def _tokens(kind: str, thing: Any) -> Q:  # noqa: ANN401 - as above
    conditions: dict[str, Callable[[], Q]] = {
        "grant": lambda: Q(pk__in=thing.tokens.values("token")),
        "agent": lambda: Q(agent=thing),
        "client": lambda: Q(client=thing),
        "person": lambda: Q(person=thing) | Q(agent__sponsor=thing),
        "session": lambda: Q(session=thing),
        "token": lambda: Q(pk=thing.pk),
        "system": lambda: Q(system=thing),
        "tool": lambda: Q(pk__in=_drawn(thing).values("token")),
        "everything": lambda: Q(pk__isnull=False),
    }
    return conditions[kind]()


def _drawn(tool: Tool) -> QuerySet[TokenGrant]:
    """Find what tokens draw on the grants of a tool."""
    return TokenGrant.objects.filter(grant__in=GrantLine.objects.filter(tool=tool).values("grant"))
