"""What is connected as a person: sign-ins at clients, and sessions that began at the company's sign-in without one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import DurationField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet

from audit import clock
from audit.context import Principal
from entitlements.errors import DomainError, NotFound
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.token_families import families
from entitlements.token_families.models import TokenFamily
from entitlements.token_families.rules import IDLE

_FORGOTTEN_AT_ONCE: Final = 1000
"""Rows of one statement, so that no refresh waits for long."""


class NothingConnected(DomainError):
    """Nothing is connected as this person, or not at this client. It may have ended already."""

    code, status = "nothing_connected", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class PersonClient:
    """A person, and of what is connected as them all, or what one client is."""

    login: str
    client_id: str = ""

    @classmethod
    def named(cls, key: str) -> PersonClient:
        """Read `login` or `login/client_id`."""
        login, _slash, client_id = key.partition("/")
        return cls(login, client_id)

    def __str__(self) -> str:
        return f"{self.login}/{self.client_id}" if self.client_id else self.login

    @property
    def condition(self) -> Q:
        """Select the rows that name the person, and the client where one is given."""
        return Q(person__login=self.login, **({"client__client_id": self.client_id} if self.client_id else {}))


def open_families(rows: QuerySet[TokenFamily], now: datetime) -> QuerySet[TokenFamily]:
    """Return those of some sign-ins that can be refreshed as far as their own row says."""
    return rows.filter(ended_at=None, expires_at__gt=now, last_used_at__gt=now - IDLE)


def open_sessions(rows: QuerySet[Session], now: datetime) -> QuerySet[Session]:
    """Return those of some sessions that go on without a sign-in at a client: by the company's sign-in (EMA).

    The sessions of a sign-in at a client are named by it, or begin with it.
    """
    idle = ExpressionWrapper(F("idle_seconds") * timedelta(seconds=1), output_field=DurationField())
    began = TokenFamily.objects.filter(client=OuterRef("client"), sign_in_sha256=OuterRef("sign_in_sha256"))
    named = TokenFamily.objects.filter(client=OuterRef("client"), session=OuterRef("pk"))
    going_on = rows.filter(ended_at=None, expires_at__gt=now, last_used_at__gt=now - idle)
    return going_on.exclude(Exists(began)).exclude(Exists(named))


@transaction.atomic
def end(whose: PersonClient, *, by: Principal, reason: str) -> int:
    """End what is connected as a person, with every token of it; one event each. Returns how many ended.

    A sign-in or a refresh of theirs under way is waited for. Raises NotFound, NothingConnected.
    """
    person = Person.objects.filter(login=whose.login).first()
    if person is None:
        raise NotFound
    locks.exclusive((Lock.PERSON, person.pk))
    locks.exclusive(*_open(whose))  # the end of one alone does not ask for the person
    if not (left := _open(whose)):
        raise NothingConnected
    for lock, pk in left:
        (sessions.end if lock is Lock.SESSION else families.revoke)(pk, by=by, reason=reason)
    return len(left)


def forget_addresses_of(login: str) -> int:
    """Forget where sign-ins of a person were used from, when their personal data are erased; returns of how many."""
    return TokenFamily.objects.filter(person__login=login).exclude(last_used_from="").update(last_used_from="")


def forget_addresses_of_lapsed() -> int:
    """Forget where sign-ins were used from that have ended with time, some at once; returns of how many. For a job."""
    now = clock.now()
    lapsed = TokenFamily.objects.filter(Q(expires_at__lte=now) | Q(last_used_at__lte=now - IDLE))
    pks = lapsed.exclude(last_used_from="").values_list("pk", flat=True)[:_FORGOTTEN_AT_ONCE]
    return TokenFamily.objects.filter(pk__in=list(pks)).update(last_used_from="")


def _open(whose: PersonClient) -> list[tuple[Lock, UUID]]:
    """Return what has not ended, in the order of its locks; the sessions of sign-ins at clients among it."""
    now = clock.now()
    going_on = Session.objects.filter(whose.condition, ended_at=None, expires_at__gt=now)
    signed_in = open_families(TokenFamily.objects.filter(whose.condition), now)
    ordered = ((Lock.SESSION, going_on), (Lock.TOKEN_FAMILY, signed_in))
    return [(lock, pk) for lock, rows in ordered for pk in sorted(rows.values_list("pk", flat=True), key=str)]
