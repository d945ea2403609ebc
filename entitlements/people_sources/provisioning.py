"""The actions by which a people source adds, changes and removes its people and groups. People are never deleted.

A login is made of the user name once and belongs to that person for ever: the user name may change, and a later
person with the same one is a different person, unless the source's external id is the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q, QuerySet

from audit import clock
from entitlements.errors import DomainError, Malformed, NotFound, Stale
from entitlements.people import people
from entitlements.people.models import Group, Identity, Person
from entitlements.people_sources.models import ENTERPRISE, PeopleSource, SourcedGroup, SourcedPerson

from . import sources

REASON: Final = "The people source says so."
_RESERVED: Final = frozenset({"add"})
_LONGEST: Final = 60
_TRIES: Final = 1000


class UserNameTaken(DomainError):
    """A person with this user name or external id already exists in this source."""

    code, status = "user_name_taken", HTTPStatus.CONFLICT


class LoginKeptByHand(DomainError):
    """A person with this login was added by hand, and a source cannot take over that account by its name."""

    code, status = "login_kept_by_hand", HTTPStatus.CONFLICT


class SubjectStays(DomainError):
    """The external id cannot change, because it is the person's subject at the sign-in."""

    code, status = "subject_stays", HTTPStatus.UNPROCESSABLE_ENTITY


class RemovalHeld(DomainError):
    """The source removes so many people at once that a platform admin must let the removals through."""

    code, status = "removal_held", HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class DirectoryPerson:
    """A person as a source describes them; `manager` is the manager's id, external id or user name, known or not."""

    user_name: str
    name: str
    external_id: str = ""
    email: str = ""
    active: bool = True
    manager: str = ""
    document: dict[str, Any] = field(default_factory=dict)


@transaction.atomic
def add_person(source: PeopleSource, data: DirectoryPerson) -> SourcedPerson:
    """Add a person, or take in again whom the source removed and now names by the same external id.

    Raises UserNameTaken, LoginKeptByHand, people.IdentityTaken, people.ManagerLoop, Malformed.
    """
    sources.lock(source)
    _check(source, data)
    back = source.people.exclude(removed_at=None).filter(external_id=data.external_id).exclude(external_id="").first()
    if back is not None:
        back.removed_at = None
        back.save(update_fields=["removed_at"])
        return _write(back, data)
    now = clock.now()
    person = people.register(_free_login(data.user_name), name=data.name, email=data.email, by=source.principal)
    entry = SourcedPerson.objects.create(
        source=source, person=person, user_name=data.user_name, created_at=now, changed_at=now
    )
    _link(entry, data.external_id)
    entry = _write(entry, data)
    _settle_reports(entry)
    return entry


def change_person(
    source: PeopleSource, pk: UUID, data: DirectoryPerson, *, expected: int | None = None
) -> SourcedPerson:
    """Write a source's new data of a person; a person who is no longer active there is disabled at once.

    Raises NotFound, Stale, UserNameTaken, SubjectStays, people.IdentityTaken, people.ManagerLoop, Malformed and, having
    noted the removal and changed nothing else, RemovalHeld.
    """
    with transaction.atomic():
        sources.lock(source)
        entry = entry_of(source.people.all(), pk, expected)
        _check(source, data, entry)
        is_held = entry.active and not data.active and sources.hold_removal(entry, by=source.principal)
        if not is_held:
            _link(entry, data.external_id)
            entry = _write(entry, data)
            _settle_reports(entry)
    if is_held:
        raise RemovalHeld
    return entry


def remove_person(source: PeopleSource, pk: UUID, *, expected: int | None = None) -> None:
    """Disable at once a person whom a source deletes, and hide them from it. Raises NotFound, Stale, RemovalHeld."""
    with transaction.atomic():
        sources.lock(source)
        entry = entry_of(source.people.all(), pk, expected)
        is_held = entry.active and sources.hold_removal(entry, by=source.principal)
        if not is_held:
            for group in Group.objects.filter(people=entry.person, sourced__source=source):
                people.remove_member(group, entry.person, by=source.principal, reason=REASON)
            sources.remove_now(entry, by=source.principal, reason=REASON)
            SourcedPerson.objects.filter(pk=pk).update(removed_at=clock.now())
            note_change(source)
    if is_held:
        raise RemovalHeld


def entry_of[E: (SourcedPerson, SourcedGroup)](rows: QuerySet[E], pk: UUID, expected: int | None) -> E:
    """Return an entry of a source at the version that the source saw. Raises NotFound, Stale."""
    entry = rows.filter(pk=pk, removed_at=None).first()
    if entry is None:
        raise NotFound
    if expected is not None and entry.version != expected:
        raise Stale
    return entry


