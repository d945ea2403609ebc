"""Actions on token families: revoke one with every token of it, or end those of a person or client that was stopped."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Final
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
    family = TokenFamily.objects.select_related("agent", "person", "client", "system").filter(pk=family_id).first()
    if family is None:
        raise NotFound
    if family.ended_at is not None:
        raise TokenFamilyEnded
    now = clock.now()
    family.ended_at, family.end_reason = now, reason
    family.save(update_fields=["ended_at", "end_reason"])
    living = IssuedToken.objects.filter(family=family.pk, revoked_at=None, expires_at__gt=now - _LEEWAY)
    living.update(revoked_at=now, revoke_reason=reason)
    row = (family.pk, family.agent.slug, family.client.client_id, family.person.login, family.system.slug)
    log.record(Action.TOKEN_FAMILY_REVOKED, about=_about(*row), by=by, reason=reason)
    changes.note(subjects.token_family(family.pk), of=[subjects.agent(family.agent_id)])
    return family


def end_all_of(changed: Subject, *, by: Principal, reason: str, which: QuerySet[TokenFamily] | None = None) -> int:
    """End the open families of a client or a person, or `which`, in the running transaction; returns how many.

    The caller holds the lock of whom it names, as a refresh shares it. What stops their tokens is that stop itself.
    """
    rows = list(
        (TokenFamily.objects.all() if which is None else which)
        .filter(**{changed.column: changed.key}, ended_at=None)
        .select_for_update(of=("self",))
        .values_list("pk", "agent__slug", "client__client_id", "person__login", "system__slug", "agent_id")
    )
    TokenFamily.objects.filter(pk__in=[row[0] for row in rows]).update(ended_at=clock.now(), end_reason=reason)
    events = [log.Row(about=_about(*row[:5]), reason=reason) for row in rows]
    log.record_many(Action.TOKEN_FAMILY_REVOKED, events, by=by)
    changes.note_many([changed], of={subjects.agent(row[-1]) for row in rows})
    return len(rows)


def _about(pk: UUID, agent: str, client: str, person: str, system: str) -> list[str]:
    """Return how the events of a family are found again."""
    return [f"token_family:{pk}", f"agent:{agent}", f"client:{client}", f"person:{person}", f"system:{system}"]
