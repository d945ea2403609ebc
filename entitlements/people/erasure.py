"""Erasing the personal data of a person who is not active: one person proposes it, another confirms it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from audit import log
from audit.actions import Action
from audit.context import Principal
from audit.retention import erasure
from entitlements.errors import DomainError, ReasonRequired
from entitlements.feed.locks import Key, Lock
from entitlements.hooks import Hook
from entitlements.people.models import Person, Role
from entitlements.people_sources.models import SourcedPerson
from entitlements.proposals import proposals
from entitlements.proposals.models import Proposal
from entitlements.token_families import person_sign_ins
from entitlements.vendors.models import VendorSubject

ERASE: Final[Hook[[Person], int]] = Hook("erase a person", "accounts")
"""What floors above erase of a person, in the same transaction; each returns how many rows."""


class PersonStillActive(DomainError):
    """The person is active, and their name and address are in use. Disable the person first."""

    code, status = "person_still_active", HTTPStatus.CONFLICT


def propose(person: Person, *, by: Principal, reason: str) -> Proposal:
    """Propose to erase a person's data; another person confirms it. Raises PersonStillActive, ReasonRequired."""
    if not reason.strip():
        raise ReasonRequired
    if person.is_active:
        raise PersonStillActive
    return proposals.propose(KIND, f"person:{person.login}", {}, by=by, reason=reason)


@transaction.atomic
def erase(login: str, *, by: Principal, reason: str) -> bool:
    """Erase the personal values of a person: sealed in the audit log, and beside it.

    Beside it are the name, the address, what a people source sent, where they last signed in from, and their names at
    vendors and in chat. The login stays, and the names by which a people source knows who is not to come back.

    Returns whether there was anything to erase.
    """
    person = Person.objects.filter(login=login).first()
    names, _of_models = VendorSubject.objects.filter(person__login=login).delete()
    has_forgotten = bool(person_sign_ins.forget_addresses_of(login)) or bool(names)
    if person is not None and not person.is_active:
        has_forgotten = _forget_row(person) or has_forgotten
    if erasure.erase(f"person:{login}", by=by, reason=reason):
        return True
    if has_forgotten:
        log.record(Action.SUBJECT_ERASED, by=by, about=[f"person:{login}"], reason=reason)
    return has_forgotten


def _forget_row(person: Person) -> bool:
    """Erase what the rows of a person hold, here and on the floors above. Returns whether there was anything."""
    told = SourcedPerson.objects.filter(person=person).exclude(said={}, manager_said="")
    sourced = told.update(said={}, manager_said="")
    named = Person.objects.filter(pk=person.pk).exclude(name=person.login, email="")
    return bool(named.update(name=person.login, email="") + sourced + sum(ERASE.ask(person)))


def _apply(row: Proposal, by: Person) -> None:
    """Erase the data. Raises PersonStillActive where the person was enabled since."""
    login = row.subject.removeprefix("person:")
    if Person.objects.filter(login=login, is_active=True).exists():
        raise PersonStillActive
    erase(login, by=by.principal, reason=row.reason)


def _locks(subject: str) -> list[Key]:
    people = Person.objects.filter(login=subject.removeprefix("person:"))
    return [(Lock.PERSON, pk) for pk in people.values_list("pk", flat=True)]


KIND: Final = proposals.register(
    proposals.Kind(
        name="erasure",
        label=_("Erasure of personal data"),
        apply=_apply,
        locks=_locks,
        links=lambda subject: [subject],
        still_may=lambda _subject, who: who.has_role(Role.ADMIN, Role.ANALYST),
    )
)
