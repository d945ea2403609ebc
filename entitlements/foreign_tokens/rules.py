"""What tries of a token prove. A try is believed, the answer of the server that should revoke it is not.

Sources: RFC 7009 section 2.2 (200 also for a token that is not known), RFC 7662 section 2.2, RFC 6750 section 3.1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Final

BOUND: Final = timedelta(minutes=10)
"""For so long a token whose revocation was asked for is tried again; one that works then is alive."""
FIRST_WAIT: Final = timedelta(seconds=10)


class VendorAnswer(StrEnum):
    """What came back when the tokens' revocation was asked for (RFC 7009)."""

    REVOKED = "revoked"
    REFUSED = "refused"
    NOT_OFFERED = "not_offered"
    NOT_OURS = "not_ours"
    NO_ANSWER = "no_answer"


class End(StrEnum):
    """What is known of the end of a token."""

    PENDING = "pending"
    DEAD = "dead"
    ALIVE = "alive"
    UNKNOWN = "unknown"


class Unknown(StrEnum):
    """Why an end is not known."""

    NOT_HELD = "not_held"
    NO_WAY = "no_way"
    NO_ANSWER = "no_answer"
    NOT_OPENED = "not_opened"
    ACCOUNT_STAYS = "account_stays"


class Part(StrEnum):
    """Which of an account's tokens is tried."""

    ACCESS = "access_token"
    REFRESH = "refresh_token"


class Means(StrEnum):
    """How a token is tried: by a call of the system, by a refresh, or by asking its server (RFC 7662)."""

    CALL = "call"
    REFRESH = "refresh"
    INTROSPECTION = "introspection"


class Result(StrEnum):
    """What a try found. What lets anyone in proves nothing: `open`."""

    WORKS = "works"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Try:
    """One try of one token."""

    part: Part
    means: Means
    result: Result

    @property
    def name(self) -> str:
        """How a row keeps that this way took this token."""
        return f"{self.part}:{self.means}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What all tries together prove; of an unknown end `why`, else `found_by` which means."""

    end: End
    found_by: tuple[Means, ...] = ()
    why: Unknown | None = None


def of_call(status: int | None, of_stranger: int | None) -> Result:
    """Judge a call by its status, and by that of the same call with a made-up token; None is no usable answer.

    401 says that the token is not taken. Anything else says that it is only where the made-up one gets 401.
    """
    if status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Result.NO_ANSWER
    if status == HTTPStatus.UNAUTHORIZED:
        return Result.REFUSED
    if of_stranger is None or of_stranger >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Result.NO_ANSWER
    return Result.WORKS if of_stranger == HTTPStatus.UNAUTHORIZED else Result.OPEN


def proven(tries: Sequence[Try], accepted_before: Collection[str], *, certain: Collection[str] = ()) -> list[Try]:
    """Keep what a refusal proves: the end of a token that the same way took before its revocation.

    A server says `active: false` also of a token that the client may not ask about (RFC 7662 section 2.2), and an
    address may answer 401 to everyone. `certain` names ways whose refusal needs no such ground.
    """
    grounds = {*accepted_before, *certain}
    return [
        replace(each, result=Result.OPEN) if each.result == Result.REFUSED and each.name not in grounds else each
        for each in tries
    ]


def accepted(tries: Iterable[Try]) -> list[str]:
    """Name the ways that took a token."""
    return [each.name for each in tries if each.result == Result.WORKS]


def find(parts: Iterable[Part], tries: Sequence[Try]) -> Finding:
    """Judge the tries of the tokens of one account.

    One try that works is a token that lives, whatever others say. Dead are all only if each was refused at least once.
    """
    if works := _means(tries, Result.WORKS):
        return Finding(End.ALIVE, works)
    for part in parts:
        results = {each.result for each in tries if each.part == part}
        if Result.REFUSED not in results:
            why = Unknown.NO_ANSWER if Result.NO_ANSWER in results else Unknown.NO_WAY
            return Finding(End.UNKNOWN, why=why)
    refused = _means(tries, Result.REFUSED)
    return Finding(End.DEAD, refused) if refused else Finding(End.UNKNOWN, why=Unknown.NO_WAY)


def is_final(finding: Finding, answer: VendorAnswer, tried_for: timedelta) -> bool:
    """Say whether a finding stands, or the tokens are tried again: only what may still change within the bound is.

    A server that was asked to revoke, or did not answer that, may take its time; an answer may still come.
    """
    may_die = answer in (VendorAnswer.REVOKED, VendorAnswer.NO_ANSWER) and finding.end == End.ALIVE
    return not (may_die or finding.why == Unknown.NO_ANSWER) or tried_for >= BOUND


def wait(tries: int) -> timedelta:
    """Return how long until the next try: ten seconds, then twice as long each time, within the bound."""
    doubled: int = 2 ** min(max(tries - 1, 0), 10)
    return min(FIRST_WAIT * doubled, BOUND)


def _means(tries: Sequence[Try], result: Result) -> tuple[Means, ...]:
    return tuple(sorted({each.means for each in tries if each.result == result}))
