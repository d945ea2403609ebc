"""Pure: taking away from what is asked - tools, arguments, time - and never adding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from entitlements import limits
from entitlements.errors import DomainError

type Lines = Mapping[str, Mapping[str, Any]]
"""Tools by name, each with the limits on its arguments."""


class Wider(DomainError):
    """Narrowing only takes away; this would give more."""

    code, status = "not_narrower", HTTPStatus.UNPROCESSABLE_ENTITY


class NothingLeft(DomainError):
    """No tool would be left; deny or withdraw the request instead."""

    code, status = "nothing_left", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What to keep: these tools (None: all), within these further limits, for at most this long (None: as it is)."""

    tools: frozenset[str] | None = None
    limits: Lines = field(default_factory=dict)
    lasts: timedelta | None = None


NOTHING: Final = Narrowing()


def lines(current: Lines, by: Narrowing) -> dict[str, dict[str, Any]]:
    """Return what is left of the lines. A limit is given by argument, and replaces what was said of that argument.

    Raises Wider when a tool is not among the current ones or a limit would loosen, NothingLeft, and LimitMalformed.
    """
    kept = current.keys() if by.tools is None else by.tools
    if not kept:
        raise NothingLeft
    if unknown := sorted((kept | by.limits.keys()) - current.keys()):
        raise Wider(tool=unknown[0])
    if dropped := sorted(by.limits.keys() - kept):
        raise Wider("A limit is given for a tool that is not kept.", tool=dropped[0])
    left = {}
    for tool in sorted(kept):
        tighter = {**current[tool], **by.limits.get(tool, {})}
        if not limits.tightens(current[tool], tighter):
            raise Wider(tool=tool)
        left[tool] = tighter
    return left


def time(current: timedelta, by: Narrowing) -> timedelta:
    """Return how long is left. Raises Wider when it would be longer, or no time at all."""
    if by.lasts is None:
        return current
    if not timedelta(0) < by.lasts <= current:
        raise Wider(longest_seconds=int(current.total_seconds()))
    return by.lasts
