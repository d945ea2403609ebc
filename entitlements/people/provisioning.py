"""The verbs by which a people source adds, changes and removes its people and groups. People are never deleted.

A login is made of the user name once and belongs to that person for ever: the user name may change, and whoever comes
later with the same one is somebody else, unless the source's external id says that it is the same person again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q, QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.errors import DomainError, Malformed, NotFound, Stale
from entitlements.people.models import Group, Identity, PeopleSource, Person, SourcedGroup, SourcedPerson

from . import people, sources

_REASON: Final = "The people source says so."
_RESERVED: Final = frozenset({"add"})
_LONGEST: Final = 60
_TRIES: Final = 1000


class UserNameTaken(DomainError):
    """Somebody of this user name or external id is here already."""

    code, status = "user_name_taken", HTTPStatus.CONFLICT


class LoginKeptByHand(DomainError):
    """A person with this login was added by hand; no source takes over somebody's account by its name."""

    code, status = "login_kept_by_hand", HTTPStatus.CONFLICT


class SubjectStays(DomainError):
    """The external id is the person's subject at the sign-in, and so does not change."""

    code, status = "subject_stays", HTTPStatus.UNPROCESSABLE_ENTITY


class UnknownMember(DomainError):
    """A member is nobody whom this source added; groups in groups are not kept."""

    code, status = "unknown_member", HTTPStatus.UNPROCESSABLE_ENTITY


class RemovalHeld(DomainError):
    """So many removals at once look like a mistake; they wait until a platform admin lets them through."""

    code, status = "removal_held", HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Said:
    """What a source says of a person; `manager` is the manager's id, external id or user name, known yet or not."""

    user_name: str
    name: str
    external_id: str = ""
    email: str = ""
    active: bool = True
    manager: str = ""
    document: dict[str, Any] = field(default_factory=dict)


@transaction.atomic
def add_person(source: PeopleSource, said: Said) -> SourcedPerson:
    """Add a person, or take in again whom the source removed and now names by the same external id.

    Raises UserNameTaken, LoginKeptByHand, people.IdentityTaken, people.ManagerLoop, Malformed.
    """
    sources.lock(source)
    _check(source, said)
    back = source.people.exclude(removed_at=None).filter(external_id=said.external_id).exclude(external_id="").first()
    if back is not None:
        back.removed_at = None
        back.save(update_fields=["removed_at"])
        return _write(back, said)
    now = clock.now()
    person = people.register(_free_login(said.user_name), name=said.name, email=said.email, by=source.principal)
    entry = SourcedPerson.objects.create(
        source=source, person=person, user_name=said.user_name, created_at=now, changed_at=now
    )
    _link(entry, said.external_id)
    entry = _write(entry, said)
    _settle_reports(entry)
    return entry


def change_person(source: PeopleSource, pk: UUID, said: Said, *, expected: int | None = None) -> SourcedPerson:
    """Write what a source now says of a person; whoever is no longer active there is shut out at once.

    Raises NotFound, Stale, UserNameTaken, SubjectStays, people.IdentityTaken, people.ManagerLoop, Malformed and, having
    noted the removal and changed nothing else, RemovalHeld.
    """
    with transaction.atomic():
        sources.lock(source)
        entry = _entry(source.people.all(), pk, expected)
        _check(source, said, entry)
        is_held = entry.active and not said.active and sources.hold(entry, by=source.principal)
        if not is_held:
            _link(entry, said.external_id)
            entry = _write(entry, said)
            _settle_reports(entry)
    if is_held:
        raise RemovalHeld
    return entry


def remove_person(source: PeopleSource, pk: UUID, *, expected: int | None = None) -> None:
    """Shut out at once whom a source deletes, and show them to it no longer. Raises NotFound, Stale, RemovalHeld."""
    with transaction.atomic():
        sources.lock(source)
        entry = _entry(source.people.all(), pk, expected)
        is_held = entry.active and sources.hold(entry, by=source.principal)
        if not is_held:
            for group in Group.objects.filter(people=entry.person, sourced__source=source):
                people.take_out(group, entry.person, by=source.principal, reason=_REASON)
            sources.remove_now(entry, by=source.principal, reason=_REASON)
            SourcedPerson.objects.filter(pk=pk).update(removed_at=clock.now())
            _heard(source)
    if is_held:
        raise RemovalHeld


@transaction.atomic
def add_group(source: PeopleSource, name: str, *, external_id: str, members: Iterable[str]) -> SourcedGroup:
    """Add a group; a group of the same name that was made by hand stays what it is. Raises UnknownMember, Malformed."""
    sources.lock(source)
    if external_id and source.groups.filter(external_id=external_id, removed_at=None).exists():
        raise UserNameTaken
    slug = _free(_slug(name), lambda each: Group.objects.filter(slug=each).exists())
    now, found = clock.now(), _members(source, members)
    group = people.make_group(slug, name=name[:200], people=found, by=source.principal)
    _heard(source)
    return SourcedGroup.objects.create(
        source=source, group=group, external_id=external_id, created_at=now, changed_at=now
    )


@transaction.atomic
def change_group(
    source: PeopleSource,
    pk: UUID,
    *,
    name: str,
    external_id: str,
    members: Iterable[str],
    expected: int | None = None,
) -> SourcedGroup:
    """Write a group's name and who is in it, and so in every grant that names it.

    Raises NotFound, Stale, UnknownMember.
    """
    sources.lock(source)
    entry = _entry(source.groups.all(), pk, expected)
    group = entry.group
    if group.name != name[:200]:
        before, group.name = group.name, name[:200]
        group.save(update_fields=["name"])
        detail = {"from": before, "to": group.name}
        log.record(Action.GROUP_RENAMED, about=[f"group:{group.slug}"], by=source.principal, detail=detail)
    _set_members(entry, _members(source, members))
    entry.external_id, entry.version, entry.changed_at = external_id, entry.version + 1, clock.now()
    entry.save(update_fields=["external_id", "version", "changed_at"])
    _heard(source)
    return entry


