"""Pure: who reviews an agent's access, what an answer needs, and how a population and a table are written down.

Nothing here reads a row or a clock. People are logins.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from entitlements.words import Risk

ENGINE: Final = "resolve@6"
_SATURDAY: Final = 5
UNRESOLVED: Final = "unresolved"
ASSIGNED: Final = "reassigned"
CLAIMED: Final = "claimed"
GROUP: Final = "group:"
"""Before the short name of the group that is asked once the chain of a kind is through."""
CAMPAIGN_OWNER: Final = "campaign_owner"
"""Who runs the review: asked last, where she wants to be."""
_LIVE_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may take for the beginning of a formula, the full-width forms included."""
_UNSEEN: Final = " \xa0\u200b\ufeff"
_LIVE_WITHIN: Final = re.compile(rf"([;|\t\r\n])([{_UNSEEN}\"]*[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""The same behind what some program takes for the end of a cell."""


class Verb(StrEnum):
    """What a reviewer answers about one item. The buttons say Keep, Keep some, Remove, I can't judge."""

    CERTIFY = "certify"
    REDUCE = "reduce"
    REVOKE = "revoke"
    ABSTAIN = "abstain"


class Bar(StrEnum):
    """Why somebody does not review an item."""

    INACTIVE = "inactive"
    REQUESTED_IT = "requested_it"
    BENEFITS = "benefits"
    OWNS_THE_AGENT = "owns_the_agent"
    APPROVED_IT = "approved_it_lately"
    ANSWERED_ALREADY = "answered_another_stage"
    ABSTAINED = "could_not_judge"
    OVER_LOAD = "has_enough_to_review"
    THEIR_OWN = "their_own"
    UNREACHABLE = "mail_came_back"
    GAVE_IT = "gave_it_at_their_system"
    TOO_FEW = "fewer_than_two_people"
    SEES_IT = "sees_the_answer"


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
STRICTNESS: Final = (Verb.CERTIFY, Verb.REDUCE, Verb.REVOKE)
SECOND: Final = 2
"""The last stage there is."""
SPOT_CHECK: Final = 3
"""What comes after every stage: somebody else is asked about some of the answers, without knowing them."""
INDEPENDENCE: Final = timedelta(days=90)
"""How long whoever approved what is of high risk does not review it."""
RECALL: Final = timedelta(minutes=15)
"""How long a reviewer may take an answer back; a cut becomes final after it."""
WRITTEN: Final = 10
"""How many letters or digits a reason in somebody's own words has at least."""
_BY_AGENT: Final = (("sponsor", "system_owner", "manager"), ("system_owner", "security", "manager"))
_BY_SYSTEM: Final = (("system_owner", "sponsor", "manager"), ("security", "sponsor", "manager"))
_CHAINS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "agent_owner": _BY_AGENT,
    "micro": _BY_AGENT,
    "resource_owner": _BY_SYSTEM,
    "privileged_tools": _BY_SYSTEM,
    "findings": _BY_SYSTEM,
    "delegation": (("holder", "sponsor", "system_owner", "manager"), ("sponsor", "system_owner", "manager")),
    "ownership": (("sponsor", "manager", "security"), ("manager", "security")),
    "credential": (("holder", "sponsor", "manager", "security"), ("sponsor", "manager", "security")),
    "entitlement_definition": (("system_owner", "security"), ("security",)),
    "console_access": (("manager", "admin", "security"), ("admin", "security")),
}
"""Who is asked by each kind of campaign, at its first and its second stage, in this order."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Somebody who was passed over, and why."""

    who: str
    why: Bar


