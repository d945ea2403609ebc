"""What session policies ask of a session, and how several are one: the strictest of each. Pure.

All times are seconds since 1970, all lengths seconds. What is not known of a sign-in never meets a term.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from entitlements.authentication import MULTI_FACTOR, OWN, PHISHING_RESISTANT, of_claims
from entitlements.words import Risk

IDLE: Final = 3600.0
ABSOLUTE: Final = 43_200.0
"""The built-in policy: how long every session lasts at most. A policy shortens it, and never lengthens it."""
SHORTEST_IDLE: Final = 300.0
"""A session is used when a token of it is issued, and such a token lives up to five minutes."""
SHORTEST_MAX_AGE: Final = 300.0
LONGEST_MAX_AGE: Final = 30 * 86_400.0
LEVELS: Final = tuple(Risk)
_IMPLIED: Final = {"mfa": MULTI_FACTOR, "otp": MULTI_FACTOR, "pop": PHISHING_RESISTANT, "hwk": PHISHING_RESISTANT}
"""The context that a client asks for to get a method: a request names contexts alone (RFC 9470 section 4)."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a session or a token says of its sign-in. A time that no one stated is minus infinity: unknown."""

    at: float = -math.inf
    acr: str = ""
    amr: frozenset[str] = frozenset()

    @classmethod
    def of_claims(cls, claims: Mapping[str, Any]) -> SignedIn:
        """Read `auth_time`, `acr` and `amr`, whose forms were checked."""
        at, methods = claims.get("auth_time"), claims.get("amr", ())
        return cls(-math.inf if at is None else float(at), str(claims.get("acr", "")), frozenset(methods))


UNKNOWN: Final = SignedIn()
"""A sign-in of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy in force. It applies at `risk` and above; a sign-in meets one context of `acr` and all of `amr`."""

    name: str
    risk: Risk = Risk.LOW
    idle: float = IDLE
    absolute: float = ABSOLUTE
    max_age: float = math.inf
    acr: tuple[str, ...] = ()
    amr: frozenset[str] = frozenset()
    renews: bool = False
    """Whether a session that is over may begin anew without a fresh sign-in."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The strictest of all policies that apply. A sign-in meets one context of each of `acr`."""

    names: tuple[str, ...]
    idle: float
    absolute: float
    max_age: float
    acr: tuple[tuple[str, ...], ...]
    amr: frozenset[str]
    renews: bool

    @property
    def contexts(self) -> tuple[str, ...]:
        """The contexts each of which meets every policy, as `acr_values` names them; else all, the strongest first."""
        implied = dict.fromkeys(_IMPLIED[method] for method in sorted(self.amr) if method in _IMPLIED)
        groups = [*self.acr, *((context,) for context in implied)]
        return shared_contexts(groups)


type Levels = tuple[Terms | None, ...]
"""The terms at each risk level, the lowest first; None where no policy applies."""


class Term(StrEnum):
    """What a session falls short of."""

    ABSOLUTE = "absolute"
    IDLE = "idle"
    RENEWED = "renewed"
    MAX_AGE = "max_age"
    ACR = "acr"
    AMR = "amr"


