"""What a file or a source says, row by row: kept with its texts made visible and cut, or refused with a code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from audit import clock
from entitlements.catalog_files.offers import Problem
from entitlements.definitions import impressions
from entitlements.errors import DomainError

MOST_ROWS: Final = 100_000
MOST_TOOLS: Final = 200
_LONGEST: Final = 200
_LONGEST_ID: Final = 255


class TooMuch(DomainError):
    """The file is too large, or has too many rows. Split it into several files."""

    code, status = "onboarding_too_large", HTTPStatus.UNPROCESSABLE_ENTITY


class Source(StrEnum):
    """Where a row comes from: the form of a file, or the kind of a discovery source."""

    TABLE = "table"
    CLIENT = "client_configuration"
    PROVIDER = "identity_provider"
    LOG = "gateway_log"
    OKTA = "okta"
    ENTRA = "entra"
    FLEET = "fleet"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One row: which agent, answered for by whom, reaches which system with which tools for whom, when last."""

    row: int
    agent: str
    client_id: str = ""
    sponsor: str = ""
    system: str = ""
    address: str = ""
    tools: tuple[str, ...] = ()
    person: str = ""
    group: str = ""
    last_used: datetime | None = None
    calls: int = 1


@dataclass(slots=True)
class Contents:
    """What a file holds."""

    source: Source
    sightings: list[Sighting] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, row: int, code: str, message: str, *, system: str = "") -> None:
        """Leave a row out, and say why."""
        self.problems.append(Problem(row, system, "", code, message, refused=True))


def key_of(name: str, client_id: str = "") -> str:
    """Return the name under which an agent is found again: its client identifier, else its name."""
    return impressions.key(client_id or name)


def bounded[T](rows: Iterable[T]) -> Iterator[tuple[int, T]]:
    """Number the rows of a file from 1. Raises TooMuch."""
    for number, row in enumerate(rows, 1):
        if number > MOST_ROWS:
            raise TooMuch("The file has too many rows.", most=MOST_ROWS)
        yield number, row


def take(contents: Contents, seen: Sighting) -> None:
    """Keep a sighting with its texts made visible and cut, or refuse its row."""
    if not key_of(seen.agent, seen.client_id):
        contents.refuse(seen.row, "agent_not_named", "The row names no agent.", system=seen.system)
        return
    if len(seen.tools) > MOST_TOOLS:
        contents.refuse(seen.row, "too_many_tools", "The row lists too many tools.", system=seen.system)
        return
    contents.sightings.append(
        replace(
            seen,
            agent=_text(seen.agent) or _text(seen.client_id),
            client_id=_text(seen.client_id, _LONGEST_ID),
            sponsor=_text(seen.sponsor),
            system=_text(seen.system),
            tools=tuple(_text(tool) for tool in seen.tools),
            person=_text(seen.person),
            group=_text(seen.group),
        )
    )


def _text(value: object, longest: int = _LONGEST) -> str:
    return impressions.visible(value.strip())[:longest] if isinstance(value, str) else ""


_EARLIEST: Final = datetime(2000, 1, 2, tzinfo=UTC)
"""An earlier time in a file is a mistake, or cannot be converted between time zones."""


def moment(value: object) -> datetime | None:
    """Read when something was used last: ISO 8601, or seconds since 1970; None when it is neither, or cannot be."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            read = datetime.fromtimestamp(value / (1000 if value > 1e11 else 1), UTC)  # noqa: PLR2004 - milliseconds
        else:
            read = datetime.fromisoformat(value.strip()) if isinstance(value, str) else _EARLIEST
    except (ValueError, OverflowError, OSError):
        return None
    read = read.replace(tzinfo=read.tzinfo or UTC)
    return read if _EARLIEST < read <= clock.now() + timedelta(days=1) else None