@dataclass(frozen=True, slots=True)
class Around:
    """The people around one item. `requesters` stand behind any of its grants; `beneficiaries` are acted for.

    `holder` is whose own it is: at the first stage she is asked where `holder_first` says so, and never else.
    `manager` is that of the sponsor, or of the holder where there is none. `approvers` said yes to it within the last
    ninety days; `owned` owned the agent when the population was taken; `answered` gave or were asked for the answer of
    another stage; `abstained` could not judge; `busy` have as many items as one person gets; mail to `unreachable` came
    back. `gave_it`: the owner of the system said yes to it, not as sponsor; `alone`: one person answers for it.
    `fallback` names the group that is asked after the chain, whose `members` are at least two people, or nobody;
    `runs_it` owns the campaign and wants to be asked last; `sees` know what was answered, and so make no spot check.
    """

    sponsor: str | None
    owner: str | None
    system_owner: str | None
    manager: str | None
    requesters: frozenset[str]
    beneficiaries: frozenset[str]
    active: frozenset[str]
    security: tuple[str, ...] = ()
    risk: Risk = Risk.LOW
    approvers: frozenset[str] = frozenset()
    answered: frozenset[str] = frozenset()
    abstained: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    unreachable: frozenset[str] = frozenset()
    kind: str = "agent_owner"
    stage: int = 1
    holder: str | None = None
    holder_first: bool = False
    admins: tuple[str, ...] = ()
    owned: frozenset[str] = frozenset()
    gave_it: bool = False
    alone: bool = False
    fallback: str = ""
    members: frozenset[str] = frozenset()
    runs_it: str | None = None
    sees: frozenset[str] = frozenset()

    @property
    def last(self) -> tuple[str, ...]:
        """Name the rules by which somebody is asked once the chain of the kind is through."""
        group = (f"{GROUP}{self.fallback}",) if self.fallback else ()
        return (*group, CAMPAIGN_OWNER) if self.runs_it else group

    def holders(self, rule: str) -> tuple[str | None, ...]:
        """Say who comes next by one rule of the chain."""
        several = {"admin": self.admins, "security": self.security}
        if rule in several:
            return several[rule]
        if rule.startswith(GROUP):
            return tuple(sorted(self.members))
        return (
            {
                "sponsor": self.sponsor,
                "system_owner": self.system_owner,
                "manager": self.manager,
                "holder": self.holder if self.holder_first else None,
                CAMPAIGN_OWNER: self.runs_it,
            }[rule],
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Who reviews an item, by which rule, and who was passed over; nobody where no rule found somebody.

    `provisions`: she owns the system that it is at, so what she answers for she may let in.
    """

    reviewer: str | None
    rule: str
    skipped: tuple[Skip, ...]
    provisions: bool = False

    def as_evidence(self, evaluated_at: datetime) -> dict[str, Any]:
        """Return what is stored beside the assignment: the evidence that conflicts were looked for."""
        return {
            "chosen": self.reviewer,
            "rule": self.rule,
            "skipped": [{"who": skip.who, "why": skip.why.value} for skip in self.skipped],
            "provisions": self.provisions,
            "evaluated_at": evaluated_at.isoformat(),
            "engine": ENGINE,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """The rule that found somebody, and whom: one person, or those of a group of whom any may be asked."""

    people: tuple[str, ...]
    rule: str
    skipped: tuple[Skip, ...]
    system_owner: str | None

    def choice(self, who: str | None) -> Choice:
        """Return what is written down where one of them is asked, or nobody is."""
        return Choice(who, self.rule, self.skipped, provisions=who is not None and who == self.system_owner)


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
    known = all(risk in Risk and said in Strategy for risk, said in chosen.items())
    return known and not any(said not in TWO and Risk(risk).rank >= Risk.HIGH.rank for risk, said in chosen.items())


def stages(risk: Risk, chosen: Mapping[str, str]) -> int:
    """Say how many distinct people answer."""
    return 1 if strategy(risk, chosen) == Strategy.FIRST_DECIDES else 2


def is_kept_by_silence(risk: Risk, chosen: Mapping[str, str]) -> bool:
    """Whether what nobody answers goes on, as not reviewed; everything else stops."""
    return risk == Risk.LOW and strategy(risk, chosen) != Strategy.ALL_MUST_KEEP


def conflict(login: str, around: Around) -> Bar | None:
    """Say why a person may not review this item; None when nothing stands against it (promise 6)."""
    if login == around.holder and around.holder_first and around.stage == 1:
        return None if login in around.active else Bar.INACTIVE
    is_check = around.stage == SPOT_CHECK
    bars = (
        (login not in around.active, Bar.INACTIVE),
        (login == around.holder, Bar.THEIR_OWN),
        (login in around.requesters, Bar.REQUESTED_IT),
        (login == around.owner or login in around.owned, Bar.OWNS_THE_AGENT),
        (login in around.beneficiaries, Bar.BENEFITS),
        (login in around.approvers and (is_check or around.risk.rank >= Risk.HIGH.rank), Bar.APPROVED_IT),
        (login in around.answered, Bar.ANSWERED_ALREADY),
        (login == around.system_owner and around.gave_it and around.alone, Bar.GAVE_IT),
        (login in around.sees, Bar.SEES_IT),
    )
    return next((bar for stands, bar in bars if stands), None)


def resolve(around: Around, load: Mapping[str, int]) -> Choice:
    """Find the reviewer of the stage that `around` is about; `load` counts what each has of the campaign already.

    Of a group it is who has least, and of those the first by login.
    """
    found = find(around)
    return found.choice(min(found.people, key=lambda who: (load.get(who, 0), who), default=None))


def find(around: Around) -> Found:
    """Find whom to ask, along the chain of the kind of campaign, then in the group named for it, then its owner.

    The technical owner is asked about the credentials that she looks after, and is no step of any other chain: she
    never certifies for her own agent.
    """
    skipped: dict[str, Bar] = {}
    chain = rules(around.kind) if around.stage == SPOT_CHECK else _CHAINS[around.kind][around.stage - 1]
    for rule in (*chain, *around.last):
        is_group, left = rule.startswith(GROUP), list[str]()
        for login in around.holders(rule):
            if login is None or login in skipped:
                continue
            why = _against(login, around)
            if why is None:
                left.append(login)
            else:
                skipped[login] = why
            if left and not is_group:
                break
        if left:
            return Found(tuple(left), rule, _skips(skipped), around.system_owner)
        if is_group and not around.members:
            skipped[rule] = Bar.TOO_FEW
    return Found((), UNRESOLVED, _skips(skipped), around.system_owner)


def _against(login: str, around: Around) -> Bar | None:
    why = conflict(login, around)
    why = why or (Bar.ABSTAINED if login in around.abstained else None)
    why = why or (Bar.OVER_LOAD if login in around.busy else None)
    return why or (Bar.UNREACHABLE if login in around.unreachable else None)


def rules(kind: str) -> tuple[str, ...]:
    """Name every rule of the chain of a kind of campaign, at either stage; `Around.last` names what comes after."""
    return tuple(dict.fromkeys(rule for chain in _CHAINS[kind] for rule in chain))


def _skips(skipped: dict[str, Bar]) -> tuple[Skip, ...]:
    return tuple(Skip(who, why) for who, why in skipped.items())


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


def cell(value: object) -> str:
    """Write a value for a table that a spreadsheet will open: nothing in it becomes a formula.

    A program whose separator is another one than the comma takes a cell apart at it, quoted or not, and at the ends of
    lines: so nothing that follows one of these becomes a formula either.
    """
    text = "" if value is None else str(value)
    text = _LIVE_WITHIN.sub(r"\1'\2", text.replace("\x00", "\ufffd"))
    return f"'{text}" if text.lstrip(_UNSEEN).startswith(_LIVE_FORMULA) else text
