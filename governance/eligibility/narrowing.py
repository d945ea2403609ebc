"""Pure: narrowing a request - tools, arguments, time - and never widening it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from entitlements.decisions import limits
from entitlements.errors import DomainError

type Lines = Mapping[str, Mapping[str, Any]]
"""Tools by name, each with the limits on its arguments."""


class Wider(DomainError):
    """A narrowing can only take away; this one would give more."""

    code, status = "not_narrower", HTTPStatus.UNPROCESSABLE_ENTITY


class NothingLeft(DomainError):
    """No tool would be left. Deny or withdraw the request instead."""

    code, status = "nothing_left", HTTPStatus.UNPROCESSABLE_ENTITY


class LimitsTooLarge(DomainError):
    """The limits are larger than a request can hold. Name fewer values, or fewer tools at a time."""

    code, status = "limits_too_large", HTTPStatus.UNPROCESSABLE_ENTITY


class ReasonTooLong(DomainError):
    """A reason has at most 2000 characters."""

    code, status = "reason_too_long", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What to keep: these tools (None: all), within these further limits, for at most this long (None: as it is)."""

    tools: frozenset[str] | None = None
    limits: Lines = field(default_factory=dict)
    lasts: timedelta | None = None


NOTHING: Final = Narrowing()
LARGEST_LIMITS: Final = 16 * 1024
"""Bytes of all limits that one person gives at once: an event holds 64 KB, and says more than these."""
LONGEST_REASON: Final = 2000


def check_size(lines: Lines, reason: str) -> None:
    """Refuse what no event could hold, before anything is looked up. Raises LimitsTooLarge, ReasonTooLong."""
    if len(reason) > LONGEST_REASON:
        raise ReasonTooLong
    size = len(json.dumps(lines, default=str))
    if size > LARGEST_LIMITS:
        raise LimitsTooLarge(bytes=size, most=LARGEST_LIMITS)


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of lines and time once some is taken away, and what was taken, as the audit log says it."""

    lines: Lines
    lasts: timedelta
    taken: dict[str, Any]


def left(current: Lines, lasts: timedelta, by: Narrowing) -> Left:
    """Take away from lines and time what `by` says. Raises Wider, NothingLeft, LimitMalformed."""
    kept, shorter = lines(current, by), time(lasts, by)
    dropped = sorted(current.keys() - kept.keys())
    tightened = {name: cap for name, cap in kept.items() if cap != current[name]}
    taken: dict[str, Any] = {"dropped": dropped} if dropped else {}
    if tightened:
        taken["limits"] = tightened
    if shorter != lasts:
        taken["lasts_seconds"] = int(shorter.total_seconds())
    return Left(kept, shorter, taken)


def lines(current: Lines, by: Narrowing) -> dict[str, dict[str, Any]]:
    """Return what is left of the lines. A limit is given by argument, and replaces the earlier limit of that argument.

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
