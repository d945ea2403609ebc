"""The rows of a file of people by which the person who gives it would appoint themselves."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from audit.context import Principal
from entitlements.conflicts import independence
from entitlements.people import mailboxes
from entitlements.people.models import Person
from entitlements.people_sources.models import PeopleSource

from .file_rows import Row


class OwnAppointments:
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
