"""Actions on token families: revoke one with every token of it, or end those of a person or client that was stopped.

A family at the identity side names no system, and no agent where its client has none.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.clients.models import OAuthAccessToken
from entitlements.errors import DomainError, NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.feed.subjects import Subject
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken

_LEEWAY: Final = timedelta(minutes=1)
"""How long after its end a token is still taken for one that may live."""


class TokenFamilyEnded(DomainError):
    """The sign-in has already ended."""

    code, status = "token_family_ended", HTTPStatus.CONFLICT


@transaction.atomic
def revoke(family_id: UUID, *, by: Principal, reason: str) -> TokenFamily:
    """End a sign-in of a person at a client, with every token of it. Raises NotFound, TokenFamilyEnded."""
    locks.exclusive((Lock.TOKEN_FAMILY, family_id))  # a refresh under way is waited for
    rows = TokenFamily.objects.select_related("agent", "person", "client", "system", "session")
    family = rows.filter(pk=family_id).first()
    if family is None:
        raise NotFound
    if family.ended_at is not None:
        raise TokenFamilyEnded
    now = clock.now()
    family.ended_at, family.end_reason = now, reason
    family.save(update_fields=["ended_at", "end_reason"])
    _end_tokens(family.pk, now, reason)
    agent, system = family.agent.slug if family.agent else None, family.system.slug if family.system else None
    about = _about(family.pk, agent, family.client.client_id, family.person.login, system)
    log.record(Action.TOKEN_FAMILY_REVOKED, about=about, by=by, reason=reason)
    acting = family.agent_id or (family.session.agent_id if family.session else None)
    changes.note(subjects.token_family(family.pk), of=[_whose(acting, family.client_id)])
    return family


def end_all_of(changed: Subject, *, by: Principal, reason: str, which: QuerySet[TokenFamily] | None = None) -> int:
    """End the open families of a client or a person, or `which`, in the running transaction; returns how many.

    The caller holds the lock of whom it names, as a refresh shares it. What stops their tokens is that stop itself.
    """
    rows = list(
        (TokenFamily.objects.all() if which is None else which)
        .filter(**{changed.column: changed.key}, ended_at=None)
        .select_for_update(of=("self",))
        .values_list("pk", "agent__slug", "client__client_id", "person__login", "system__slug", "agent_id", "client_id")
    )
    TokenFamily.objects.filter(pk__in=[row[0] for row in rows]).update(ended_at=clock.now(), end_reason=reason)
    events = [log.Row(about=_about(*row[:5]), reason=reason) for row in rows]
    log.record_many(Action.TOKEN_FAMILY_REVOKED, events, by=by)
    changes.note_many([changed], of={_whose(*row[5:]) for row in rows})
    return len(rows)


def _end_tokens(family: UUID, now: datetime, reason: str) -> None:
    """Let every token of a family die now. What is redeemed at this moment for an ID-JAG is waited for, and found."""
    living = IssuedToken.objects.filter(family=family, revoked_at=None, expires_at__gt=now - _LEEWAY)
    list(living.filter(kind=IssuedToken.Kind.ID_JAG).select_for_update().values_list("pk"))
    living.update(revoked_at=now, revoke_reason=reason)
    OAuthAccessToken.objects.filter(family=family, expires__gt=now).update(expires=now, updated=now)


def _whose(agent: int | None, client: int) -> Subject:
    """Return whose facts a node drops at the end of a family: its agent's, or its client's where none has acted."""
    return subjects.agent(agent) if agent is not None else subjects.client(client)


def _about(pk: UUID, agent: str | None, client: str, person: str, system: str | None) -> list[str]:
    """Return how the events of a family are found again."""
    links = {"token_family": pk, "agent": agent, "client": client, "person": person, "system": system}
    return [f"{kind}:{name}" for kind, name in links.items() if name]