@transaction.atomic
def close_group(source: PeopleSource, pk: UUID, *, expected: int | None = None) -> None:
    """Take everybody out of a group that the source deletes; its name stays, since grants may name it."""
    sources.lock(source)
    entry = _entry(source.groups.all(), pk, expected)
    _set_members(entry, [])
    entry.removed_at = clock.now()
    entry.save(update_fields=["removed_at"])
    log.record(Action.GROUP_CLOSED, about=[f"group:{entry.group.slug}"], by=source.principal)
    _heard(source)


def _entry[E: (SourcedPerson, SourcedGroup)](rows: QuerySet[E], pk: UUID, expected: int | None) -> E:
    found = rows.filter(pk=pk, removed_at=None).first()
    if found is None:
        raise NotFound
    if expected is not None and found.version != expected:
        raise Stale
    return found


def _check(source: PeopleSource, said: Said, entry: SourcedPerson | None = None) -> None:
    """Refuse what another person of the source has, and an e-mail address that is none."""
    if said.email:
        try:
            validate_email(said.email)
        except ValidationError as error:
            raise Malformed("The e-mail address is none.") from error
    same = Q(user_name__iexact=said.user_name)
    if said.external_id:
        same |= Q(external_id=said.external_id)
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


def _write(entry: SourcedPerson, said: Said) -> SourcedPerson:
    """Write the entry, then the person, through the verbs that record each change."""
    by, now = entry.source.principal, clock.now()
    leaves, comes_back = entry.active and not said.active, said.active and not entry.active
    entry.user_name, entry.external_id, entry.said = said.user_name, said.external_id, said.document
    entry.manager_said, entry.version, entry.changed_at = said.manager, entry.version + 1, now
    entry.active = said.active if not leaves else entry.active
    was_here, entry.left_at = entry.left_at, None if comes_back else entry.left_at
    entry.held_at = None
    entry.save()
    locked = people.lock_to_edit(entry.person)
    manager = _manager(entry)
    if manager is not None:
        people.check_manager(locked, manager)
    people.write(locked, by=by, name=said.name, email=said.email, manager=manager)
    if leaves:
        sources.remove_now(entry, by=by, reason=_REASON)
    elif comes_back and was_here is not None:
        people.enable(locked, by=by, reason=_REASON)
    _heard(entry.source)
    return SourcedPerson.objects.select_related("person__manager", "source").get(pk=entry.pk)


def _manager(entry: SourcedPerson) -> Person | None:
    """Find whom the source means: by our id, by its external id, by user name. None while they are not here."""
    said = entry.manager_said
    if not said:
        return None
    here = entry.source.people.filter(removed_at=None).select_related("person")
    try:
        found = here.filter(pk=UUID(said)).first()
    except ValueError:
        found = None
    found = found or here.filter(external_id=said).first() or here.filter(user_name__iexact=said).first()
    return found.person if found else None


def _settle_reports(entry: SourcedPerson) -> None:
    """Give those their manager who named this person before they were here; a ring is left open."""
    names = [str(entry.pk), entry.user_name, *([entry.external_id] if entry.external_id else [])]
    waiting = entry.source.people.filter(manager_said__in=names, person__manager=None, removed_at=None)
    for each in waiting.select_related("person").exclude(pk=entry.pk):
        locked = people.lock_to_edit(each.person)
        try:
            people.check_manager(locked, entry.person)
        except people.ManagerLoop:
            continue
        people.write(locked, by=entry.source.principal, manager=entry.person)


def _members(source: PeopleSource, members: Iterable[str]) -> list[Person]:
    asked = set(members)
    try:
        known = source.people.filter(pk__in=[UUID(each) for each in asked], removed_at=None).select_related("person")
    except ValueError as error:
        raise UnknownMember from error
    found = [entry.person for entry in known]
    if len(found) != len(asked):
        raise UnknownMember
    return found


def _set_members(entry: SourcedGroup, wanted: list[Person]) -> None:
    group, by = entry.group, entry.source.principal
    before = {person.pk: person for person in group.people.all()}
    after = {person.pk: person for person in wanted}
    for pk in sorted(before.keys() - after.keys()):
        people.take_out(group, before[pk], by=by, reason=_REASON)
    for pk in sorted(after.keys() - before.keys()):
        people.put_in(group, after[pk], by=by, reason=_REASON)


def _free_login(user_name: str) -> str:
    """Make a login of a user name; a login is never given again. Raises LoginKeptByHand."""
    wanted = login_of(user_name)
    if Person.objects.filter(login=wanted, sourced=None).exists():
        raise LoginKeptByHand(login=wanted)
    return _free(wanted, lambda each: Person.objects.filter(login=each).exists())


def login_of(user_name: str) -> str:
    """Return the login that a user name would like to have."""
    return _slug(user_name.split("@", 1)[0])


def _free(wanted: str, is_taken: Callable[[str], bool]) -> str:
    candidates = [wanted, *(f"{wanted}-{number}" for number in range(2, _TRIES))]
    for each in candidates:
        if each not in _RESERVED and not is_taken(each):
            return each
    raise UserNameTaken


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST].strip("-") or "person"


def _heard(source: PeopleSource) -> None:
    PeopleSource.objects.filter(pk=source.pk).update(changed_at=clock.now())
