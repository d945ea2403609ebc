"""Pure: whether the drafts of a reviewer count when they are submitted, and what becomes of each item.

Nothing here reads a row or a clock. People are logins. `facts.py` reads a `Case`; `judge` returns every reason that
speaks against it, and what each answer keeps and leads to. The database checks most of the same rules as the last line
(`sql/review_decision.sql`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from entitlements.decisions import limits
from entitlements.errors import DomainError, Stale
from entitlements.words import Risk
from governance.conflicts_of_interest import rules as conflicts
from governance.conflicts_of_interest.routing import ItemPeople
from governance.reviews.items.answer import Answer, lacking
from governance.reviews.items.errors import (
    BadAnswer,
    ConflictOfInterest,
    MayNotReview,
    NothingToSubmit,
    NotUnderWay,
    Outdated,
    ViolationOpen,
)
from governance.reviews.items.review_rules import SECOND, STRICTNESS, Verb

ACCESS: Final = "access"
ENTITLEMENT: Final = "entitlement"
"""The kinds of items of which some tools may be kept and others dropped."""
_NAMED: Final = 50
"""How many answers one refusal names."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an item still holds: its kind, the lines that no cut took away with their limits, and the last end.

    `is_whole`: it is kept as it is or not at all. `limits` has the lines alone that the answer limits further.
    """

    kind: str
    is_whole: bool
    lines: Sequence[int]
    ends_at: datetime | None = None
    limits: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Violation:
    """An SoD policy that an agent violates with lines that an answer keeps, and who gave the exception from it."""

    policy: str
    agent: str
    agent_name: str
    excepted_by: str = ""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A decision about the same item, made before, that no other one has superseded."""

    decision: UUID
    stage: int
    verb: str
    is_taken_back: bool = False


@dataclass(frozen=True, slots=True)
class Drafted:
    """One drafted answer, and all that is known of its item.

    `voices` are the accounts of who submits it, and of the reviewer in whose place they do.
    """

    item: UUID
    name: str
    answer: Answer
    stage: int
    stages: int
    risk: Risk
    holdings: Holdings
    people: ItemPeople
    voices: Sequence[str]
    suggestion: str = ""
    violations: Sequence[Violation] = ()
    earlier: Sequence[Earlier] = ()


type Revisions = Mapping[UUID, tuple[UUID, int]]
"""Drafts by their keys: the item, and the revision."""


@dataclass(frozen=True, slots=True)
class Case:
    """All that is judged when a reviewer submits drafts, in the order of the items' numbers.

    `listed` are the drafts as they were before the locks, `held` as they are now; `tag` names those that the reviewer
    confirmed, None where they confirmed none. `is_proven`: the reviewer has re-authenticated.
    """

    now: datetime
    is_under_way: bool
    is_active: bool
    is_proven: bool
    tag: str | None
    listed: Revisions
    held: Revisions
    ended: frozenset[UUID]
    drafts: Sequence[Drafted]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an answer, or a whole submission, does not count."""

    error: type[DomainError]
    detail: Mapping[str, Any] = field(default_factory=dict)
    violation: Violation | None = None


@dataclass(frozen=True, slots=True)
class ItemVerdict:
    """What one answer comes to: why it does not count, or what it keeps, supersedes and leads to.

    `asks` is the stage that is asked next; without one the item is decided. `outcome` is the earlier decision that is
    the outcome, None where this answer is.
    """

    item: UUID
    stage: int
    reasons: Sequence[Reason]
    kept: Sequence[int] = ()
    supersedes: UUID | None = None
    asks: int | None = None
    outcome: UUID | None = None


_ORDER: Final = {Outdated: 0, ConflictOfInterest: 1, ViolationOpen: 2}
"""Which reason of an item is named first; a missing reason comes last."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a submission comes to: why it does not count as a whole, and each of its answers."""

    reasons: Sequence[Reason]
    items: Sequence[ItemVerdict]

    @property
    def refusal(self) -> Reason | None:
        """Return the reason to name; None where all answers count.

        All outdated answers are named at once. Of violations it is that of the first item, of other reasons that of
        the first item of the first stage.
        """
        reasons = [
            (_ORDER.get(reason.error, len(_ORDER)), 0 if reason.violation else item.stage, reason)
            for item in self.items
            for reason in item.reasons
        ]
        first = next(iter((*self.reasons, *(each[2] for each in sorted(reasons, key=lambda each: each[:2])))), None)
        if first is None or first.error is not Outdated:
            return first
        outdated = [reason.detail for _order, _stage, reason in reasons if reason.error is Outdated]
        return Reason(Outdated, {"answers": outdated[:_NAMED], "count": len(outdated)})


def judge(case: Case) -> Verdict:
    """Judge a submission: an answer counts unless there is a reason against it."""
    return Verdict(tuple(_against(case)), tuple(_judge_item(draft, case.now) for draft in case.drafts))


def tag(revisions: Iterable[tuple[UUID, int]]) -> str:
    """Return one name for some drafts at their revisions."""
    return hashlib.sha256("\n".join(f"{pk}:{rev}" for pk, rev in sorted(revisions)).encode()).hexdigest()[:32]