def _check(source: PeopleSource, data: DirectoryPerson, entry: SourcedPerson | None = None) -> None:
    """Refuse what another person of the source has, and an e-mail address that is none."""
    if data.email:
        try:
            validate_email(data.email)
        except ValidationError as error:
            raise Malformed("The e-mail address is not valid.") from error
    same = Q(user_name__iexact=data.user_name)
    if data.external_id:
        same |= Q(external_id=data.external_id)
    others = source.people.filter(same, removed_at=None)
    if (others.exclude(pk=entry.pk) if entry else others).exists():
        raise UserNameTaken


def _link(entry: SourcedPerson, external_id: str) -> None:
    """Make the external id the person's subject where the source's ids are an issuer's subjects."""
    issuer = entry.source.subjects_of
    if issuer is None or not external_id or external_id == entry.external_id:
        return
    if entry.external_id or Identity.objects.filter(person=entry.person, issuer=issuer).exists():
        raise SubjectStays
    people.link_identity(entry.person, issuer, external_id, by=entry.source.principal)


def _write(entry: SourcedPerson, data: DirectoryPerson) -> SourcedPerson:
    """Write the entry, then the person, through the actions that record each change."""
    by, now = entry.source.principal, clock.now()
    leaves, comes_back = entry.active and not data.active, data.active and not entry.active
    moved = _moved(entry.said, data.document)
    entry.user_name, entry.external_id, entry.said = data.user_name, data.external_id, data.document
    entry.manager_said, entry.version, entry.changed_at = data.manager, entry.version + 1, now
    entry.active = data.active if not leaves else entry.active
    was_here, entry.left_at = entry.left_at, None if comes_back else entry.left_at
    entry.held_at = None
    entry.save()
    locked = people.lock_to_edit(entry.person)
    manager = _manager(entry)
    if manager is not None:
        people.check_manager(locked, manager)
    people.write(locked, by=by, moved=moved, name=data.name, email=data.email, manager=manager)
    if leaves:
        sources.remove_now(entry, by=by, reason=REASON)
    elif comes_back and was_here is not None:
        people.enable(locked, by=by, reason=REASON)
    note_change(entry.source)
    return SourcedPerson.objects.select_related("person__manager", "source").get(pk=entry.pk)


def _moved(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what moved of a person: department, contract type. What the source did not say before has not moved."""
    was = {"department": before.get(ENTERPRISE, {}).get("department"), "contract_type": before.get("userType")}
    then = {"department": now.get(ENTERPRISE, {}).get("department"), "contract_type": now.get("userType")}
    return tuple(name for name, value in was.items() if value and value != then[name])


def _manager(entry: SourcedPerson) -> Person | None:
    """Find the manager that the source names: by our id, its external id or user name. None while they are not here."""
    reference = entry.manager_said
    if not reference:
        return None
    people_here = entry.source.people.filter(removed_at=None).select_related("person")
    try:
        manager = people_here.filter(pk=UUID(reference)).first()
    except ValueError:
        manager = None
    manager = (
        manager
        or people_here.filter(external_id=reference).first()
        or people_here.filter(user_name__iexact=reference).first()
    )
    return manager.person if manager else None


def _settle_reports(entry: SourcedPerson) -> None:
    """Give those their manager who named this person before they were here; a ring is left open."""
    names = [str(entry.pk), entry.user_name, *([entry.external_id] if entry.external_id else [])]
    waiting = entry.source.people.filter(manager_said__in=names, person__manager=None, removed_at=None)
    for report in waiting.select_related("person").exclude(pk=entry.pk):
        locked = people.lock_to_edit(report.person)
        try:
            people.check_manager(locked, entry.person)
        except people.ManagerLoop:
            continue
        people.write(locked, by=entry.source.principal, manager=entry.person)


def _free_login(user_name: str) -> str:
    """Make a login of a user name; a login is never given again. Raises LoginKeptByHand."""
    login = login_of(user_name)
    if Person.objects.filter(login=login, sourced=None).exists():
        raise LoginKeptByHand(login=login)
    return free(login, lambda candidate: Person.objects.filter(login=candidate).exists())


def login_of(user_name: str) -> str:
    """Return the login that a user name asks for."""
    return slug_of(user_name.split("@", 1)[0])


def free(name: str, is_taken: Callable[[str], bool]) -> str:
    """Return the name, with a number where it is taken or reserved. Raises UserNameTaken."""
    candidates = [name, *(f"{name}-{number}" for number in range(2, _TRIES))]
    for candidate in candidates:
        if candidate not in _RESERVED and not is_taken(candidate):
            return candidate
    raise UserNameTaken


def slug_of(text: str) -> str:
    """Make a short name of a text: small letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST].strip("-") or "person"


def note_change(source: PeopleSource) -> None:
    """Note that a source changed something now."""
    PeopleSource.objects.filter(pk=source.pk).update(changed_at=clock.now())
