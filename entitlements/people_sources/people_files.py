"""People from a file, where no directory speaks SCIM: first what it would do row by row, then exactly that.

Columns: login, name, email, manager, active, groups (separated by ";"). A source takes the file as if it came
by SCIM, so the same guard holds removals, and the same file again changes nothing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from audit.context import Principal
from entitlements.conflicts import independence
from entitlements.conflicts.independence import SelfAppointment
from entitlements.errors import DomainError, NotFound, Stale
from entitlements.people import mailboxes
from entitlements.people.models import Person
from entitlements.people_sources.models import PeopleSource, SourcedPerson

from . import provisioning
from .provisioning import DirectoryPerson

COLUMNS: Final = ("login", "name", "email", "manager", "active", "groups")
MOST: Final = 5000
LARGEST: Final = 512 * 1024
_LOGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,253}")
_FORMULA: Final = re.compile(r"[=+@\t\r-]")
"""How a cell begins that a spreadsheet would run."""
_ACTIVE: Final = {"": True, "yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class FileUnreadable(DomainError):
    """The file must be CSV with the columns login and name; it may have email, manager, active and groups as well."""

    code, status = "people_file_unreadable", HTTPStatus.UNPROCESSABLE_ENTITY


class FileTooLarge(DomainError):
    """The file has too many rows or bytes for one upload. Send it in parts."""

    code, status = "people_file_too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class SourceEnded(DomainError):
    """The source has ended, so it takes no file. Give it another token first."""

    code, status = "source_ended", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Row:
    """One row and what becomes of it: `does` is add, change, same, remove, held or refused; `code` says why refused."""

    number: int
    person: DirectoryPerson
    groups: frozenset[str] = frozenset()
    does: str = "same"
    code: str = ""


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
        rows = [[row.number, row.does, row.code, asdict(row.person), sorted(row.groups)] for row in self.rows]
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
    for row in _read(text):
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
    own = _OwnAppointments(source, rows, by)
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


def _read(text: str) -> Iterable[Row]:
    if len(text.encode()) > LARGEST:
        raise FileTooLarge(largest=LARGEST)
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        if not {"login", "name"} <= set(reader.fieldnames or ()) <= set(COLUMNS):
            raise FileUnreadable
        for number, cells in enumerate(reader, 2):
            if number > MOST + 1:
                raise FileTooLarge(most=MOST)
            if None in cells or None in cells.values():
                raise FileUnreadable(row=number)
            yield _row(number, {name: str(cell).strip() for name, cell in cells.items()})
    except csv.Error as why:
        raise FileUnreadable from why


def _row(number: int, cells: dict[str, str]) -> Row:
    active = _ACTIVE.get(cells.get("active", "").lower())
    person = DirectoryPerson(
        cells["login"],
        cells["name"],
        email=cells.get("email", ""),
        active=active is not False,
        manager=cells.get("manager", ""),
    )
    groups = frozenset(name for cell in cells.get("groups", "").split(";") if (name := cell.strip()))
    row = Row(number, person, groups)
    wrong = "active_malformed" if active is None else _wrong(person, groups)
    return replace(row, does="refused", code=wrong) if wrong else row


def _wrong(person: DirectoryPerson, groups: Iterable[str]) -> str:
    """Return the code of what is wrong with a row by itself."""
    if any(
        _FORMULA.match(cell) for cell in (person.user_name, person.name, person.email, person.manager, *groups) if cell
    ):
        return "cell_is_a_formula"
    if not _LOGIN.fullmatch(person.user_name):
        return "login_malformed"
    if not person.name or len(person.name) > 200 or not person.name.isprintable():  # noqa: PLR2004 - what a row holds
        return "name_malformed"
    if any(len(name) > 200 or not name.isprintable() for name in groups):  # noqa: PLR2004 - as above
        return "group_malformed"
    try:
        if person.email:
            validate_email(person.email)
    except ValidationError:
        return "email_malformed"
    return ""


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
    return replace(row, does="same" if current == wanted and set(inside) == row.groups else "change")


class _OwnAppointments:
    """The rows by which the person who gives the file would make themselves a manager or a group member."""

    def __init__(self, source: PeopleSource, rows: Iterable[Row], by: Principal) -> None:
        """Find the accounts of the person who gives the file, with those that the file would make."""
        self._source = source
        giver = Person.objects.filter(login=by.name).first() if by.kind == "person" else None
        own = {account.pk for account in independence.accounts_of(giver)} if giver else set[int]()
        self._mailbox = mailboxes.mailbox(giver.email) if giver else ""
        people = source.people.filter(removed_at=None).select_related("person")
        self._known = {entry.user_name.lower(): entry for entry in people}
        self._own = {name: entry for name, entry in self._known.items() if entry.person_id in own}
        names = {name.lower() for entry in self._own.values() for name in (str(entry.pk), entry.external_id)}
        added = {row.person.user_name.lower() for row in rows if row.does == "add" and self._has_address(row)}
        self._names = (names | added | self._own.keys()) - {""}

    def is_in(self, row: Row) -> bool:
        """Whether a row makes the giver a manager, puts them into a group, or changes their address."""
        if row.does not in {"add", "change", "remove"}:
            return False
        name, manager = row.person.user_name.lower(), row.person.manager
        known, entry = self._known.get(name), self._own.get(name)
        if _plain(manager) in self._names and (known is None or known.manager_said != manager):
            return True
        if entry is None:
            if row.does != "add" or not self._has_address(row):
                return False
            return bool(row.groups) or any(
                known_entry.manager_said.lower() == name for known_entry in self._known.values()
            )
        inside = self._source.groups.filter(group__people=entry.person, removed_at=None)
        gains = row.groups - set(inside.values_list("group__name", flat=True))
        return bool(gains) or row.person.email.lower() != entry.person.email.lower()

    def _has_address(self, row: Row) -> bool:
        return bool(self._mailbox) and mailboxes.mailbox(row.person.email) == self._mailbox


def _plain(manager: str) -> str:
    """Write the id of an entry as we do; other names of a manager in small letters."""
    try:
        return str(UUID(manager))
    except ValueError:
        return manager.lower()


def _done(source: PeopleSource, row: Row) -> Row:
    entry = source.people.filter(user_name__iexact=row.person.user_name, removed_at=None).first()
    try:
        if row.does == "add":
            provisioning.add_person(source, row.person)
        elif row.does in {"change", "remove"}:
            if entry is None:  # gone since it was seen
                return replace(row, does="refused", code=NotFound.code)
            provisioning.change_person(source, entry.pk, replace(row.person, external_id=entry.external_id))
    except provisioning.RemovalHeld:
        return replace(row, does="held", code=provisioning.RemovalHeld.code)
    except DomainError as refusal:
        return replace(row, does="refused", code=refusal.code)
    return row


def _group(source: PeopleSource, rows: list[Row]) -> None:
    """Put the people of the file into the groups that it names for them, and out of the source's others."""
    wanted: dict[str, set[str]] = {}
    named = {
        entry.user_name.lower(): str(entry.pk) for entry in source.people.filter(removed_at=None).only("user_name")
    }
    groups_by_key = {named[login]: row.groups for row in rows if (login := row.person.user_name.lower()) in named}
    for key, groups in groups_by_key.items():
        for name in groups:
            wanted.setdefault(name, set()).add(key)
    listed = set(groups_by_key)
    kept = {
        source_group.group.name: source_group
        for source_group in source.groups.filter(removed_at=None).select_related("group")
    }
    for name in sorted(wanted.keys() - kept.keys()):
        provisioning.add_group(source, name, external_id="", members=wanted[name])
    for name, entry in kept.items():
        inside = source.people.filter(person__member_of=entry.group, removed_at=None).values_list("pk", flat=True)
        before = {str(pk) for pk in inside}
        after = (before - listed) | wanted.get(name, set())
        if after != before:
            provisioning.change_group(
                source, entry.pk, name=name, external_id=entry.external_id, members=after, expected=entry.version
            )