def _against(case: Case) -> Iterable[Reason]:
    """Return what speaks against a submission as a whole, in the order in which it is named."""
    left = {pk: revision for pk, revision in case.listed.items() if revision[0] not in case.ended}
    is_critical = any(draft.risk == Risk.CRITICAL for draft in case.drafts)
    listed = tag((pk, rev) for pk, (_item, rev) in case.listed.items())
    reasons = (
        (not case.is_under_way, NotUnderWay),
        (not case.is_active, MayNotReview),
        (not case.listed, NothingToSubmit),
        (case.tag not in (None, listed), Stale),
        (not case.held and not case.ended, NothingToSubmit),
        (case.tag is not None and left != case.held, Stale),
        (is_critical and not case.is_proven, Stale),
    )
    return (Reason(error) for stands, error in reasons if stands)


def _judge_item(draft: Drafted, now: datetime) -> ItemVerdict:
    about, answer = {"item": str(draft.item), "agent": draft.name}, draft.answer
    kept, outdated = fit_again(answer, draft.holdings, now)
    if outdated:
        return ItemVerdict(draft.item, draft.stage, [Reason(Outdated, {**about, "field": outdated})])
    reasons = list[Reason]()
    if (rule := conflicts.conflict(draft.voices, draft.people)) is not None:
        reasons.append(Reason(ConflictOfInterest, {**about, "why": rule.value}))
    if (violation := uncovered(draft.violations, draft.voices)) is not None:
        reasons.append(Reason(ViolationOpen, about, violation))
    error = lacking(answer.verb, answer.reason_code, answer.comment, draft.risk, draft.suggestion)
    if error is not None:
        reasons.append(Reason(error, about))
    return ItemVerdict(draft.item, draft.stage, reasons, kept, _supersedes(draft), *_leads_to(draft))


def fit_again(answer: Answer, holdings: Holdings, now: datetime) -> tuple[list[int], str]:
    """Return the lines that a drafted answer keeps now, and the part of it that does not fit any more, if one is."""
    try:
        answer.check(now)
        return fit(answer, holdings), ""
    except BadAnswer as refusal:
        return [], str(refusal.detail.get("field", "verb"))


def fit(answer: Answer, holdings: Holdings) -> list[int]:
    """Return the lines that an answer keeps. Raises BadAnswer unless it fits what the item holds.

    A reduction keeps some lines and takes some away, or tightens limits; an earlier end is earlier than the one that
    stands.
    """
    _check_kind(answer, holdings)
    if answer.verb not in (Verb.CERTIFY, Verb.REDUCE):
        return []
    if answer.valid_until and (holdings.ends_at is None or holdings.ends_at <= answer.valid_until):
        raise BadAnswer(field="valid_until")
    left = list(holdings.lines)
    if answer.verb == Verb.CERTIFY:
        return left
    kept = sorted(set(answer.kept))
    if not kept or not set(kept) <= set(left) or (len(kept) == len(left) and not answer.limits):
        raise BadAnswer(field="kept", lines=left)
    for line, limit in answer.limits.items():
        present = holdings.limits.get(line)
        if line not in kept or present is None or dict(limit) == present or not limits.tightens(present, limit):
            raise BadAnswer(field="limits", line=line)
    return kept


def _check_kind(answer: Answer, holdings: Holdings) -> None:
    """Refuse what goes with access alone: an earlier end, tighter limits, and to keep some of what has no parts.

    Where everybody must keep all of it, each of those is refused as well.
    """
    if holdings.is_whole and (answer.verb == Verb.REDUCE or answer.valid_until):
        raise BadAnswer(field="valid_until" if answer.valid_until else "verb", strategy="all_must_keep")
    if holdings.kind == ACCESS:
        return
    for name in ("valid_until", "limits", "effective_at"):
        if getattr(answer, name):
            raise BadAnswer(field=name)
    if answer.verb == Verb.REDUCE and holdings.kind != ENTITLEMENT:
        raise BadAnswer(verb=answer.verb)


def uncovered(violations: Iterable[Violation], voices: Iterable[str]) -> Violation | None:
    """Return the first violation without an exception, or with one that the reviewer gave by any account."""
    unfit = {"", *voices}
    return next((each for each in violations if each.excepted_by in unfit), None)


def _supersedes(draft: Drafted) -> UUID | None:
    """Return the decision of the same stage that was taken back; an abstention supersedes none."""
    if draft.answer.verb == Verb.ABSTAIN:
        return None
    taken_back = (each.decision for each in draft.earlier if each.is_taken_back and each.stage == draft.stage)
    return next(taken_back, None)


def _leads_to(draft: Drafted) -> tuple[int | None, UUID | None]:
    """Return the stage that is asked next, and the earlier decision that is the outcome, None for this answer.

    The strictest answer is the outcome once no stage is left, the last of those that are alike; a removal leaves none.
    An abstention decides nothing.
    """
    verb = draft.answer.verb
    if verb == Verb.ABSTAIN:
        return draft.stage, None
    standing = [each for each in draft.earlier if not each.is_taken_back and each.verb != Verb.ABSTAIN]
    if verb != Verb.REVOKE and len(standing) + 1 < draft.stages:
        return SECOND, None
    answers = [*((each.verb, each.stage, each.decision) for each in standing), (verb, draft.stage, None)]
    return None, max(answers, key=lambda each: (STRICTNESS.index(Verb(each[0])), each[1]))[2]