_SENTENCES: Final = {
    Term.ABSOLUTE: "The session is older than {0}, its longest life by {names}.",
    Term.IDLE: "The session was not used for {1}, the longest by {names}.",
    Term.RENEWED: "A session was over before, and by {names} another one needs a sign-in since then.",
    Term.MAX_AGE: "The person signed in more than {2} ago, or it is not known when; {names} allows no more.",
    Term.ACR: "{names} asks for a sign-in in a stronger way: {acr}.",
    Term.AMR: "{names} asks for a sign-in with {amr}.",
}


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why a session is not enough, and which sign-in would be: how old at most, in one of which contexts.

    `may_begin_anew`: the session is over, and its successor needs no fresh sign-in.
    """

    term: Term
    sentence: str
    max_age: int | None
    contexts: tuple[str, ...]
    may_begin_anew: bool = False


@dataclass(frozen=True, slots=True)
class EarlierSession:
    """A session of the same agent, client and person; `ends` by the built-in policy or by an act."""

    began: float
    last_used: float
    ends: float


def levels(policies: Sequence[Policy]) -> Levels:
    """Return what applies at each risk level, levels with the same policies sharing one; empty without policies."""
    if not policies:
        return ()
    applying = [tuple(each for each in policies if each.risk.rank <= level.rank) for level in LEVELS]
    terms = {some: combined(some) for some in applying}
    return tuple(terms[some] for some in applying)


def combined(policies: Sequence[Policy]) -> Terms | None:
    """Return the strictest of some policies; None for none."""
    if not policies:
        return None
    return Terms(
        names=tuple(each.name for each in policies),
        idle=min(IDLE, *(each.idle for each in policies)),
        absolute=min(ABSOLUTE, *(each.absolute for each in policies)),
        max_age=min(each.max_age for each in policies),
        acr=tuple(dict.fromkeys(each.acr for each in policies if each.acr)),
        amr=frozenset().union(*(each.amr for each in policies)),
        renews=all(each.renews for each in policies),
    )


def shortfall(terms: Terms, signed_in: SignedIn, began: float, last_used: float, now: float) -> Shortfall | None:
    """Say what a session falls short of, the first in the order of `Term`; None where it meets all terms."""
    if not now < began + terms.absolute:
        return _over(terms, Term.ABSOLUTE, began + terms.absolute, now)
    if not now < last_used + terms.idle:
        return _over(terms, Term.IDLE, last_used + terms.idle, now)
    return of_sign_in(terms, signed_in, now)


def of_sign_in(terms: Terms, signed_in: SignedIn, now: float) -> Shortfall | None:
    """Say what a sign-in falls short of; None where it meets all terms."""
    if not now - signed_in.at <= terms.max_age:
        return _short(terms, Term.MAX_AGE)
    if terms.acr and not all(covers(signed_in.acr, signed_in.amr, group) for group in terms.acr):
        return _short(terms, Term.ACR)
    if not terms.amr <= signed_in.amr:
        return _short(terms, Term.AMR)
    return None


def of_beginning(terms: Terms, signed_in: SignedIn, earlier: Iterable[EarlierSession], now: float) -> Shortfall | None:
    """Say what forbids that a session begins: one that was over since the sign-in, or the sign-in itself."""
    ends = (end(each, terms) for each in earlier)
    over = max((moment for moment in ends if moment <= now), default=-math.inf)
    if not terms.renews and over > -math.inf and not signed_in.at > over:
        return _short(terms, Term.RENEWED, most=now - over)
    return of_sign_in(terms, signed_in, now)


def end(session: EarlierSession, terms: Terms) -> float:
    """Return when a session is over, by its own limits or by the terms."""
    return min(session.ends, session.last_used + terms.idle, session.began + terms.absolute)


def until(terms: Terms, signed_in: SignedIn, began: float, last_used: float) -> float:
    """Return until when a session meets the terms, whose sign-in is of a way that they ask for."""
    age = signed_in.at + terms.max_age if terms.max_age < math.inf else math.inf
    return min(began + terms.absolute, last_used + terms.idle, age)


def shared_contexts(groups: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the contexts each of which meets every group, or where none does all of them, the strongest first."""
    listed = [*dict.fromkeys(context for group in groups for context in group)]
    meets = [each for each in listed if all(covers(each, frozenset(), group) for group in groups)]
    return tuple(meets or sorted(listed, key=lambda each: OWN.index(each) if each in OWN else -1))


def covers(acr: str, amr: frozenset[str], asked: Sequence[str]) -> bool:
    """Whether a sign-in of this context, by these methods, is of one that is asked for, or of a stronger one."""
    signed_in = of_claims(acr, amr)
    return any(signed_in.covers(context) for context in asked)


def length(seconds: float) -> str:
    """Return a length as ISO 8601 writes it, in whole days, hours, minutes and seconds."""
    whole = int(seconds)
    days, hours, minutes, rest = whole // 86_400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    parts = [f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M"), (rest, "S")) if number]
    day = f"{days}D" if days else ""
    return f"P{day}T{''.join(parts)}" if parts else f"P{day or 'T0S'}"


def _over(terms: Terms, term: Term, moment: float, now: float) -> Shortfall:
    """Say that a session is over, since a moment: a fresh sign-in is newer than that."""
    short = _short(terms, term, most=now - moment if now - moment < math.inf else 0.0)
    return Shortfall(short.term, short.sentence, short.max_age, short.contexts, may_begin_anew=terms.renews)


def _short(terms: Terms, term: Term, most: float = math.inf) -> Shortfall:
    oldest = min(most, terms.max_age)
    lengths = [length(each) if each < math.inf else "" for each in (terms.absolute, terms.idle, terms.max_age)]
    contexts = terms.contexts
    sentence = _SENTENCES[term].format(
        *lengths, names=", ".join(terms.names), acr=" or ".join(contexts), amr=", ".join(sorted(terms.amr))
    )
    return Shortfall(term, sentence, int(oldest) if oldest < math.inf else None, contexts)
