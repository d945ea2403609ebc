"""The groups of a people source: added, changed and closed as the source says."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.errors import DomainError
from entitlements.people import people
from entitlements.people.models import Group, Person
from entitlements.people_sources.models import PeopleSource, SourcedGroup

from . import sources
from .provisioning import REASON, UserNameTaken, entry_of, free, note_change, slug_of


class UnknownMember(DomainError):
    """A member is not a person whom this source added. Groups inside groups are not supported."""

    code, status = "unknown_member", HTTPStatus.UNPROCESSABLE_ENTITY


@transaction.atomic
def add_group(source: PeopleSource, name: str, *, external_id: str, members: Iterable[str]) -> SourcedGroup:
    """Add a group; a group of the same name that was made by hand stays what it is. Raises UnknownMember, Malformed."""
    sources.lock(source)
    if external_id and source.groups.filter(external_id=external_id, removed_at=None).exists():
        raise UserNameTaken
    slug = free(slug_of(name), lambda candidate: Group.objects.filter(slug=candidate).exists())
    now, people_in_group = clock.now(), _members(source, members)
    group = people.make_group(slug, name=name[:200], people=people_in_group, by=source.principal)
    note_change(source)
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
    entry = entry_of(source.groups.all(), pk, expected)
    group = entry.group
    if group.name != name[:200]:
        before, group.name = group.name, name[:200]
        group.save(update_fields=["name"])
        detail = {"from": before, "to": group.name}
        log.record(Action.GROUP_RENAMED, about=[f"group:{group.slug}"], by=source.principal, detail=detail)
    _set_members(entry, _members(source, members))
    entry.external_id, entry.version, entry.changed_at = external_id, entry.version + 1, clock.now()
    entry.save(update_fields=["external_id", "version", "changed_at"])
    note_change(source)
    return entry


@transaction.atomic
def close_group(source: PeopleSource, pk: UUID, *, expected: int | None = None) -> None:
    """Take everybody out of a group that the source deletes; its name stays, since grants may name it."""
    sources.lock(source)
    entry = entry_of(source.groups.all(), pk, expected)
    _set_members(entry, [])
    entry.removed_at = clock.now()
    entry.save(update_fields=["removed_at"])
    log.record(Action.GROUP_CLOSED, about=[f"group:{entry.group.slug}"], by=source.principal)
    note_change(source)


def _members(source: PeopleSource, members: Iterable[str]) -> list[Person]:
    keys = set(members)
    try:
        known = source.people.filter(pk__in=[UUID(key) for key in keys], removed_at=None).select_related("person")
    except ValueError as error:
        raise UnknownMember from error
    people_found = [entry.person for entry in known]
    if len(people_found) != len(keys):
        raise UnknownMember
    return people_found


def _set_members(entry: SourcedGroup, wanted: list[Person]) -> None:
    group, by = entry.group, entry.source.principal
    before = {person.pk: person for person in group.people.all()}
    after = {person.pk: person for person in wanted}
    for pk in sorted(before.keys() - after.keys()):
        people.remove_member(group, before[pk], by=by, reason=REASON)
    for pk in sorted(after.keys() - before.keys()):
        people.add_member(group, after[pk], by=by, reason=REASON)
