"""A file of people, read row by row: what each says of a person, and what is wrong with it by itself."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from entitlements.errors import DomainError

from .provisioning import DirectoryPerson

COLUMNS: Final = ("login", "name", "email", "manager", "active", "groups", "department")
MOST: Final = 5000
LARGEST: Final = 512 * 1024
_LOGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,253}")
_FORMULA: Final = re.compile(r"[=+@\t\r-]")
"""How a cell begins that a spreadsheet would run."""
_ACTIVE: Final = {"": True, "yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class FileUnreadable(DomainError):
    """The file must be CSV with the columns login and name; it may have the other columns as well."""

    code, status = "people_file_unreadable", HTTPStatus.UNPROCESSABLE_ENTITY


class FileTooLarge(DomainError):
    """The file has too many rows or bytes for one upload. Send it in parts."""

    code, status = "people_file_too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@dataclass(frozen=True, slots=True)
class Row:
    """One row and what becomes of it: `does` is add, change, same, remove, held or refused; `code` says why refused.

    `department` is None in a file without that column: then it stays as it is.
    """

    number: int
    person: DirectoryPerson
    groups: frozenset[str] = frozenset()
    department: str | None = None
    does: str = "same"
    code: str = ""


def read(text: str) -> Iterable[Row]:
    """Yield the rows of a file. Raises FileUnreadable, FileTooLarge."""
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
    row = Row(number, person, groups, cells.get("department"))
    wrong = "active_malformed" if active is None else _wrong(row)
    return replace(row, does="refused", code=wrong) if wrong else row


def _wrong(row: Row) -> str:  # noqa: PLR0911 - a list
    """Return the code of what is wrong with a row by itself."""
    person, department = row.person, row.department or ""
    cells = (person.user_name, person.name, person.email, person.manager, department, *row.groups)
    if any(_FORMULA.match(cell) for cell in cells if cell):
        return "cell_is_a_formula"
    if not _LOGIN.fullmatch(person.user_name):
        return "login_malformed"
    if not person.name or len(person.name) > 200 or not person.name.isprintable():  # noqa: PLR2004 - what a row holds
        return "name_malformed"
    if any(len(name) > 200 or not name.isprintable() for name in row.groups):  # noqa: PLR2004 - as above
        return "group_malformed"
    if len(department) > 300 or not department.isprintable():  # noqa: PLR2004 - as above
        return "department_malformed"
    try:
        if person.email:
            validate_email(person.email)
    except ValidationError:
        return "email_malformed"
    return ""
