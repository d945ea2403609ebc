"""Argument limits: typed constraints over a tool's JSON arguments, canonical before compare.

Stored on a grant line as JSON: `{"timezone": {"one_of": ["Europe/Paris"]}, "amount": {"max": 100}, "*": {"absent": true}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from entitlements.codes import Code
from entitlements.errors import DomainError


class LimitMalformed(DomainError):
    """The limit is malformed."""

    code = Code.LIMIT_MALFORMED
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Covered:
    """The arguments are inside the limits."""


@dataclass(frozen=True, slots=True)
class NotCovered:
    """The arguments are outside the limits: which one, by which constraint, in a sentence without the value."""

    argument: str
    constraint: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """Limits ready to decide with. `free` means that there are none."""

    free: bool = False

    @classmethod
    def unlimited(cls) -> Self:
        """Build the limits that allow everything."""
        return cls(free=True)

    def covers(self, arguments: Mapping[str, object]) -> Covered | NotCovered:
        """Say whether a call's arguments are inside the limits."""
        raise NotImplementedError


def compile(limits: Mapping[str, object]) -> Compiled:  # noqa: A001 - reads as limits.compile
    """Compile limits as a person wrote them. Raises LimitMalformed, whose detail names the argument."""
    raise NotImplementedError


def load(stored: object) -> Compiled:
    """Compile limits as they are stored; what cannot be understood covers nothing."""
    raise NotImplementedError


def tightens(parent: Mapping[str, object], child: Mapping[str, object]) -> bool:
    """Whether the child never allows more than the parent. Conservative: in doubt, no."""
    raise NotImplementedError


def describe(limits: Mapping[str, object]) -> list[str]:
    """Say limits in plain sentences, in a stable order."""
    raise NotImplementedError
