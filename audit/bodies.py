"""Pure: how a stored body is read, by Python and by PostgreSQL alike. Reading one never fails.

A body stays as it was written, perhaps by a release that knew other members: what is missing, or of another kind than
is asked for, reads as empty.

Bodies are never changed, and some were written before NUL was kept out of the log (`redaction.text`). `jsonb` refuses
such a body, and no text column holds what Python reads from it; so both read NUL as the mark that is written today.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from audit import redaction

_NUL: Final = r"\u0000"
_MARK: Final = redaction.mark("\x00")
_HIGH: Final = r"\\u[dD][89abAB].."
_LOW: Final = r"\\u[dD][c-fC-F].."
_ESCAPE: Final = re.compile(rf"\\\\|{_HIGH}{_LOW}|(?P<lost>\\u0000|{_HIGH}|{_LOW})")
"""A backslash that is escaped, a pair of surrogates, or what no text holds: NUL, and half of such a pair.

`\\u0000` in a body is a backslash and five characters, and no NUL.
"""
_TEXTS: Final = (
    "action",
    "actor",
    "at",
    "code",
    "outcome",
    "reason",
    "request_id",
    "session",
    "source",
    "trace",
    "uuid",
)
_LARGEST: Final = 1e300


class Members(dict[str, Any]):
    """Members by name, each read as the kind that the reader needs."""

    def text(self, name: str, otherwise: str = "") -> str:
        """Return a member as text; what is no text, as JSON."""
        value = self.get(name)
        return otherwise if value is None or value == "" else value if isinstance(value, str) else json.dumps(value)

    def count(self, name: str) -> int:
        """Return a whole number; 0 for what is none."""
        value = self.get(name)
        return value if type(value) is int and abs(value) <= redaction.MAX_INTEGER else 0

    def texts(self, name: str) -> list[str]:
        """Return the texts of a list, or of the names of members; none for what is neither."""
        value = self.get(name)
        return [each for each in value if isinstance(each, str)] if isinstance(value, list | dict) else []

    def part(self, name: str) -> "Members":
        """Return the members of a member; none for what has none."""
        value = self.get(name)
        return Members(value) if isinstance(value, dict) else Members()

    def parts(self, name: str) -> "dict[str, Members]":
        """Return the members of a member, each as its own members."""
        given = self.part(name)
        return {each: given.part(each) for each in given}

    def moment(self, name: str) -> datetime | None:
        """Return a time; None for what is none."""
        try:
            return datetime.fromisoformat(self.text(name)).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def numbers(self) -> dict[str, float]:
        """Return the members that are numbers, of those that every reader can compute with."""
        return {name: value for name, value in self.items() if type(value) in (int, float) and abs(value) <= _LARGEST}


def parse(body: str) -> Members:
    """Return what a stored body says; nothing where it is no object."""
    try:
        said = json.loads(_ESCAPE.sub(_marked, body) if r"\u" in body else body)
    except (ValueError, RecursionError):
        return Members()
    return Members(said) if isinstance(said, dict) else Members()


def members(body: str) -> Members:
    """Return what a stored body says, with each member that every event has, of its kind."""
    said = parse(body)
    said |= {name: said.text(name) for name in _TEXTS}
    said |= {"on_behalf_of": said.text("on_behalf_of") or None, "links": said.texts("links")}
    said |= {"personal": said.part("personal"), "detail": said.part("detail")}
    return said


def uuid(text: str) -> UUID:
    """Return a UUID; the nil UUID, which no row has, for what is none."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def by_kind(links: Iterable[str]) -> dict[str, list[str]]:
    """Return the keys of links "kind:key", by kind."""
    keys: dict[str, list[str]] = {}
    for link in links:
        kind, _, key = link.partition(":")
        keys.setdefault(kind, []).append(key)
    return keys


def _marked(match: re.Match[str]) -> str:
    return redaction.mark(chr(int(match["lost"].removeprefix(r"\u"), base=16))) if match["lost"] else match[0]


def as_jsonb(column: str) -> str:
    """Return the SQL expression that reads a column of bodies as jsonb. Nothing else may cast one.

    Backslashes that are escaped are set aside as a control character, which canonical JSON never holds, until NUL is
    replaced. The expression holds no percent sign and no braces.
    """
    plain = rf"replace(replace(replace({column}, '\\', chr(1)), '{_NUL}', '{_MARK}'), chr(1), '\\')"
    read = f"CASE WHEN strpos({column}, '{_NUL}') = 0 THEN {column} ELSE {plain} END"
    return f"(CASE WHEN pg_input_is_valid({read}, 'jsonb') THEN {read} ELSE 'null' END)::jsonb"


def holds_nul(column: str) -> str:
    """Return the SQL condition that finds the bodies that hold NUL."""
    return rf"strpos({column}, '{_NUL}') > 0 AND strpos(replace({column}, '\\', chr(1)), '{_NUL}') > 0"
