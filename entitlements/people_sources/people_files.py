"""People from a file, where no directory speaks SCIM: first what it would do row by row, then exactly that.

Columns: login, name, email, manager, active, groups (separated by ";"), department. A source takes the file as if it
came by SCIM, so the same guard holds removals, and the same file again changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from typing import Any

from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from audit.context import Principal
from entitlements.conflicts.independence import SelfAppointment
from entitlements.errors import DomainError, NotFound, Stale
from entitlements.people.models import Person
from entitlements.people_sources.models import ENTERPRISE, PeopleSource, SourcedPerson

from . import file_rows, groups, provisioning
from .appointments import OwnAppointments
from .file_rows import Row
from .provisioning import DirectoryPerson


class SourceEnded(DomainError):
    """The source has ended, so it takes no file. Give it another token first."""

    code, status = "source_ended", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file would do, and the digest that names exactly this plan."""

    rows: tuple[Row, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows do what."""
        return dict(Counter(row.does for row in self.rows))

    @property
    def digest(self) -> str:
        """Name the plan by what it does, and by everything that a row says."""
        rows = [
            [row.number, row.does, row.code, asdict(row.person), sorted(row.groups), row.department]
            for row in self.rows
        ]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def plan(source: PeopleSource, text: str, *, complete: bool, by: Principal) -> Plan:
    """Plan what a file would do if `by` gave it; `complete` removes the people of the source that it leaves out.

    Raises SourceEnded, FileUnreadable, FileTooLarge; an error in one row is noted at the row and stops no other.
    """
    if not PeopleSource.objects.filter(pk=source.pk, enabled=True).exists():
        raise SourceEnded
    known = {
        known_entry.user_name.lower(): known_entry
        for known_entry in source.people.filter(removed_at=None).select_related("person__manager")
    }
    inside: dict[int, set[str]] = {}
    for person, name in source.groups.filter(removed_at=None).values_list("group__people", "group__name"):
        inside.setdefault(person, set()).add(name)
    rows, seen = [], Counter[str]()
    for row in file_rows.read(text):
        seen[row.person.user_name.lower()] += 1
        entry = known.get(row.person.user_name.lower())
        if row.does != "refused" and seen[row.person.user_name.lower()] > 1:
            row = replace(row, does="refused", code="login_twice")  # noqa: PLW2901 - the row, as it is now
        rows.append(_weighed(row, entry, inside.get(entry.person_id, set()) if entry else set()))
    if complete:
        for login in sorted(known.keys() - seen.keys()):
            entry = known[login]
            if entry.active:
                gone = DirectoryPerson(
                    entry.user_name, entry.person.name, entry.external_id, entry.person.email, active=False
                )
                rows.append(Row(0, gone, does="remove"))
    own = OwnAppointments(source, rows, by)
    return Plan(
        tuple(replace(row, does="refused", code=SelfAppointment.code) if own.is_in(row) else row for row in rows)
    )


def apply(source: PeopleSource, text: str, *, complete: bool, seen: str, by: Principal, reason: str) -> Plan:
    """Apply the plan that was seen, each row in its own transaction; what the guard holds comes back as held.

    Interrupted, it is sent again and goes on where it was. The events are the source's, on behalf of `by`.
    Raises SourceEnded, and Stale when it would no longer do what was seen.
    """
    looked = plan(source, text, complete=complete, by=by)
    if looked.digest != seen:
        raise Stale
    with context.acting(on_behalf_of=by):
        done = [_done(source, row) for row in looked.rows]
        _group(source, [row for row in done if row.does not in {"refused", "held", "remove"}])
    finished = replace(looked, rows=tuple(done))
    with transaction.atomic():
        PeopleSource.objects.filter(pk=source.pk).update(seen_at=clock.now())
        detail = {**finished.counts, "complete": complete}
        log.record(Action.PEOPLE_FILE_APPLIED, about=[str(source.principal)], by=by, reason=reason, detail=detail)
    return finished


def _weighed(row: Row, entry: SourcedPerson | None, inside: Collection[str]) -> Row:
    """Say what a row would do, given whom the source knows."""
    if row.does == "refused":
        return row
    if entry is None:
        login = provisioning.login_of(row.person.user_name)
        if Person.objects.filter(login=login, sourced=None).exists():
            return replace(row, does="refused", code=provisioning.LoginKeptByHand.code)
        return replace(row, does="add")
    if entry.active and not row.person.active:
        return replace(row, does="remove")
    current = (entry.person.name, entry.person.email, entry.active, entry.manager_said)
    wanted = (row.person.name, row.person.email, row.person.active, row.person.manager)
    moves = row.department is not None and row.department != (entry.department or "")
    return replace(row, does="same" if current == wanted and set(inside) == row.groups and not moves else "change")


def _done(source: PeopleSource, row: Row) -> Row:
    entry = source.people.filter(user_name__iexact=row.person.user_name, removed_at=None).first()
    try:
        if row.does == "add":
            provisioning.add_person(source, replace(row.person, document=_document(row, {})))
        elif row.does in {"change", "remove"}:
            if entry is None:  # gone since it was seen
                return replace(row, does="refused", code=NotFound.code)
            document = _document(row, entry.said)
            changed = replace(row.person, external_id=entry.external_id, document=document)
            provisioning.change_person(source, entry.pk, changed)
    except provisioning.RemovalHeld:
        return replace(row, does="held", code=provisioning.RemovalHeld.code)
    except DomainError as refusal:
        return replace(row, does="refused", code=refusal.code)
    return row


def _document(row: Row, said: dict[str, Any]) -> dict[str, Any]:
    """Return what the source says of a person, with the department that the row names, if it names any."""
    if row.department is None:
        return said
    return {**said, ENTERPRISE: {**said.get(ENTERPRISE, {}), "department": row.department}}


def _group(source: PeopleSource, rows: list[Row]) -> None:
    """Put the people of the file into the groups that it names for them, and out of the source's others."""
    wanted: dict[str, set[str]] = {}
    named = {
        entry.user_name.lower(): str(entry.pk) for entry in source.people.filter(removed_at=None).only("user_name")
    }
    groups_by_key = {named[login]: row.groups for row in rows if (login := row.person.user_name.lower()) in named}
    for key, named_groups in groups_by_key.items():
        for name in named_groups:
            wanted.setdefault(name, set()).add(key)
    listed = set(groups_by_key)
    kept = {
        source_group.group.name: source_group
        for source_group in source.groups.filter(removed_at=None).select_related("group")
    }
    for name in sorted(wanted.keys() - kept.keys()):
        groups.add_group(source, name, external_id="", members=wanted[name])
    for name, entry in kept.items():
        inside = source.people.filter(person__member_of=entry.group, removed_at=None).values_list("pk", flat=True)
        before = {str(pk) for pk in inside}
        after = (before - listed) | wanted.get(name, set())
        if after != before:
            groups.change_group(
                source, entry.pk, name=name, external_id=entry.external_id, members=after, expected=entry.version
            )
