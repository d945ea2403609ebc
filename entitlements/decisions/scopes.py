"""Scopes: their grammar, and how a set of them is narrowed.

A scope on our wire is the name of an entitlement, prefixed with its system's slug:
`time:read`. There is no hierarchy and no wildcard: `time:read` implies nothing but
itself. A few unprefixed names (`openid`, `offline_access`) belong to the protocols.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from entitlements.codes import Code
from entitlements.errors import DomainError

_TOKEN: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
_ENTITLEMENT: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,62}):[a-z0-9][a-z0-9._:-]{0,126}")
_LONGEST_LINE: Final = 8192
_MOST_SCOPES: Final = 200

AGREED: Final = "agreed_scope"
"""The claim of an access token for our gateway: to which scopes the person agreed, granted yet or not."""
WHATEVER: Final = "*"
"""Its value where the person agreed to whatever is granted; no entitlement has this name."""
PROTOCOL_SCOPES: Final = frozenset({"openid", "offline_access", "profile", "email"})


class ScopeMalformed(DomainError):
    """The scope is malformed."""

    code = Code.SCOPE_MALFORMED
    status = HTTPStatus.BAD_REQUEST


class Outcome(StrEnum):
    """What became of one requested scope."""

    GRANTED = "granted"
    NOT_HELD = "not_held"
    OUTSIDE_CEILING = "outside_ceiling"
    OTHER_SYSTEM = "other_system"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What is left of a request, in canonical order, and what became of each scope in it."""

    granted: tuple[str, ...]
    outcomes: dict[str, Outcome]

    @property
    def complete(self) -> bool:
        """Whether everything asked for was granted."""
        return len(self.granted) == len(self.outcomes)


def parse(unverified: str | None) -> tuple[str, ...]:
    """Read a space separated list into canonical order; a repeated scope counts once.

    An absent or empty parameter is an empty tuple (RFC 6749 section 3.1: a parameter
    without a value is as if omitted). Raises ScopeMalformed on anything outside the
    grammar of RFC 6749 section 3.3, which allows one space between and none around.
    """
    if not unverified:
        return ()
    if len(unverified) > _LONGEST_LINE:
        raise ScopeMalformed("The list of scopes is too long.")
    parts = unverified.split(" ")
    if len(parts) > _MOST_SCOPES or not all(_TOKEN.fullmatch(part) for part in parts):
        raise ScopeMalformed("Scopes are printable ASCII words, separated by single spaces.")
    return canonical(parts)


def canonical(scopes: Iterable[str]) -> tuple[str, ...]:
    """Put scopes into the one order in which we write, compare and hash them."""
    return tuple(sorted(set(scopes)))


def join(scopes: Iterable[str]) -> str:
    """Write scopes as a `scope` parameter or claim, in canonical order."""
    return " ".join(canonical(scopes))


def opened(carried: Iterable[str], agreed: object) -> tuple[frozenset[str], bool]:
    """Return the scopes that a token of ours opens at our gateway, and whether it opens all that is granted.

    `agreed` is the value of its claim AGREED, None in a token that opens what it carries and no more.
    Raises ScopeMalformed.
    """
    scopes = frozenset(carried)
    if agreed is None or agreed == WHATEVER:
        return scopes, agreed == WHATEVER
    if not isinstance(agreed, str):
        raise ScopeMalformed
    return scopes.union(parse(agreed)), False


def system_of(scope: str) -> str | None:
    """Say which system an entitlement's scope belongs to; None for the protocols' own scopes."""
    match = _ENTITLEMENT.fullmatch(scope)
    return match.group(1) if match else None


def narrow(
    requested: Collection[str] | None,
    held: Collection[str],
    *,
    system: str | None,
    ceiling: Collection[str] | None = None,
) -> Narrowed:
    """Intersect a request with what is held, and say for every requested scope what became of it.

    `requested` None asks for everything held (an absent scope parameter means the
    scopes of what is redeemed, the protocols' own left out). `ceiling` is what the redeemed code, refresh token or
    ID-JAG carries; nothing outside it is granted, and nothing outside `system` ever is. `system` None stands for all
    systems: of what is held there no more is granted than one list of scopes can carry.
    """
    wanted = requested if requested is not None else set(held if ceiling is None else ceiling) - PROTOCOL_SCOPES
    outcomes = {scope: _outcome(scope, held, system, ceiling) for scope in canonical(wanted)}
    if system is None:
        _fit(outcomes)
    return Narrowed(tuple(scope for scope, outcome in outcomes.items() if outcome is Outcome.GRANTED), outcomes)


def _fit(outcomes: dict[str, Outcome]) -> None:
    """Leave out, from the end, what `parse` would refuse to read."""
    count, length = 0, -1
    for scope, outcome in outcomes.items():
        if outcome is not Outcome.GRANTED:
            continue
        count, length = count + 1, length + len(scope) + 1
        if count > _MOST_SCOPES or length > _LONGEST_LINE:
            outcomes[scope] = Outcome.TOO_MANY


def _outcome(scope: str, held: Collection[str], system: str | None, ceiling: Collection[str] | None) -> Outcome:
    owner = system_of(scope)
    if owner is None or (system is not None and owner != system):
        return Outcome.OTHER_SYSTEM
    if ceiling is not None and scope not in ceiling:
        return Outcome.OUTSIDE_CEILING
    return Outcome.GRANTED if scope in held else Outcome.NOT_HELD
