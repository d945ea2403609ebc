"""Pure: who reviews an agent's access, what an answer needs, and how a population and a table are written down.

Nothing here reads a row or a clock. People are logins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from entitlements.words import Risk

from .rules import Skip, Why

ENGINE: Final = "resolve@1"
UNRESOLVED: Final = "unresolved"
ASSIGNED: Final = "reassigned"
_LIVE_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may take for the beginning of a formula, the full-width forms included."""


class Verb(StrEnum):
    """What a reviewer decides about one item. The buttons say Keep and Remove."""

    CERTIFY = "certify"
    REVOKE = "revoke"


KEEP: Final = ("business_need", "seasonal", "break_glass", "mandated")
DROP: Final = (
    "unused",
    "wrong_scope",
    "not_appropriate",
    "owner_gone",
    "project_ended",
    "duplicate",
    "risk",
    "drifted",
)
REASONS: Final = {Verb.CERTIFY: KEEP, Verb.REVOKE: DROP}


@dataclass(frozen=True, slots=True)
class Around:
    """The people around one item. `requesters` stand behind any of its grants; `beneficiaries` are acted for."""

    sponsor: str
    owner: str | None
    system_owner: str | None
    manager: str | None
    requesters: frozenset[str]
    beneficiaries: frozenset[str]
    active: frozenset[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """Who reviews an item, by which rule, and who was passed over; nobody where no rule found somebody."""

    reviewer: str | None
    rule: str
    skipped: tuple[Skip, ...]

    def as_evidence(self, evaluated_at: datetime) -> dict[str, Any]:
        """Return what is stored beside the assignment: the evidence that conflicts were looked for."""
        return {
            "chosen": self.reviewer,
            "rule": self.rule,
            "skipped": [{"who": skip.who, "why": skip.why.value} for skip in self.skipped],
            "evaluated_at": evaluated_at.isoformat(),
            "engine": ENGINE,
        }


def conflict(login: str, around: Around) -> Why | None:
    """Say why a person may not review this item; None when nothing stands against it (promise 6)."""
    if login not in around.active:
        return Why.INACTIVE
    if login in around.requesters:
        return Why.REQUESTED_IT
    if login == around.owner:
        return Why.OWNS_THE_AGENT
    return Why.BENEFITS if login in around.beneficiaries else None


def resolve(around: Around) -> Choice:
    """Find the reviewer: the sponsor, else the owner of the system, else the sponsor's manager, else nobody.

    The technical owner is no step of the chain: she never certifies for her own agent.
    """
    chain = (("sponsor", around.sponsor), ("system_owner", around.system_owner), ("manager", around.manager))
    skipped: dict[str, Why] = {}
    for rule, login in chain:
        if login is None or login in skipped:
            continue
        why = conflict(login, around)
        if why is None:
            return Choice(login, rule, _skips(skipped))
        skipped[login] = why
    return Choice(None, UNRESOLVED, _skips(skipped))


def _skips(skipped: dict[str, Why]) -> tuple[Skip, ...]:
    return tuple(Skip(who, why) for who, why in skipped.items())


def needs_reason(verb: Verb, risk: Risk) -> bool:
    """Whether an answer needs a reason: every removal, and keeping what is of high risk or above."""
    return verb is Verb.REVOKE or risk.rank >= Risk.HIGH.rank


def population_digest(row_hashes: Iterable[str]) -> str:
    """Return the SHA-256 of a population: of its rows' hashes in order, each ended by a line feed."""
    return hashlib.sha256("".join(f"{each}\n" for each in row_hashes).encode()).hexdigest()


def row_digest(payload: str) -> str:
    """Return the SHA-256 of one row's stored text, in UTF-8."""
    return hashlib.sha256(payload.encode()).hexdigest()


def cell(value: object) -> str:
    """Write a value for a table that a spreadsheet will open: nothing in it becomes a formula."""
    text = "" if value is None else str(value)
    text = text.replace("\x00", "\ufffd")
    return f"'{text}" if text.lstrip(" \xa0\u200b\ufeff").startswith(_LIVE_FORMULA) else text
