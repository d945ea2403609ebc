"""Pure: what a reviewer's decision needs, and how a population is written down.

Nothing here reads a row or a clock. `governance/conflicts_of_interest` has who is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from entitlements.words import Risk

ENGINE: Final = "resolve@6"
_SATURDAY: Final = 5
ASSIGNED: Final = "reassigned"
CLAIMED: Final = "claimed"


class Verb(StrEnum):
    """What a reviewer answers about one item. The buttons say Keep, Keep some, Revoke, Don't know."""

    CERTIFY = "certify"
    REDUCE = "reduce"
    REVOKE = "revoke"
    ABSTAIN = "abstain"


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
NOT_MINE: Final = "not_mine"
ABSTAIN: Final = (NOT_MINE, "dont_understand", "conflict", "need_info")
REASONS: Final = {Verb.CERTIFY: KEEP, Verb.REDUCE: DROP, Verb.REVOKE: DROP, Verb.ABSTAIN: ABSTAIN}
FITTING: Final = {
    Verb.CERTIFY: KEEP,
    Verb.REDUCE: ("unused", "wrong_scope", "duplicate", "risk", "drifted"),
    Verb.REVOKE: ("unused", "project_ended", "owner_gone", "not_appropriate", "risk"),
    Verb.ABSTAIN: ABSTAIN,
}
"""The reasons that the console offers for a decision: at most five. A script may name each of REASONS."""
STRICTNESS: Final = (Verb.CERTIFY, Verb.REDUCE, Verb.REVOKE)
SECOND: Final = 2
"""The last stage there is."""
INDEPENDENCE: Final = timedelta(days=90)
"""How long a person who approved access of high risk does not review it."""
RECALL: Final = timedelta(minutes=15)
"""How long a reviewer may take an answer back; a cut becomes final after it."""
WRITTEN: Final = 10
"""How many letters or digits a reason in the reviewer's own words has at least."""


class Strategy(StrEnum):
    """Who answers what is of one risk, and what their answers come to together.

    One person alone; two distinct people, of whom any who removes it removes it, else the strictest answer wins; or two
    who both have to keep all of it: then nothing is kept in part, and silence stops it whatever its risk.
    """

    FIRST_DECIDES = "first_decides"
    ANY_DENY_DENIES = "any_deny_denies"
    ALL_MUST_KEEP = "all_must_keep"


TWO: Final = (Strategy.ANY_DENY_DENIES, Strategy.ALL_MUST_KEEP)
"""What may be chosen for high risk and above."""


def strategy(risk: Risk, chosen: Mapping[str, str]) -> Strategy:
    """Return the strategy for a risk: what was chosen for it, else one person, and two for high risk and above."""
    usual = Strategy.ANY_DENY_DENIES if risk.rank >= Risk.HIGH.rank else Strategy.FIRST_DECIDES
    return Strategy(chosen.get(risk, usual))


def strategies(chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the strategy for each risk."""
    return {str(risk): str(strategy(risk, chosen)) for risk in Risk}


def may_choose(chosen: Mapping[str, str]) -> bool:
    """Whether a campaign may go by these: what is of high risk or above is never one person's."""
    known = all(risk in Risk and name in Strategy for risk, name in chosen.items())
    return known and not any(name not in TWO and Risk(risk).rank >= Risk.HIGH.rank for risk, name in chosen.items())


def stages(risk: Risk, chosen: Mapping[str, str]) -> int:
    """Say how many distinct people answer."""
    return 1 if strategy(risk, chosen) == Strategy.FIRST_DECIDES else 2


def is_kept_by_silence(risk: Risk, chosen: Mapping[str, str]) -> bool:
    """Whether what gets no answer goes on, as not reviewed; everything else stops."""
    return risk == Risk.LOW and strategy(risk, chosen) != Strategy.ALL_MUST_KEEP


def needs_reason(verb: Verb, risk: Risk, verdict: str = "") -> bool:
    """Whether an answer needs a reason: all but keeping what is of medium risk or below and not suggested to be cut."""
    return verb is not Verb.CERTIFY or risk.rank >= Risk.HIGH.rank or contradicts(verb, verdict)


def needs_words(verb: Verb, risk: Risk) -> bool:
    """Whether an answer needs a reason in the reviewer's own words: keeping what is of critical risk does."""
    return verb is Verb.CERTIFY and risk is Risk.CRITICAL


def is_written(comment: str) -> bool:
    """Whether a comment says something: it has at least ten letters or digits."""
    return sum(map(str.isalnum, comment)) >= WRITTEN


def contradicts(verb: str, verdict: str) -> bool:
    """Whether an answer goes against what was suggested: keeping what to cut, or cutting what to keep."""
    if verdict in (Verb.REVOKE, Verb.REDUCE):
        return verb == Verb.CERTIFY
    return verdict == "keep" and verb in (Verb.REVOKE, Verb.REDUCE)


def business_days(after: datetime, days: int) -> datetime:
    """Return the same time of day so many working days later; Saturday and Sunday are none."""
    at = after
    while days:
        at += timedelta(days=1)
        days -= at.weekday() < _SATURDAY
    return at


def population_digest(row_hashes: Iterable[str]) -> str:
    """Return the SHA-256 of a population: of its rows' hashes in order, each ended by a line feed."""
    digest = hashlib.sha256()
    for each in row_hashes:
        digest.update(f"{each}\n".encode())
    return digest.hexdigest()


def row_digest(payload: str) -> str:
    """Return the SHA-256 of one row's stored text, in UTF-8."""
    return hashlib.sha256(payload.encode()).hexdigest()
